"""What the names and URIs of a lead lead to."""

from __future__ import annotations

import socket
from ipaddress import ip_address


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
