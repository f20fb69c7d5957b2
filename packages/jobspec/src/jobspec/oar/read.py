"""OAR's batch scripts, read as `oarsub -S` of 2.6.1 reads them: the whole file, one option a line, no quotes.

Queues, job types and properties that only a site knows are accepted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from jobspec.errors import ScriptError
from jobspec.oar.derive import derive
from jobspec.oar.given import Given, option
from jobspec.oar.options import ADDING
from jobspec.profile import Profile
from jobspec.reading import Directive, Reading

_LOOKALIKE = re.compile(r"[# \t]{0,200}#?[ \t]{0,200}(?i:OAR)[ \t:]{0,200}-{1,2}[A-Za-z]")


@dataclass(frozen=True, slots=True)
class _Ignored:
    line: int
    text: str


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that oarsub refuses."""
    found: list[Given] = []
    ignored: list[_Ignored] = []
    last: dict[str, Given] = {}
    if "oar" in text.lower():
        for number, line in enumerate(text.split("\n"), 1):
            if line.startswith("#OAR") and (len(line) == 4 or line[4] in " \t\n\v\f\r"):
                one = option(number, line)
                if one.option not in ADDING:
                    if one.option in last:
                        last[one.option].state = "overridden"
                        last[one.option].why = f"overridden by line {number}"
                    last[one.option] = one
                found.append(one)
            elif line.lstrip().startswith("#") and _LOOKALIKE.match(line):
                ignored.append(_Ignored(number, line.strip()[:200]))
    key = last.get("e") or last.get("i")
    if key and "k" not in last:
        raise ScriptError("a job key needs -k (--use-job-key)", key.line, key.column)
    job, directives, warnings = derive(found)
    why = "oarsub reads lines that start with #OAR and a blank only"
    lines = [*directives, *(Directive(one.line, 1, one.text, "", state="ignored", why=why) for one in ignored)]
    return Reading(
        "oar",
        (job,),
        warnings=warnings,
        directives=tuple(sorted(lines, key=lambda one: (one.line, one.column))),
        obeyed=frozenset(one.line for one in found),
    )
