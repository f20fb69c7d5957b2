"""Grow a Flux cluster into other machines, and let them go."""

__version__ = "1.0.0a1"
