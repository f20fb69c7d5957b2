"""Slurm: its batch scripts, read and written."""
