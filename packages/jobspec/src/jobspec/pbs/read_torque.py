"""Reading a script as qsub and the server of Torque read it: qsub(1B) and "Requesting Resources", Torque 4 to 6."""

from __future__ import annotations

from jobspec.pbs import common, torque
from jobspec.pbs.draft import Draft, items, read_items
from jobspec.pbs.lexer import scan
from jobspec.pbs.options import TORQUE, options
from jobspec.profile import Profile
from jobspec.reading import Reading

SYSTEM = "torque"


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that qsub or the server refuses."""
    header = scan(text, ("#PBS",))
    draft = Draft(SYSTEM)
    read_items(draft, list(items(options(header, TORQUE))), torque.HANDLERS, common.keep)
    jobs = torque.jobs(draft)
    found = sorted([*draft.directives, *header.ignored], key=lambda one: (one.line, one.column))
    return Reading(SYSTEM, jobs, (), tuple(draft.warnings), tuple(found), header.obeyed)
