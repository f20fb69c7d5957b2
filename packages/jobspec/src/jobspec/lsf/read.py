"""LSF's job scripts, read as bsub of IBM Spectrum LSF 10.1 reads them (`bsub < script`, `bsub script`)."""

from __future__ import annotations

from jobspec.lsf.derive import derive
from jobspec.lsf.held import Held
from jobspec.lsf.lexer import check_script, directives, given
from jobspec.lsf.parts import Part, Parts, collect
from jobspec.profile import Profile
from jobspec.reading import Problem, Reading


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that bsub refuses."""
    check_script(text)
    parts = Parts()
    obeyed: set[int] = set()
    warnings: list[Problem] = []
    for line in directives(text):
        if line.why:
            shown = line.text.strip()
            column = len(line.text) - len(line.text.lstrip()) + 1
            parts.all.append(Part(line.number, column, shown, "", state="ignored", why=line.why))
            warnings.append(Problem(line.number, column, line.why))
            continue
        obeyed.update(range(line.number, line.last + 1))
        for one in given(line, profile):
            collect(one, parts)
    held = Held(parts, profile)
    job = derive(held)
    return Reading(
        "lsf",
        (job,),
        warnings=(*warnings, *held.warnings),
        directives=tuple(part.directive() for part in parts.all),
        obeyed=frozenset(obeyed),
    )
