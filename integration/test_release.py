"""The check that a release tag goes through, on packages of its own."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".github" / "release.py"


@pytest.fixture
def release(tmp_path: Path) -> Path:
    """A tree with two packages; the one with a dated changelog can be released. Gives its copy of the script."""
    for name, version, heading in (
        ("flux-burst", "1.2.0", "1.2.0 (2026-01-31)"),
        ("jobspec", "1.3.0a1", "1.3.0a1 (unreleased)"),
    ):
        folder = tmp_path / "packages" / name.replace("-", "")
        folder.mkdir(parents=True)
        settings = f'[project]\nname = "{name}"\n[tool.hatch.version]\npath = "version.py"\n'
        (folder / "pyproject.toml").write_text(settings)
        (folder / "version.py").write_text(f'__version__ = "{version}"\n')
        (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {heading}\n\n- New.\n\n## 1.0.0 (2025-01-01)\n")
    script = tmp_path / ".github" / "release.py"
    script.parent.mkdir()
    script.write_bytes(SCRIPT.read_bytes())
    return script


def ask(script: Path, tag: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, script, tag], capture_output=True, text=True, timeout=30)


def test_a_tag_that_agrees_gives_the_folder(release: Path) -> None:
    done = ask(release, "flux-burst-v1.2.0")
    assert (done.returncode, done.stdout, done.stderr) == (0, "packages/fluxburst\n", "")


@pytest.mark.parametrize(
    ("tag", "why"),
    [
        ("flux-burst-v1.2.1", "flux-burst-v1.2.0"),  # the version in the tree is another
        ("flux-burst-v1.2.0.post1", "no package has the tag"),
        ("burst-v1.2.0", "no package has the tag"),
        ("jobspec-v1.3.0a1", "unreleased"),  # the changelog's heading has no date
        ("jobspec-v1.0.0", "jobspec-v1.3.0a1"),  # an old heading is not enough
        ("", "no package has the tag"),
    ],
)
def test_a_tag_that_does_not_agree_is_refused(release: Path, tag: str, why: str) -> None:
    done = ask(release, tag)
    assert (done.returncode, done.stdout) == (1, "")
    assert why in done.stderr
    assert done.stderr.count("\n") == 1


def git(script: Path, *words: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(script.parents[1]), *who, *words], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("git"), reason="no git on PATH")
@pytest.mark.parametrize(
    ("need", "tags", "released"),
    [
        (">=1.1", ["1.0.0", "1.1.0"], True),
        (">=1.1.0a1,<2", ["1.1.0a2"], True),
        (">=1.1", ["1.0.9", "2-not-a-version"], False),
        (">=1.1", ["1.1.0a1"], False),  # comes before 1.1
        (">=1.1", [], False),
    ],
)
def test_what_a_release_asks_of_hpc_resources_has_a_tag(
    release: Path, need: str, tags: list[str], released: bool
) -> None:
    settings = release.parents[1] / "packages/fluxburst/pyproject.toml"
    asked = f'name = "flux-burst"\ndependencies = ["hpc-resources{need}", "click>=8"]'
    settings.write_text(settings.read_text().replace('name = "flux-burst"', asked))
    git(release, "init", "--quiet")
    git(release, "commit", "--quiet", "--allow-empty", "-m", "x")
    for version in tags:
        git(release, "tag", f"hpc-resources-v{version}")
    done = ask(release, "flux-burst-v1.2.0")
    assert done.returncode == (0 if released else 1), done.stderr
    assert released or ("flux-burst asks for hpc-resources" in done.stderr and done.stderr.count("\n") == 1)
