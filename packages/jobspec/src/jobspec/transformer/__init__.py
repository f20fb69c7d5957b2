"""Transformers: one module for each, with a class `Transformer`; installed modules named `jobspec_*` add more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from resources.plugins import Registry

from jobspec.transformer._base import TransformerBase

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["TRANSFORMERS", "TransformerBase", "choose"]


def _read(module: ModuleType) -> type[TransformerBase]:
    found = getattr(module, "Transformer", None)
    if not (isinstance(found, type) and issubclass(found, TransformerBase)):
        raise TypeError("it has no class Transformer made from jobspec.transformer.TransformerBase")
    if not found.name or not found.description:
        raise TypeError("its Transformer has no name or no description")
    return found


TRANSFORMERS: Registry[type[TransformerBase]] = Registry("jobspec_", _read, builtins=("jobspec.transformer",))


def choose() -> tuple[TransformerBase, str]:
    """Flux where an instance is reachable, else local; and why it is not Flux ("" where it is)."""
    flux = TRANSFORMERS.load("flux")()
    reason = flux.why_not()
    return (TRANSFORMERS.load("local")(), reason) if reason else (flux, "")
