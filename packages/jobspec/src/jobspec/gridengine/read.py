"""Grid Engine's batch scripts, read as qsub 8.1.9 reads them and as its qmaster accepts them.

Queues, projects, parallel environments and resources that only a site knows are accepted.
"""

from __future__ import annotations

from jobspec.gridengine.arguments import given
from jobspec.gridengine.derive import derive
from jobspec.gridengine.lexer import lookalikes
from jobspec.profile import Profile
from jobspec.reading import Directive, Problem, Reading


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that qsub or qmaster refuses."""
    notes: list[tuple[int, int, str]] = []
    found = given(text, notes)
    job = derive(found, profile, notes)
    directives = [
        Directive(one.line, one.column, one.text, one.option, one.fields, one.state, one.why) for one in found
    ]
    ignored = [
        Directive(number, 1, line.strip()[:200], "", state="ignored", why="qsub reads lines that start with #$ only")
        for number, line in lookalikes(text)
    ]
    if ignored:
        directives = sorted([*directives, *ignored], key=lambda one: (one.line, one.column))
    return Reading(
        "gridengine",
        (job,),
        warnings=tuple(Problem(*note) for note in sorted(notes)),
        directives=tuple(directives),
        obeyed=frozenset(one.line for one in found),
    )
