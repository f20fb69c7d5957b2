"""The Python packages of the interpreter that runs this, by importlib.metadata: a `pip` of PATH may be another's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.providers.software._common import Presence, presence
from resource_secretary.values import Name


@dataclass(frozen=True, slots=True)
class Pip:
    """The interpreter. virtual_environment: its folder, None outside of one."""

    python: str
    implementation: str
    executable: str
    prefix: str
    virtual_environment: str | None


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """Twice under one name where an older one is hidden by one that comes first on the import path."""

    name: str
    version: str


class PipProvider(BaseProvider):
    category = "software"
    name = "pip"
    description = "Python packages of the interpreter that runs this: which are there, and in which version."

    def probe(self) -> Active[Pip] | Absent:
        python = self.system.python()
        if python is None:
            return Absent("the interpreter that runs this")
        # The packages are not counted here: reading the metadata of hundreds takes a tenth of a second.
        environment = python.prefix if python.prefix != python.base_prefix else None
        return Active(Pip(python.version, python.implementation, python.executable, python.prefix, environment))

    @secretary_tool
    def packages(self) -> list[PythonPackage]:
        """The Python packages that the running interpreter can import, by name."""
        return [PythonPackage(*pair) for pair in self.system.distributions()]

    @secretary_tool
    def find(self, name: Name) -> Presence:
        """Is a Python package there, and in which version?
        name: the package's name, as on PyPI; `-`, `_` and `.` are the same. `name==version` asks for a version."""
        wanted, _, version = name.partition("==")
        asked = _normal(wanted) + (f"=={version}" if version else "")
        found = presence(asked, ((_normal(one), text) for one, text in self.system.distributions()), ("==",))
        return Presence(name, found.there, found.versions, found.similar)


def _normal(name: str) -> str:
    """PEP 503, "Normalized Names"."""
    return re.sub(r"[-_.]+", "-", name).lower()
