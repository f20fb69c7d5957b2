"""Every recorded machine, one of its commands mutated, or another recording in its place: a typed answer that adds up,
or an error of this package. The other tests of this folder know more of what an answer means; this one leaves none out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded._every import Case, cases, check_numbers, put, questions, text_of

from resource_secretary.errors import SecretaryError
from resource_secretary.result import Absent, Unreachable

DATA = Path(__file__).parents[1] / "data"
PIECES = ["", "0", "-1", "9" * 30, "1e400", "=", " ", "\n", ",", ":", "[", "]", "null", "{}", "N/A", "\0", "é", "²"]
PIECES += ['"', "{", "}", "<", "</", "\\ud800", "%", "|", "/", "-", "(null)", "true", "NaN", "==>", "\x1b[31m", "\r"]

# Recordings of the same command by other versions or sites: machine, words of its command.
OTHERS = {
    "beegfs-7.4/quota-limited.csv": ("cluster", "beegfs-ctl --getquota"),
    "flux-0.6x/job-canceled.json": ("flux", "flux jobs --json --"),
    "flux-0.6x/job-pending.json": ("flux", "flux jobs --json --"),
    "flux-0.88.0/queues-named.txt": ("flux", "flux queue list"),
    "gridengine-6.2/full.xml": ("gridengine", "qstat -xml -r"),
    "gridengine-6.2/job-unknown.xml": ("gridengine", "qstat -xml -j"),
    "gridengine-6.2/qstat-help.txt": ("gridengine", "qconf -sql -help"),
    "gridengine-8.1.9/full.xml": ("gridengine", "qstat -xml -r"),
    "gridengine-uge-8.6.6/job.xml": ("gridengine", "qstat -xml -j"),
    "gridengine-uge-8.6.6/qhost.xml": ("gridengine", "qhost"),
    "gridengine-uge-8.6.6/qstat-help.txt": ("gridengine", "qconf -sql -help"),
    "cobalt-1/nodelist-cluster.txt": ("cobalt", "nodelist"),
    "htcondor-23.9.6/all-slots.json": ("htcondor", "condor_status -constraint"),
    "htcondor-23.9.6/start-false.json": ("htcondor", "condor_status -constraint"),
    "htcondor-8.8-shape/slots.json": ("htcondor", "condor_status -constraint"),
    "kubernetes-1.33-shape/nodes.json": ("kubernetes", "/api/v1/nodes"),
    "kubernetes-1.33-shape/pods.json": ("kubernetes", "/api/v1/pods"),
    "nix-2.24/profile-list-2.17.json": ("nix", "profile list"),
    "nix-2.8.0/manifest.json": ("nix", "profile list"),
    "nvme-cli-2.16/error.json": ("cluster", "nvme list"),
    "oar-2.5.9/public-jobs.json": ("oar", "oarstat"),
    "pbs-20/nodes.txt": ("pbs_11", "pbsnodes -a"),
    "quota-4.06/none.txt": ("cluster", "quota -w"),
    "slurm-osc/partitions.txt": ("slurm", "show partitions"),
    "slurm-20.11.8/nodes.txt": ("slurm", "show nodes"),
    "spack-0.13/compilers-of-0.8.txt": ("spack", "compilers"),
    "spack-0.13/compilers-of-cray.txt": ("spack", "compilers"),
    "spack-0.13/find.json": ("spack", "find"),
    "spack-0.16/find.json": ("spack", "find"),
    "spack-1.3/compilers-remote.txt": ("spack", "compilers"),
}
CASES = cases()


def other(case: Case, file: str, part: str):
    """The machine, with this recording in place of a command's answer."""
    system = case.make()
    words = next(words for words in system.commands if part in " ".join(words))
    system.commands[words] = (DATA / file).read_text()
    return system


def every_case():
    for case in CASES:
        yield pytest.param(case, id=f"{case.machine}-{case.provider.name}")
    for file, (machine, part) in OTHERS.items():
        for case in CASES:
            if case.machine == machine:
                make = partial(other, case, file, part)
                yield pytest.param(Case(file, case.provider, make), id=f"{file}-{case.provider.name}")


@pytest.mark.parametrize("case", list(every_case()))
def test_one_mutated_answer(case):
    asked = {}
    for question in questions(case.provider, case.make):
        system = case.make()
        check(put(question, case.provider, system))
        words = [one for one in dict.fromkeys(system.asked) if text_of(system.commands.get(one, ""))[0]]
        if words:
            asked[question] = words
    if not asked:
        return

    @settings(max_examples=15, deadline=None, database=None)
    @given(source=st.data())
    def mutate(source):
        question = source.draw(st.sampled_from(list(asked)))
        words = source.draw(st.sampled_from(asked[question]))
        system = case.make()
        text, answered = text_of(system.commands[words])
        for _ in range(source.draw(st.integers(1, 4))):
            start = source.draw(st.integers(0, len(text)))
            end = min(len(text), start + source.draw(st.integers(0, 40)))
            text = text[:start] + source.draw(st.sampled_from([*PIECES, text[start:end] * 2])) + text[end:]
        system.commands[words] = answered(text)
        check(put(question, case.provider, system))

    mutate()


def check(answer):
    if not isinstance(answer, (SecretaryError, Absent, Unreachable)):
        check_numbers(answer)
