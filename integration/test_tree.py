"""What must be true of the tree itself."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = sorted(path.parent for path in ROOT.glob("packages/*/pyproject.toml"))
IMPORTS = {package.name: next(package.glob("src/*/__init__.py")).parent.name for package in PACKAGES}


def commands_of_readme() -> list[str]:
    lines = (ROOT / "README.md").read_text().splitlines()
    return [line for line in lines if line.startswith("python3 ")]


def test_ci_calls_the_test_command_of_the_readme() -> None:
    demo, tests = commands_of_readme()
    assert demo.endswith("nox -s demo")
    assert tests.endswith("nox -s tests")
    assert tests in (ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize("workflow", sorted(ROOT.glob(".github/workflows/*.yml")), ids=lambda path: path.name)
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    used = [line.split("uses:")[1].split() for line in workflow.read_text().splitlines() if "uses:" in line]
    assert used
    for action, *comment in used:
        commit = action.partition("@")[2]
        assert len(commit) == 40, action
        assert set(commit) <= set("0123456789abcdef"), action
        assert len(comment) == 2, f"the version of {action} is not said"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_package_imports_a_sibling(package: Path) -> None:
    siblings = set(IMPORTS.values()) - {"resources", IMPORTS[package.name]}
    for file in package.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level:
                names = [node.module or ""]
            imported = {name.partition(".")[0] for name in names}
            assert not imported & siblings, f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_complete(package: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE", f"src/{IMPORTS[package.name]}/py.typed"):
        assert (package / name).is_file(), name
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert (ROOT / "LICENSE").read_bytes() == (package / "LICENSE").read_bytes()
    assert f"({package.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
    assert project["requires-python"] == ">=3.11"
