"""What a controller is told: `burst.toml` beside the lead's configuration, or a file of the user's.

lease = "4h"            # durations are seconds, or texts such as 90s, 15m, 2h, 1d

[limits]                # over all plugins; without one there is no limit but the slots of the lead
nodes = 20
node_hours = 500

[plugins.slurm]         # `hosts`, `lease`, `join_timeout`, `limits`; the rest are the plugin's own parameters
hosts = "slurm[0-63]"
limits = { nodes = 16, cost = 40.0 }
partition = "debug"
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from typing import Any

from resources import hostlist, units
from resources.units import shown

from fluxburst.errors import FluxBurstError, ParameterError
from fluxburst.model import NO_LIMIT, NO_RULES, Budget, JobRules
from fluxburst.texts import hint

DURATIONS = {
    "interval": 5,  # between two looks at a provider
    "delay": 30,  # that a job waits before nodes are made for it
    "idle_timeout": 300,  # that a burst idles before it is drained
    "cooldown": 60,  # after the end of an idle burst until nodes of its shape are made again
    "start_timeout": 3600,  # that a provider may keep a burst waiting before it is given up
    "join_timeout": 600,  # from there to its brokers in the lead
    "lease": 14400,  # after which a burst ends by itself
    "grace": 600,  # age of what bears our mark and is not in the ledger, before it is removed
    "backoff": 60,  # after a first failure; doubled with each one more
}
OF_PLUGIN = ("hosts", "lease", "join_timeout", "limits")
LIMITS = tuple(one.name for one in fields(Budget))


@dataclass(frozen=True, slots=True)
class PluginSettings:
    """One plugin. hosts: its slots, None: those of the lead that bear its name and a number. Durations: seconds."""

    hosts: tuple[str, ...] | None = None
    lease: int = DURATIONS["lease"]
    join_timeout: int = DURATIONS["join_timeout"]
    limits: Budget = NO_LIMIT
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """All durations in seconds; `limits` over all plugins; owner: the mark of this lead, "" where none is set."""

    owner: str = ""
    interval: int = DURATIONS["interval"]
    delay: int = DURATIONS["delay"]
    idle_timeout: int = DURATIONS["idle_timeout"]
    cooldown: int = DURATIONS["cooldown"]
    start_timeout: int = DURATIONS["start_timeout"]
    join_timeout: int = DURATIONS["join_timeout"]
    lease: int = DURATIONS["lease"]
    grace: int = DURATIONS["grace"]
    backoff: int = DURATIONS["backoff"]
    limits: Budget = NO_LIMIT
    rules: JobRules = NO_RULES
    plugins: Mapping[str, PluginSettings] = field(default_factory=dict)

    def of(self, plugin: str) -> PluginSettings:
        """What is set for a plugin; the general where nothing is."""
        return self.plugins.get(plugin) or PluginSettings(lease=self.lease, join_timeout=self.join_timeout)


def read_settings(text: str, where: str) -> Settings:
    """Settings from TOML. Raises FluxBurstError with the place."""
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise FluxBurstError(f"{where}: no TOML: {error}") from None
    try:
        return _settings(document)
    except ValueError as error:
        raise FluxBurstError(f"{where}: {error}") from None


def _settings(document: Mapping[str, Any]) -> Settings:
    _known(document, ("owner", *DURATIONS, "limits", "jobs", "plugins"), "")
    durations: dict[str, Any] = {key: units.seconds(document[key], key) for key in DURATIONS if key in document}
    made = Settings(
        owner=_text(document.get("owner", ""), "owner"),
        limits=_limits(document.get("limits", {}), "limits"),
        rules=_rules(document.get("jobs", {})),
        **durations,
    )
    tables = document.get("plugins", {})
    if not isinstance(tables, dict):
        raise ParameterError("a table for each plugin belongs here, [plugins.NAME]", "plugins")
    return replace(made, plugins={name: _plugin(table, f"plugins.{name}", made) for name, table in tables.items()})


def _plugin(table: object, place: str, general: Settings) -> PluginSettings:
    given = _table(table, place)
    hosts = given.get("hosts")
    if hosts is not None:
        try:
            hosts = tuple(hostlist.expand(_text(hosts, f"{place}.hosts")))
        except ValueError as error:
            raise ParameterError(str(error), f"{place}.hosts") from None
    return PluginSettings(
        hosts,
        units.seconds(given.get("lease", general.lease), f"{place}.lease"),
        units.seconds(given.get("join_timeout", general.join_timeout), f"{place}.join_timeout"),
        _limits(given.get("limits", {}), f"{place}.limits"),
        {key: value for key, value in given.items() if key not in OF_PLUGIN},
    )


def _limits(value: object, place: str) -> Budget:
    table = _table(value, place)
    _known(table, LIMITS, place)
    for key, limit in table.items():
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or not isfinite(limit) or limit < 0:
            raise ParameterError(f"a number from 0 belongs here, not {shown(limit)}", f"{place}.{key}")
    return Budget(**{key: float(table.get(key, inf)) for key in LIMITS})


def _rules(value: object) -> JobRules:
    table = _table(value, "jobs")
    _known(table, ("allow", "namespaces"), "jobs")
    every = NO_RULES.allow
    allow = _texts(table.get("allow", sorted(every)), "jobs.allow")
    for key in allow - every:
        raise ParameterError(
            f"{shown(key)} is nothing that a job can ask for: {', '.join(sorted(every))}", "jobs.allow"
        )
    namespaces = table.get("namespaces")
    return JobRules(allow, None if namespaces is None else _texts(namespaces, "jobs.namespaces"))


def _known(table: Mapping[str, Any], names: Collection[str], place: str) -> None:
    for key in table:
        if key not in names:
            raise ParameterError(f"unknown key {key!r}; {hint(key, names)}", place)


def _table(value: object, place: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ParameterError(f"a table belongs here, not {shown(value)}", place)
    return value


def _text(value: object, place: str) -> str:
    if not isinstance(value, str):
        raise ParameterError(f"a text belongs here, not {shown(value)}", place)
    return value


def _texts(value: object, place: str) -> frozenset[str]:
    if not isinstance(value, list):
        raise ParameterError(f"a list of texts belongs here, not {shown(value)}", place)
    return frozenset(_text(one, place) for one in value)
