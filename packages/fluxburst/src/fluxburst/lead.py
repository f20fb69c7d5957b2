"""How brokers find and join a lead: the folder that `flux-burst init` writes, as everything else reads it.

A lead is a Flux instance whose configuration declares hosts that are not there yet, its slots. A broker that is
started anywhere with the same host list, the same certificate and the name of a slot joins it.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fluxburst.errors import FluxBurstError
from fluxburst.settings import read_settings

CONFIG, SETTINGS, CERTIFICATE, RESOURCES = "system.toml", "burst.toml", "curve.cert", "R"
_EVERYWHERE = (
    "tbon",
    "heartbeat",
    "access",
    "exec",
    "systemd",
)  # tables of the configuration that every broker must have
LARGEST = 16 * 1024 * 1024  # bytes of a file in the folder
LEDGER = "burst.sqlite"  # in the folder: all that was made, and what became of it
SOCKET = "lead.sock"  # in the folder: where a lead that runs is reached
NAME_IT = "; name the lead's folder"  # the end of what is said where no lead is found
_LONGEST = 107  # bytes of a path of a UNIX socket (unix(7), sun_path)


class LeadError(FluxBurstError):
    """The folder of a lead is missing, damaged or not that of this lead."""


@dataclass(frozen=True, slots=True)
class Lead:
    """A lead as its folder describes it.

    owner: the mark that everything made for it bears. hosts: every broker's name in the order of the ranks, the
    lead's own first. uri: where brokers connect to, `tcp://ADDRESS:PORT`. plugins: the slots of each plugin, in
    order. config: the whole of `system.toml`.
    """

    folder: Path
    owner: str
    hosts: tuple[str, ...]
    uri: str
    plugins: Mapping[str, tuple[str, ...]]
    config: Mapping[str, Any]

    @classmethod
    def open(cls, folder: str | Path) -> Lead:
        """Read a folder. Raises LeadError with the file that is missing or wrong."""
        place = Path(folder).absolute()
        config = read_config(place)
        settings = read_settings(read(place / SETTINGS), str(place / SETTINGS))
        if not settings.owner:
            raise LeadError(f"{place / SETTINGS}: 'owner' is missing; it is the mark of everything made for this lead")
        hosts, uri = bootstrap(config, place / CONFIG)
        slots = {
            name: slot_hosts(name, hosts[1:]) if one.hosts is None else one.hosts
            for name, one in settings.plugins.items()
        }
        return cls(place, settings.owner, hosts, uri, slots, config)

    @classmethod
    def current(cls, handle: Any = None) -> Lead:
        """The lead that this process runs in: its broker's attribute `config.path` names the folder.

        handle: a handle of `fluxburst.handles.flux`; by default `flux getattr` asks the instance of FLUX_URI. Raises
        LeadError, or HandleError where the handle gets no answer.
        """
        path = attribute("config.path") if handle is None else handle.attribute("config.path")
        if not path:
            raise LeadError("this Flux instance was started without a configuration" + NAME_IT)
        return cls.at(path)

    @classmethod
    def at(cls, path: str | Path) -> Lead:
        """The lead of a broker's `config.path`, which is a folder or a file in it. Raises LeadError."""
        return cls.open(_folder(path))

    @property
    def host(self) -> str:
        """The lead's own name."""
        return self.hosts[0]

    def slots(self, plugin: str) -> tuple[str, ...]:
        """The hosts that are declared for a plugin, in order; none where the plugin has none."""
        return self.plugins.get(plugin, ())

    def rank(self, host: str) -> int:
        """The rank of a declared host. Raises LeadError."""
        if host not in self.hosts:
            raise LeadError(f"{host!r} is no slot of this lead: only hosts that were declared when it started can join")
        return self.hosts.index(host)

    def broker(
        self, host: str, *, folder: str | Path | None = None, rundir: str | Path | None = None, flux: str = "flux"
    ) -> list[str]:
        """The command of a broker that joins as `host`; run it with `environment`. It ends when the lead does.

        folder: where the files are on its machine, by default here. rundir: for its sockets; it is made where it is
        missing and taken away at the end, a temporary folder by default. Raises LeadError for a host that is no slot.
        """
        if self.rank(host) == 0:
            raise LeadError(f"{host!r} is the lead itself, not a slot")
        place = self.folder if folder is None else Path(folder)
        options = [
            f"hostname={host}",
            "broker.boot-method=config",  # not the PMI of a batch system that this runs under
            "broker.rc2_none=1",
            "log-stderr-mode=local",  # what keeps it from joining stands in its own output
            "log-stderr-level=6",  # each step, so that one that waits to be let in can be told from one that is in
        ]
        if rundir is not None:
            if len(os.fsencode(f"{rundir}/local-{self.rank(host)}")) > _LONGEST:
                raise LeadError(f"the folder {str(rundir)!r} is too long a name for sockets; name a shorter one")
            options += [f"rundir={rundir}", "rundir-cleanup=1"]
        return [flux, "broker", f"--config-path={place / CONFIG}", *(f"-S{option}" for option in options)]

    def files(self, at: str | Path = "/etc/flux-burst") -> dict[str, str]:
        """The text of the files, by name, that a machine without the folder needs in `at`; none of them is secret.

        It needs those of `secrets` beside them.
        """
        from fluxburst.toml import dumps

        bootstrap = {**self.config["bootstrap"], "curve_cert": str(Path(at) / CERTIFICATE)}
        everywhere = {name: self.config[name] for name in _EVERYWHERE if name in self.config}
        return {CONFIG: dumps({"bootstrap": bootstrap, "resource": {"noverify": True}, **everywhere})}

    def secrets(self) -> dict[str, str]:
        """The text of the files, by name, that only the owner may read (0600). Raises LeadError."""
        return {CERTIFICATE: read(self.certificate)}

    @property
    def certificate(self) -> Path:
        """The file that proves to the lead that a broker is one of its own."""
        return self.folder / str(self.config["bootstrap"].get("curve_cert", CERTIFICATE))


