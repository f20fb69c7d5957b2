"""Slurm's batch scripts, read as sbatch 22.05 reads them."""

from __future__ import annotations

from jobspec.profile import Profile
from jobspec.reading import Directive, Reading
from jobspec.slurm.arguments import read_options
from jobspec.slurm.derive import HELD_IN, derive
from jobspec.slurm.lexer import PREFIXES, check_script, header, words


def read(text: str, profile: Profile) -> Reading:
    """The reading of a script. Raises ScriptError for the first thing that sbatch or slurmctld refuses."""
    check_script(text)
    asked, last = read_options(words(text))
    directives = tuple(
        Directive(
            given.where.line,
            given.where.column,
            f"--{given.option.name}={given.value}" if given.value else f"--{given.option.name}",
            given.option.name,
            (HELD_IN.get(given.option.field, given.option.field),) if given.option.field else (),
        )
        for given in last.values()
    )
    obeyed = frozenset(number for number, line in header(text) if line.startswith(PREFIXES))
    return Reading("slurm", (derive(asked, last),), directives=directives, obeyed=obeyed)
