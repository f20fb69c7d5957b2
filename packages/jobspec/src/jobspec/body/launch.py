"""One launch line, read with the options of its launcher."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise

from jobspec.body.launchers import GETOPT, OPTIONS, STUCK
from jobspec.body.shell import Word


class NotUnderstood(Exception):
    """Why a launch line is left as it stands; the text says so."""


@dataclass(slots=True)
class Launch:
    """What a launch line asks for: values as they stand there, by meaning; program: where the program's name begins."""

    launcher: str
    program: int = 0
    asked: dict[str, str] = field(default_factory=dict)
    env: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)


_COUNTING = frozenset({"tasks", "nodes", "per_node", "cpus", "sets"})
_OPTIONS_IN = re.compile(r"\$\{?\w*(?:OPT|ARG|FLAG|PARAM|BIND)", re.IGNORECASE)
_GPU = re.compile(r"gpu(?::[A-Za-z][\w.-]{0,60})?(?::([0-9]{1,6}))?\Z")
_PPR = re.compile(r"ppr:([0-9]{1,6}):node(?::.{0,60})?\Z", re.IGNORECASE)


def read(launcher: str, words: list[Word]) -> Launch:
    """The launch that `words`, all behind the launcher's name, ask for. Raises NotUnderstood."""
    launch = Launch(launcher)
    at = 0
    while at < len(words):
        word = words[at].raw
        if word == "--":
            at += 1
            break
        if word == ":" and launcher == "runjob":
            at += 1
            break
        if not word.startswith("-") or word == "-":
            break
        at += _option(launch, word, words[at + 1 : at + 3])
    if at >= len(words):
        raise NotUnderstood("no program is named")
    program = words[at].raw
    if program[0] in '$"' and "$" in program[:2]:
        ahead = words[at + 1].raw.partition("=")[0] if at + 1 < len(words) else ""
        if _OPTIONS_IN.match(program.lstrip('"')) or OPTIONS[launcher].get(ahead, ("",))[0] in _COUNTING:
            raise NotUnderstood(f"{program[:40]} may hold options")
    if any(word.raw == ":" for word in words[at:]):
        raise NotUnderstood("it starts several programs")
    launch.program = words[at].start
    return launch


def _option(launch: Launch, word: str, ahead: list[Word]) -> int:
    """Take one option; how many words it was."""
    table = OPTIONS[launch.launcher]
    name, equals, value = word.partition("=")
    if name in table:
        meaning, takes = table[name]
        return _take(launch, name, meaning, takes, value if equals else None, ahead)
    if word.startswith("--"):
        found = {table[one] for one in table if one.startswith(name) and len(name) > 3}
        if launch.launcher in GETOPT and len(found) == 1:
            meaning, takes = found.pop()
            return _take(launch, name, meaning, takes, value if equals else None, ahead)
    elif launch.launcher in GETOPT or launch.launcher in STUCK:
        letter = word[:2]
        if letter in table:
            meaning, takes = table[letter]
            if takes.startswith("="):
                return _take(launch, letter, meaning, takes, word[2:].removeprefix("="), ahead)
            if launch.launcher in GETOPT:
                _take(launch, letter, meaning, takes, None, ahead)
                return _option(launch, "-" + word[2:], ahead) if len(word) <= 12 else _unknown(word)
    return _unknown(word)


def _unknown(word: str) -> int:
    raise NotUnderstood(f"option {word[:60]}")


def _take(launch: Launch, name: str, meaning: str, takes: str, value: str | None, ahead: list[Word]) -> int:
    used = 1
    values: list[str] = []
    if takes.startswith("/"):
        values = [takes[1:]]
    elif takes == "=":
        if value is None:
            if not ahead:
                raise NotUnderstood(f"{name} has no value")
            value, used = ahead[0].raw, 2
        values = [value]
    elif takes == "==":
        if value is not None and "=" not in value:
            values = [value]
        elif len(ahead) < 2:
            raise NotUnderstood(f"{name} has no value")
        else:
            values, used = [ahead[0].raw, ahead[1].raw], 3
    elif takes == "=?":
        values = [value or ""]
    elif value is not None:
        raise NotUnderstood(f"option {name} takes no value")
    _mean(launch, name, meaning, values)
    return used


def _mean(launch: Launch, name: str, meaning: str, values: list[str]) -> None:
    shown = " ".join([name, *values])[:80]
    value = values[0] if values else ""
    if meaning == "stop":
        raise NotUnderstood(f"option {name}")
    if meaning == "lost":
        launch.lost.append(shown)
    elif meaning == "env" and "=" in value:
        launch.env.append(value)
    elif meaning == "env2":
        launch.env.append("=".join(values))
    elif meaning == "mca":
        launch.env.append(f"OMPI_MCA_{'='.join(values)}")
    elif meaning == "gres":
        gpu = _GPU.match(value)
        if gpu:
            launch.asked["gpus_per_node"] = gpu.group(1) or "1"
        elif value != "none":
            launch.lost.append(shown)
        else:
            launch.asked["gpus_per_task"] = "0"
    elif meaning == "map":
        each = _PPR.match(value)
        if each:
            launch.asked["per_node"] = each.group(1)
        else:
            launch.lost.append(shown)
    elif meaning == "export":
        _export(launch, value, shown)
    elif meaning == "hostfile" or meaning == "hosts_listed":
        launch.asked["hostfile"] = shown
    elif meaning not in ("ok", "env"):
        launch.asked[meaning] = value


def _export(launch: Launch, value: str, shown: str) -> None:
    if "'" in value or '"' in value:
        launch.lost.append(shown)
        return
    for part in value.split(","):
        if "=" in part:
            launch.env.append(part)
        elif part == "NONE":
            launch.lost.append(shown)


def newlines(text: str, start: int, words: list[Word], stop: int) -> int:
    """How many continued lines the words of a launch take, from its launcher up to the gap before its program."""
    ends = [word.end for word in words if word.end <= stop]
    return sum(text.count("\n", a, b) for a, b in pairwise([start, *ends]))
