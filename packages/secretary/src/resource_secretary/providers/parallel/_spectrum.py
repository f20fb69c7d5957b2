"""How IBM Spectrum MPI is told from the Open MPI that it is made of: by its own library."""

from __future__ import annotations

from resource_secretary.system import System

SPECTRUM = "IBM Spectrum MPI"
_LIBRARIES = ("libmpi_ibm.so", "libmpi_ibm.so.3", "libmpi_ibm.so.2", "libmpi_ibm.so.1")


def has_own_library(system: System, root: str) -> bool:
    """Whether it is installed in this folder."""
    return any(system.exists(f"{root}/lib/{name}") for name in _LIBRARIES)
