"""The pages of docs/reference are what the commands say."""

from __future__ import annotations

import tomllib
from pathlib import Path

import reference


def test_no_page_has_drifted() -> None:
    assert not reference.different(), "make them anew: python integration/reference.py --write"


def test_a_page_that_differs_or_is_missing_is_found(tmp_path: Path) -> None:
    for name, text in reference.pages().items():
        (tmp_path / name).write_text(text)
    assert not reference.different(tmp_path)
    page = tmp_path / "jobspec.md"
    page.write_text(page.read_text().replace("--strict", "--strickt"))
    (tmp_path / "resources.md").unlink()
    assert reference.different(tmp_path) == ["resources.md", "jobspec.md"]


def test_every_command_that_is_installed_has_a_page() -> None:
    scripts: dict[str, str] = {}
    for project in sorted((reference.FOLDER.parents[1] / "packages").glob("*/pyproject.toml")):
        scripts |= tomllib.loads(project.read_text())["project"]["scripts"]
    targets = {place for _, place, _ in reference.COMMANDS.values()}
    assert {name: place for name, place in scripts.items() if place not in targets} == {}
