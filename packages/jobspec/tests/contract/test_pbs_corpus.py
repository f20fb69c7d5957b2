"""Real scripts with `#PBS` lines: each is accepted, or refused as the manuals say; and each comes back as it was."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.pbs.dialect import ASSUMED, dialect

# What their own qsub refuses: an option or a word it does not know, and names that start with a digit (Torque).
REFUSED = {
    "-N: '1mk5_lig_yyy_xxx_uuu' is no name of a job: a letter, then no blanks",
    "-N: '2d_dense-train' is no name of a job: a letter, then no blanks",
    "directive error: '?N' is no option",
    "directive error: 'ngpus=1' is no option",
    "qsub has no option --venode=${NE}",
    "qsub has no option -w",
}


@pytest.fixture(scope="session")
def scripts(corpus):
    return [text for system, text in corpus if system == "pbs"]


def without_places(jobs):
    return [replace(job, where={}) for job in jobs]


def test_every_script_is_accepted_or_rightly_refused(scripts):
    templates, others = 0, set()
    for text in scripts:
        reading = readers.read(text, "pbs")
        if not reading.accepted:
            if reading.errors[0].meant == "a template: fill it in first":
                templates += 1
            else:
                others.add(reading.errors[0].message)
    assert others == REFUSED
    assert templates == 17


def test_dialects(scripts):
    found = Counter((dialect(text)[0], dialect(text)[2] == ASSUMED) for text in scripts)
    assert found[("pbspro", False)] > 150
    assert found[("torque", False)] > 140
    assert found[("pbspro", True)] < 45
    for text in scripts:
        # a script that only one of the two accepts is taken for that one's
        accepted = {name for name in ("pbspro", "torque") if readers.read(text, name).accepted}
        if len(accepted) == 1 and "select=" in text.partition("hostname")[0]:
            assert dialect(text)[0] in accepted


@pytest.mark.parametrize("system", ["pbspro", "torque"])
def test_round_trip(scripts, system):
    count = 0
    for text in scripts:
        reading = readers.read(text, system)
        if not reading.accepted:
            continue
        count += 1
        conversion = convert(text, reading, system)
        assert len(conversion.files) == 1
        again = readers.read(conversion.files[0].text, system)
        assert without_places(again.jobs) == without_places(reading.jobs), text
        assert {entry.fate for entry in conversion.entries} <= {"exact", "ignored"}, text
    assert count > 150


def test_every_directive_lands_in_the_report(scripts):
    for text in scripts:
        for system in ("pbspro", "torque", "moab"):
            reading = readers.read(text, system)
            if not reading.accepted:
                continue
            body = text.split("\n")
            numbers = {n for n, line in enumerate(body, 1) if line.lstrip().startswith("#PBS")}
            assert {one.line for one in reading.directives} >= numbers
            places = [(one.line, one.column, one.text) for one in reading.directives]
            assert len(set(places)) == len(places)
            for one in reading.directives:
                assert one.fields or one.state != "obeyed"
                assert one.why or one.state in {"obeyed"}
                stands = " ".join(body[one.line - 1][one.column - 1 :].split()).lstrip('\\"')
                assert stands.startswith((" ".join(one.text.split()), one.text[3:]))  # "-l a" of "-l b,a"


@pytest.mark.parametrize("target", ["pbspro", "torque"])
def test_slurm_scripts_become_scripts_that_are_accepted(slurm_corpus, target):
    """Tasks, CPUs and nodes in all, as the server of the target would hold them."""
    count = 0
    for text, said in slurm_corpus:
        reading = readers.read(text, "slurm")
        if not (reading.accepted and said["accepted"]) or len(reading.jobs) > 1:
            continue
        count += 1
        job = reading.jobs[0]
        for file in convert(text, reading, target).files:
            again = readers.read(file.text, target)
            assert again.accepted, (text, file.text, again.errors)
            tasks, cpus = sum(one.tasks for one in again.jobs), sum(one.tasks * one.cpus_per_task for one in again.jobs)
            assert cpus == job.tasks * job.cpus_per_task, (text, file.text)
            assert target == "torque" or tasks == job.tasks
            if job.nodes:
                assert sum(one.nodes.least for one in again.jobs) == job.nodes.least
            if isinstance(job.walltime_s, int):
                assert again.jobs[0].walltime_s == job.walltime_s
    assert count > 700
