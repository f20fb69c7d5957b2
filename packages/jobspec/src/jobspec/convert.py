"""From a file of one system to files of another, with the report of what became of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from jobspec.body import rewrite
from jobspec.job import SHAPING, Job
from jobspec.merge import merged
from jobspec.profile import DEFAULT, Profile
from jobspec.reading import Directive, Problem, Reading
from jobspec.report import APPROXIMATE, DROPPED, EXACT, IGNORED, RANK, Entry, Fate, printable
from jobspec.systems import SYSTEMS, writer
from jobspec.templates import FILL_IN
from jobspec.writing import File, Saying, Script

# What is told of a field that no directive asked for stands with those that it follows from, the nearest first.
_FOLLOWS = {
    "nodes": ("tasks_per_node", "tasks", "hosts", "gpus"),
    "tasks": ("tasks_per_node", "nodes", "cpus_per_task"),
    "tasks_per_node": ("tasks", "nodes"),
    "cpus_per_task": ("tasks", "tasks_per_node", "memory", "nodes"),
    "threads_per_core": ("cpus_per_task", "placement"),
    "exclusive": ("nodes", "placement"),
    "error": ("join", "output"),
    "join": ("output", "error"),
    "open_mode": ("output", "error"),
}
# What readers keep beside the fields that say it, so that the same system can be told again.
_BESIDE = frozenset(("native", "placement"))
_HETEROGENEOUS = "the components of a heterogeneous job become one job that is large enough for all of them"


@dataclass(frozen=True, slots=True)
class Conversion:
    """The files in the target's words, and the report in the order of the source."""

    files: tuple[File, ...]
    entries: tuple[Entry, ...]

    def lost(self) -> list[Entry]:
        """What `--strict` refuses: dropped, and it asks for resources, time, order or identity."""
        return [entry for entry in self.entries if entry.fate == DROPPED and entry.shaping]


def convert(
    text: str, reading: Reading, target: str, profile: Profile = DEFAULT, *, file: str = "", annotate: bool = False
) -> Conversion:
    """Say an accepted reading of `text` in the words of the system `target` (its name in `SYSTEMS`).

    file: the source's name, for jobs that are named after their script. Raises JobspecError where the target
    can't say the job at all.
    """
    if len(reading.jobs) > 1 and SYSTEMS[target].heterogeneous:
        job, approximate = reading.jobs[0], list[str]()
    else:
        job, approximate = merged(reading.jobs)
    if SYSTEMS[reading.system].joins and not SYSTEMS[target].joins and job.output and not job.error:
        job = replace(job, join=True)  # the output's file has the errors too, without a word
    say = Saying(job, target, profile, components=reading.jobs, file=file)
    for field in approximate:
        say.approximate(field, _HETEROGENEOUS)
    script, changes = _script(text, reading, job, target, profile)
    files = writer(target).write(say, script)
    say.finish()
    remarks = [Entry(1, 1, "the script", APPROXIMATE, remark, "body") for remark in say.remarks]
    remarks += _unasked(reading, say)
    entries = [*remarks, *_entries(reading, say), *changes]
    entries.sort(key=lambda entry: (entry.line, entry.column))
    if annotate:
        files = [_annotated(one, entries) for one in files]
    return Conversion(tuple(files), tuple(entries))


def _script(text: str, reading: Reading, job: Job, target: str, profile: Profile) -> tuple[Script, list[Entry]]:
    """The script without its directives, as it must be to run under the target, and what changed in it."""
    if reading.script is not None:
        kept, numbers = reading.script, None
    elif reading.obeyed:
        numbered = [(n, line) for n, line in enumerate(text.split("\n"), 1) if n not in reading.obeyed]
        kept, numbers = "\n".join(line for _, line in numbered), [n for n, _ in numbered]
    else:
        kept, numbers = text, None
    rewritten = rewrite(kept, source=reading.system, target=target, job=job, numbers=numbers, modules=profile.modules)
    body, guarded = rewritten.text, list[Entry]()
    if target != reading.system:
        body, guarded = _guard(body, target, numbers)
    shebang, rest = "", body
    if body.startswith("#!"):
        shebang, _, rest = body.partition("\n")
    return Script(shebang, rest, rewritten.shim), [*rewritten.entries, *guarded]


