"""A language for what jobs need and what machines have: requests, inventories, pools."""

__version__ = "1.0.0a1"
