"""What ensemble files can say of LAMMPS: readers of its log, and rules that stop a run once it has settled.

https://docs.lammps.org/thermo_style.html and Run_output.html have the format of the log.
"""

from __future__ import annotations

from ensemble_lammps.log import READERS
from ensemble_lammps.rules import RULES

__all__ = ["READERS", "RULES"]
