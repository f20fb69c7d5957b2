"""Implementations of MPI."""
