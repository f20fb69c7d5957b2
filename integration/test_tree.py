"""What must be true of the tree itself."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

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


# Functions that import what a string names.
BY_NAME = {"import_module", "__import__", "importorskip", "find_spec", "run_module", "resolve_name"}
# An import within a string: code that is run in another process.
IN_TEXT = re.compile(r"(?:^|[\n;])\s*(?:import|from)\s+(\w+)(?=\s*(?:$|[\n;,.]|as |import ))")


def imported(code: str) -> Iterator[tuple[int, str]]:
    """The top-level names that code imports, with their lines: optional ones, by name and in strings, too."""
    for node in ast.walk(ast.parse(code)):
        match node:
            case ast.Import(names=aliases):
                names = [alias.name for alias in aliases]
            case ast.ImportFrom(module=str(module), level=0):
                names = [module]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=[ast.Constant(str(text)), *_]):
                names = [text] if name in BY_NAME else []
            case ast.Constant(value=str(text)):
                names = IN_TEXT.findall(text)
            case _:
                continue
        for name in names:
            yield node.lineno, name.partition(".")[0].partition(":")[0]


@pytest.mark.parametrize(
    "code",
    [
        "import jobspec.steps",
        "def f():\n    try:\n        from jobspec import steps\n    except ImportError:\n        pass",
        "importlib.import_module('jobspec.steps')",
        "__import__('jobspec')",
        "pytest.importorskip('jobspec', reason='x')",
        "run([sys.executable, '-c', 'import sys; import jobspec'])",
        "run([sys.executable, '-c', 'from jobspec.cli import main; main()'])",
    ],
)
def test_what_an_import_is(code: str) -> None:
    assert "jobspec" in {name for _, name in imported(code)}


def test_what_an_import_is_not() -> None:
    code = "'Made from jobspec files; imports jobspec nowhere.'\nfrom . import jobspec\nread('jobspec')"
    assert not list(imported(code))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_no_package_imports_a_sibling(package: Path) -> None:
    """Nor do its tests and benchmarks."""
    siblings = set(IMPORTS.values()) - {"resources", IMPORTS[package.name]}
    for file in package.rglob("*.py"):
        wrong = [f"{file.relative_to(ROOT)}:{line}" for line, name in imported(file.read_text()) if name in siblings]
        assert not wrong


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_is_complete(package: Path) -> None:
    for name in ("README.md", "CHANGELOG.md", "LICENSE", f"src/{IMPORTS[package.name]}/py.typed"):
        assert (package / name).is_file(), name
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    assert (ROOT / "LICENSE").read_bytes() == (package / "LICENSE").read_bytes()
    assert f"({package.relative_to(ROOT)})" in (ROOT / "README.md").read_text()
    assert project["requires-python"] == ">=3.11"


def test_each_container_has_the_tree_and_keeps_its_own_environments() -> None:
    services = yaml.safe_load((ROOT / "integration/compose.yaml").read_text())["services"]
    assert {name: service["volumes"] for name, service in services.items()} == {
        name: ["..:/tree", f"{name}:/tree/.nox"] for name in ("flux", "slurm")
    }
