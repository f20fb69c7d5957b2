"""Slurm's batch scripts, read as sbatch 22.05 reads them."""

from __future__ import annotations

from dataclasses import replace

from jobspec.job import Job, Lost, Where

_FOREIGN = ("#BSUB", "#PBS")


def read(text: str) -> Job:
    """The job that a batch script asks Slurm for. Raises ScriptError, without the file's name."""
    from jobspec.slurm.arguments import read_options
    from jobspec.slurm.derive import derive
    from jobspec.slurm.lexer import check_script, header, words

    check_script(text)
    asked, last = read_options(words(text))
    job = derive(asked, last)
    if "ignore-pbs" in last:
        return job
    why = "sbatch obeys these lines too, over those of Slurm; they are not read yet"
    foreign = [
        Lost(line[:5].strip(), why, Where(number, 1)) for number, line in header(text) if line.startswith(_FOREIGN)
    ]
    return replace(job, lost=(*job.lost, *foreign[:1]))
