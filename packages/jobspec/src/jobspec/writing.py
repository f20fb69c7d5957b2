"""What writers share: the script in its parts, and the account of what became of each field of the job."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Protocol

from jobspec import patterns
from jobspec.body.commands import family
from jobspec.job import Job
from jobspec.profile import DEFAULT, Profile
from jobspec.renaming import RENAMED, renamed
from jobspec.report import APPROXIMATE, DROPPED, EXACT, RANK, Fate
from jobspec.systems import SYSTEMS

_EMPTY = Job()
# Not values of their own: they say how to read the others.
_ASIDE = {"system", "where"}
FIELDS = tuple(field.name for field in fields(Job) if field.name not in _ASIDE)
_MAPPED = {"queue": "queues", "account": "accounts", "qos": "qos"}


@dataclass(frozen=True, slots=True)
class Script:
    """A batch script without its directives.

    shebang: the first line, "" without one. shim: lines that give the body what it expects. body: all the rest,
    byte for byte (but for rewritten launch lines).
    """

    shebang: str
    body: str
    shim: tuple[str, ...] = ()

    def text(self, directives: Iterable[str] = ()) -> str:
        """The whole script, with directive lines behind the shebang."""
        head = [self.shebang] if self.shebang else []
        return "".join(f"{line}\n" for line in (*head, *directives, *self.shim)) + self.body

    def counting(self, variable: str, add: int, shell: str | None = None) -> Script | None:
        """The same with `add` added to a variable before any line reads it; None where no shell runs the script.

        shell: the one that the job names.
        """
        sum_of = f"{variable} {'+' if add > 0 else '-'} {abs(add)}"
        match family(self.shebang, shell):
            case "sh":
                line = f"export {variable}=$(({sum_of}))"
            case "csh":
                line = f"@ jobspec_index = ${sum_of}; setenv {variable} $jobspec_index"
            case _:
                return None
        return replace(self, shim=(line, *self.shim))


@dataclass(frozen=True, slots=True)
class File:
    """One file that is written.

    suffix: what its name ends with. head: the number of its lines behind which comments may stand; None where the
    format has no comments.
    """

    suffix: str
    text: str
    head: int | None = 0


class Saying:
    """A job that is being said in the words of a target, and what became of its fields so far.

    A field that nobody accounted for at the end is dropped: a writer says `exact`, `approximate` or `drop` for
    each that it handles; the worst that is said of one counts.
    """

    def __init__(
        self, job: Job, target: str, profile: Profile = DEFAULT, *, components: tuple[Job, ...] = (), file: str = ""
    ) -> None:
        self.job = job
        self.components = components or (job,)
        self.target = target
        self.profile = profile
        self.file = file
        self.same = job.system == target
        self.fates: dict[str, tuple[Fate, str]] = {}
        self.options: dict[str, tuple[Fate, str]] = {}
        self.remarks: list[str] = []
        if self.same and target in RENAMED and (profile.constraints or profile.nodes):
            self._rename()

    def _rename(self) -> None:
        self.job, lost = renamed(self.job, self.profile)
        self.components = tuple(renamed(one, self.profile)[0] for one in self.components)
        for field, why in lost:
            self.drop(field, why)
        self.profile = replace(self.profile, constraints={}, nodes={})

    def asked(self, field: str) -> bool:
        """Whether the job has a value for the field that is not what it would have anyhow."""
        return bool(getattr(self.job, field) != getattr(_EMPTY, field))

    def exact(self, *names: str) -> None:
        """These fields are said as they are."""
        for name in names:
            self.tell(name, EXACT, "")

    def approximate(self, field: str, why: str) -> None:
        """The field is said, differently: what differs."""
        self.tell(field, APPROXIMATE, why)

    def drop(self, field: str, why: str) -> None:
        """The field is not said: why."""
        self.tell(field, DROPPED, why)

    def carried(self, option: str) -> None:
        """This option of `Job.native` is said as it is, whatever becomes of the others."""
        self.options[option] = (EXACT, "")

    def remark(self, what: str) -> None:
        """Report something about the script as a whole that no field of the job stands for."""
        if what not in self.remarks:
            self.remarks.append(what)

    def tell(self, field: str, fate: Fate, why: str) -> None:
        """What became of a field; of several the worst counts."""
        if field not in FIELDS:
            raise KeyError(field)
        known = self.fates.get(field)
        if known is None or RANK[fate] > RANK[known[0]]:
            self.fates[field] = (fate, why)
        elif why and fate == known[0] and why not in known[1]:
            self.fates[field] = (fate, f"{known[1]}; {why}")

    def drop_all(self, reasons: Iterable[tuple[str, str]]) -> None:
        """Drop those of the fields that the job asks for."""
        for field, why in reasons:
            if self.asked(field):
                self.drop(field, why)

    def drop_native(self) -> None:
        """The options that only the source's system has."""
        if self.job.native:
            source = SYSTEMS.get(self.job.system)
            self.drop("native", f"only {source.label if source else 'its own system'} has it")

    def named(self, field: str) -> str | None:
        """A queue, account or QOS as the profile maps it; None where there is none, or the profile drops it."""
        value: str | None = getattr(self.job, field)
        if value is None:
            return {"queue": self.profile.default_queue, "account": self.profile.default_account}.get(field) or None
        mapped: str = getattr(self.profile, _MAPPED[field]).get(value, value)
        if mapped:
            self.exact(field)
        else:
            self.drop(field, "the profile drops it")
        return mapped or None

    def path(self, field: str) -> str | None:
        """A path with its patterns in the target's words."""
        value: str | None = getattr(self.job, field)
        if value is None:
            return None
        text, lost = patterns.translate(value, self.job.system, self.target, self.job.name or "", bool(self.job.array))
        if lost:
            self.approximate(field, f"{self.label} has nothing for {' '.join(lost)} in a path")
        else:
            self.exact(field)
        return text

    def renumbered(self) -> None:
        """The target counts the elements of the array in another way: names of files have its numbers."""
        for field in ("input", "output", "error"):
            value = getattr(self.job, field)
            if value and "<index>" in patterns.meaning(value, self.job.system):
                self.approximate(field, f"the numbers in the names are those of {self.label}, not the script's indexes")

    def gpu_type(self, name: str) -> str:
        """A type of GPU as the profile maps it."""
        return self.profile.gpu_types.get(name, name)

    @property
    def label(self) -> str:
        return SYSTEMS[self.target].label

    def finish(self) -> None:
        """Drop what nobody accounted for."""
        for field in FIELDS:
            if field not in self.fates and self.asked(field):
                self.drop(field, f"{self.label} has nothing like it")


class Writer(Protocol):
    """What the writing module of a system has."""

    def write(self, say: Saying, script: Script) -> list[File]:
        """The files that say the job. Raises JobspecError where it can't be said at all (what to do about it)."""
