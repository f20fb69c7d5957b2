"""Laws say nothing of speed: a busy machine fails none of them."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fluxburst", deadline=None)
settings.load_profile("fluxburst")
