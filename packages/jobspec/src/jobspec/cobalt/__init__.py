"""Cobalt: `#COBALT`."""
