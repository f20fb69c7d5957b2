"""Whether the five packages that are imported are those of the wheels that were built."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from importlib import metadata
from pathlib import Path

NAMES = {  # distribution -> import
    "hpc-resources": "resources",
    "resource-secretary": "resource_secretary",
    "jobspec": "jobspec",
    "ensemble-python": "ensemble",
    "flux-burst": "fluxburst",
}


def not_from(dist: Path) -> list[str]:
    """A line on each that is not installed from its wheel in this folder; PEP 610 says what it was installed from."""
    return [line for name in NAMES if (line := _differs(name, dist))]


def _differs(name: str, dist: Path) -> str:
    wheels = list(dist.glob(f"{name.replace('-', '_')}-*.whl"))
    if len(wheels) != 1:
        return f"{dist} has {len(wheels)} wheels of {name}: run the session `build`"
    try:
        found = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return f"{name} is not installed"
    origin = json.loads(found.read_text("direct_url.json") or "{}")
    wanted = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    if origin.get("archive_info", {}).get("hashes", {}).get("sha256") != wanted:
        return f"{name} is not installed from {wheels[0].name}: {origin.get('url', 'it came from an index')}"
    module = importlib.util.find_spec(NAMES[name])
    place = module.origin if module and module.origin else "nowhere"
    return "" if Path(place).is_relative_to(sys.prefix) else f"{name} is imported from {place}"
