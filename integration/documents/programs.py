"""The commands of our distributions: which there are, and whether a line names a sub-command and options that exist."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
from functools import cache
from itertools import pairwise
from pathlib import Path

import click
from resources.errors import PluginError

ROOT = Path(__file__).resolve().parents[2]
BASE = "hpc-resources"
DISTRIBUTIONS = {  # folder below packages/ -> distribution
    "resources": BASE,
    "secretary": "resource-secretary",
    "jobspec": "jobspec",
    "ensemble": "ensemble-python",
    "fluxburst": "flux-burst",
}
ENDS = ("|", "||", "&&", ";", "&")  # of a command within a line
BEFORE = ("timeout", "time", "nohup", "exec", "sudo")  # programs that run the command behind them


@cache
def entry_points(distribution: str) -> dict[str, str]:
    """The console scripts of an installed distribution: name -> `module:function`."""
    found = importlib.metadata.distribution(distribution).entry_points
    return {point.name: point.value for point in found if point.group == "console_scripts"}


@cache
def programs() -> dict[str, str]:
    """Those of all five."""
    return {name: value for one in DISTRIBUTIONS.values() for name, value in entry_points(one).items()}


@cache
def _command(name: str) -> click.Command:
    module, _, function = programs()[name].partition(":")
    loaded = getattr(importlib.import_module(module), function)
    if not isinstance(loaded, click.Command):
        raise TypeError(f"{name} is no command of click")
    return loaded


@cache
def sessions() -> set[str]:
    """The sessions of noxfile.py."""
    found = set()
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(node, ast.FunctionDef) and any("session" in ast.dump(one) for one in node.decorator_list):
            found.add(node.name)
    return found


def mistakes(text: str) -> list[str]:
    """What does not exist of the commands of ours that a text has, line by line. Other programs are not looked at."""
    found = []
    for line in text.replace("\\\n", " ").splitlines():
        for words in _commands(line.removeprefix("$ ")):
            found += _wrong(words)
    return found


def _commands(line: str) -> list[list[str]]:
    """The commands of a line of shell, as words; roughly, since synopses (`[--json]`, `A|B`) are none of shell."""
    all_words: list[list[str]] = [[]]
    for word in re.findall(r"(?:'[^']*'|\"[^\"]*\"|[^\s'\"])+", line):
        if word.startswith("#"):
            break
        start = word.lstrip("($`") if word.startswith(("$(", "(", "`")) and not word.startswith("(-") else word
        if start != word and all_words[-1]:
            all_words.append([])
        bare = start.rstrip(";")
        if bare and bare not in ENDS:
            all_words[-1].append(bare)
        if bare != start or word in ENDS:
            all_words.append([])
    return [words for words in all_words if words]


def _wrong(words: list[str]) -> list[str]:
    while words and (re.match(r"[A-Za-z_]+=", words[0]) or words[0] in BEFORE or re.fullmatch(r"\d+s?", words[0])):
        words = words[1:]
    if words[:2] == ["flux", "start"]:
        ours = [number for number, word in enumerate(words) if word in programs()]
        words = words[ours[0] :] if ours else []
    if not words:
        return []
    name = words[0].rpartition("/")[2] if words[0].startswith(".venv/") else words[0]
    if name in programs():
        return _walk(_command(name), name, words[1:])
    if name == "nox":
        asked = [words[n + 1].strip("\"'").partition("(")[0] for n, word in enumerate(words[:-1]) if word == "-s"]
        return [f"noxfile.py has no session `{one}`" for one in asked if one not in sessions()]
    if name in ("python", "python3") and words[1:2] == ["-m"] and len(words) > 2:
        top = words[2].partition(".")[0]
        ours_too = {value.partition(".")[0].partition(":")[0] for value in programs().values()}
        if top in ours_too and not importlib.util.find_spec(words[2]):
            return [f"there is no module `{words[2]}`"]
    return []


def _options(
    command: click.Command, context: click.Context, words: list[str]
) -> tuple[list[click.Parameter], tuple[str, ...]]:
    """The parameters of a command with those of the plugins that the words name, and how others' options begin."""
    absent = []
    for flag, name in pairwise(words):
        if flag == "--plugin":
            try:
                command.parse_args(context, [flag, name])
            except click.UsageError:  # for want of other arguments
                continue
            except PluginError:  # it is not installed where this runs
                absent.append(f"--{name}-")
    return command.get_params(context), tuple(absent)


def _walk(command: click.Command, path: str, words: list[str]) -> list[str]:
    """Follow words down the sub-commands of a command."""
    context = click.Context(command, info_name=path)
    known: dict[str, click.Option | None] = dict.fromkeys(context.help_option_names)
    value_follows = False
    own, absent = _options(command, context, words)
    found: list[str] = []
    for number, raw in enumerate(words):
        word = raw.strip("[](),").removesuffix("...").removesuffix("…")
        if word == "--":
            break
        if value_follows and not word.startswith("-"):
            value_follows = False
            continue
        value_follows = False
        for parameter in own:
            if isinstance(parameter, click.Option):
                known |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), parameter)
        if re.match(r"--?[A-Za-z]", word):
            for name in word.split("|"):
                option, equals, _ = name.partition("=")
                short = option[:2] if not option.startswith("--") else option
                if option in known or short in known:
                    taken = known.get(option, known.get(short))
                    value_follows = taken is not None and not taken.is_flag and not equals and not taken.count
                elif option.startswith("-") and not command.ignore_unknown_options and not option.startswith(absent):
                    found.append(f"`{path}` has no option `{option}`")
        elif isinstance(command, click.Group):
            if not re.fullmatch(r"[a-z][a-z0-9-]*", word):
                break  # a placeholder
            below = command.get_command(context, word)
            if below is None:
                return [*found, f"`{path}` has no sub-command `{word}`"]
            return found + _walk(below, f"{path} {word}", words[number + 1 :])
    return found
