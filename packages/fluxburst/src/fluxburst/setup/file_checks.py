"""The single checks of what would keep a broker from joining: each gives findings, with what to do about a problem."""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from resources import hostlist

from fluxburst.commands import flux
from fluxburst.errors import FluxBurstError
from fluxburst.lead import CERTIFICATE, CONFIG, RESOURCES, SETTINGS, Lead, LeadError, read
from fluxburst.setup.extend import r_of
from fluxburst.setup.findings import Finding, Running, ok, problem
from fluxburst.texts import count

CURE_SLOTS = "flux-burst init --lead HOST --slots PLUGIN:COUNT DIR, then start the lead from there"
_KEY = re.compile(r'^\s*([A-Za-z.-]+) = "(.*)"\s*$', re.MULTILINE)
_CURVE_KEY = re.compile(r"[0-9A-Za-z.\-:+=^!/*?&<>()\[\]{}@%$#]{40}", re.ASCII)  # Z85 (rfc.zeromq.org/spec/32)
_DAY = 86400


def version(other: str, whose: str) -> Iterator[Finding]:
    """Flux is here, in the version of the other side: major and minor number must be the same (overlay.hello)."""
    try:
        match = re.search(r"^commands:\s*(\S+)", flux("version", uri=""), re.MULTILINE)
    except FluxBurstError:
        match = None
    if not match:
        yield problem("flux", "there is no command 'flux' here", "install flux-core, or set PATH to it")
    elif other and match[1].split(".")[:2] != other.split(".")[:2]:
        yield problem(
            "flux",
            f"here is {match[1]}, {whose} says {other}",
            f"install flux-core {'.'.join(other.split('.')[:2])}: brokers join only in the same version",
        )
    else:
        yield ok("flux", match[1] + (f", as {whose}" if other else ""))


def bindings(other: str) -> Iterator[Finding]:
    """Flux's Python bindings, which the controller asks the lead through, can be imported, and are of its version."""
    from importlib import metadata

    cure = "in the version of the Flux on this system, and ply: pip install 'flux-burst[flux]' flux-python==VERSION"
    try:
        import flux.core.handle  # noqa: F401
    except (ImportError, OSError) as error:
        yield problem("bindings", f"Flux's Python bindings can't be imported ({error})", f"install them {cure}")
        return
    try:
        here = metadata.version("flux-python")
    except metadata.PackageNotFoundError:
        here = ""  # those that came with Flux
    if here and other and here.split(".")[:2] != other.split(".")[:2]:
        yield problem("bindings", f"flux-python is {here}, the lead {other}", f"install it {cure}")
    else:
        yield ok("bindings", f"flux-python {here}" if here else "those of Flux itself")


def private(folder: Path) -> Iterator[Finding]:
    """Nobody else may change what the lead runs."""
    status = folder.stat()
    if status.st_uid != os.geteuid():
        yield problem(
            "folder",
            f"{folder} belongs to uid {status.st_uid}, this is uid {os.geteuid()}",
            "run flux-burst as the owner of the lead",
        )
    elif status.st_mode & 0o022:
        yield problem("folder", f"others may write in {folder}", f"chmod 700 {folder}")
    else:
        yield ok("folder", str(folder))


def certificate(path: Path) -> Iterator[Finding]:
    """It is there, private, and holds both keys (flux-keygen(1)). Its mark is the same on both sides."""
    try:
        said, status = _keys(path), path.stat()
    except (LeadError, OSError) as error:
        yield problem("certificate", str(error), f"copy the lead's {CERTIFICATE} there, 0600")
        return
    if status.st_uid != os.geteuid():
        yield problem(
            "certificate",
            f"{path} belongs to uid {status.st_uid}, this is uid {os.geteuid()}",
            f"chown {os.geteuid()} {path}",
        )
    elif status.st_mode & 0o077:
        yield problem(
            "certificate",
            f"others may read {path} ({stat.filemode(status.st_mode)})",
            f"chmod 600 {path}; make a new one if others may have read it",
        )
    else:
        mark = hashlib.sha256(said["public-key"].encode()).hexdigest()[:16]
        yield ok("certificate", f"{path}, {mark} (the same on every side)")


def _keys(path: Path) -> dict[str, str]:
    said: dict[str, str] = dict(_KEY.findall(read(path)))
    if not all(_CURVE_KEY.fullmatch(said.get(name, "")) for name in ("public-key", "secret-key")):
        raise LeadError(f"{path} is no certificate of flux keygen")
    return said


def metadata(path: Path) -> dict[str, str]:
    """The keys of a certificate, and what flux keygen says of itself in it; nothing where it can't be read."""
    try:
        return _keys(path)
    except LeadError:
        return {}


def slots(lead: Lead) -> Iterator[Finding]:
    """Every slot that is given out is declared, and to one plugin only."""
    given = [host for hosts in lead.plugins.values() for host in hosts]
    if not given or len(lead.hosts) < 2:
        yield problem("slots", "the lead has no slots: no host can join that was not declared", CURE_SLOTS)
        return
    declared = set(lead.hosts[1:])
    unknown = [host for host in given if host not in declared]
    double = sorted({host for host in given if given.count(host) > 1}) if len(set(given)) < len(given) else []
    if unknown:
        yield problem(
            "slots",
            f"{SETTINGS} gives out {_some(unknown)}, which {CONFIG} does not declare",
            "flux-burst init with more --slots, and start the lead anew",
        )
    if double:
        yield problem(
            "slots",
            f"{SETTINGS} gives {_some(double)} to two plugins",
            f"give each host of [plugins.*] in {SETTINGS} to one",
        )
    if not unknown and not double:
        yield ok(
            "slots",
            f"{count(len(given), 'slot')}: " + ", ".join(map(_some, lead.plugins.values())),
        )


