"""What the tools of fabrics print: ibstat(8), ibv_devinfo(1), `rdma -j link` (rdma-link(8)), opainfo(1), fi_info(1)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers.network._rdma import Port, kind_of, make_port, rate_of, state_of

_CA = re.compile(r"^CA '([^'\s]{1,64})'$")
_FIELD = re.compile(r"^(\s*)([A-Za-z][A-Za-z0-9 _]{0,40}?):\s*(.*)$")
_OPA = re.compile(r"^([A-Za-z0-9_]{1,32}):(\d{1,3})\s+PortGID:(\S+)", re.ASCII)
_TRANSPORT = {"iWARP": "4"}


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool told. unread: what it could not read itself, or what can't be read of its answer."""

    ports: tuple[Port, ...]
    unread: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Provider:
    """An interface of libfabric: domain is its device, such as cxi0 or efa_0-rdm; type is FI_EP_RDM and so on."""

    provider: str
    fabric: str | None
    domain: str | None
    version: str | None
    type: str | None
    protocol: str | None


def _shown(text: str) -> str:
    return "".join(char if char.isprintable() or char == "\n" else "?" for char in text[:2000])


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 10 else None


def _blocks(text: str, first: re.Pattern[str]) -> Iterator[tuple[str, list[str]]]:
    """The lines after each that matches, with what it named."""
    name = ""
    lines: list[str] = []
    for line in text.splitlines():
        match = first.match(line)
        if match:
            if name:
                yield name, lines
            name, lines = match[1], []
        elif name:
            lines.append(line)
    if name:
        yield name, lines


