"""Find out what a machine or cluster has, and give it to people and agents as tools."""

from __future__ import annotations

TYPE_CHECKING = False  # as in typing, whose import would be most of the cost of this one
if TYPE_CHECKING:
    from resource_secretary.secretary import Secretary

__version__ = "1.0.0a1"
__all__ = ["Secretary", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Secretary":
        from resource_secretary.secretary import Secretary

        return Secretary
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
