"""Keep the output of jobs in few files.

The first jobs of a folder have files of their own, for people to look at; what later ones write is put into packs
at their end, unless it is large. So 100,000 jobs make fewer than 1,000 files.
"""

# System calls once a job: a Path costs more than the call that it is for.
# ruff: noqa: PTH104, PTH108, PTH110, PTH116, PTH123
from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from ensemble.supervisor.output import pack_path

OWN = 200  # jobs that have files of their own, and as many later ones with large output
LARGE = 1 << 20  # bytes from which output stays a file of its own, as long as there are few
HUGE = 1 << 26  # bytes from which it always does: copying would hold up the others
PACK = 1 << 30  # bytes from which on a new pack is begun
CHUNK = 1 << 20
LIVE = "out/live/"
OWNED = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC


class Keeper:
    """Gives each job its two files, and puts away what is in them. Methods raise OSError.

    taken: how many jobs were given a place before, by an earlier supervisor.
    """

    def __init__(self, folder: Path, taken: int) -> None:
        self.folder, self._taken, self._large = folder, taken, 0
        self.out = folder / "out"
        self.out.mkdir(mode=0o700, exist_ok=True)
        (self.out / "live").mkdir(mode=0o700, exist_ok=True)
        self._prefix = str(folder) + "/"
        self._pack, self._fd, self._end = 0, -1, 0
        self._copied: list[str] = []
        while pack_path(folder, self._pack + 1).exists():
            self._pack += 1

    def place(self, name: str) -> list[str]:
        """The files of a job that is started now, relative to the folder."""
        self._taken += 1
        base = f"out/{name}" if self._taken <= OWN else f"{LIVE}{self._taken}"
        return [base + ".out", base + ".err"]

    def open(self, place: list[str]) -> tuple[int, int]:
        """Both files, opened for a job."""
        out = os.open(self._prefix + place[0], OWNED, 0o600)
        try:
            return out, os.open(self._prefix + place[1], OWNED, 0o600)
        except OSError:
            os.close(out)
            raise

    def put_away(self, name: str, place: list[str]) -> list[Any] | None:
        """A job has ended: where its output is from now on. What was copied goes with the next `sweep`."""
        paths = [self._prefix + path for path in place]
        sizes, gone = [], False
        for path in paths:
            try:
                sizes.append(os.stat(path).st_size)
            except FileNotFoundError:
                sizes.append(0)
                gone = True
                continue
            if not sizes[-1]:
                os.unlink(path)
        kept = [f"out/{name}.out", f"out/{name}.err"]
        if not any(sizes):
            # A supervisor that was killed right here may have moved them already.
            moved = gone and place[0].startswith(LIVE) and any(os.path.exists(self._prefix + path) for path in kept)
            return kept if moved else None
        if not place[0].startswith(LIVE):
            return list(place)
        if sum(sizes) >= (LARGE if self._large < OWN else HUGE):
            self._large += 1
            for path, new, size in zip(paths, kept, sizes, strict=True):
                if size:
                    os.rename(path, self._prefix + new)
            return kept
        return self._packed(paths, sizes)

    def _packed(self, paths: list[str], sizes: list[int]) -> list[Any]:
        if self._fd < 0 or self._end >= PACK:
            if self._fd >= 0:
                os.close(self._fd)
                self._pack += 1
            pack = pack_path(self.folder, self._pack)
            self._fd = os.open(pack, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._end = os.fstat(self._fd).st_size
        place: list[Any] = [self._pack, self._end]
        end = self._end
        for path, size in zip(paths, sizes, strict=True):
            start = end
            if size:
                with open(path, "rb", buffering=0) as file:
                    while piece := file.read(CHUNK):
                        while piece:
                            written = os.pwrite(self._fd, piece, end)
                            end, piece = end + written, piece[written:]
            place.append(end - start)
        self._end = end
        self._copied += [path for path, size in zip(paths, sizes, strict=True) if size]
        return place

    def sweep(self) -> None:
        """Remove what was copied into a pack, now that the end of its job is written down."""
        for path in self._copied:
            with suppress(FileNotFoundError):
                os.unlink(path)
        self._copied.clear()
