"""A language for coordination: what jobs need, what machines have, and whether it fits.

Everything below loads when it is first used, so that `import resources` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as in typing, whose import would be most of the cost of this one
if TYPE_CHECKING:
    from typing import Any

    from resources.answer import Answer as Answer
    from resources.answer import Place as Place
    from resources.answer import Shortage as Shortage
    from resources.context import current as current
    from resources.documents import Group as Group
    from resources.documents import Inventory as Inventory
    from resources.errors import AllocationError as AllocationError
    from resources.errors import CombineError as CombineError
    from resources.errors import InfeasibleRequest as InfeasibleRequest
    from resources.errors import InputError as InputError
    from resources.errors import InsufficientResources as InsufficientResources
    from resources.errors import ResourcesError as ResourcesError
    from resources.errors import TimeLimitExceeded as TimeLimitExceeded
    from resources.errors import Unavailable as Unavailable
    from resources.errors import UnknownKind as UnknownKind
    from resources.estimator import Estimator as Estimator
    from resources.fitting import fit as fit
    from resources.kinds.cores import Cores as Cores
    from resources.kinds.disk import Disk as Disk
    from resources.kinds.gpus import Gpus as Gpus
    from resources.kinds.licenses import Licenses as Licenses
    from resources.kinds.memory import Memory as Memory
    from resources.kinds.nodes import Nodes as Nodes
    from resources.kinds.tasks import Tasks as Tasks
    from resources.kinds.threads import Threads as Threads
    from resources.kinds.token import Token as Token
    from resources.kinds.walltime import WTime as WTime
    from resources.language import Node as Node
    from resources.language import parse as parse
    from resources.pool import Allocation as Allocation
    from resources.pool import Pool as Pool
    from resources.resource import ZERO as ZERO
    from resources.resource import Resource as Resource

__version__ = "1.0.0a1"

_WHERE = {
    "resources.answer": ("Answer", "Place", "Shortage"),
    "resources.context": ("current",),
    "resources.documents": ("Group", "Inventory"),
    "resources.errors": (
        "AllocationError",
        "CombineError",
        "InfeasibleRequest",
        "InputError",
        "InsufficientResources",
        "ResourcesError",
        "TimeLimitExceeded",
        "Unavailable",
        "UnknownKind",
    ),
    "resources.estimator": ("Estimator",),
    "resources.fitting": ("fit",),
    "resources.kinds.cores": ("Cores",),
    "resources.kinds.disk": ("Disk",),
    "resources.kinds.gpus": ("Gpus",),
    "resources.kinds.licenses": ("Licenses",),
    "resources.kinds.memory": ("Memory",),
    "resources.kinds.nodes": ("Nodes",),
    "resources.kinds.tasks": ("Tasks",),
    "resources.kinds.threads": ("Threads",),
    "resources.kinds.token": ("Token",),
    "resources.kinds.walltime": ("WTime",),
    "resources.language": ("Node", "parse"),
    "resources.pool": ("Allocation", "Pool"),
    "resources.resource": ("ZERO", "Resource"),
}
_MODULE = {name: module for module, names in _WHERE.items() for name in names}
__all__ = sorted([*_MODULE, "__version__"])


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'resources' has no attribute {name!r}")
    value = getattr(import_module(_MODULE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
