"""Flux's own Python bindings, imported when they are used, and connections made with them."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ensemble.errors import MemberError
from ensemble.member import Unreachable

INSTALL = (
    "the Python bindings of Flux can't be imported ({}); install flux-python and ply, flux-python in the version"
    " that `flux version` shows, or use the Python that Flux was built with"
)


def load() -> Any:
    """The module flux, with flux.job in it. Raises MemberError that says what to install."""
    try:
        importlib.import_module("flux.job")
    except ImportError as error:
        raise MemberError("flux", INSTALL.format(error)) from None
    return sys.modules["flux"]


def connect(uri: str = "") -> Any:
    """A new handle, for one thread. uri: empty is the enclosing instance. Raises Unreachable, MemberError."""
    flux = load()
    try:
        return flux.Flux(uri) if uri else flux.Flux()
    except OSError as error:
        raise Unreachable("flux", f"no Flux instance can be reached: {error.strerror or error}") from None


def resolve(uri: str) -> str:
    """What `uri` of the settings stands for: local:// and ssh:// as they are, others (a job's id) as `flux uri` does.

    An instance whose socket is on this machine is reached without ssh. Raises Unreachable, MemberError.
    """
    if not uri or uri.startswith(("local://", "ssh://")):
        return uri
    load()
    try:
        found = importlib.import_module("flux.uri").FluxURIResolver().resolve(uri)
    except (OSError, ValueError, ImportError) as error:
        raise Unreachable("flux", f"uri {uri!r} can't be resolved: {error}") from None
    return nearest(str(found))


def nearest(remote: str) -> str:
    """The URI of an instance, without ssh where its socket is on this machine."""
    path = Path(unquote(urlsplit(remote).path))
    return f"local://{path}" if path.exists() else remote
