"""What a lead's folder holds, as text: the host list with its slots, R, settings. Pure: nothing is read or written.

A slot is a host name that the lead's configuration declares and that no machine has yet. Ranks follow the order of
the host list (flux-config-bootstrap(5)), so slots are only ever added at its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from resources import hostlist, idset
from resources.units import shown

from fluxburst.errors import FluxBurstError
from fluxburst.lead import CERTIFICATE, RESOURCES, slot_prefix
from fluxburst.toml import inline, key

DEFAULT_PORT = 8050  # the one that Flux's own manuals show
MOST_SLOTS = 100_000
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)  # RFC 1035, section 2.3.1, as Flux checks it
_PLUGIN = re.compile(r"[a-z](?:[a-z0-9-]{0,38}[a-z0-9])?", re.ASCII)
_ADDRESS = re.compile(r"[A-Za-z0-9*_.-]{1,253}", re.ASCII)  # a name, an IPv4 address, an interface, every interface
_IPV6 = re.compile(r"\[?([0-9A-Fa-f:]{2,45})\]?", re.ASCII)
_URI = re.compile(r"tcp://(?:[A-Za-z0-9*_.%h-]{1,253}|\[[0-9A-Fa-f:]{2,45}\]):(?:%p|[0-9]{1,5})", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,9}", re.ASCII)


class SlotsError(FluxBurstError, ValueError):
    """A host, port, address or `--slots` that no lead can have; the text says what is allowed."""


@dataclass(frozen=True, slots=True)
class Size:
    """What one host has for jobs. cores: 0 where it takes none."""

    cores: int
    gpus: int = 0

    def __str__(self) -> str:
        return f"cores={self.cores}" + (f",gpus={self.gpus}" if self.gpus else "")


@dataclass(frozen=True, slots=True)
class Slots:
    """What one `--slots` asks for: `count` hosts of a plugin; size: None for what is usual."""

    plugin: str
    count: int
    size: Size | None = None

    @classmethod
    def from_text(cls, text: str) -> Slots:
        """Read `PLUGIN:COUNT` or `PLUGIN:COUNT:cores=N,gpus=N`. Raises SlotsError."""
        name, colon, rest = text.partition(":")
        number, again, amounts = rest.partition(":")
        plugin = name.strip().lower().replace("_", "-")
        if not colon or not _COUNT.fullmatch(number.strip()) or not 1 <= int(number) <= MOST_SLOTS:
            raise SlotsError(f"slots are written PLUGIN:COUNT, such as slurm:64 or slurm:64:cores=16,gpus=2, "
                             f"with a count of 1 to {MOST_SLOTS}, not {shown(text)}")  # fmt: skip
        if not _PLUGIN.fullmatch(plugin):
            raise SlotsError(f"a plugin's name is lower-case letters, digits and '-', not {shown(name)}")
        return cls(plugin, int(number), _size(amounts, text) if again else None)


@dataclass(frozen=True, slots=True)
class Node:
    """A declared host. plugin: whose slot it is, "" for the lead itself."""

    host: str
    size: Size
    plugin: str = ""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the lead listens and where brokers connect to, as flux-config-bootstrap(5) writes URIs."""

    port: int
    bind: str
    connect: str

    @property
    def ipv6(self) -> bool:
        return "[" in self.bind + self.connect


def nodes(asked: Sequence[Slots], usual: Size, there: Sequence[Node] = ()) -> list[Node]:
    """The slots that are to be added to those that are there. Raises SlotsError where those would have to change."""
    wanted: dict[str, list[Size | None]] = {}
    for one in asked:
        wanted.setdefault(one.plugin, []).extend([one.size] * one.count)
    if sum(map(len, wanted.values())) > MOST_SLOTS:
        raise SlotsError(f"a lead has at most {MOST_SLOTS} slots")
    new: list[Node] = []
    for plugin, sizes in wanted.items():
        old = [node for node in there if node.plugin == plugin]
        if len(old) > len(sizes):
            raise SlotsError(
                f"{plugin} has {len(old)} slots there, more than the {len(sizes)} that are asked for: slots are never"
                f" taken away. Ask for {len(old)} or more, or write a new folder"
            )
        for node, size in zip(old, sizes, strict=False):
            if size not in (None, node.size):
                raise SlotsError(
                    f"{node.host} is there with {node.size}, not {size}: what slots have is not changed."
                    f" Give the same, or write a new folder"
                )
        prefix = slot_prefix(plugin)
        new += [Node(f"{prefix}{at}", size or usual, plugin) for at, size in enumerate(sizes) if at >= len(old)]
    names = [node.host for node in (*there, *new)]
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise SlotsError(f"{double!r} would be there twice: choose another name for the lead (--lead)")
    return new


def checked_host(host: str) -> str:
    """The name of a lead. Raises SlotsError."""
    if len(host) > 253 or not _HOST.fullmatch(host):
        raise SlotsError(f"a host's name is letters, digits, '-' and '.' (RFC 1035), not {shown(host)}")
    return host


def checked_port(port: int) -> int:
    """A port of TCP. Raises SlotsError."""
    if not 1 <= port <= 65535:
        raise SlotsError(f"a port is 1 to 65535, not {port}")
    return port


