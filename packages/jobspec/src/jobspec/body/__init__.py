"""What happens to the body of a batch script when it goes from one batch system to another.

Launch lines get the target's launcher, variables of the source get their values from lines at the top of the script,
and everything that can't be had is reported. Nothing else of the body changes, and no line moves.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jobspec.body.find import Finding, find
from jobspec.body.work import Work
from jobspec.job import Job
from jobspec.report import Entry

__all__ = ["Rewritten", "rewrite"]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The body as the target needs it, the lines that must stand before it, and what changed."""

    text: str
    shim: tuple[str, ...] = ()
    entries: tuple[Entry, ...] = ()


def rewrite(
    body: str,
    *,
    source: str,
    target: str,
    job: Job,
    numbers: Sequence[int] | None = None,
    modules: Mapping[str, str] | None = None,
) -> Rewritten:
    """The body of a script of the system `source` as the system `target` needs it.

    body: from its first line ("#!" where it has one) on, without the directives that were obeyed. numbers: the
    number in the source of each of its lines, from 1; None where they are the same. modules: names of environment
    modules, old to new. The text keeps its number of lines. An element of an array of Flux is told its index by
    FLUX_JOB_CC.
    """
    # a jobspec of Flux runs a script as Flux does
    source, target = ("flux" if name == "flux-jobspec" else name for name in (source, target))
    if source == target and not modules:
        return Rewritten(body)
    findings: list[Finding] = find(body, source, bool(modules))
    if source == target:
        findings = [one for one in findings if one.kind == "module"]
    work = Work(body, source, target, job, numbers, modules or {})
    work.go(findings)
    return Rewritten(work.text(), tuple(work.shim), tuple(work.entries()))