def _some(hosts: Iterable[str]) -> str:
    return hostlist.compress(hosts)


def topology(lead: Lead) -> Iterator[Finding]:
    """Every broker's parent must be the lead: any other may be down (flux-config-tbon(5))."""
    topo = lead.config.get("tbon", {}).get("topo", "custom")
    entries: list[Mapping[str, Any]] = lead.config["bootstrap"]["hosts"]
    parents = {entry["parent"] for entry in entries if "parent" in entry} - {lead.host}
    wide = re.fullmatch(r"kary:([0-9]+)", str(topo))
    if topo == "custom" and parents:
        text = f"brokers below {_some(sorted(parents))} can't join while that is down"
        yield problem("topology", text, f"leave out 'parent' in {CONFIG}, and start the lead anew")
    elif topo == "custom" or (wide and (wide[1] == "0" or int(wide[1]) >= len(lead.hosts) - 1)):
        yield ok("topology", f"{topo}: every broker's parent is the lead")
    else:
        text = f"{topo}: some slots can join only while other slots are up"
        yield problem("topology", text, f'set [tbon] topo = "kary:0" in {CONFIG}, and start the lead anew')


def resources(lead: Lead) -> Iterator[Finding]:
    """R names the hosts of the host list, and brokers are not held to it (flux-config-resource(5))."""
    table = lead.config.get("resource", {})
    path = lead.folder / str(table.get("path", RESOURCES))
    if "config" in table:
        yield Finding("resources", "unknown", "[resource] config is not read here, only path")
        return
    try:
        execution = r_of(path)["execution"]
    except FluxBurstError as error:
        yield problem("resources", str(error), "flux R encode makes one of the host list, or flux-burst init")
        return
    names = tuple(name for part in execution.get("nodelist", ()) for name in hostlist.expand(part))
    if names != lead.hosts:
        yield problem(
            "resources",
            f"{path} and bootstrap.hosts in {CONFIG} name different hosts",
            "make both name the same hosts in the same order, and start the lead anew",
        )
    elif table.get("noverify") is not True:
        yield problem(
            "resources",
            "a broker that has not what R says would be drained",
            f"add noverify = true to [resource] in {CONFIG}, and start the lead anew",
        )
    else:
        yield ok("resources", f"{path} has the hosts of the configuration")


def known(lead: Lead, there: set[str]) -> Iterator[Finding]:
    """The lead that runs (its hosts are `there`) was started with every slot."""
    missing = [host for hosts in lead.plugins.values() for host in hosts if host not in there]
    if missing:
        text = f"the lead that runs does not know {_some(missing)}: they were not declared when it started"
        yield problem("lead", text, "start the lead anew (what waits in its queue stays there)")
    else:
        yield ok("lead", "it runs, and knows every slot")


def user(around: Running | None) -> Iterator[Finding]:
    """The owner of the lead runs this."""
    if around is None:
        return
    owner = around.attributes.get("security.owner", "")
    if owner and owner != str(os.geteuid()):
        yield problem(
            "user",
            f"the lead belongs to uid {owner}, this is uid {os.geteuid()}",
            "run flux-burst and all brokers as the owner of the lead",
        )
    else:
        yield ok("user", f"uid {os.geteuid()}, as the lead")


def declared(hosts: tuple[str, ...], host: str) -> Iterator[Finding]:
    """The broker's name is that of a slot."""
    if host == hosts[0]:
        yield problem("host", f"{host!r} is the lead itself", "join as one of its slots")
    elif host not in hosts:
        yield problem(
            "host",
            f"{host!r} is not declared; there are {_some(hosts[1:])}",
            "start the broker with -Shostname=SLOT, or add slots: flux-burst init",
        )
    else:
        yield ok("host", f"{host} is declared, rank {hosts.index(host)}")


def joining(config: Mapping[str, Any], folder: Path) -> Iterator[Finding]:
    """A broker that joins needs no R, but must not look for one that is not there, nor compare itself with it."""
    table = config.get("resource", {})
    path = table.get("path")
    if path is not None and not (folder / str(path)).is_file():
        cure = f"take 'path' out of [resource] in {folder / CONFIG}: a broker that joins needs none"
        yield problem("resources", f"the broker would end at once: {path} is not here", cure)
    elif table.get("noverify") is not True:
        cure = f"add noverify = true to [resource] in {folder / CONFIG}"
        yield problem("resources", "the broker would drain itself where it has not what the lead's R says", cure)


def made_by(said: Mapping[str, str]) -> Iterator[Finding]:
    """The user is the lead's: a broker of another one joins, but every job on it fails (its signature, RFC 15)."""
    maker = said.get("keygen.userid", "")
    if maker and maker != str(os.geteuid()):
        yield problem(
            "user",
            f"the certificate was made by uid {maker}, this is uid {os.geteuid()}",
            "run brokers as the owner of the lead: the numbers must be the same on both machines",
        )
    elif maker:
        yield ok("user", f"uid {maker}, as the one that made the certificate")


def clock(said: Mapping[str, str]) -> Iterator[Finding]:
    """A clock before the certificate's own time is wrong, and a broker's deadline with it; the time has no zone."""
    try:
        made = datetime.fromisoformat(said.get("keygen.time", "")).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return
    if time.time() < made - _DAY:
        yield problem(
            "clock",
            "this machine's clock is behind the time at which the certificate was made",
            "set the clock (NTP): brokers end by it",
        )
    else:
        yield ok("clock", "not before the certificate was made")