def uri(text: str, *, wildcard: bool) -> str:
    """An interface, an address or a whole `tcp://...:PORT` as a URI for the configuration. Raises SlotsError."""
    if "://" in text:
        address, whole = text, text
        fine = bool(_URI.fullmatch(text)) and int("1" if text.endswith("%p") else text.rpartition(":")[2]) <= 65535
    elif match := _IPV6.fullmatch(text) if ":" in text else None:
        address, whole, fine = match[1], f"tcp://[{match[1]}]:%p", True
    else:
        address, whole, fine = text, f"tcp://{text}:%p", bool(_ADDRESS.fullmatch(text))
    if not fine or ("*" in address and not wildcard):
        allowed = "an address, an interface, '*'" if wildcard else "a host name, an address"
        raise SlotsError(f"{allowed} or tcp://ADDRESS:PORT belongs here, not {shown(text)}")
    return whole


def system_toml(lead: str, endpoint: Endpoint, slots: Sequence[Node], folder: str, *, exclude: bool) -> str:
    """The lead's configuration (flux-config(5)). exclude: the lead itself runs no jobs."""
    own = {"host": lead, "bind": endpoint.bind, "connect": endpoint.connect}
    lines = [
        "# The configuration of a Flux instance that can grow; written by 'flux-burst init'.",
        "# What changes in [bootstrap] or in R counts when the lead starts the next time.",
        "",
        "[bootstrap]",
        f"curve_cert = {inline(f'{folder}/{CERTIFICATE}')}",
        f"default_port = {endpoint.port}",
        *(["enable_ipv6 = true"] if endpoint.ipv6 else []),
        "# Every host that may ever join, in the order of the ranks: the lead, then its slots.",
        "hosts = [",
        f"    {inline(own)},",
        *host_lines(slots),
        "]",
        "",
        "[tbon]",
        "# Flat: the parent of every broker is the lead, so that none needs another slot to be up.",
        'topo = "kary:0"',
        "# A node that goes without a word is given up after this time.",
        'tcp_user_timeout = "20s"',
        "",
        "[heartbeat]",
        "# A broker that has lost the lead leaves after this time, instead of waiting for it.",
        'timeout = "1m"',
        "",
        "[kvs]",
        "# So often the queue is put into state/: a lead that is killed knows of what was there then.",
        'checkpoint-period = "5s"',
        "",
        "[resource]",
        f"path = {inline(f'{folder}/{RESOURCES}')}",
        "# What a slot really has is not known before it is there.",
        "noverify = true",
        *(["# The lead itself runs no jobs.", f"exclude = {inline(lead)}"] if exclude else []),
    ]
    return "\n".join(lines) + "\n"


def host_lines(slots: Sequence[Node]) -> list[str]:
    """The entries of `bootstrap.hosts`, one line for each run of slots of one plugin."""
    runs = groupby(slots, key=lambda node: node.plugin)
    return [f"    {inline({'host': hostlist.compress(node.host for node in run)})}," for _, run in runs]


def burst_toml(owner: str, slots: Sequence[Node]) -> str:
    """The controller's settings."""
    plugins = dict.fromkeys(node.plugin for node in slots)
    lines = [
        "# Settings of flux-burst for this lead; every command reads them anew.",
        "",
        "# The mark of everything that is ever made for this lead. Never change it while something of it exists.",
        f"owner = {inline(owner)}",
        "",
        '# lease = "4h"           # a burst ends by itself after this time',
        '# idle_timeout = "5m"    # a burst that runs nothing goes after this time',
        "",
        "# [limits]               # over all plugins; where none is set, only the slots limit",
        "# nodes = 16",
        "# node_hours = 500",
        "# cost = 100.0",
    ]
    for plugin in plugins:
        lines += plugin_lines(plugin, [node.host for node in slots if node.plugin == plugin])
    return "\n".join(lines) + "\n"


def plugin_lines(plugin: str, hosts: Sequence[str]) -> list[str]:
    """The table of one plugin."""
    return [
        "",
        f"[plugins.{key(plugin)}]",
        f"hosts = {inline(hostlist.compress(hosts))}",
        "# limits = { nodes = 4, cost = 40.0 }",
    ]


def r_document(all_nodes: Sequence[Node]) -> str:
    """R (RFC 20) of the hosts, in the order of their ranks."""
    rows, at = [], 0
    for size, run in groupby(all_nodes, key=lambda node: node.size):
        count = len(list(run))
        children = {"core": ids(max(1, size.cores)), **({"gpu": ids(size.gpus)} if size.gpus else {})}
        rows.append({"rank": ids(count, at), "children": children})
        at += count
    names = [hostlist.compress(node.host for node in all_nodes)]
    execution = {"R_lite": rows, "starttime": 0.0, "expiration": 0.0, "nodelist": names}
    return json.dumps({"version": 1, "execution": execution}) + "\n"


def ids(count: int, start: int = 0) -> str:
    """An idset (RFC 22) of `count` ids."""
    return idset.text(idset.mask_of(range(start, start + count)))


def _size(text: str, whole: str) -> Size:
    given: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        if name not in ("cores", "gpus") or name in given or not _COUNT.fullmatch(value):
            raise SlotsError(f"what a slot has is written cores=16,gpus=2, not {shown(text)} (in {shown(whole)})")
        given[name] = int(value)
    if not 1 <= given.get("cores", 1) <= 65536 or given.get("gpus", 0) > 1024:
        raise SlotsError(f"a slot has 1 to 65536 cores and at most 1024 GPUs, not {shown(text)}")
    if "cores" not in given:
        raise SlotsError(f"say how many cores a slot has, too: cores=16,{text}")
    return Size(given["cores"], given.get("gpus", 0))
