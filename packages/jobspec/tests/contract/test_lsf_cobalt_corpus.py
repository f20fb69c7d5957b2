"""The real scripts of LSF, Cobalt and LoadLeveler: what is refused and why, and that they come back as they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.profile import Profile
from jobspec.systems import ALIASES

# The reasons that the manuals support, and how many of the sample's scripts each concerns.
REFUSED = {
    "lsf": {
        "a template: fill it in first": 16,
        "an address is the value of -u": 2,  # -N takes no value
        "needs a value": 2,  # -P #Account, -cwd alone
        "is no option": 2,  # -x 1, -N "Job done"
    },
    "cobalt": {
        "a template: fill it in first": 5,
        "right behind the first line only": 17,  # their #COBALT lines stand behind a command
        "only behind a first line that starts": 2,
        "or give it to qsub": 8,
    },
    "loadleveler": {"is no LoadLeveler keyword": 11},  # decorators and prose, all of them
}


def scripts(corpus, system):
    return [text for name, text in corpus if ALIASES.get(name, name) == system]


@pytest.mark.parametrize("system", sorted(REFUSED))
def test_refused_for_a_reason(corpus, system):
    found = Counter()
    for text in scripts(corpus, system):
        reading = readers.read(text, system)
        for error in reading.errors:
            line = text.split("\n")[error.line - 1]
            assert 1 <= error.column <= len(line) + 1
            why = f"{error.message} {error.meant}"
            [reason] = [reason for reason in REFUSED[system] if reason in why][:1] or [why]
            found[reason] += 1
    assert found == REFUSED[system]


@pytest.mark.parametrize("profile", [Profile(), Profile(memory_units={"lsf": "GB"}, memory_per={"lsf": "slot"})])
@pytest.mark.parametrize("system", ["lsf", "cobalt"])
def test_there_and_back(corpus, system, profile):
    seen = 0
    for text in scripts(corpus, system):
        reading = readers.read(text, system, profile)
        if not reading.accepted:
            continue
        made = convert(text, reading, system, profile)
        again = readers.read(made.files[0].text, system, profile)
        assert again.accepted, (again.errors, made.files[0].text)
        assert [replace(job, where={}) for job in again.jobs] == [replace(job, where={}) for job in reading.jobs]
        assert {entry.fate for entry in made.entries if entry.kind == "directive"} <= {"exact", "ignored"}
        # Lines that are not obeyed stay as they are.
        kept = [line for number, line in enumerate(text.split("\n"), 1) if number not in reading.obeyed]
        assert made.files[0].text.endswith("\n".join(kept[1:] if kept[0].startswith("#!") else kept))
        seen += 1
    assert seen > 130


def test_each_directive_has_its_place(corpus):
    for system in ("lsf", "cobalt"):
        for text in scripts(corpus, system):
            reading = readers.read(text, system)
            lines = text.split("\n")
            for one in reading.directives:
                assert one.fields or (one.state != "obeyed" and one.why)
                if one.option and system == "lsf":
                    assert lines[one.line - 1].startswith("#BSUB")
                    assert 7 <= one.column <= len(lines[one.line - 1])
