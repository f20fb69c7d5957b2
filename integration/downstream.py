"""Install a package's wheel into this environment as its users may have it: `downstream.py PACKAGE VERSIONS MORE...`.

oldest: with the oldest hpc-resources and the least versions of all else that it declares, extras too. newest: with the
hpc-resources of this tree and the newest of all else. MORE: what its tests need besides. Needs `uv` on PATH.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
NAME, FOLDER = "hpc-resources", "packages/resources"
# Of the commits of hpc-resources, the oldest that does: what the tests of the others expect of Ctrl-C, of paths that
# may not be used and of UTF-16, it has since then.
COMMIT = "6819d5b524eea8e071f1a0e9b619168955dffbed"
FLUX = "flux"  # an extra whose version is that of the Flux on the machine


def project(package: Path) -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return table


def extras(package: Path) -> list[str]:
    return [name for name in project(package).get("optional-dependencies", {}) if name != FLUX]


def declared(package: Path) -> Iterator[Requirement]:
    """What a package asks for, with its extras but that for Flux."""
    table = project(package)
    for text in [*table["dependencies"], *(one for name in extras(package) for one in _extra(table, name))]:
        yield Requirement(text)


def _extra(table: dict[str, Any], name: str) -> list[str]:
    return list(table["optional-dependencies"][name])


def bound(package: Path) -> str:
    """The least version of hpc-resources that a package takes; "" for hpc-resources itself."""
    for requirement in declared(package):
        if canonicalize_name(requirement.name) == NAME:
            return next(part.version for part in requirement.specifier if part.operator == ">=")
    return ""


def source(root: Path, version: str, commit: str = COMMIT) -> tuple[str, str]:
    """Which hpc-resources is the oldest: a revision of git ("" for the files as they are), and words for it.

    It is the tagged one of the least version that is declared. While there is no such tag it is that of the commit.
    """
    tag = f"{NAME}-v{version}"
    if _has(root, f"refs/tags/{tag}"):
        return tag, f"{version}, as tagged"
    if _has(root, commit):
        return commit, f"that of commit {commit[:12]}, as there is no tag {tag} yet"
    return "", f"that of this tree, as git has neither the tag {tag} nor the commit {commit[:12]} here"


def _has(root: Path, revision: str) -> bool:
    asked = ["git", "-C", str(root), "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"]
    try:
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def files(root: Path, revision: str, folder: Path) -> Path:
    """hpc-resources' folder as it was at a revision, below `folder`; that of the tree for ""."""
    if not revision:
        return root / FOLDER
    packed = subprocess.run(["git", "-C", str(root), "archive", revision, FOLDER], check=True, capture_output=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=packed.stdout, check=True)
    return folder / FOLDER


def uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], check=True)


def wheel(folder: Path, into: Path) -> str:
    """Build a package's wheel and give its address."""
    uv("build", "--quiet", "--wheel", "--out-dir", str(into), str(folder))
    return next(into.glob("*.whl")).as_uri()


def install(package: Path, oldest: bool, more: list[str], work: Path) -> None:
    own = Requirement(project(package)["name"])
    wanted = [f"{own.name}[{','.join(extras(package))}] @ {wheel(package, work / 'own')}", *more]
    version = bound(package)
    if version:
        revision, words = source(ROOT, version) if oldest else ("", "that of this tree")
        print(f"{own.name} against hpc-resources: {words}", file=sys.stderr)
        wanted.append(f"{NAME} @ {wheel(files(ROOT, revision, work), work / 'resources')}")
    chosen = ["--upgrade"]
    if oldest:
        least, asked = work / "least.txt", work / "asked.txt"
        asked.write_text("".join(f"{one}\n" for one in declared(package) if canonicalize_name(one.name) != NAME))
        uv("pip", "compile", "--quiet", "--resolution=lowest-direct", "--output-file", str(least), str(asked))
        chosen = ["--constraints", str(least)]
    again = [f"--reinstall-package={name}" for name in (NAME, own.name)]
    uv("pip", "install", "--quiet", "--strict", *chosen, *again, *wanted)
    uv("pip", "list")


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[2] not in ("oldest", "newest"):
        print("usage: downstream.py PACKAGE oldest|newest MORE...", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="downstream-") as work:
        install(ROOT / "packages" / sys.argv[1], sys.argv[2] == "oldest", sys.argv[3:], Path(work))
    return 0


if __name__ == "__main__":
    sys.exit(main())
