"""Following a run from outside, by its directory."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from ensemble.document import JobGroup
from ensemble.errors import SpecError
from ensemble.reporting.json import write
from ensemble.reporting.look import Look, of_rundir
from ensemble.reporting.status import exit_code, status_of, status_text
from ensemble.reporting.text import STYLES, command_line, printable
from ensemble.rundir import RunDir, State, document_of, loads

EVERY = 0.5  # seconds between two looks
PART = 10_000  # rows at a time


class Watching:
    """`follow` tells what was done so far and what is done, until the run ends. how: `text`, `live` or `json`."""

    def __init__(self, folder: Path, how: str) -> None:
        """Raises RunDirError."""
        self.run = RunDir(folder)
        self.how = how
        self._decision = self._event = -1
        self._look = Look()
        self._groups = _groups(self.run.value("text"))
        self._view: Any = None
        if how == "live":
            from ensemble.reporting.live import LiveView

            self._view = LiveView(lambda: self._look, self.run.number("started"))

    def close(self) -> None:
        if self._view:
            self._view.close()
        self.run.close()

    def follow(self) -> int:
        """The exit code: that of the run, 1 where nobody runs it any more. Raises RunDirError."""
        version = None
        while True:
            began = time.monotonic()
            state = self._state()
            # Asked for the state first: what was written before a run ended is then told before its end.
            now = self.run.rows("PRAGMA data_version")[0][0]
            if now != version or state.word not in ("running", "elsewhere"):
                version = now
                self._tell()
            if self._view:
                self._view.refresh()
            if not state.lives:
                return self._end(state)
            time.sleep(max(EVERY, 9 * (time.monotonic() - began)))  # of a large run less often

    def _state(self) -> State:
        self.run.refresh()
        return self.run.state()

    def _tell(self) -> None:
        with self.run.at_once():
            if self.how == "json":
                self._events()
            while rows := self.run.decisions(self._decision, PART):
                for one in rows:
                    self._decision = one.seq
                    detail = loads(one.detail, {})
                    self._decided(
                        one.action, one.label, one.shown, one.rule, one.time, detail if isinstance(detail, dict) else {}
                    )
            if self._view:
                self._look = of_rundir(self.run)

    def _decided(self, action: str, label: str, shown: str, rule: int, at: float, detail: Mapping[str, Any]) -> None:
        if self.how == "json":
            if action == "trigger":
                write("trigger", name=label or shown, rule=rule, time=at)
            else:
                more = {key: value for key, value in detail.items() if key not in ("type", "label", "rule", "time")}
                write(action or "done", label=label, rule=rule, time=at, **more)
            return
        text = printable(command_line(action, label, detail, self._groups.get(label)))
        if self._view:
            self._view.say(text, STYLES.get(action, ""))
        else:
            click.echo(text)

    def _events(self) -> None:
        while True:
            rows = self.run.rows(
                "SELECT seq, time, name, job, context FROM events WHERE seq > ? ORDER BY seq LIMIT ?", self._event, PART
            )
            for seq, at, name, job, context in rows:
                if self._event >= 0 and seq > self._event + 1:
                    write("gap", events=seq - self._event - 1, why="the journal keeps events since its last snapshot")
                self._event = seq
                write("event", name=name, time=at, job=job or "", context=loads(context, {}))
            if len(rows) < PART:
                return

    def _end(self, state: State) -> int:
        if self._view:
            self._view.close()
        status = status_of(self.run)
        if self.how == "json":
            if state.word == "ended":
                write("end", **{key: value for key, value in self.run.result.items() if key != "type"})
            else:
                write(state.word, why=state.text)
        else:
            click.echo(status_text(status))
        if state.word != "ended":
            click.echo(state.text, err=True)
        return exit_code(status)


def _groups(text: str) -> dict[str, Mapping[str, Any]]:
    listed = document_of(text).get("jobs")
    return {str(group.get("name")): _as_run(group) for group in listed or () if isinstance(group, dict)}


def _as_run(group: dict[str, Any]) -> Mapping[str, Any]:
    """The group with its numbers read, as `run` shows it; as it stands where another version wrote it."""
    try:
        return JobGroup(group).as_dict()
    except SpecError:
        return group
