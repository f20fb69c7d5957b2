"""Writing a lead's folder, and adding slots to it. What is there already is kept as it is: nothing is overwritten."""

from __future__ import annotations

import re
import secrets
import tempfile
import tomllib
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from resources import machine

from fluxburst.commands import flux
from fluxburst.lead import CERTIFICATE, CONFIG, RESOURCES, SETTINGS, Lead, LeadError, read
from fluxburst.setup import files, layout
from fluxburst.setup.addresses import addresses, is_loopback
from fluxburst.setup.extend import longer_config, longer_r, longer_settings, r_of, sizes_of
from fluxburst.setup.layout import Endpoint, Node, Size, Slots

_HERE = frozenset({"local", "mock"})  # plugins whose brokers run on the lead's own machine
LOOPBACK = "tcp://127.0.0.1:%p"


@dataclass(frozen=True, slots=True)
class Options:
    """What `init` is asked for; None: the default, or what is there already.

    bind, connect: an address or a URI. lead_cores: cores of the lead for jobs, 0: it runs none.
    """

    folder: Path
    lead: str
    slots: tuple[Slots, ...]
    port: int | None = None
    bind: str | None = None
    connect: str | None = None
    lead_cores: int | None = None
    lead_gpus: int | None = None


@dataclass(frozen=True, slots=True)
class Made:
    """What `init` did. written: names of files. added: slots that were added to a lead that was there already."""

    lead: Lead
    written: tuple[str, ...]
    added: tuple[str, ...]
    notes: tuple[str, ...]


def initialize(options: Options) -> Made:
    """Write a folder, or add slots to one. Raises SlotsError or LeadError, and has then changed nothing."""
    layout.checked_host(options.lead)
    if options.port is not None:
        layout.checked_port(options.port)
    if not options.slots:
        raise layout.SlotsError(
            "a lead without slots can't grow: only hosts that are declared before it starts can join."
            " Add --slots PLUGIN:COUNT, such as --slots local:4"
        )
    folder = options.folder.absolute()
    if not folder.as_posix().isprintable():
        raise LeadError(f"Flux can't take a folder of this name: {str(folder)!r}")
    if files.there(folder / CONFIG):
        return _extend(options, folder)
    return _write(options, folder)


def _write(options: Options, folder: Path) -> Made:
    cores = len(machine.usable_cores()) if options.lead_cores is None else options.lead_cores
    own = Node(options.lead, Size(cores, options.lead_gpus or 0))
    slots = layout.nodes(options.slots, Size(len(machine.usable_cores())), [own])
    endpoint, notes = _endpoint(options)
    if not files.there(folder / CERTIFICATE):
        flux("version", uri="")  # before anything is written
    files.prepare(folder, notes)
    owner = _owner(folder)
    written = []
    texts = {
        SETTINGS: layout.burst_toml(owner, slots),
        RESOURCES: layout.r_document([own, *slots]),
        CERTIFICATE: None,
        CONFIG: layout.system_toml(options.lead, endpoint, slots, str(folder), exclude=not cores),
    }
    for name, text in texts.items():  # the configuration last: with it the folder is complete
        if name == CERTIFICATE and files.there(folder / name):
            notes.append(f"{folder / name} was there already: it is used as it is")
        elif files.put(folder / name, _certificate(folder, options.lead) if text is None else text):
            written.append(name)
    return Made(Lead.open(folder), tuple(written), (), tuple(notes))


