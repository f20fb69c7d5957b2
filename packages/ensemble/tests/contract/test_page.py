"""The page of a run: alone, of bounded size, safe whatever jobs say; and looked at by a browser where there is one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sqlite3
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from ensemble.reporting.gather import _Integral
from ensemble.reporting.html import page
from ensemble.rundir import RunDir

Make = Callable[..., Path]
HOSTILE = "</script><img src=x onerror=\"document.title='owned'\"><!--<script>\u2028'\"\\\x1b[31m\x00\ud7ff"


def made(folder: Path) -> str:
    with RunDir(folder) as run:
        return page(run)


class Elements(HTMLParser):
    """The elements of a page with their attributes, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, str]] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and data.strip():
            self.inside.append((self.found[-1][0], data))


def data_of(text: str) -> dict[str, Any]:
    inside = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert inside
    data: dict[str, Any] = json.loads(inside[1])
    return data


def test_it_stands_alone(journal: Make) -> None:
    text = made(journal())
    parsed = Elements(text)
    for tag, attributes in parsed.found:
        for name in ("src", "href", "action", "data", "srcset"):
            assert (attributes.get(name) or "").partition(":")[0] in ("", "data"), (tag, attributes)
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    code = "".join(inside for tag, inside in parsed.inside if '"made"' not in inside[:20])
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttp|WebSocket|innerHTML|eval\(", code)


def test_its_policy_allows_its_own_script_and_style_only(journal: Make) -> None:
    text = made(journal())
    policy = next(a["content"] or "" for tag, a in Elements(text).found if a.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        inside = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert inside
        digest = base64.b64encode(hashlib.sha256(inside[1].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy


@pytest.fixture
def hostile(journal: Make) -> Path:
    """A run in which everything that a stranger can say is hostile."""
    row = (
        f"sweep.{HOSTILE}",
        "sweep",
        0,
        HOSTILE,
        "ended",
        1.0,
        2.0,
        3.0,
        "failed",
        1,
        HOSTILE,
        json.dumps([HOSTILE]),
        1,
        1,
    )
    meta = {"file": HOSTILE, "text": HOSTILE, "member": HOSTILE, "cwd": HOSTILE, "calls": json.dumps({HOSTILE: 3})}
    folder = journal("hostile", rows=[row, ("x.0", HOSTILE, *row[2:])], meta=meta)
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("INSERT INTO tails VALUES (?,?,?)", (row[0], HOSTILE, HOSTILE))
    database.execute("INSERT INTO points VALUES (?,1,2.0,3.0,4.0)", (HOSTILE,))
    database.execute("INSERT INTO decisions VALUES (99,?,7,?,?,?,?)", (9e8, HOSTILE, HOSTILE, HOSTILE, HOSTILE))
    database.commit()
    database.close()
    return folder


def test_hostile_text_stays_text(hostile: Path) -> None:
    text = made(hostile)
    parsed = Elements(text)
    assert [tag for tag, _ in parsed.found if tag in ("img", "script", "style")] == ["style", "script", "script"]
    assert HOSTILE in str(data_of(text)["jobs"]["reasons"]) or HOSTILE in data_of(text)["jobs"]["reasons"]


def test_a_hundred_thousand_jobs_are_less_than_ten_megabytes(journal: Make) -> None:
    folder = journal(jobs=100_000, failing=0.02, cores=1000, hosts=100, rules=10_000)
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("UPDATE tails SET out = ?, err = ?", ("<" * 4096, "\x00" * 4096))
    database.execute("UPDATE jobs SET reason = reason || ' ' || name || hex(zeroblob(300)) WHERE outcome != 'success'")
    database.commit()
    database.close()
    text = made(folder)
    assert len(text.encode()) < 10_000_000
    data = data_of(text)
    assert sum(group["counts"]["jobs"] for group in data["groups"]) == 100_000
    assert data["causes"]["total"] > 1000


def test_of_more_jobs_than_are_drawn_no_failure_is_left_out(journal: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ensemble.reporting.gather.JOBS", 200)
    data = data_of(made(journal(jobs=3000, failing=0.01)))
    jobs = data["jobs"]
    assert jobs["n"] <= 200 < jobs["of"]
    drawn = sum(data["outcomes"][kind] not in ("success",) for kind in jobs["outcome"])
    assert drawn == data["causes"]["total"] > 10


def test_the_use_of_the_cores_is_what_the_jobs_used() -> None:
    integral = _Integral(4, 1.0)
    integral.add(0.5, 2.5, 2)  # of four seconds: 1, 2, 1 and 0 on the mean
    integral.add(3.0, 9.0, 1)  # beyond the end: cut
    assert integral.means() == [1, 2, 1, 1]
    assert integral.total == 5


def test_a_run_without_jobs_or_with_odd_values_has_a_page(journal: Make) -> None:
    folder = journal(jobs=0, meta={"text": "[", "calls": "", "cores": "", "result": ""})
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("INSERT INTO points VALUES ('a-duration', 1, 2.0, 9e999, NULL)")
    database.execute("INSERT INTO jobs(name, grp, state) VALUES ('a.0', 'a', 'held')")
    database.commit()
    database.close()
    assert data_of(made(folder))["groups"][0]["counts"] == {"jobs": 1, "held": 1}


# In a browser


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [1280, 400])
def test_it_shows_in_a_browser(browser: Any, journal: Make, tmp_path: Path, dark: bool, width: int) -> None:
    (tmp_path / "page.html").write_text(made(journal(jobs=300)))
    browser.open(tmp_path / "page.html", dark=dark, width=width)
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
    ground = browser.run("getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(17, 21, 27)") is dark
    for canvas in ("time", "use"):
        inked = f"document.getElementById({canvas!r}).getContext('2d').getImageData(120, 60, 200, 60).data.some(x => x)"
        assert browser.run(inked)


def test_a_hostile_run_does_nothing_in_a_browser(browser: Any, hostile: Path, tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(made(hostile))
    browser.open(tmp_path / "page.html")
    browser.run("document.querySelectorAll('details').forEach(one => one.open = true)")
    browser.run("document.getElementById('next').click()")
    assert browser.errors() == []
    assert browser.requests() == []
    assert browser.run("document.title") != "owned"
    assert browser.run("document.querySelectorAll('img').length") == 0
    assert browser.run("document.body.textContent.includes('onerror=')")


def test_ten_thousand_jobs_can_be_moved_about_in(browser: Any, journal: Make, tmp_path: Path) -> None:
    folder = journal(jobs=10_000, failing=0.0, cores=96)
    database = sqlite3.connect(folder / "run.sqlite")
    database.execute("UPDATE jobs SET outcome = 'failed', reason = 'exit code 3' WHERE name = 'sweep.4000'")
    database.commit()
    database.close()
    (tmp_path / "page.html").write_text(made(folder))
    browser.open(tmp_path / "page.html")
    browser.run("document.getElementById('time').focus()")
    label = "document.getElementById('time').getAttribute('aria-label')"
    drawn = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(1))))"
    whole = browser.run(label)
    for key in ("n", "+", "ArrowLeft"):
        browser.run(f"document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {{key: '{key}'}}))")
    browser.run(drawn)
    assert browser.run(label) != whole
    assert "sweep.4000" in browser.run("document.getElementById('chosen').textContent")  # the only one, found by a key
    browser.run("document.activeElement.dispatchEvent(new KeyboardEvent('keydown', {key: '0'}))")
    browser.run(drawn)
    assert browser.run(label) == whole
    box = browser.run(
        "(() => { const b = document.getElementById('time').getBoundingClientRect(); return [b.x, b.y]; })()"
    )
    for kind in ("mouseMoved", "mouseWheel"):
        wheel = {"deltaX": 0, "deltaY": -240} if kind == "mouseWheel" else {}
        browser.call("Input.dispatchMouseEvent", type=kind, x=box[0] + 300, y=box[1] + 100, **wheel)
    browser.run(drawn)
    assert browser.run(label) != whole
    assert browser.errors() == []
