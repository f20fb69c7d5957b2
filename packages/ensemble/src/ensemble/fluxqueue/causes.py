"""What Flux's exceptions mean, in the types of `ensemble.events.CAUSES`.

Types: RFC 21 ("Exception Event") names cancel, timeout, alloc, exec, depend and others as examples and leaves the set
open; notes are those of flux-core's job-exec, job manager and shell (flux-core 0.88).
"""

from __future__ import annotations

import re

# Type of Flux, pattern of the note (found anywhere), type of ensemble. The first that fits counts.
TABLE: tuple[tuple[str, str, str], ...] = (
    ("cancel", "", "cancel"),
    ("timeout", "", "timeout"),
    ("preempt(ed|ion)?", "", "preempted"),
    ("exec", r"^node failure on ", "node-lost"),
    ("exec", r"^lost contact wit", "node-lost"),  # with the job's shells
    ("exec", r"\b(No route to host|Connection (reset|refused|timed out))\b", "node-lost"),
    ("exec", r"^job shell exec error", "boot"),  # the shell itself could not be started on a node
    ("exec", r"\b([Oo]ut of memory|oom)\b", "memory"),
    ("exec", "", "exec"),
    ("node-fail(ure|ed)?", "", "node-lost"),
    ("(alloc|resource)", r"scheduler-restart|scheduler restart", "node-lost"),
    ("scheduler-restart", "", "node-lost"),  # its resources are not there any more after the scheduler came back
    ("alloc", "", "alloc"),
    ("feasibility", "", "alloc"),
    ("depend(ency)?", "", "dependency"),
    ("(submit|validate|invalidate|frobnicate|jobspec-update|alloc-check)", "", "submit"),
    ("(prolog|epilog|job-prolog|job-epilog|perilog)", "", "boot"),
)
_COMPILED = tuple((re.compile(kind), re.compile(note), meant) for kind, note, meant in TABLE)

# Flux lets go of the resources of a job at the end of its own limit and at that of the instance with one type and note.
EXPIRED = "timeout"
# Refusals of a submission that end with time or with other jobs, by their text (job manager, flux-accounting).
LATER = re.compile(
    r"submission is disabled|max(imum)? (number of )?.*jobs|job limit|too many (active |pending )?jobs", re.IGNORECASE
)


def meant(kind: str, note: str) -> str:
    """The type of `ensemble.events.CAUSES` for an exception of Flux; what Flux alone knows stays as it is."""
    for kinds, notes, ours in _COMPILED:
        if kinds.fullmatch(kind) and notes.search(note):
            return ours
    return kind


def expired(ran: float, limit: int) -> str:
    """A `timeout` after `ran` seconds: the job's own limit, or the end of the allocation (limit 0: it had none)."""
    # Flux checks and tells within moments of the end; less than the limit was the instance's end, not the job's.
    return "timeout" if limit and ran >= limit - max(0.5, 0.01 * limit) else "allocation-end"