def _extend(options: Options, folder: Path) -> Made:
    """Add what is missing to each file, in the order of the ranks; a run that was cut short is taken up again."""
    if not files.there(folder / SETTINGS):
        raise LeadError(
            f"{folder / CONFIG} was not written by 'flux-burst init': nothing is changed. Name a new folder"
        )
    lead = Lead.open(folder)
    document = r_of(folder / RESOURCES)
    sizes = sizes_of(document)
    _same(options, lead, sizes.get(lead.host, Size(0)))
    there = [Node(lead.host, sizes.get(lead.host, Size(0)))]
    for plugin, hosts in lead.plugins.items():
        for host in hosts:
            if host not in sizes:
                raise LeadError(
                    f"{folder / RESOURCES} has no {host!r}, which {SETTINGS} gives to {plugin}: mend that first"
                )
            there.append(Node(host, sizes[host], plugin))
    new = layout.nodes(options.slots, Size(len(machine.usable_cores())), there)
    # What a run that was cut short has written to the settings is not in the configuration yet.
    declared = set(lead.hosts)
    missing = [node for node in (*there, *new) if node.host not in declared]
    if not new and not missing:
        return Made(lead, (), (), ())
    edits = {
        RESOURCES: longer_r(document, missing, folder),
        SETTINGS: longer_settings(folder / SETTINGS, there, new),
        CONFIG: longer_config(folder / CONFIG, lead.config, missing),
    }
    for name, text in edits.items():
        if text != read(folder / name):
            files.replace(folder / name, text)
    notes = ["start the lead anew before the new slots are used: it knows those that were declared when it started"]
    if is_loopback(lead.uri) and any(node.plugin not in _HERE for node in missing):
        notes.append(
            f"brokers connect to {lead.uri}, which is this machine for each of them: for others change 'bind' and"
            f" 'connect' of {lead.host!r} in {folder / CONFIG}"
        )
    return Made(Lead.open(folder), tuple(edits), tuple(node.host for node in missing), tuple(notes))


def _same(options: Options, lead: Lead, own: Size) -> None:
    """Refuse what would change a lead that is there."""
    table = lead.config["bootstrap"]
    first = table["hosts"][0]
    asked: dict[str, tuple[object, object]] = {
        "--lead": (options.lead, lead.host),
        "--port": (options.port, table.get("default_port")),
        "--bind": (
            options.bind and layout.uri(options.bind, wildcard=True),
            first.get("bind", table.get("default_bind")),
        ),
        "--connect": (
            options.connect and layout.uri(options.connect, wildcard=False),
            first.get("connect", table.get("default_connect")),
        ),
        "--lead-cores": (options.lead_cores, 0 if "exclude" in lead.config.get("resource", {}) else own.cores),
        "--lead-gpus": (options.lead_gpus, own.gpus),
    }
    for option, (value, now) in asked.items():
        if value not in (None, now):
            raise LeadError(
                f"{lead.folder} is the folder of a lead with {option} {now}, not {value}: nothing is changed."
                f" Change {CONFIG} yourself and start the lead anew, or name a new folder"
            )


def _endpoint(options: Options) -> tuple[Endpoint, list[str]]:
    notes: list[str] = []
    port = layout.DEFAULT_PORT if options.port is None else options.port
    inside = all(one.plugin in _HERE for one in options.slots)
    if options.connect is not None:
        connect = layout.uri(options.connect, wildcard=False)
    elif inside:
        connect = LOOPBACK
    elif found := addresses(options.lead):
        connect = layout.uri(options.lead, wildcard=False)
        if all(ip_address(one).is_loopback for one in found):
            notes.append(
                f"{options.lead!r} is {found[0]} here: other machines must know it by an address that they reach;"
                f" else write a new folder with --connect ADDRESS"
            )
    else:
        connect = LOOPBACK
        notes.append(
            f"{options.lead!r} has no address here, so brokers of this machine only can join (127.0.0.1):"
            f" for others write a new folder with --connect ADDRESS"
        )
    default = "tcp://[::]:%p" if "[" in connect else "tcp://*:%p"
    if is_loopback(connect):
        default = connect.replace("localhost", "127.0.0.1")  # an interface or a number is what can be bound to
    bind = default if options.bind is None else layout.uri(options.bind, wildcard=True)
    return Endpoint(port, bind, connect), notes


def _owner(folder: Path) -> str:
    """A mark that every provider takes as a tag, label or part of a name; of a run that was cut short, its own."""
    path = folder / SETTINGS
    if files.there(path):
        try:
            found = tomllib.loads(read(path)).get("owner")
        except tomllib.TOMLDecodeError:
            found = None
        if isinstance(found, str) and re.fullmatch(r"fb[0-9a-f]{10}", found, re.ASCII):
            return found
        raise LeadError(f"{path} was not written by 'flux-burst init': nothing is changed. Name a new folder")
    return f"fb{secrets.token_hex(5)}"


def _certificate(folder: Path, name: str) -> str:
    with tempfile.TemporaryDirectory(dir=folder, prefix=".init-") as place:
        path = Path(place) / CERTIFICATE
        flux("keygen", f"--name={name}", str(path), uri="")
        return read(path)
