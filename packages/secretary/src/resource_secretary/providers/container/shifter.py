"""Shifter (NERSC), asked through `shifterimg`, which asks the site's image gateway."""

from __future__ import annotations

import re
from dataclasses import dataclass

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, Unreachable, secretary_tool
from resource_secretary.providers.container._container import ContainerProvider, GpuOption, Presence
from resource_secretary.run import printable
from resource_secretary.values import Name

# system, type, state, id, when, name: `systema docker READY 01f79c97b5 2018-01-21T23:26:59 test:latest`
_ROW = re.compile(r"\s*(\S+)\s+(\S+)\s+([A-Z]+)\s+([0-9a-zA-Z]+)\s+([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})\s+(\S+)\s*")
_CONFIGURATION = ("/etc/shifter/udiRoot.conf", "/opt/shifter/etc/udiRoot.conf", "/etc/opt/cray/shifter/udiRoot.conf")
READY = "READY"


@dataclass(frozen=True, slots=True)
class ShifterImage:
    """An image at the gateway. state: READY where it can be used. problem: why the entry can't be read, or ""."""

    name: str
    system: str | None = None
    type: str | None = None
    state: str | None = None
    id: str | None = None
    updated: str | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Shifter:
    """systems: those that the gateway has images for. images: how many are ready. configuration: the site's file."""

    systems: tuple[str, ...]
    images: int
    configuration: str | None


def read_images(text: str) -> list[ShifterImage]:
    """The images of `shifterimg images`, one a line."""
    found = []
    for line in text.splitlines():
        match = _ROW.fullmatch(line)
        if match:
            system, kind, state, identity, updated, name = (printable(one) for one in match.groups())
            found.append(ShifterImage(name, system, kind, state, identity, updated))
        elif line.strip():
            found.append(ShifterImage("", problem=f"can't be read: {printable(line.strip())[:100]}"))
    return found


class ShifterProvider(ContainerProvider):
    name = "shifter"
    description = "Shifter: the images that the site's gateway has ready."
    fresh_for = 60.0
    gpu_options = (GpuOption("nvidia", "--module=gpu"),)

    def probe(self) -> Active[Shifter] | Absent | Unreachable:
        if not self.system.which("shifter"):
            return Absent("the command shifter on PATH")
        answer = self.system.run("shifterimg", "images")
        if not answer.ok:
            return answer.unreachable()
        found = read_images(answer.stdout)
        readable = [one for one in found if not one.problem]
        if found and not readable:
            raise OutputError("shifterimg images", "", found[0].problem)
        systems = tuple(dict.fromkeys(one.system or "" for one in readable))
        configuration = next((path for path in _CONFIGURATION if self.system.exists(path)), None)
        return Active(Shifter(systems, sum(one.state == READY for one in readable), configuration))

    @secretary_tool
    def images(self) -> list[ShifterImage]:
        """The images that the gateway has, and whether they are ready."""
        return self._images()

    @secretary_tool
    def image(self, name: Name) -> Presence:
        """Whether the gateway has an image ready.
        name: with its tag, and its type before it if that matters: ubuntu:22.04 or docker:ubuntu:22.04."""
        found = self._images()
        for one in found:
            if name in (one.name, f"{one.type}:{one.name}") and one.state == READY:
                return Presence(name, True, one.id)
        if problem := next((one.problem for one in found if one.problem), ""):
            raise OutputError("shifterimg images", "", problem)
        return Presence(name, False)

    def _images(self) -> list[ShifterImage]:
        return read_images(self.system.run("shifterimg", "images").text())
