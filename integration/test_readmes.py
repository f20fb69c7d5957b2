"""The READMEs of the packages, as PyPI shows them: alike, complete, and with the tested plugin in them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SECTIONS = ["Install", "First use", "Commands", "A plugin in 40 lines", "Limits"]
PLUGINS = {  # folder below packages/ -> the plugin that its README shows the whole of
    "resources": "hpc-resources-example/src/resources_bandwidth.py",
    "secretary": "resource-secretary-example/src/resource_secretary_example/__init__.py",
    "jobspec": "jobspec-example/src/jobspec_example/__init__.py",
    "ensemble": "ensemble-example/src/ensemble_example/__init__.py",
    "fluxburst": "fluxburst-example/fluxburst_example.py",
}
each_package = pytest.mark.parametrize("package", PLUGINS)


def prose_and_code(package: str) -> tuple[str, list[str]]:
    """What is outside of the fenced blocks, without comments; and the text of each block."""
    text = (ROOT / "packages" / package / "README.md").read_text()
    blocks = re.findall(r"^```.*?\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^<!--.*-->$", "", prose, flags=re.MULTILINE), blocks


@each_package
def test_the_sections_come_in_one_order(package: str) -> None:
    found = re.findall(r"^## (.*)$", prose_and_code(package)[0], re.MULTILINE)
    assert [name for name in found if name in SECTIONS] == SECTIONS
    assert (found[:3], found[-2:]) == (SECTIONS[:3], SECTIONS[3:])


@each_package
def test_it_needs_nothing_beside_it(package: str) -> None:
    """A page on PyPI has no folder around it: links have a full address, and commands read what the page shows."""
    prose, blocks = prose_and_code(package)
    assert [link for link in re.findall(r"\]\(([^)]*)\)", prose) if not link.startswith("https://")] == []
    assert not re.search(r"</?[a-z]+[ >]|<!--", re.sub(r"`[^`\n]*`", "", prose)), "HTML in it"
    for block in blocks:
        commands = re.findall(r"^\$ (.*)$", block, re.MULTILINE)
        assert [command for command in commands if "examples/" in command] == []


@each_package
def test_the_plugin_is_the_tested_one(package: str) -> None:
    plugin = (ROOT / "examples" / "plugins" / PLUGINS[package]).read_text()
    assert plugin in prose_and_code(package)[1]
    assert len(plugin.splitlines()) <= 40


@each_package
def test_it_is_short(package: str) -> None:
    lines = (ROOT / "packages" / package / "README.md").read_text().splitlines()
    assert len(lines) <= 200
