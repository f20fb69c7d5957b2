"""What is read of each of many answers: the bindings' own calls for it cost more than the rest of the work.

They look up the handle, its reactor and the signals at every call. Where something fails it is told by theirs.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

_own = threading.local()  # each reactor's thread has a place of its own, to which answers are read


def _core() -> tuple[Any, Any, Any, Any]:
    try:
        core: tuple[Any, Any, Any, Any] = _own.core
    except AttributeError:
        inner = importlib.import_module("flux.core.inner")
        core = _own.core = (inner.ffi, inner.lib, inner.ffi.new("char *[1]"), inner.ffi.new("flux_jobid_t[1]"))
    return core


def text_of(future: Any) -> str:
    """The payload of an RPC that was answered. Raises OSError."""
    ffi, lib, text, _ = _core()
    if lib.flux_rpc_get(future.pimpl.handle, text) < 0 or text[0] == ffi.NULL:
        return future.get_str() or ""
    return str(ffi.string(text[0]).decode())


def go_on(future: Any) -> None:
    """Wait for the next answer of a streaming RPC that the caller keeps a reference to."""
    _core()[1].flux_future_reset(future.pimpl.handle)


def id_of(future: Any) -> int:
    """The id of a job whose submission was answered. Raises OSError."""
    _, lib, _, jobid = _core()
    if lib.flux_job_submit_get_id(future.pimpl.handle, jobid) < 0:
        return int(future.get_id())
    return int(jobid[0])
