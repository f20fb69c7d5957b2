"""libfabric's fi_info(1), asked for one provider. Exit code 61 (ENODATA) means that it has nothing of it."""

from __future__ import annotations

from resource_secretary.errors import OutputError
from resource_secretary.providers.network._rdma_text import Provider, read_fi_info
from resource_secretary.result import Absent, Unreachable
from resource_secretary.system import System

NO_DATA = 61


def ask(system: System, provider: str) -> tuple[Provider, ...] | None:
    """The interfaces of a provider; None without the command. Raises CommandFailed or OutputError."""
    if not system.which("fi_info"):
        return None
    found = read_fi_info(system.run("fi_info", "-p", provider).text())
    return tuple(one for one in found if one.provider.split(";")[0] == provider)


def tell(system: System, provider: str, looked_for: str) -> tuple[Provider, ...] | Absent | Unreachable:
    """The interfaces of a provider for a probe whose own files told of no device.

    Where the kernel's classes of devices can be seen, they are believed: fi_info takes half a second to find nothing.
    """
    if system.exists("/sys/class") or not system.which("fi_info"):
        return Absent(looked_for)
    ran = system.run("fi_info", "-p", provider)
    if ran.code == NO_DATA or (ran.ok and not ran.stdout.strip()):
        return Absent(f"{looked_for}; fi_info -p {provider} knows of none")
    if not ran.ok:
        return ran.unreachable()
    try:
        found = tuple(one for one in read_fi_info(ran.stdout) if one.provider.split(";")[0] == provider)
    except OutputError as error:
        return Unreachable(f"fi_info -p {provider}", str(error).removeprefix("fi_info: "), ran.code)
    return found or Absent(f"{looked_for}; fi_info -p {provider} knows of none")
