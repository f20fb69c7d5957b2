"""What a provider is: a class that says what it detects, detects it, and has tools."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from resource_secretary.system import System

if TYPE_CHECKING:
    from resources.documents import Inventory
    from resources.resource import Resource

    from resource_secretary.asking import Depth
    from resource_secretary.result import Probe
    from resource_secretary.tools import Tool


class BaseProvider(ABC):
    """Base of all providers. A module is a provider's if it defines a subclass of this one.

    category: the kind of thing that it detects, one lower-case word: workload, software, container, storage,
        network, hardware, parallel. name: what users type. description: one sentence.
    fresh_for: seconds for which what a probe found may be told again without probing; 0 where it only reads files and
        so costs nothing. A server may go at any time: a minute. A version of something installed: an hour.
    variables: the environment variables besides PATH that decide what is found, such as SLURM_CONF.
    system: the machine; a provider reads files and runs commands through it and through nothing else, so that its
        deadline holds and a recorded machine can stand in for the real one.

    A tool may be called where a probe was made in another process, so a probe leaves nothing behind in the object.
    """

    category: ClassVar[str]
    name: ClassVar[str]
    description: ClassVar[str]
    fresh_for: ClassVar[float] = 0.0
    variables: ClassVar[tuple[str, ...]] = ()

    def __init__(self, system: System | None = None) -> None:
        self.system = system or System()

    @abstractmethod
    def probe(self) -> Probe:
        """Active with its metadata; Absent with what was looked for; Unreachable with what it said."""

    @classmethod
    def tools(cls) -> tuple[Tool, ...]:
        """Its tools: the methods that `@secretary_tool` and `@dispatch_tool` mark."""
        from resource_secretary.tools import tools_of

        return tools_of(cls)


class Offering(BaseProvider):
    """A provider that can say what a cluster has and what of it is free."""

    @abstractmethod
    def inventory(self) -> Inventory:
        """Every node of it. Raises CommandFailed or OutputError where the manager doesn't answer so."""

    def depth(self) -> Depth | None:
        """Its queue; None where it does not tell. Raises as `inventory` does."""
        return None

    def estimated_start(self, need: Resource) -> float | None:
        """When a job of this request would start, in seconds since the epoch; None where the manager does not tell."""
        return None
