"""Writing a lead's folder, and adding slots to it. What is there already is kept as it is: nothing is overwritten."""

from __future__ import annotations

import json
import os
import re
import secrets
import socket
import stat
import subprocess
import tempfile
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from resources import hostlist, machine

from fluxburst.errors import FluxBurstError
from fluxburst.lead import CERTIFICATE, CONFIG, RESOURCES, SETTINGS, Lead, LeadError, environment, read
from fluxburst.setup import layout
from fluxburst.setup.layout import Endpoint, Node, Size, Slots
from fluxburst.toml import inline

_HERE = frozenset({"local", "mock"})  # plugins whose brokers run on the lead's own machine
LOOPBACK = "tcp://127.0.0.1:%p"


@dataclass(frozen=True, slots=True)
class Wish:
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


def initialize(wish: Wish) -> Made:
    """Write a folder, or add slots to one. Raises SlotsError or LeadError, and has then changed nothing."""
    layout.checked_host(wish.lead)
    if wish.port is not None:
        layout.checked_port(wish.port)
    if not wish.slots:
        raise layout.SlotsError(
            "a lead without slots can't grow: only hosts that are declared before it starts can join."
            " Add --slots PLUGIN:COUNT, such as --slots local:4"
        )
    folder = wish.folder.absolute()
    if not folder.as_posix().isprintable():
        raise LeadError(f"Flux can't take a folder of this name: {str(folder)!r}")
    if _there(folder / CONFIG):
        return _extend(wish, folder)
    return _write(wish, folder)


def _write(wish: Wish, folder: Path) -> Made:
    cores = len(machine.usable_cores()) if wish.lead_cores is None else wish.lead_cores
    own = Node(wish.lead, Size(cores, wish.lead_gpus or 0))
    slots = layout.nodes(wish.slots, Size(len(machine.usable_cores())), [own])
    endpoint, notes = _endpoint(wish)
    if not _there(folder / CERTIFICATE):
        _flux("version")  # before anything is written
    _prepare(folder, notes)
    owner = _owner(folder)
    written = []
    texts = {
        SETTINGS: layout.burst_toml(owner, slots),
        RESOURCES: layout.r_document([own, *slots]),
        CERTIFICATE: None,
        CONFIG: layout.system_toml(wish.lead, endpoint, slots, str(folder), exclude=not cores),
    }
    for name, text in texts.items():  # the configuration last: with it the folder is complete
        if name == CERTIFICATE and _there(folder / name):
            notes.append(f"{folder / name} was there already: it is used as it is")
        elif _put(folder / name, _certificate(folder, wish.lead) if text is None else text):
            written.append(name)
    return Made(Lead.open(folder), tuple(written), (), tuple(notes))


def _extend(wish: Wish, folder: Path) -> Made:
    """Add what is missing to each file, in the order of the ranks; a run that was cut short is taken up again."""
    if not _there(folder / SETTINGS):
        raise LeadError(
            f"{folder / CONFIG} was not written by 'flux-burst init': nothing is changed. Name a new folder"
        )
    lead = Lead.open(folder)
    document = r_of(folder / RESOURCES)
    sizes = _sizes(document)
    _same(wish, lead, sizes.get(lead.host, Size(0)))
    there = [Node(lead.host, sizes.get(lead.host, Size(0)))]
    for plugin, hosts in lead.plugins.items():
        for host in hosts:
            if host not in sizes:
                raise LeadError(
                    f"{folder / RESOURCES} has no {host!r}, which {SETTINGS} gives to {plugin}: mend that first"
                )
            there.append(Node(host, sizes[host], plugin))
    new = layout.nodes(wish.slots, Size(len(machine.usable_cores())), there)
    # What a run that was cut short has written to the settings is not in the configuration yet.
    declared = set(lead.hosts)
    missing = [node for node in (*there, *new) if node.host not in declared]
    if not new and not missing:
        return Made(lead, (), (), ())
    edits = {
        RESOURCES: _longer_r(document, missing, folder),
        SETTINGS: _longer_settings(folder / SETTINGS, there, new),
        CONFIG: _longer_config(folder / CONFIG, lead.config, missing),
    }
    for name, text in edits.items():
        if text != read(folder / name):
            _replace(folder / name, text)
    notes = ["start the lead anew before the new slots are used: it knows those that were declared when it started"]
    if is_loopback(lead.uri) and any(node.plugin not in _HERE for node in missing):
        notes.append(
            f"brokers connect to {lead.uri}, which is this machine for each of them: for others change 'bind' and"
            f" 'connect' of {lead.host!r} in {folder / CONFIG}"
        )
    return Made(Lead.open(folder), tuple(edits), tuple(node.host for node in missing), tuple(notes))


def _same(wish: Wish, lead: Lead, own: Size) -> None:
    """Refuse what would change a lead that is there."""
    table = lead.config["bootstrap"]
    first = table["hosts"][0]
    asked: dict[str, tuple[object, object]] = {
        "--lead": (wish.lead, lead.host),
        "--port": (wish.port, table.get("default_port")),
        "--bind": (wish.bind and layout.uri(wish.bind, wildcard=True), first.get("bind", table.get("default_bind"))),
        "--connect": (
            wish.connect and layout.uri(wish.connect, wildcard=False),
            first.get("connect", table.get("default_connect")),
        ),
        "--lead-cores": (wish.lead_cores, 0 if "exclude" in lead.config.get("resource", {}) else own.cores),
        "--lead-gpus": (wish.lead_gpus, own.gpus),
    }
    for option, (value, now) in asked.items():
        if value not in (None, now):
            raise LeadError(
                f"{lead.folder} is the folder of a lead with {option} {now}, not {value}: nothing is changed."
                f" Change {CONFIG} yourself and start the lead anew, or name a new folder"
            )


