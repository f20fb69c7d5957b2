"""Which hpc-resources is the oldest that a package is tested with."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import downstream
import pytest

pytestmark = pytest.mark.skipif(not shutil.which("git"), reason="no git on PATH")
VERSION = "1.0.0a1"


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A repository with two commits of hpc-resources."""
    git(tmp_path, "init", "--quiet")
    for text in ("old", "new"):
        (tmp_path / downstream.FOLDER).mkdir(parents=True, exist_ok=True)
        (tmp_path / downstream.FOLDER / "file").write_text(text)
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "-m", text)
    return tmp_path


def test_it_is_that_of_the_commit_until_the_version_has_a_tag(
    tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    commit = git(tree, "rev-parse", "HEAD~1")
    revision, words = downstream.source(tree, VERSION, commit)
    assert revision == commit and f"no tag hpc-resources-v{VERSION}" in words
    made = downstream.files(tree, revision, tmp_path_factory.mktemp("made"))
    assert (made / "file").read_text() == "old"
    git(tree, "tag", f"hpc-resources-v{VERSION}")
    assert downstream.source(tree, VERSION, commit)[0] == f"hpc-resources-v{VERSION}"


def test_without_history_it_is_that_of_the_tree_and_says_so(tree: Path, tmp_path: Path) -> None:
    for folder in (tree, tmp_path / "no-repository"):
        revision, words = downstream.source(folder, VERSION, "0" * 40)
        assert revision == "" and "that of this tree" in words
        assert downstream.files(folder, revision, tmp_path) == folder / downstream.FOLDER


@pytest.mark.parametrize("package", ["secretary", "jobspec", "ensemble", "fluxburst"])
def test_each_declares_the_least_version_that_it_takes(package: str) -> None:
    assert downstream.bound(downstream.ROOT / "packages" / package)
    assert not downstream.bound(downstream.ROOT / "packages/resources")
    assert all(one.specifier for one in downstream.declared(downstream.ROOT / "packages" / package))
