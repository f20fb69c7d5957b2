"""Rules that drive jobs on any queue."""

__version__ = "1.0.0a1"
