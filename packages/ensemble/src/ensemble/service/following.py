"""What has happened in a run, line by line, from its journal: what watchers are told.

A cursor `E.D` says how far one has read: the last event and the last decision. The journal is written before anything
is told, and keeps its numbers when the server is killed: a watcher that asks again with its last cursor misses
nothing and sees nothing twice. Events before the last snapshot are gone: a `gap` says how many.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ensemble.errors import ServiceError
from ensemble.rundir import Decision, RunDir, loads

PART = 1_000  # lines at a time
_CURSOR = re.compile(r"([0-9]{1,18})\.([0-9]{1,18})", re.ASCII)

Line = tuple[str, str]  # cursor, JSON


class Following:
    """Reads on from a cursor. Raises RunDirError, and ServiceError where the cursor is none."""

    def __init__(self, folder: Path, after: str) -> None:
        found = _CURSOR.fullmatch(after) if after else None
        if after and not found:
            raise ServiceError(f"{after[:40]!r} is no cursor of a line")
        self._event, self._decision = (int(found[1]), int(found[2])) if found else (0, 0)
        self._run = RunDir(folder)
        self._version: int | None = None

    def close(self) -> None:
        self._run.close()

    def more(self) -> list[Line]:
        """The next lines, none where nothing has been written since. Raises RunDirError."""
        version = self._run.rows("PRAGMA data_version")[0][0]
        if version == self._version:
            return []
        with self._run.at_once():
            events = self._run.rows(
                "SELECT seq, time, name, job, context FROM events WHERE seq > ? ORDER BY seq LIMIT ?", self._event, PART
            )
            decisions = self._run.decisions(self._decision, PART)
        lines: list[Line] = []
        if events and self._event and events[0][0] > self._event + 1:
            missed = events[0][0] - self._event - 1
            lines.append(self._line("gap", events=missed, why="the journal keeps the events since its last snapshot"))
        whole = len(events) == PART  # a decision whose event is still to come waits for it
        for seq, at, name, job, context in events:
            while decisions and decisions[0].time < at:
                lines.append(self._decided(decisions.pop(0)))
            self._event = seq
            kind = "metric" if name == "metric" else "event"
            lines.append(self._line(kind, name=name, time=at, job=job or "", context=loads(context, {})))
        if not whole:
            lines += [self._decided(one) for one in decisions]
        if not lines:
            self._version = version
        return lines

    def end(self) -> Line | None:
        """The last line, when the run has ended."""
        self._run.refresh()
        if not self._run.value("ended"):
            return None
        return self._line("end", **{key: value for key, value in self._run.result.items() if key != "type"})

    def _decided(self, one: Decision) -> Line:
        self._decision = one.seq
        detail: Any = loads(one.detail, {})
        more: Mapping[str, Any] = detail if isinstance(detail, dict) else {}
        if one.action == "trigger":
            return self._line("trigger", name=one.label or one.shown, rule=one.rule, time=one.time)
        extra = {key: value for key, value in more.items() if key not in ("type", "label", "rule", "time")}
        return self._line(one.action or "done", label=one.label, rule=one.rule, time=one.time, **extra)

    def _line(self, kind: str, **fields: Any) -> Line:
        return f"{self._event}.{self._decision}", json.dumps({"type": kind, **fields}, ensure_ascii=False)
