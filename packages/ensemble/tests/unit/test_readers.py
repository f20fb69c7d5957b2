"""Application metrics from lines of output."""

from __future__ import annotations

from pathlib import Path

import pytest

from ensemble.document import JobGroup
from ensemble.plugins import registry
from ensemble.readers import line_reader

MODULE = """
class Column:
    def __init__(self):
        self.place = None

    def feed(self, line):
        words = line.split()
        if "Temp" in words:
            self.place = words.index("Temp")
            return None
        return float(words[self.place]) if self.place is not None and len(words) > self.place else None


READERS = {"temperature": Column, "length": lambda line: float(len(line))}
"""


def read(spec: dict[str, str], lines: list[str]) -> list[float | None]:
    group = JobGroup(name="g", command="x", metrics={"t": spec})
    feed = line_reader(group.metrics["t"], registry())
    return [feed(line) for line in lines]


def test_a_regular_expression_gives_its_group() -> None:
    assert read({"regex": r"T=(\S+)"}, ["T=1.5 K", "none", "T=x", "T=-3e2"]) == [1.5, None, None, -300.0]
    assert read({"regex": r"(\w+) is (?P<value>\d+)"}, ["T is 3", "x"]) == [3.0, None]


def test_a_path_reads_lines_of_json() -> None:
    lines = ['{"a": {"b": [{"c": 1}, {"c": "2.5"}]}}', "text", '{"a": 3}', '{"a": {"b": []}}', "{"]
    assert read({"json": "a.b[1].c"}, lines) == [2.5, None, None, None, None]
    assert read({"json": "$.a['b'][-1].c"}, lines)[0] == 2.5
    assert read({"json": "ok"}, ['{"ok": true}', '{"ok": null}', '{"ok": 1}']) == [None, None, 1.0]


def test_a_plugin_reads_with_a_function_or_with_a_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ensemble_readertest.py").write_text(MODULE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    lines = ["0 1", "Step Temp", "0 300", "1 310.5", "x"]
    assert read({"reader": "readertest.temperature"}, lines) == [None, None, 300.0, 310.5, None]
    assert read({"reader": "readertest.length"}, ["abc"]) == [3.0]


def test_a_file_of_the_job_has_its_parameters_filled_in() -> None:
    metrics = {"t": {"regex": "(.)", "file": "{lr}/{job}.log"}}
    group = JobGroup(name="g", command="x", parameters={"lr": [1, 2]}, metrics=metrics)
    assert group.metric_file("t", "g.1", 1) == "2/g.1.log"
    assert group.spec("g.1", 1).metrics
