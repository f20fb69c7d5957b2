"""What was found before, kept for this host, boot and PATH in a file that may be lost or spoilt at any time."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from resource_secretary import __version__
from resource_secretary.catalog import Known
from resource_secretary.sidebyside import side_by_side
from resource_secretary.system import System, changed

T = TypeVar("T")
_LARGEST = 4 * 2**20  # bytes of a file that is read
_PATIENCE = 0.4  # seconds for a home folder that does not answer


class Kept(msgspec.Struct, frozen=True):
    """An active provider as it was seen.

    mark: what it depends on. seen: in seconds since the epoch. programs: the files of the commands that it asked, and
    when each was changed.
    """

    mark: str
    seen: float
    observed_at: str
    observed_on: str
    metadata: dict[str, Any]
    programs: dict[str, int]


class Cache:
    """The file of this host, boot, PATH, user and Python. Never raises: without a file everything is asked anew.

    folder: where it lies; by default `resource-secretary` in $XDG_CACHE_HOME or ~/.cache (XDG Base Directory
    Specification 0.8). refresh: believe nothing that was kept, and keep what is found now.
    """

    def __init__(self, system: System, folder: Path | None = None, *, refresh: bool = False) -> None:
        self._system, self._refresh = system, refresh
        self._path = (folder or _folder(system)) / f"{_host(system)}.json"
        self._known: dict[str, Kept] | None = None
        self._silent = False

    def get(self, known: Known) -> Kept | None:
        """What is known of a provider and still fresh."""
        if known.provider is None or not known.provider.fresh_for or self._refresh:
            return None
        if self._known is None:
            self._known = self._in_time(self._read) or {}
        kept = self._known.get(known.name)
        if kept is None or not 0 <= time.time() - kept.seen < known.provider.fresh_for:
            return None
        same = kept.mark == self._mark(known) and all(changed(path) == at for path, at in kept.programs.items())
        return kept if same else None

    def put(self, found: Iterable[tuple[Known, Kept]]) -> None:
        """Keep what was found; what another process kept meanwhile stays."""
        news = {known.name: kept for known, kept in found}
        if not news:
            return
        self._in_time(lambda: self._write(news))

    def kept(
        self,
        known: Known,
        metadata: dict[str, Any],
        observed_at: str,
        observed_on: str,
        programs: dict[str, int],
    ) -> Kept:
        return Kept(self._mark(known), time.time(), observed_at, observed_on, metadata, programs)

    def _in_time(self, job: Callable[[], T]) -> T | None:
        """What reading or writing gives; None where the file system does not answer, which is then left alone."""
        if self._silent:
            return None
        [outcome] = side_by_side([job], _PATIENCE)
        self._silent = outcome is None
        return outcome.value if outcome else None

    def _write(self, news: dict[str, Kept]) -> None:
        everything = msgspec.json.encode(self._read() | news)
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd, name = tempfile.mkstemp(dir=self._path.parent, prefix=".writing-")
            try:
                with os.fdopen(fd, "wb") as file:
                    file.write(everything)
                Path(name).replace(self._path)
            except OSError:
                Path(name).unlink(missing_ok=True)

    def _read(self) -> dict[str, Kept]:
        try:
            with self._path.open("rb") as file:
                return msgspec.json.decode(file.read(_LARGEST), type=dict[str, Kept])
        except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
            return {}

    def _mark(self, known: Known) -> str:
        """Of what a provider depends on besides the host: its own code, and the variables that it reads."""
        provider = known.provider
        if provider is None:
            return ""
        code = getattr(sys.modules.get(provider.__module__), "__file__", None) or ""
        values = [f"{name}={self._system.environ.get(name)}" for name in provider.variables]
        return _digest(provider.__module__, provider.__qualname__, code, str(changed(code)), *values)


def _folder(system: System) -> Path:
    # Specification: a relative path in the variable is invalid and to be ignored.
    base = system.environ.get("XDG_CACHE_HOME", "")
    home = system.environ.get("HOME", "")
    root = Path(base) if base.startswith("/") else Path(home if home.startswith("/") else "/nonexistent") / ".cache"
    return root / "resource-secretary"


def _host(system: System) -> str:
    boot = system.read("/proc/sys/kernel/random/boot_id") or ""
    path = system.environ.get("PATH", "")
    return _digest(__version__, system.hostname(), boot, path, str(os.getuid()), sys.prefix)


def _digest(*parts: str) -> str:
    return hashlib.blake2s("\0".join(parts).encode(errors="replace"), digest_size=12).hexdigest()
