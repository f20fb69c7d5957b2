"""Check that a release tag, the version and the changelog of one package agree: `release.py TAG`.

A tag is DISTRIBUTION-vVERSION, for example `jobspec-v1.2.0`. Prints the package's folder. Exits 1
with one line where no package has that name and version, where its changelog has no dated heading
`## VERSION (YYYY-MM-DD)` at the top, and where no hpc-resources with a tag is what it asks for.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
OWNED = "hpc-resources"  # the only package of this tree that the others may ask for


class NotReleasable(Exception):
    """Tag, version, changelog and what is asked for do not agree."""


def version_of(package: Path) -> tuple[str, str]:
    """The distribution's name and its version, as they are in the tree."""
    settings = tomllib.loads((package / "pyproject.toml").read_text())
    source = package / settings["tool"]["hatch"]["version"]["path"]
    version = re.search(r'^__version__ = "([^"]+)"$', source.read_text(), re.MULTILINE)
    if not version:
        raise NotReleasable(f"{source} has no __version__")
    return settings["project"]["name"], version[1]


def tagged(root: Path) -> list[Version]:
    """The versions of hpc-resources that have a tag; none where there is no git."""
    asked = ["git", "-C", str(root), "tag", "--list", f"{OWNED}-v*"]
    try:
        said = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return []
    return [version for tag in said.split() if (version := _version(tag.removeprefix(f"{OWNED}-v")))]


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def check_need(package: Path, released: list[Version]) -> None:
    """What a package asks of hpc-resources can be had: one of these versions is it. Raises NotReleasable."""
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    for need in map(Requirement, project.get("dependencies", ())):
        if canonicalize_name(need.name) == OWNED and not any(need.specifier.filter(released, prereleases=True)):
            there = ", ".join(map(str, sorted(released))) or "none"
            raise NotReleasable(f"{project['name']} asks for {need}, and of its versions with a tag there is {there}")


def check(tag: str, packages: Path) -> Path:
    """The folder of the package that this tag releases. Raises NotReleasable."""
    tags = {}
    for settings in sorted(packages.glob("*/pyproject.toml")):
        name, version = version_of(settings.parent)
        tags[f"{name}-v{version}"] = (settings.parent, version)
    if tag not in tags:
        raise NotReleasable(f"no package has the tag {tag!r}; as they are now: {', '.join(tags)}")
    folder, version = tags[tag]
    heading = re.search(r"^## .*$", (folder / "CHANGELOG.md").read_text(), re.MULTILINE)
    said = heading[0] if heading else ""
    if not re.fullmatch(rf"## {re.escape(version)} \(\d{{4}}-\d{{2}}-\d{{2}}\)", said):
        raise NotReleasable(f"the changelog begins with {said!r}, not with '## {version} (YYYY-MM-DD)'")
    check_need(folder, tagged(packages.parent))
    return folder


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: release.py TAG", file=sys.stderr)
        return 2
    try:
        print(check(sys.argv[1], ROOT / "packages").relative_to(ROOT))
    except NotReleasable as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
