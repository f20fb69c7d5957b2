"""Say a job to any cluster, and say what was lost in saying it."""

__version__ = "1.0.0a1"
