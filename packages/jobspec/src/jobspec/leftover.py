"""Stages that a run left for jobs that were still running: a later run removes them when these have ended.

The run leaves a note in the stage that says which jobs of which instance may need it. A note is looked at
at most twice a minute, by one process at a time.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import tempfile
import time
from pathlib import Path
from typing import Any

from jobspec.errors import StepFailed
from jobspec.stage import OWN, PREFIX, Stage
from jobspec.transformer import TransformerBase

NOTE = f"{OWN}left.json"
PAUSE = 30.0  # seconds between two looks at one stage
MOST = 10  # stages that one run looks at


def leave_note(stage: Stage, transformer: TransformerBase, jobs: list[str]) -> None:
    """Say in a temporary stage which jobs may need it; where nobody can be asked later, it says nothing and stays."""
    if where := transformer.where():
        note = {"transformer": transformer.name, "where": where, "jobs": jobs, "spread": transformer.spread}
        stage.write(NOTE, json.dumps(note).encode(), executable=False)


def remove_leftovers(transformer: TransformerBase) -> None:
    """Remove the stages of earlier runs with this transformer whose jobs have all ended."""
    if not transformer.where():
        return
    looked = 0
    try:
        notes = list(Path(transformer.stages() or tempfile.gettempdir()).glob(f"{PREFIX}*/{NOTE}"))
    except OSError:
        return
    for note in notes:
        if looked == MOST:
            return
        try:
            looked += _look(note, transformer)
        except (OSError, ValueError, StepFailed):
            continue  # somebody else's, gone by now, or nobody to ask: it is none of this run's business


def _look(note: Path, transformer: TransformerBase) -> bool:
    """Whether the note was due; its stage is removed where the jobs have ended."""
    folder = note.parent.lstat()
    if not stat.S_ISDIR(folder.st_mode) or folder.st_uid != os.getuid() or folder.st_mode & 0o077:
        return False
    number = os.open(note, os.O_RDWR | os.O_NOFOLLOW)
    with os.fdopen(number, "r") as file:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(number)
        if not found.st_nlink or time.time() - found.st_mtime < PAUSE:
            return False
        said: Any = json.loads(file.read(1_000_000))
        if not isinstance(said, dict) or said.get("transformer") != transformer.name:
            return False
        os.utime(number)
        if transformer.ended(str(said.get("where")), [str(job) for job in said.get("jobs", [])]):
            if said.get("spread"):
                transformer.clear(str(note.parent))
            shutil.rmtree(note.parent, ignore_errors=True)
    return True
