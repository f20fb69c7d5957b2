"""The rewriting of one body: each finding becomes an edit, a line at the top, an entry of the report, or nothing."""

from __future__ import annotations

from jobspec.body.commands import ALIKE, COMMANDS, ONLY_NAMES, SUBMIT
from jobspec.body.find import LONGEST, Finding
from jobspec.body.launch import NotUnderstood, newlines, read
from jobspec.body.launchers import HOME, KNOWS_MPI, MPI, TARGET
from jobspec.body.providing import Providing
from jobspec.body.saying import say
from jobspec.body.shell import MOST_WORDS, Place, Word, scan, words
from jobspec.body.variables import MEANING
from jobspec.report import APPROXIMATE, DROPPED, EXACT
from jobspec.systems import SYSTEMS

_words = str.split

_MOST_COMMANDS = 1000
_STARTS_HOME = {"pbspro": "PBS_O_WORKDIR", "torque": "PBS_O_WORKDIR", "gridengine": "SGE_O_WORKDIR"}
_GO_HOME = frozenset(_words("flux slurm lsf oar cobalt hyperqueue"))
_MODULE_VERBS = frozenset(_words("load add try-load swap switch sw unload rm del remove save"))
_MPI_RANKS = {
    "rank": "${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-${PALS_RANKID:-0}}}",
    "local_rank": "${OMPI_COMM_WORLD_LOCAL_RANK:-${MPI_LOCALRANKID:-${PALS_LOCAL_RANKID:-0}}}",
}
# How a task of each launcher knows which one it is. flux run fills one node after the other, as evenly as it can.
_RANKS = {
    "flux run": {
        "rank": "$FLUX_TASK_RANK",
        "local_rank": "$FLUX_TASK_LOCAL_ID",
        "node_index": "$(((FLUX_TASK_RANK - FLUX_TASK_LOCAL_ID) * FLUX_JOB_NNODES / FLUX_JOB_SIZE))",
    },
    "srun": {"rank": "$SLURM_PROCID", "local_rank": "$SLURM_LOCALID", "node_index": "$SLURM_NODEID"},
    "mpiexec": _MPI_RANKS,
    "mpirun": _MPI_RANKS,
}

_SIZES = {
    "flux run": {"tasks": "$FLUX_JOB_SIZE", "nodes": "$FLUX_JOB_NNODES"},
    "srun": {"tasks": "$SLURM_NTASKS", "nodes": "$SLURM_NNODES"},
}


