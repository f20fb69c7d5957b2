"""Reading a script as Moab's msub reads it: its `#MSUB` lines, and `#PBS` lines too.

Moab Workload Manager, "msub" and "Resource Manager Extensions": the options are those of Torque's qsub.
"""

from __future__ import annotations

from jobspec.pbs import common, torque
from jobspec.pbs.draft import Draft, items, read_items
from jobspec.pbs.lexer import scan
from jobspec.pbs.options import MOAB, options
from jobspec.profile import Profile
from jobspec.reading import Reading

SYSTEM = "moab"


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that msub refuses."""
    header = scan(text, ("#MSUB", "#PBS"))
    draft = Draft(SYSTEM)
    read_items(draft, list(items(options(header, MOAB, "msub"))), torque.MOAB_HANDLERS, common.keep)
    jobs = torque.jobs(draft)
    found = sorted([*draft.directives, *header.ignored], key=lambda one: (one.line, one.column))
    return Reading(SYSTEM, jobs, (), tuple(draft.warnings), tuple(found), header.obeyed)