def _endpoint(wish: Wish) -> tuple[Endpoint, list[str]]:
    notes: list[str] = []
    port = layout.DEFAULT_PORT if wish.port is None else wish.port
    inside = all(one.plugin in _HERE for one in wish.slots)
    if wish.connect is not None:
        connect = layout.uri(wish.connect, wildcard=False)
    elif inside:
        connect = LOOPBACK
    elif found := addresses(wish.lead):
        connect = layout.uri(wish.lead, wildcard=False)
        if all(ip_address(one).is_loopback for one in found):
            notes.append(
                f"{wish.lead!r} is {found[0]} here: other machines must know it by an address that they reach;"
                f" else write a new folder with --connect ADDRESS"
            )
    else:
        connect = LOOPBACK
        notes.append(
            f"{wish.lead!r} has no address here, so brokers of this machine only can join (127.0.0.1):"
            f" for others write a new folder with --connect ADDRESS"
        )
    default = "tcp://[::]:%p" if "[" in connect else "tcp://*:%p"
    if is_loopback(connect):
        default = connect.replace("localhost", "127.0.0.1")  # an interface or a number is what can be bound to
    bind = default if wish.bind is None else layout.uri(wish.bind, wildcard=True)
    return Endpoint(port, bind, connect), notes


def addresses(host: str) -> list[str]:
    """The addresses of a name, as this machine knows them."""
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return []
    return [str(address[0]).partition("%")[0] for *_, address in found]


def is_loopback(uri: str) -> bool:
    """Whether a URI leads every machine to itself."""
    host = uri.removeprefix("tcp://").rpartition(":")[0]
    try:
        return host == "localhost" or ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long, a folder that may not be looked into: told when it is used
        return False


def _prepare(folder: Path, notes: list[str]) -> None:
    """Make the folder, for its owner alone."""
    try:
        if not folder.exists():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700)
            folder.chmod(0o700)
            return
        if not folder.is_dir():
            raise LeadError(f"{folder} is no folder")
        status = folder.stat()
        if status.st_uid != os.geteuid():
            raise LeadError(f"{folder} belongs to another user: name a folder of your own")
        if not any(folder.iterdir()):
            folder.chmod(0o700)
        elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise LeadError(f"others may write in {folder}, and so choose what the lead runs: chmod 700 {folder}")
        elif status.st_mode & 0o077:
            notes.append(f"others may look into {folder}; it needs to be open to you alone: chmod 700 {folder}")
    except OSError as error:
        raise LeadError(f"can't use the folder {folder}: {error.strerror}") from None


def _owner(folder: Path) -> str:
    """A mark that every provider takes as a tag, label or part of a name; of a run that was cut short, its own."""
    path = folder / SETTINGS
    if _there(path):
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
        _flux("keygen", f"--name={name}", str(path))
        return read(path)


def _flux(*arguments: str) -> str:
    try:
        # Without FLUX_URI: 'flux version' fails where that names an instance that has ended.
        done = subprocess.run(
            ["flux", *arguments], capture_output=True, text=True, timeout=60, check=False, env=environment()
        )
    except FileNotFoundError:
        raise FluxBurstError("there is no command 'flux' here: install flux-core, or set PATH to it") from None
    except subprocess.TimeoutExpired:
        raise FluxBurstError(f"'flux {arguments[0]}' does not answer") from None
    if done.returncode:
        raise FluxBurstError(f"'flux {arguments[0]}' failed: {' '.join(done.stderr.split())}")
    return done.stdout


def _put(path: Path, text: str) -> bool:
    """Write a new file, 0600 and whole; False where it is there with this very text. Raises LeadError if it differs."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".init-")  # mkstemp makes it 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(name, path)
    except FileExistsError:
        if read(path) != text:
            raise LeadError(
                f"{path} is there already, with something else in it: nothing of it is changed. Name a new folder"
            ) from None
        return False
    except OSError as error:
        raise LeadError(f"can't write {path}: {error.strerror}") from None
    finally:
        Path(name).unlink(missing_ok=True)
    return True


def _replace(path: Path, text: str) -> None:
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".init-")
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(stat.S_IMODE(path.stat().st_mode))
        Path(name).replace(path)
    except OSError as error:
        raise LeadError(f"can't write {path}: {error.strerror}") from None


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


def _sizes(document: dict[str, Any]) -> dict[str, Size]:
    from resources.flux_r import from_flux_r

    from fluxburst.model import amount

    hosts = from_flux_r(document).hosts()
    return {host: Size(amount(group.total, "cores"), amount(group.total, "gpus")) for _, host, group in hosts}


def _longer_r(document: dict[str, Any], new: Sequence[Node], folder: Path) -> str:
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


def _longer_settings(path: Path, there: Sequence[Node], new: Sequence[Node]) -> str:
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


def _longer_config(path: Path, config: Any, new: Sequence[Node]) -> str:
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
