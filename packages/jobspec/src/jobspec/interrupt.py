"""What a signal may not cut in two."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def whole() -> Iterator[None]:
    """Handle signals when the body has ended; a second one does not wait.

    For a submission: cut off before its id is read, the job would go on unknown, and the stage that it uses
    would be removed. Handlers are replaced, and not masked, as a mask would be inherited by what is started.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    if threading.current_thread() is not threading.main_thread() or not ours:
        yield
        return
    caught: list[int] = []

    def later(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        if len(caught) > 1:
            ours[signal.Signals(number)](number, frame)

    for number in ours:
        signal.signal(number, later)
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
