"""What was found before: fresh, of this machine, and never a reason to fail."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import dataclass
from typing import ClassVar

import pytest

from resource_secretary import Secretary
from resource_secretary.cache import Cache
from resource_secretary.catalog import Catalog, Known
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.system import System
from resource_secretary.testing import RecordedSystem


@dataclass(frozen=True)
class Facts:
    version: str


class _Counted(BaseProvider):
    category = "test"
    description = "Counts how often it is asked."
    fresh_for = 60.0
    variables = ("TOOL_CONF",)
    asked: ClassVar[int] = 0

    def probe(self):
        type(self).asked += 1
        return Active(Facts("1.0")) if self.system.which(self.name) else Absent(f"the command {self.name}")

    @secretary_tool
    def free(self) -> int:
        """How many are free."""
        return 3


@pytest.fixture
def make(tmp_path):
    """A secretary of one provider `tool`, whose class is new for each test."""

    class Tool(_Counted):
        name = "tool"

    catalog = Catalog()
    catalog.entries = [Known("test", "tool", Tool.description, "built-in", Tool)]

    def made(*, there: bool = True, refresh: bool = False, folder=tmp_path / "cache", **environ: str) -> Secretary:
        system = RecordedSystem(commands={("tool",): ""} if there else {}, environ={"PATH": "/bin", **environ})
        return Secretary(system=system, catalog=catalog, cache=Cache(system, folder, refresh=refresh))

    made.tool = Tool  # type: ignore[attr-defined]
    made.folder = tmp_path / "cache"  # type: ignore[attr-defined]
    return made


def test_what_was_found_is_not_asked_again(make):
    first, second = make().detect()["tool"], make().detect()["tool"]
    assert make.tool.asked == 1 and (first.cached, second.cached) == (False, True)
    assert second.metadata == first.metadata == {"version": "1.0"}
    assert (second.observed_at, second.observed_on) == (first.observed_at, first.observed_on)
    assert [tool.name for tool in second.tools] == ["free"]
    assert make().call("tool.free").result == {"result": 3} and make.tool.asked == 1


def test_refresh_asks_anew_and_keeps_that(make):
    make().detect()
    assert not make(refresh=True).detect()["tool"].cached and make.tool.asked == 2
    assert make().detect()["tool"].cached


def test_another_path_or_variable_is_another_machine(make):
    make().detect()
    assert not make(PATH="/usr/bin").detect()["tool"].cached
    assert not make(TOOL_CONF="/etc/other").detect()["tool"].cached
    assert make(UNRELATED="1", TOOL_CONF="/etc/other").detect()["tool"].cached


def test_a_program_that_is_another_or_gone_is_asked_anew(tmp_path, make):
    class Tool(_Counted):
        name = "tool"

        def probe(self):
            type(self).asked += 1
            return Active(Facts(self.system.run("tool").text()))

    def secretary() -> Secretary:
        system = System(environ={"PATH": f"{tmp_path}:/bin"})
        catalog = Catalog()
        catalog.entries = [Known("test", "tool", Tool.description, "built-in", Tool)]
        return Secretary(system=system, catalog=catalog, cache=Cache(system, make.folder))

    tool = tmp_path / "tool"
    for version in ("1", "2"):
        tool.write_text(f"#!/bin/sh\necho {version}\n")
        tool.chmod(0o755)
        os.utime(tool, (1, int(version)))
        assert [secretary().detect()["tool"].metadata for _ in range(2)] == [{"version": f"{version}\n"}] * 2
    assert Tool.asked == 2
    tool.unlink()
    assert not secretary().detect()["tool"].active


def test_what_is_not_there_is_looked_for_each_time(make):
    assert not make(there=False).detect()["tool"].active
    assert make().detect()["tool"].active and make.tool.asked == 2


def test_it_is_fresh_for_so_long(make, monkeypatch):
    make().detect()
    now = __import__("time").time()
    for later, cached in ((59, True), (61, False), (-5, False)):
        monkeypatch.setattr("resource_secretary.cache.time.time", lambda later=later: now + later)
        assert make().detect()["tool"].cached is cached, later
        monkeypatch.setattr("resource_secretary.cache.time.time", lambda: now)
        make(refresh=True).detect()


@pytest.mark.parametrize("zero", [0.0])
def test_what_costs_nothing_is_never_kept(make, monkeypatch, zero):
    monkeypatch.setattr(make.tool, "fresh_for", zero)
    make().detect()
    make().detect()
    assert make.tool.asked == 2 and not make.folder.exists()


@pytest.mark.parametrize(
    "spoilt", [b"", b"\0" * 4096, b"{", b'{"tool": 1}', b'{"tool": {"mark": 5}}', b"[" * 100_000, b"\xff"]
)
def test_a_spoilt_file_is_made_anew(make, spoilt):
    make().detect()
    [file] = make.folder.iterdir()
    file.write_bytes(spoilt)
    assert not make().detect()["tool"].cached
    assert make().detect()["tool"].cached


def test_only_the_user_can_read_it(make):
    make().detect()
    [file] = make.folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600 and make.folder.stat().st_mode & 0o777 == 0o700


def test_a_folder_that_can_not_be_written_is_no_failure(make, tmp_path):
    (tmp_path / "file").write_text("")
    assert make(folder=tmp_path / "file" / "cache").detect()["tool"].active


def test_many_at_once_leave_a_file_that_can_be_read(make):
    errors: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(20):
                assert make(refresh=True).detect()["tool"].active
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [file] = make.folder.iterdir()
    assert not errors and json.loads(file.read_text())["tool"]["metadata"] == {"version": "1.0"}


def test_the_folder_is_that_of_the_xdg_specification(make, tmp_path):
    home = tmp_path / "home"
    system = RecordedSystem(environ={"HOME": str(home)})
    assert Cache(system)._path.parent == home / ".cache/resource-secretary"
    system = RecordedSystem(environ={"HOME": str(home), "XDG_CACHE_HOME": str(tmp_path / "x")})
    assert Cache(system)._path.parent == tmp_path / "x/resource-secretary"
    system = RecordedSystem(environ={"HOME": str(home), "XDG_CACHE_HOME": "relative"})
    assert Cache(system)._path.parent == home / ".cache/resource-secretary"


def test_a_home_that_does_not_answer_costs_little(make):
    make().detect()
    [file] = make.folder.iterdir()
    file.unlink()
    os.mkfifo(file)  # opening it for reading waits for a writer
    assert make().detect()["tool"].active and make.tool.asked == 2
    os.close(os.open(file, os.O_WRONLY | os.O_NONBLOCK))
