"""The files of a lead's folder with more slots: as text, sure to say nothing else than before."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from resources import hostlist

from fluxburst.lead import RESOURCES, LeadError, read
from fluxburst.setup import layout
from fluxburst.setup.layout import Node, Size
from fluxburst.toml import inline


def r_of(path: Path) -> dict[str, Any]:
    """R as JSON. Raises LeadError."""
    from resources.errors import InputError
    from resources.flux_r import from_flux_r

    try:
        document = json.loads(read(path))
        from_flux_r(document)
    except (ValueError, RecursionError, InputError) as error:
        raise LeadError(f"{path} is no R (RFC 20): {error}") from None
    made: dict[str, Any] = document
    return made


def sizes_of(document: dict[str, Any]) -> dict[str, Size]:
    """What R says of each host."""
    from resources.flux_r import from_flux_r

    from fluxburst.model import amount

    hosts = from_flux_r(document).hosts()
    return {host: Size(amount(group.total, "cores"), amount(group.total, "gpus")) for _, host, group in hosts}


def longer_r(document: dict[str, Any], new: Sequence[Node], folder: Path) -> str:
    """R with more hosts at its end. Raises LeadError where it holds what these would have to change."""
    execution = document["execution"]
    names = [name for part in execution.get("nodelist", []) for name in hostlist.expand(part)]
    present = set(names)
    more = [node for node in new if node.host not in present]
    if not more:
        return read(folder / RESOURCES)
    if "scheduling" in document:
        raise LeadError(
            f"{folder / RESOURCES} has a 'scheduling' key, which would have to be made anew: nothing is changed."
            " Write a new folder"
        )
    added = json.loads(layout.r_document(more))["execution"]
    for row in added["R_lite"]:
        ranks = hostlist.expand(f"[{row['rank']}]")
        row["rank"] = layout.ids(len(ranks), int(ranks[0]) + len(names))
    execution["R_lite"] += added["R_lite"]
    execution["nodelist"] += added["nodelist"]
    return json.dumps(document) + "\n"


def longer_settings(path: Path, there: Sequence[Node], new: Sequence[Node]) -> str:
    """The settings with the new slots of each plugin behind those that are there. Raises LeadError."""
    text = read(path)
    expected = tomllib.loads(text)
    for plugin in dict.fromkeys(node.plugin for node in new):
        old = [node.host for node in there if node.plugin == plugin]
        hosts = [*old, *(node.host for node in new if node.plugin == plugin)]
        if plugin not in expected.get("plugins", {}):
            text = text.rstrip("\n") + "\n" + "\n".join(layout.plugin_lines(plugin, hosts)) + "\n"
        else:
            now = f"hosts = {inline(hostlist.compress(old))}"
            text = text.replace(now, f"hosts = {inline(hostlist.compress(hosts))}", 1)
        expected.setdefault("plugins", {}).setdefault(plugin, {})["hosts"] = hostlist.compress(hosts)
    return _as_expected(path, text, expected, "the 'hosts' of each plugin")


def longer_config(path: Path, config: Any, new: Sequence[Node]) -> str:
    """The configuration with more hosts at the end of its list. Raises LeadError."""
    lines = layout.host_lines(new)
    expected = {**config, "bootstrap": dict(config["bootstrap"])}
    expected["bootstrap"]["hosts"] = [*config["bootstrap"]["hosts"], *tomllib.loads(f"a = [{''.join(lines)}]")["a"]]
    before, found, after = read(path).partition("\n]\n")  # the end of the hosts, as init writes them
    text = before + "".join(f"\n{line}" for line in lines) + found + after
    return _as_expected(path, text, expected, f"to bootstrap.hosts: {' '.join(line.strip() for line in lines)}")


def _as_expected(path: Path, text: str, expected: object, what: str) -> str:
    """The new text of a file that the user may have changed: sure to say the same as before, and the new slots."""
    try:
        if tomllib.loads(text) == expected:
            return text
    except tomllib.TOMLDecodeError:
        pass
    raise LeadError(f"{path} was changed so that slots can't be added here: nothing is changed. Add {what}, yourself")
