"""Processors and memory of a host."""