def _fields(lines: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _FIELD.match(line)
        if match:
            found.setdefault(match[2], match[3].strip())
    return found


def _ports(lines: list[str], start: re.Pattern[str]) -> list[tuple[int, dict[str, str]]]:
    found: list[tuple[int, list[str]]] = []
    for line in lines:
        match = start.match(line)
        if match:
            found.append((int(match[1]), []))
        elif found:
            found[-1][1].append(line)
    return [(number, _fields(own)) for number, own in found]


def read_ibstat(text: str) -> Told:
    """`ibstat`. Without any device it prints nothing. Raises OutputError where it prints something else."""
    made, unread = [], [line.strip() for line in text.splitlines() if line.startswith("ibpanic")]
    for name, lines in _blocks(text, _CA):
        for number, port in _ports(lines, re.compile(r"^\s+Port ([0-9]{1,3}):$")):
            layer = port.get("Link layer")
            if "State" not in port:
                unread.append(f"{name} port {number}: without a state")
                continue
            made.append(
                make_port(
                    device=name,
                    port=number,
                    kind=kind_of(name, None, "", layer),
                    state=state_of(port["State"]),
                    physical_state=state_of(port.get("Physical state")),
                    rate=rate_of(port.get("Rate"))[0],
                    link_layer=layer,
                    lid=_number(port.get("Base lid")),
                    firmware=_fields(lines).get("Firmware version") or None,
                    board=_fields(lines).get("CA type") or None,
                )
            )
    if text.strip() and not made and not unread:
        raise OutputError("ibstat", "", f"no CA in it; it said: {_shown(text)}")
    return Told(tuple(made), tuple(unread))


def read_devinfo(text: str) -> Told:
    """`ibv_devinfo`. Raises OutputError where it tells of no device."""
    made, unread = [], []
    for name, lines in _blocks(text, re.compile(r"^hca_id:\s*(\S{1,64})\s*$")):
        head = _fields(lines)
        for number, port in _ports(lines, re.compile(r"^\s+port:\s+([0-9]{1,3})\s*$")):
            layer = port.get("link_layer")
            state = re.match(r"PORT_([A-Z_]{1,30})", port.get("state", ""))
            if not state:
                unread.append(f"{name} port {number}: state {port.get('state', '')[:40]!r}")
                continue
            transport = _TRANSPORT.get(head.get("transport", "").split(" ")[0], "")
            made.append(
                make_port(
                    device=name,
                    port=number,
                    kind=kind_of(name, None, transport, layer),
                    state=state[1],
                    link_layer=layer,
                    lid=_number(port.get("port_lid")),
                    firmware=head.get("fw_ver") or None,
                    board=head.get("board_id") or None,
                )
            )
    if not made and not unread:
        raise OutputError("ibv_devinfo", "", f"no hca_id in it; it said: {_shown(text)}")
    return Told(tuple(made), tuple(unread))


def read_rdma_link(text: str) -> Told:
    """`rdma -j link`: only InfiniBand has a LID, only RoCE and iWARP have a netdev. Raises OutputError."""
    try:
        rows = json.loads(text or "[]")
    except (ValueError, RecursionError):
        rows = None
    if not isinstance(rows, list):
        raise OutputError("rdma -j link", "", f"a list expected; it said: {_shown(text)}")
    made, unread = [], []
    for row in rows:
        name = row.get("ifname") if isinstance(row, dict) else None
        if not isinstance(row, dict) or not isinstance(name, str):
            unread.append(f"{row!r:.60}")
            continue
        state, physical = row.get("state"), row.get("physical_state")
        number = row.get("port")
        lid = row.get("lid")
        if not isinstance(state, str) or not isinstance(number, int) or not 0 <= number < 256:
            continue  # a device without ports: a switch of a virtual function
        layer = "InfiniBand" if "subnet_prefix" in row or lid is not None else "Ethernet" if "netdev" in row else None
        made.append(
            make_port(
                device=name[:64],
                port=number,
                kind=kind_of(name, None, "", layer),
                state=state_of(state),
                physical_state=state_of(physical) if isinstance(physical, str) else None,
                link_layer=layer,
                lid=lid if isinstance(lid, int) and 0 <= lid < 2**32 else None,
                interfaces=(row["netdev"],) if isinstance(row.get("netdev"), str) else (),
            )
        )
    return Told(tuple(made), tuple(unread))


def read_opainfo(text: str) -> Told:
    """`opainfo`: a line `hfi1_0:1 PortGID:...` for each port, its fields indented. Raises OutputError for none."""
    made = []
    heads: list[tuple[str, int, list[str]]] = []
    for line in text.splitlines():
        match = _OPA.match(line)
        if match:
            heads.append((match[1], int(match[2]), []))
        elif heads:
            heads[-1][2].append(line)
    for name, number, lines in heads:
        fields = _fields(lines)
        own = "\n".join(lines)
        speed = re.search(r"LinkSpeed\s+Act:\s*([0-9]{1,4}(?:\.[0-9]{1,2})?)Gb", own)
        width = re.search(r"LinkWidth\s+Act:\s*([0-9]{1,2})\b", own)
        rate = float(speed[1]) * int(width[1]) if speed and width else None
        lid = re.search(r"^\s*LID:\s*(0x[0-9a-fA-F]{1,8})", own, re.MULTILINE)
        made.append(
            make_port(
                device=name,
                port=number,
                kind="omni-path",
                state=state_of(re.split(r"\s{2,}|\(", fields.get("PortState", ""))[0]),
                rate=rate if rate and rate <= 10_000 else None,
                width=f"{width[1]}X" if width else None,
                lid=int(lid[1], 16) if lid else None,
            )
        )
    if not made:
        raise OutputError("opainfo", "", f"no port in it; it said: {_shown(text)}")
    return Told(tuple(made))


def read_fi_info(text: str) -> tuple[Provider, ...]:
    """`fi_info -p NAME`. Raises OutputError where it prints no provider."""
    made = []
    for name, lines in _blocks(text, re.compile(r"^provider: *([!-~]{1,64})\s*$")):
        fields = {key: value[:200] for key, value in _fields(lines).items()}
        told = [fields.get(key) or None for key in ("fabric", "domain", "version", "type", "protocol")]
        made.append(Provider(name, *told))
    if not made:
        raise OutputError("fi_info", "", f"no provider in it; it said: {_shown(text)}")
    return tuple(made)
