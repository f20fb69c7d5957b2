"""Grid Engine itself judges: `qsub -verify` says what it understood, and accepts what we write."""

from __future__ import annotations

import re
import subprocess

import pytest

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError, ScriptError
from jobspec.gridengine.read import read
from jobspec.profile import DEFAULT, Profile

SITE = Profile(parallel_environments={"mpi": "mpi", "smp": "smp"})
# Each is a line or two; all are judged by qsub alone, whatever its site has.
LINES = (
    "-N a", "-N a#b", '-N "a b"', '-N "a" b', "-N 'a\"b' -cwd", "-N a/b", "-N", "-N a -cwd b", "-Na", "--N a", "-n a",
    "-cwd -wd /tmp", "-wd /tmp -cwd", "-j y", "-j yes", "-j n", "-j oe", "-j", "-l h_rt=1:0:0",
    "-l h_rt=5 -l h_vmem=2G",
    "-l h_rt=1,h_rt=2", "-l h_rt=1, h_vmem=2G", "-l =3", "-l ,", "-pe smp 4", "-pe smp 2-4", "-pe smp 2-", "-pe smp -4",
    "-pe smp 2,4", "-pe smp 1-4:2", "-pe smp x", "-pe smp 4-2", "-pe smp 4 x", "-pe smp", "-q a,b -q c", "-q *@n1",
    "-q ,", "-t 1,3,4", "-t x", "-t 1-10:0", "-t 1-10:2", "-t -3", "-tc -1", "-tc x", "-hold_jid 5,6", "-hold_jid ,",
    "-hold_jid a -hold_jid b", "-a 203512312359.30", "-a 203513312359", "-a 203502302359", "-a now", "-m bea", "-m b,e",
    "-m b -m n", "-m n -m e", "-M a@b.c,d", "-r y", "-r n", "-r x", "-p -5", "-p 1025", "-p 1.5", "-notify", "-w e",
    "-w x", "-c x5", "-js -1", "-binding linear:4", "-binding foo", "-binding pe striding:2:4", "-ar x", "-display h:0",
    "-h", "-h u", "-help", "-clear -N a", "-N a -clear", "-o a -e b -i c", "-o a -o b", "-S /bin/sh", "-P p", "-A a",
    "-P p -A a", "-v A=1,B=2", "-v =1", "-v A=x=y", "-V", "-soft -q a -hard -q b", "-terse", "-sync x", "-now x", "-",
    "foo", "# -N a", "", "-N a\r", "-cwd\r",
)  # fmt: skip


@pytest.fixture(scope="module")
def qsub(cell, tmp_path_factory):
    """Call `qsub -verify` on a script: (exit code, what it prints)."""
    folder = tmp_path_factory.mktemp("qsub")

    def call(text):
        script = folder / "job.sh"
        script.write_text(text, errors="surrogateescape")
        argv = ["qsub", "-verify", str(script)]
        ran = subprocess.run(
            argv, capture_output=True, text=True, errors="replace", env=cell, cwd=folder, timeout=30,
            check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        head, _, tail = ran.stdout.partition("script_ptr:")
        found = dict(re.findall(r"^([-()a-z_A-Z ]+?): +(.*?) *$", head + tail.replace(text, ""), re.MULTILINE))
        return ran.returncode, found, str(folder)

    return call


def test_qsub_understands_the_same(qsub):
    for line in LINES:
        text = f"#!/bin/sh\n#$ {line}\nhostname\n"
        code, said, folder = qsub(text)
        try:
            job = read(text, DEFAULT).jobs[0]
        except ScriptError as error:
            # What qmaster refuses is no matter of qsub -verify.
            late = ("blank", "same host", "time value", "array", "no path", "printing")
            assert code or any(word in error.message for word in late), (line, error.message, said)
            continue
        assert code == 0, line
        assert said["job_name"] == (job.name or "job.sh"), line
        assert said.get("cwd") == (folder if job.workdir == "." else job.workdir), line
        assert (said.get("merge") == "y") == job.join, line
        assert said.get("restart") == {True: "y", False: "n", None: None}[job.requeue], line
        assert said.get("priority", "0") == (job.priority or "0"), line
        account = said.get("account", "sge")  # -clear leaves none
        assert said.get("project", None if account == "sge" else account) == job.account, line
        letters = {"BEGIN": "b", "END": "e", "FAIL": "a"}
        kinds = {letters[kind] for kind in job.mail.types} if job.mail else set()
        assert set(said.get("mail_options", "").replace("n", "")) == kinds, line
        slots = re.search(r"range: ([\d,-]+)", said.get("parallel environment", "range: 1"))[1]
        assert min(int(part.split("-")[0]) for part in slots.split(",")) == job.tasks, line
        assert said.get("stdout_path_list", "").removeprefix("NONE:NONE:") == (job.output or ""), line
        queue = said.get("hard_queue_list")
        assert queue == (f"{job.queue or '*'}@{job.hosts}" if job.hosts else job.queue), line


def test_qsub_accepts_what_we_write(qsub, corpus):
    tried = 0
    for _, text in corpus[::80]:
        reading = readers.read(text, profile=SITE)
        if not reading.accepted:
            continue
        try:
            files = convert(text, reading, "gridengine", SITE).files
        except JobspecError:
            continue
        for file in files[:1]:
            tried += 1
            code, said, _ = qsub(file.text)
            assert code == 0, (file.text, said)
    assert tried > 12