class Work(Providing):
    """Deals with all that is found in a body."""

    def go(self, findings: list[Finding]) -> None:
        """Deal with all findings."""
        if len(self.body) > LONGEST and findings:
            self._coarse(findings)
        elif findings and self._family == "other":
            self._foreign(findings)
        elif findings:
            places = scan(self.body, [one.at for one in findings])
            self._look(findings, places)
            self._provide()
            self._act(findings, places)
        if self.source != self.target:
            self._threads()
            self._start()

    # what is run

    def _act(self, findings: list[Finding], places: list[Place]) -> None:
        for one, place in zip(findings, places, strict=True):
            if place.context == "comment" or one.kind == "variable":
                continue
            if one.kind == "directive":
                if place.context in ("here", "quoted here"):
                    line = self._line(one.at)
                    self._report(one.at, line, DROPPED, "a directive of a script that this one writes is left as it is")
            elif place.context != "code":
                self._quoted(one, place)
            elif one.kind == "module":
                self._module(place)
            else:
                self._word(one, place)

    def _quoted(self, one: Finding, place: Place) -> None:
        """In a string or here-document nothing is changed; what looks like a command there is reported."""
        if one.kind == "module":
            return
        before = self._before(one.at).rpartition("/")[0 if self.body[one.at - 1 : one.at] == "/" else 2]
        follows = self.body[one.end : one.end + 1]
        begins = not before.strip() or before[-1:] in "\"'"
        if not begins or follows not in (" ", "\t", '"', "'", "\n", "", "\\"):
            return
        if place.head in ONLY_NAMES:
            return
        where = "here-document" if "here" in place.context else "string"
        self._left(one, one.at, self._line(one.at), f"it stands in a {where}", shaping=place.command)

    def _word(self, one: Finding, place: Place) -> None:
        if place.word < 0:
            return
        self._commands += place.command
        whole = place.command and self._commands <= _MOST_COMMANDS
        found = words(self.body, place.word, MOST_WORDS if whole else 1)
        if not found:
            return
        raw = found[0].raw
        value = raw.partition("=")[2] if place.command else ""
        if value.rpartition("/")[2] == one.name and "=" in raw.partition("/")[0]:
            self._left(one, place.word, raw, "it is the value of a variable")
            return
        if raw.rpartition("/")[2].strip('"') != one.name:
            return
        if one.kind == "command":
            if place.command or place.head not in ONLY_NAMES:
                self._command(one, place.word, found)
        elif whole:
            self._launch(one.name, found)
        elif place.command:
            self._left(one, place.word, self._line(place.word), f"more than {_MOST_COMMANDS} launch lines")
        elif place.head not in ONLY_NAMES:
            self._left(one, place.word, self._line(place.word), f"it is an argument of {place.head[:40] or 'a list'}")

    def _stays(self, launcher: str) -> bool:
        """The launcher means the same on the target."""
        return (launcher in MPI and TARGET[self.target] != "flux run") or self.target in HOME.get(launcher, ())

    def _left(self, one: Finding, at: int, text: str, why: str, *, shaping: bool = True) -> None:
        """Something that is not changed, though it may have to be."""
        if one.kind == "command":
            self._command(one, at, words(self.body, at) or [Word(at, at, text)], why)
        elif one.name != "flux" and not self._stays(one.name):
            self._report(at, text, DROPPED, f"not understood: {why}; left as it stands", shaping=shaping)

    def _command(self, one: Finding, at: int, found: list[Word], where: str = "") -> None:
        text = " ".join(word.raw for word in found[:12])
        if one.name == "scontrol" and not where and self._shows_hosts(found):
            self._report(at, text, EXACT, "a function at the top of the script answers it")
            return
        if self.source in ALIKE and self.target in ALIKE and one.name in COMMANDS[self.target]:
            return
        if one.name in COMMANDS[self.target]:
            self._report(at, text, APPROXIMATE, f"{one.name} of {self.target} has other options and answers")
            return
        why = f"{one.name} is a command of {self.source}" + (f"; {where}" if where else "")
        self._report(at, text, DROPPED, why, shaping=one.name in SUBMIT)

    def _launch(self, name: str, found: list[Word]) -> None:
        start, rest = found[0].start, found[1:]
        if name == "flux":
            verb = rest[0].raw if rest else ""
            if self.source != "flux":
                return
            if verb != "run":
                self._report(
                    start, self._line(start), DROPPED, "a command of Flux", shaping=verb in ("submit", "batch")
                )
                return
            name, rest = "flux run", rest[1:]
        if self.target in HOME.get(name, ()):
            return
        # ALPS belongs to some PBS clusters as well
        if name == "aprun" and self.target in ("pbspro", "torque"):
            self._report(start, self._line(start), APPROXIMATE, "aprun is on Cray systems only")
            return
        try:
            launch = read(name, rest)
            if name in MPI and TARGET[self.target] != "flux run":
                self._kept(start, launch.asked)
                return
            if (
                name == "srun"
                and "SRUN_CPUS_PER_TASK" in self._assigned
                and self._assigned["SRUN_CPUS_PER_TASK"][0] < start
            ):
                launch.asked.setdefault("cpus", '"$SRUN_CPUS_PER_TASK"')
            new, differs = say(launch, self.target, self.job, self.source)
        except NotUnderstood as problem:
            if name in MPI and TARGET[self.target] != "flux run":
                return
            self._report(
                start, self._line(start), DROPPED, f"not understood: {problem}; left as it stands", shaping=True
            )
            return
        if self._family == "csh" and "$((" in new:
            why = "not understood: a count that csh can't reckon; left as it stands"
            self._report(start, self._line(start), DROPPED, why, shaping=True)
            return
        new += self._ranks(TARGET[self.target])
        last = max((word.end for word in found if word.end <= launch.program), default=found[0].end)
        new += " \\\n" * newlines(self.body, start, found, launch.program)
        self._edits.append((start, last, new))
        self._report(start, self.body[start : launch.program], APPROXIMATE if differs else EXACT, "; ".join(differs))

    def _ranks(self, launcher: str) -> str:
        """A shell before the program that tells each task its own rank under the names that the script reads."""
        table = MEANING.get(self.source, {})
        knows = _RANKS[launcher]
        if not any(table.get(name) in knows for name in self._read):
            return ""
        # what tells it how many there are belongs to the launch as well
        knows = knows | _SIZES.get(launcher, {})
        given = [f'{name}="{knows[table[name]]}"' for name in self._read if table.get(name) in knows]
        return f' sh -c \'export {" ".join(given)}; exec "$0" "$@"\''

    def _kept(self, start: int, asked: dict[str, str]) -> None:
        """An MPI launcher where it may stay: told only where it is in doubt."""
        doubts: list[str] = []
        if "hostfile" in asked:
            doubts.append(f"it is told its hosts: {asked['hostfile']}")
        if self.target not in KNOWS_MPI and "hostfile" not in asked:
            doubts.append(f"on {self.target} it does not find the nodes of the job by itself")
        if doubts:
            self._report(start, self._line(start), APPROXIMATE, "kept; " + "; ".join(doubts))

    # modules

    def _module(self, place: Place) -> None:
        if not place.command:
            return
        found = words(self.body, place.word)
        if not found or found[0].raw not in ("module", "ml"):
            return
        rest = found[1:]
        if found[0].raw == "module":
            while rest and rest[0].raw.startswith("-"):
                rest = rest[1:]
            if not rest or rest[0].raw not in _MODULE_VERBS:
                return
            rest = rest[1:]
        for word in rest:
            sign = "-" if found[0].raw == "ml" and word.raw.startswith("-") else ""
            new = self._modules.get(word.raw.removeprefix(sign))
            if new is None:
                continue
            self._edits.append((word.start, word.end, sign + new if new else ""))
            text = self.body[found[0].start : found[-1].end]
            why = (
                f"module {word.raw} is {new} by the profile" if new else f"module {word.raw} is left out by the profile"
            )
            self._report(word.start, text, APPROXIMATE if new else DROPPED, why)

    # where nothing can be rewritten

    def _foreign(self, findings: list[Finding]) -> None:
        """A script that no shell reads: its variables can't be given, what it uses is reported."""
        seen: set[str] = set()
        for one in findings:
            before = self._before(one.at)
            if before.lstrip().startswith("#") or one.name in seen:
                continue
            if one.kind == "variable" and MEANING.get(self.target, {}).get(one.name) is None:
                seen.add(one.name)
                self._report(one.at, one.name, DROPPED, "no shell reads this script: set it before the script runs")
            elif one.kind in ("launcher", "command") and before[-1:] in ("'", '"'):
                self._left(one, one.at, self._line(one.at), "no shell reads this script")

    def _coarse(self, findings: list[Finding]) -> None:
        """A body that is too long to be read as a program."""
        size = f"the body is longer than {LONGEST >> 20} MiB and not read as a program"
        for one in findings:
            if one.kind == "variable" and one.name in MEANING.get(self.source, {}):
                self._read.setdefault(one.name, (one.at, True))
        if self._family == "other":
            for name, (at, _) in self._read.items():
                self._report(at, name, DROPPED, "no shell reads this script: set it before the script runs")
        else:
            self._provide()
        others = [one for one in findings if one.kind in ("launcher", "command", "module")]
        if others:
            text = f"{len(others)} launch lines or commands"
            self._report(others[0].at, text, DROPPED, f"{size}: nothing of it is rewritten", shaping=True)

    # where it starts

    def _start(self) -> None:
        """Jobs start in the submission directory on some systems and at home on others."""
        if self.job.workdir is not None or self._family == "other":
            return
        source, variable = SYSTEMS[self.source], _STARTS_HOME.get(self.target)
        # what has no directives is no script, and its origin is not known
        if source.origin == "submit" and source.prefixes and variable:
            line = (
                f'cd "${{{variable}:-.}}"'
                if self._family == "sh"
                else f'if ( $?{variable} ) cd "`printenv {variable}`"'
            )
            self.shim.append(line)
            self._report(
                0,
                line,
                EXACT,
                f"{SYSTEMS[self.target].label} starts a job at home, {source.label} where it was submitted",
            )
        elif source.origin == "home" and self.target in _GO_HOME:
            table = MEANING.get(self.source, {})
            if any(table.get(name) == "submit_dir" for name in self._read):
                return
            line = "cd" if self._family == "csh" else 'cd "${HOME:-.}"'
            self.shim.append(line)
            self._report(
                0,
                line,
                EXACT,
                f"{source.label} starts a job at home, {SYSTEMS[self.target].label} where it was submitted",
            )
