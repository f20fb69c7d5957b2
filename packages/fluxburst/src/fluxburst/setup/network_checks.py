"""Whether a lead can listen at its address, and whether brokers reach it there."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from fluxburst.lead import CERTIFICATE, CONFIG, Lead
from fluxburst.setup.addresses import addresses, is_loopback
from fluxburst.setup.curve import shake
from fluxburst.setup.file_checks import metadata
from fluxburst.setup.findings import Finding, Running, ok, problem


def listening(lead: Lead, around: Running | None) -> Iterator[Finding]:
    """A lead that runs answers; for one that does not, its address is free."""
    if around is not None:
        yield from reachable(lead.uri, metadata(lead.certificate))
        return
    table = lead.config["bootstrap"]
    bind = str(table["hosts"][0].get("bind", table.get("default_bind", "")))
    bind = bind.replace("%h", lead.host).replace("%p", str(table.get("default_port", "")))
    host, _, port = bind.removeprefix("tcp://").rpartition(":")
    if not port.isdecimal():
        yield problem(
            "port",
            f"{lead.host!r} has no 'bind' with a port in {CONFIG}: {bind or 'none'}",
            'give it one, such as bind = "tcp://*:8050"',
        )
        return
    why = _taken(host.strip("[]"), int(port))
    if why and shake(lead.uri, *_pair(lead.certificate)) == "welcome":
        yield ok("port", f"the lead answers at {lead.uri}")
    elif why:
        yield problem(
            "port",
            f"the lead can't listen at {bind}: {why}",
            f"change the port in {CONFIG}, or end what uses it (ss -ltnp)",
        )
    else:
        yield ok("port", f"{bind} is free for the lead, which is not running")
    if not is_loopback(lead.uri):
        yield from _resolves(lead.uri)


def _taken(host: str, port: int) -> str:
    """Why an address can't be listened at; "" where it can, or where it is an interface's name."""
    address = "" if host == "*" else host
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as libzmq does
            probe.bind((address, port))
    except socket.gaierror:
        return ""
    except (OSError, OverflowError) as error:
        return getattr(error, "strerror", None) or str(error)
    return ""


def _resolves(uri: str) -> Iterator[Finding]:
    host = uri.removeprefix("tcp://").rpartition(":")[0].strip("[]")
    if not addresses(host):
        yield problem(
            "address",
            f"{host!r} has no address here",
            f"use a name or address in 'connect' of {CONFIG} that every broker can resolve",
        )


def reachable(uri: str, said: Mapping[str, str]) -> Iterator[Finding]:
    """The lead answers at its address, and takes this certificate."""
    if unknown := list(_resolves(uri)):
        yield from unknown
        return
    if "secret-key" not in said:
        yield Finding("port", "unknown", f"{uri} is not tried without a certificate")
        return
    answer = shake(uri, said["public-key"], said["secret-key"])
    if answer == "welcome":
        yield ok("port", f"the lead answers at {uri} and takes this certificate")
    elif answer == "turned away":
        yield problem(
            "certificate",
            f"what listens at {uri} does not take this certificate",
            f"copy {CERTIFICATE} from the lead anew; the mark that check shows must be the same",
        )
    elif answer == "untried":
        yield Finding("port", "unknown", f"{uri} is not tried: there is no libzmq.so.5 here")
    else:
        how = "nothing listens there" if answer == "refused" else "there is no answer"
        yield problem(
            "port",
            f"the lead can't be reached at {uri}: {how}",
            "start the lead; let TCP to this port through firewalls; look at 'connect' and 'bind'",
        )


def _pair(path: Path) -> tuple[str, str]:
    said = metadata(path)
    return said.get("public-key", ""), said.get("secret-key", "")
