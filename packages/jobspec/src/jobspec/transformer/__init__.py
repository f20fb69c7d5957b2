"""Transformers: one module for each, with a class `Transformer`; installed modules named `jobspec_*` add more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from resources.errors import ResourcesError
from resources.plugins import Registry

from jobspec.errors import JobspecError, TransformerUnavailable
from jobspec.transformer._base import TransformerBase

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["TRANSFORMERS", "TransformerBase", "choose", "guarded", "make"]


def _read(module: ModuleType) -> type[TransformerBase]:
    found = getattr(module, "Transformer", None)
    if not (isinstance(found, type) and issubclass(found, TransformerBase)):
        raise TypeError("it has no class Transformer made from jobspec.transformer.TransformerBase")
    if not found.name or not found.description:
        raise TypeError("its Transformer has no name or no description")
    return found


TRANSFORMERS: Registry[type[TransformerBase]] = Registry("jobspec_", _read, builtins=("jobspec.transformer",))


def make(name: str) -> TransformerBase:
    """The transformer of that name. Raises a PluginError, or TransformerUnavailable where it can't be made."""
    kind = TRANSFORMERS.load(name)
    with guarded(kind):
        return kind()


def choose() -> tuple[TransformerBase, str]:
    """Flux where an instance is reachable, else local; and why it is not Flux ("" where it is)."""
    flux = make("flux")
    with guarded(flux):
        reason = flux.why_not()
    return (make("local"), reason) if reason else (flux, "")


@contextmanager
def guarded(transformer: TransformerBase | type[TransformerBase]) -> Iterator[None]:
    """Name the transformer in what a stranger's code raises, instead of letting it look like a bug of ours."""
    kind = transformer if isinstance(transformer, type) else type(transformer)
    try:
        yield
    except (JobspecError, ResourcesError, BrokenPipeError, MemoryError):
        raise
    except Exception as error:
        if kind.__module__.startswith("jobspec."):
            raise
        why = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise TransformerUnavailable(f"the transformer {kind.name} ({kind.__module__}) has failed: {why}") from error
