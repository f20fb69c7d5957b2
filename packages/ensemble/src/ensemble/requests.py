"""What is asked of a run from outside: files in DIR/requests, because the journal has one writer only."""

from __future__ import annotations

import asyncio
import json
import os
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

from ensemble.events import Event

EVERY = 1.0  # seconds between two looks
_FOLDER = "requests"


def ask(folder: Path, request: Mapping[str, Any]) -> None:
    """Leave a request, `{"cancel": [names]}` or `{"stop": why}`, for the run in a directory. Raises OSError."""
    place = folder / _FOLDER
    place.mkdir(mode=0o700, exist_ok=True)
    name = f"{time.time():.6f}-{uuid.uuid4().hex}"
    descriptor = os.open(place / f"{name}.new", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(request, file)
    (place / f"{name}.new").rename(place / f"{name}.json")


class Requests:
    """Feeds the requests of a run to its engine. settled: returns when what was fed has been written down."""

    def __init__(
        self, folder: Path | None, feed: Callable[[Event], None], settled: Callable[[], Awaitable[None]]
    ) -> None:
        self._place = folder / _FOLDER if folder else None
        self._feed, self._settled = feed, settled

    async def work(self) -> None:
        """Runs until it is cancelled."""
        while self._place:
            for path in sorted(self._place.glob("*.json")):
                try:
                    request = json.loads(path.read_text())
                except (OSError, ValueError):
                    request = None
                if not _is_request(request):
                    path.unlink(missing_ok=True)
                    continue
                if "stop" in request:  # the run ends by it, and must not find it again when it is resumed
                    path.unlink(missing_ok=True)
                self._feed(Event("request", time.time(), context=request))
                await self._settled()
                path.unlink(missing_ok=True)  # a run that was killed before this cancels the same jobs once more
            await asyncio.sleep(EVERY)
        await asyncio.Event().wait()


def _is_request(request: object) -> TypeGuard[dict[str, Any]]:
    if not isinstance(request, dict):
        return False
    names = request.get("cancel")
    return "stop" in request or (isinstance(names, list) and all(isinstance(name, str) for name in names))