def _guard(body: str, target: str, numbers: Sequence[int] | None) -> tuple[str, list[Entry]]:
    """Take the force from lines that only the target would take for directives."""
    prefixes = SYSTEMS[target].prefixes
    if not any(prefix in body for prefix in prefixes):
        return body, []
    entries, lines = [], body.split("\n")
    for index, line in enumerate(lines):
        if line.startswith(prefixes) and not line.startswith("#!"):
            lines[index] = f"# was: {line}"
            why = f"{SYSTEMS[target].label} would obey this line, which was none of the source's"
            number = numbers[index] if numbers else index + 1
            entries.append(Entry(number, 1, line[:200], APPROXIMATE, f"made a comment: {why}", "body"))
    return "\n".join(lines), entries


def _unasked(reading: Reading, say: Saying) -> list[Entry]:
    """What differs in a field that no directive asked for: told with another one, or else of the script."""
    asked = {field for one in reading.directives if one.state == "obeyed" for field in one.fields}
    found = []
    for field, (fate, why) in list(say.fates.items()):
        if fate == EXACT or field in asked or field in _BESIDE:
            continue
        if near := next((name for name in _FOLLOWS.get(field, ()) if name in asked), ""):
            say.tell(near, fate, why)
        else:
            found.append(Entry(1, 1, "the script", fate, why, "body", field in SHAPING))
    return found


def _entries(reading: Reading, say: Saying) -> list[Entry]:
    """One line of the report for each directive: the worst that became of what it asked for."""
    doubts = [one for one in reading.warnings if one.meant == FILL_IN or one.message.startswith("ambiguous")]
    if not doubts or say.same:  # there the text is as it was
        return [_entry(directive, say) for directive in reading.directives]
    return [_doubted(_entry(directive, say), directive, doubts) for directive in reading.directives]


def _doubted(entry: Entry, directive: Directive, doubts: list[Problem]) -> Entry:
    """The entry with what was assumed in reading its directive."""
    end = directive.column + len(directive.text)
    told = [one.message for one in doubts if one.line == directive.line and directive.column <= one.column <= end]
    if not told or entry.fate not in (EXACT, APPROXIMATE):
        return entry
    return replace(entry, fate=APPROXIMATE, why="; ".join(filter(None, (entry.why, *told))))


def _entry(directive: Directive, say: Saying) -> Entry:
    place = (directive.line, directive.column, directive.text)
    if directive.state != "obeyed":
        return Entry(*place, IGNORED, directive.why)
    fates = [say.fates.get(field, (EXACT, "")) for field in directive.fields]
    if "native" in directive.fields and directive.option in say.options:
        fates = [say.options[directive.option]]
    fate: Fate = max((fate for fate, _ in fates), key=RANK.__getitem__, default=DROPPED)
    why = "; ".join(dict.fromkeys(why for one, why in fates if one == fate and why))
    if fate == EXACT and directive.why and not say.same:
        fate, why = APPROXIMATE, directive.why
    shaping = any(field in SHAPING for field in directive.fields)
    return Entry(*place, fate, why or ("" if directive.fields else "it is not carried over"), "directive", shaping)


def _annotated(file: File, entries: list[Entry]) -> File:
    if file.head is None:
        return file
    lines = file.text.split("\n")
    return replace(file, text="\n".join([*lines[: file.head], *map(_note, entries), *lines[file.head :]]))


def _note(entry: Entry) -> str:
    why = f": {entry.why}" if entry.why else ""
    # Words in front of what may look like a directive: no system takes the line for one of its own.
    return f"# jobspec: line {entry.line}: {printable(entry.text)}: {entry.fate}{why}"
