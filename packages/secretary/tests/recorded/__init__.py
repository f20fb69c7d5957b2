"""Machines made of recordings, a module each family: `MACHINES` maps a provider to one where it is active."""
