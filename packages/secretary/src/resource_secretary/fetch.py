"""Ask a server over https: one GET with a deadline, a cap on the answer, no redirects, no proxies."""

from __future__ import annotations

import contextlib
import json
import ssl
import urllib.error
import urllib.request
from http.client import HTTPException

from resource_secretary.run import LARGEST_OUTPUT, Ran, printable
from resource_secretary.sidebyside import side_by_side


class _Stay(urllib.request.HTTPRedirectHandler):
    """A token is for the server that was asked, and for no other."""

    def redirect_request(self, *_: object) -> None:
        return None


def fetch(url: str, *, token: str, authority: str, timeout: float, largest: int = LARGEST_OUTPUT) -> Ran:
    """What a server says, as if a command had printed it. Never raises for what the server does.

    token: the bearer token, sent to this server only. authority: the certificates (PEM) that its own must be signed by.
    """
    [outcome] = side_by_side([lambda: _fetch(url, token, authority, timeout, largest)], timeout)
    argv = ("GET", url)
    if outcome is None or isinstance(outcome.error, TimeoutError):
        return Ran(argv, None, problem=f"no answer in {round(timeout, 1):g} s")
    if isinstance(outcome.error, urllib.error.HTTPError):
        return Ran(argv, None, problem=_status(outcome.error))
    if isinstance(outcome.error, (OSError, ValueError, HTTPException)):
        reason = getattr(outcome.error, "reason", outcome.error)
        return Ran(argv, None, problem=printable(f"can't be reached: {reason}")[:200])
    if outcome.error is not None:
        raise outcome.error
    body = outcome.value or b""
    if len(body) > largest:
        return Ran(argv, None, problem=f"more than {largest} bytes of output")
    return Ran(argv, 0, body.decode(errors="replace"))


def _fetch(url: str, token: str, authority: str, timeout: float, largest: int) -> bytes:
    if not url.startswith("https://"):
        raise ValueError(f"{url} is no https address")
    handlers = (
        urllib.request.ProxyHandler({}),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cadata=authority)),
        _Stay(),
    )
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - https, see above
    with urllib.request.build_opener(*handlers).open(request, timeout=timeout) as answer:
        return bytes(answer.read(largest + 1))


def _status(error: urllib.error.HTTPError) -> str:
    """The status and what the server says to it; a server of Kubernetes says it as an object with a message."""
    said = ""
    with contextlib.suppress(OSError, ValueError, HTTPException):
        body = json.loads(error.read(2**16))
        said = str(body.get("message", "")) if isinstance(body, dict) else ""
    return printable(f"HTTP {error.code}: {said or error.reason}")[:300]
