"""The live view on a terminal: the lines above, and below them a small table that is drawn anew a few times a second.

Drawing reads counters; an event costs nothing but the line that it may print.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ensemble.reporting.look import Group, Look, of_engine
from ensemble.reporting.text import TextReport
from ensemble.rundir import duration

if TYPE_CHECKING:
    from rich.text import Text

    from ensemble.document import Document
    from ensemble.engine import Engine
    from ensemble.events import Event
    from ensemble.member import Member
    from ensemble.results import Command, Result

PER_SECOND = 4
RATE_SECONDS = 10.0
BAR = 24


class LiveView:
    """A view that `refresh` draws anew from what `look` gives, with the lines of `say` above it.

    What is drawn goes out in one piece, so that nothing flickers. How many rows it takes is counted when it is taken
    away: a terminal that has become narrower has wrapped it.
    """

    def __init__(self, look: Callable[[], Look], since: float | None = None) -> None:
        from rich.console import Console

        self.console = Console(highlight=False)
        self._look = look
        self._since = time.time() if since is None else since
        self._ends: deque[tuple[float, int]] = deque()
        self._shown = Look()
        self._waiting: list[Text] = []
        self._drawn: list[int] = []  # the lengths of the lines that are on the screen
        self._closed = False
        self.console.show_cursor(False)

    def say(self, text: str, style: str = "") -> None:
        """One line above the view, with the next drawing."""
        from rich.text import Text

        # A style of its own: given to print() it would colour the view below as well.
        self._waiting.append(Text(text, style))
        if self._closed:
            self._draw([])

    def refresh(self) -> None:
        """Draw it anew."""
        if self._closed:
            return
        self._shown = self._look()
        now = time.monotonic()
        self._ends.append((now, self._shown.ended))
        while len(self._ends) > 2 and now - self._ends[1][0] > RATE_SECONDS:
            self._ends.popleft()
        width, height = self.console.size
        self._draw(self._lines(width, height))

    def close(self) -> None:
        """Take it off the screen; the lines stay."""
        if not self._closed:
            self._closed = True
            self._draw([])
            self.console.show_cursor(True)

    def _draw(self, lines: list[Text]) -> None:
        width = max(1, self.console.size.width)
        rows = sum(max(1, -(-length // width)) for length in self._drawn)
        with self.console.capture() as captured:
            for line in self._waiting:
                self.console.print(line, soft_wrap=True)
            for line in lines:
                self.console.print(line, soft_wrap=True)
        self._waiting.clear()
        self._drawn = [line.cell_len for line in lines]
        # ECMA-48: CUU (cursor up), ED (erase to the end of the page)
        self.console.file.write((f"\r\x1b[{rows}A\x1b[J" if rows else "") + captured.get())
        self.console.file.flush()

    @property
    def rate(self) -> float | None:
        """Jobs that ended a second, over the last RATE_SECONDS."""
        if len(self._ends) < 2:
            return None
        (t0, n0), (t1, n1) = self._ends[0], self._ends[-1]
        return (n1 - n0) / (t1 - t0) if t1 > t0 else None

    def _lines(self, width: int, height: int) -> list[Text]:
        from rich.text import Text

        look = self._shown
        total = look.total
        # Of the groups those that have something to do come first where there is no room for all of them.
        room = max(1, min(len(look.groups), height // 2 - 3, 16))
        groups = list(look.groups)
        if len(groups) > room:
            busy = sorted(range(len(groups)), key=lambda n: (not (groups[n].running or groups[n].pending), -n))
            groups = [groups[n] for n in sorted(busy[:room])]
        wide = min(max([len(g.name) for g in groups] + [5]), max(8, width - 62), 40)
        bar = max(0, min(BAR, width - wide - 50))
        head = f"{'':{wide}}  {'':{bar}}{'  ' if bar else ''}{'done':>13}{'run':>8}{'wait':>8}{'failed':>8}"
        lines = [Text(head[: width - 1], "dim")] if groups else []
        lines += [_row(group, wide, bar) for group in groups]
        if hidden := len(look.groups) - len(groups):
            lines.append(Text(f"and {hidden} more groups", "dim"))
        parts = [duration(time.time() - self._since), f"{total.success + total.failed}/{total.jobs} jobs"]
        rate = self.rate
        if rate is not None:
            parts.append(f"{rate:.1f} jobs/s" if rate >= 1 or not rate else f"{rate * 60:.1f} jobs/min")
        parts.append(f"{look.fired} rules fired" if look.fired != 1 else "1 rule fired")
        last = Text("  ".join(parts)[: width - 1], "bold")
        lines.append(last)
        for message in look.messages[-3:]:
            lines.append(Text(message.replace("\n", " ")[: width - 1], "dim"))
        while len(lines) > height - 2 and len(lines) > 1:  # the least telling ones first
            lines.pop(-1 if lines[-1] is not last else 0)
        for line in lines:
            line.truncate(max(1, width - 1), overflow="crop")
        return [Text("─" * min(width - 1, wide + bar + 41), "dim"), *lines]


def _row(group: Group, wide: int, bar: int) -> Text:
    from rich.text import Text

    name = group.name if len(group.name) <= wide else f"{group.name[: wide - 1]}…"
    row = Text(f"{name:{wide}}  ")
    if bar:
        whole = max(1, group.jobs)
        good = round(bar * group.success / whole)
        bad = min(bar - good, max(1 if group.failed else 0, round(bar * group.failed / whole)))
        run = min(bar - good - bad, max(1 if group.running else 0, round(bar * group.running / whole)))
        row.append("━" * good, "green").append("━" * bad, "red").append("━" * run, "blue")
        row.append("─" * (bar - good - bad - run), "bright_black").append("  ")
    row.append(f"{f'{group.success + group.failed}/{group.jobs}':>13}")
    row.append(f"{group.running:>8}", "blue" if group.running else "dim")
    row.append(f"{group.pending:>8}", "" if group.pending else "dim")
    row.append(f"{group.failed:>8}", "bold red" if group.failed else "dim")
    return row


class LiveReport(TextReport):
    """The same lines in colour, above a live view of the groups. For terminals."""

    def __init__(self, document: Document, engine: Engine) -> None:
        super().__init__(document, engine)
        self._fired = 0
        self._recent: deque[str] = deque(maxlen=3)
        self._view = LiveView(self._look)
        self._timer: Any = None

    def line(self, text: str, style: str = "") -> None:
        self._view.say(text, style)

    def note(self, text: str) -> None:
        if sys.stderr.isatty():
            self.line(text, "dim")  # above the view, which it would break otherwise
        else:
            super().note(text)

    def command(self, command: Command) -> None:
        if command.kind == "trigger":
            self._fired += 1
        elif command.kind == "message":
            self._recent.append(command.label)
        super().command(command)
        self._schedule()

    def say(self, kind: str, text: str) -> None:
        super().say(kind, text)
        self._recent.append(text)

    def event(self, event: Event) -> None:
        if self.document.debug:
            super().event(event)
        if self._timer is None:
            self._schedule()

    def end(self, result: Result, member: Member) -> None:
        self.close()
        super().end(result, member)

    def stopped(self, why: str, result: Result, folder: Path) -> None:
        self.close()
        super().stopped(why, result, folder)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._view.close()

    def _look(self) -> Look:
        return of_engine(self.engine, self._fired, tuple(self._recent))

    def _schedule(self) -> None:
        """Draw from now on, from the loop's own timer: in the thread that owns the engine, whatever its events do."""
        import asyncio

        if self._timer is None:
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                return
            self._timer = loop.call_later(0.05, self._tick, loop)

    def _tick(self, loop: Any) -> None:
        started = time.monotonic()
        self._view.refresh()
        # What takes long to draw is drawn less often: never more than a tenth of the time.
        self._timer = loop.call_later(max(1 / PER_SECOND, 9 * (time.monotonic() - started)), self._tick, loop)
