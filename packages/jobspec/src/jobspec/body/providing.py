"""The variables of a body: which it reads, which it sets itself, and what is done about them."""

from __future__ import annotations

import re

from jobspec.body.find import Finding
from jobspec.body.notes import Notes
from jobspec.body.shell import Place, Word
from jobspec.body.shim import provide, show_hostnames
from jobspec.body.variables import MEANING, STEERING
from jobspec.report import APPROXIMATE, DROPPED, EXACT
from jobspec.systems import SYSTEMS

_words = str.split
_ASKS = re.compile(r"(?:environ(?:\.get)?[\[(]|getenv\(|ENV(?:IRON)?[\[{]|printenv )\s?\\?[\"']?\Z")
_SET_BY = frozenset(_words("setenv set for foreach read"))
_SHOWS = frozenset({"hostname", "hostnames"})
_UNSET = frozenset(_words("unset unsetenv"))


class Providing(Notes):
    """Deals with variables."""

    def _look(self, findings: list[Finding], places: list[Place]) -> None:
        """Which variables the script reads, and which it sets itself."""
        for one, place in zip(findings, places, strict=True):
            if one.kind != "variable" or place.context == "comment":
                continue
            use = self._use(one, place)
            if use == "assigned":
                sure = self._before(one.at) in ("", "export ", "setenv ", "declare -x ", "typeset -x ")
                self._assigned.setdefault(one.name, (one.at, sure))
            elif use == "listed":
                why = f"it lists the variables of {self.source} by their first letters"
                self._report(one.at, f"${{!{one.name}", APPROXIMATE, why)
            elif use:
                doubt = place.context in ("single", "quoted here")
                self._read.setdefault(one.name, (one.at, doubt))

    def _use(self, one: Finding, place: Place) -> str:
        """How a name is used: "read", "assigned", "listed", or "" where it is but mentioned."""
        before, after = self.body[max(0, one.at - 24) : one.at], self.body[one.end : one.end + 2]
        if before.endswith(("$", "${", "${#", "$?", "${!", "${=", "${+")):
            return "listed" if before.endswith("${!") and after[:1] in ("@", "*") and after[:1] else "read"
        if place.context != "code":
            return "read" if _ASKS.search(before) else ""
        starts = place.word == one.at
        if starts and (after.startswith("=") or after == "+="):
            return "assigned"
        if starts and place.head in _SET_BY and not place.command:
            return "assigned"
        if place.head in _UNSET:
            return ""
        return "read" if one.name in MEANING.get(self.source, {}) and not place.command else ""

    def _provide(self) -> None:
        """A line at the top for each variable that is read, and an entry; an entry alone where there is none."""
        table, there = MEANING.get(self.source, {}), MEANING.get(self.target, {})
        for name, (at, doubt) in self._read.items():
            assigned, sure = self._assigned.get(name, (-1, False))
            before = 0 <= assigned < at and self._row(assigned) < self._row(at)
            if before and sure:
                continue
            meaning = table.get(name)
            if meaning is not None and there.get(name) == meaning:
                continue
            if meaning is None:
                if not before:
                    self._report(at, name, DROPPED, f"no variable that {SYSTEMS[self.source].label} sets by its manual")
                continue
            given = provide(name, meaning, self.target, self.source, self.job, self._family)
            self.shim += given.lines
            if given.fate == DROPPED and before:
                self._report(at, name, APPROXIMATE, "only the script itself sets it, where it does")
                continue
            why = "; ".join(filter(None, (given.why, "it stands in quotes: who reads it there is not known" * doubt)))
            self._report(at, name, APPROXIMATE if doubt and given.fate == EXACT else given.fate, why)
        for name, (at, _) in self._assigned.items():
            if name in STEERING and self.source == "slurm" and name != "SRUN_CPUS_PER_TASK":
                self._report(at, name, DROPPED, "it steers srun; nothing else reads it")

    def _shows_hosts(self, found: list[Word]) -> bool:
        """Whether it is `scontrol show hostnames`, and can be answered: the function is then at the top."""
        if self._family != "sh" or [word.raw for word in found[:2]] != ["scontrol", "show"]:
            return False
        if len(found) < 3 or found[2].raw not in _SHOWS:
            return False
        lines = show_hostnames(self.target)
        if lines and lines[0] not in self.shim:
            self.shim += lines
        return bool(lines)

    def _threads(self) -> None:
        """PBS Pro gives each job the threads of its chunks (qsub(1B), "ompthreads")."""
        threads = next((one.value for one in self.job.native if (one.value or "").startswith("ompthreads=")), None)
        if self.source != "pbspro" or not threads:
            return
        count = threads.partition("=")[2]
        line = f"setenv OMP_NUM_THREADS {count}" if self._family == "csh" else f"export OMP_NUM_THREADS={count}"
        if self._family == "other":
            self._report(0, threads, DROPPED, "no shell reads this script: set OMP_NUM_THREADS before it runs")
            return
        self.shim.append(line)
        self._report(0, line, EXACT, "PBS Pro sets it by ompthreads")