def is_lead(path: str | Path) -> bool:
    """Whether a broker's `config.path` is in a folder that `flux-burst init` wrote."""
    return bool(path) and (_folder(path) / SETTINGS).exists()


def is_of(path: str, folder: Path) -> bool:
    """Whether a broker's `config.path` is this folder, or a file in it."""
    return bool(path) and folder.resolve() in (Path(path).resolve(), Path(path).resolve().parent)


def _folder(path: str | Path) -> Path:
    return Path(path) if Path(path).is_dir() else Path(path).parent


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment for a broker: this process's (or `base`) without what belongs to another Flux instance."""
    source = os.environ if base is None else base
    return {name: value for name, value in source.items() if not name.startswith("FLUX_")}


def attribute(name: str) -> str:
    """An attribute of the broker that FLUX_URI names. Raises LeadError where no broker answers."""
    from fluxburst.commands import flux

    try:
        return flux("getattr", name).strip()
    except FluxBurstError as error:
        uri = os.environ.get("FLUX_URI")
        what = (
            f"the Flux instance of FLUX_URI ({uri}) doesn't answer" if uri else "no lead is running around this process"
        )
        raise LeadError(f"{what} ({error}){NAME_IT}") from None


def read(path: Path) -> str:
    """The text of a file of the folder. Raises LeadError with the cure."""
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise LeadError(f"{path} is larger than {LARGEST // 2**20} MiB")
        return data.decode()
    except FileNotFoundError:
        raise LeadError(f"{path} is missing: 'flux-burst init' writes it") from None
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise LeadError(f"can't read {path}: {why}") from None


def read_config(folder: Path) -> dict[str, Any]:
    """The configuration in a folder. Raises LeadError."""
    path = folder / CONFIG
    try:
        config = tomllib.loads(read(path))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LeadError(f"{path} is no TOML: {error}") from None
    for name in ("bootstrap", "tbon", "resource"):
        if not isinstance(config.get(name, {}), dict):
            raise LeadError(f"{path}: {name} is a table, [{name}]")
    return config


def slot_prefix(plugin: str) -> str:
    """What the slots of a plugin are called before their number: a name that ends in a digit gets a `-`."""
    return f"{plugin}-" if plugin[-1:].isdigit() else plugin


def slot_hosts(plugin: str, hosts: Iterable[str]) -> tuple[str, ...]:
    """Those of `hosts` that are slots of a plugin by their name."""
    pattern = re.compile(re.escape(slot_prefix(plugin)) + r"(?:0|[1-9][0-9]*)", re.ASCII)
    return tuple(host for host in hosts if pattern.fullmatch(host))


def bootstrap(config: Mapping[str, Any], path: Path) -> tuple[tuple[str, ...], str]:
    """Every host by rank and the lead's URI, as flux-config-bootstrap(5) reads them."""
    from resources.errors import InputError
    from resources.hostlist import expand

    table = config.get("bootstrap")
    entries = table.get("hosts") if isinstance(table, dict) else None
    if not isinstance(table, dict) or not isinstance(entries, list):
        raise LeadError(f"{path}: [bootstrap] with 'hosts' is missing (flux-config-bootstrap(5))")
    named: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("host"), str):
            raise LeadError(
                f"{path}: an entry of bootstrap.hosts is a table with 'host', such as {{ host = 'n[0-3]' }}"
            )
        try:
            for host in expand(entry["host"]):
                named.setdefault(host, entry)
        except InputError as error:
            raise LeadError(f"{path}: bootstrap.hosts: {error}") from None
    if not named:
        raise LeadError(f"{path}: bootstrap.hosts names no host")
    lead = next(iter(named))
    uri = named[lead].get("connect", table.get("default_connect"))
    if not isinstance(uri, str):
        raise LeadError(f"{path}: {lead!r} has no 'connect': brokers don't know where to connect to")
    port = table.get("default_port", "%p")
    return tuple(named), uri.replace("%h", lead).replace("%p", str(port))


def start_commands(lead: Lead) -> dict[str, Any]:
    """The commands that start a lead: `shell`, `background`, `systemd`; `inside`: what tells other shells of it.

    Its queue is kept in the folder (flux-broker-attributes(7), statedir), so that it survives a new start.
    """
    socket = lead.folder / SOCKET
    options = [
        f"hostname={lead.host}",
        "broker.boot-method=config",
        "broker.quorum=1",  # it is up when it is up itself: its slots are empty
        f"statedir={lead.folder / 'state'}",
        "statedir-cleanup=0",
    ]
    known = len(os.fsencode(str(socket))) <= _LONGEST
    if known:
        options.append(f"local-uri=local://{socket}")
    shell = ["flux", "broker", f"--config-path={lead.folder / CONFIG}", *(f"-S{option}" for option in options)]
    background = [*shell, "-Sbroker.rc2_none=1"]
    return {
        "shell": shell,
        "background": background,
        "systemd": ["systemd-run", "--user", f"--unit=flux-lead-{lead.owner}", *background],
        "inside": f"export FLUX_URI=local://{socket}" if known else "'flux proxy' to it,",
    }
