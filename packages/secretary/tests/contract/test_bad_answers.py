"""Each recorded command of each recorded machine in turn answers badly, and every read-only question is put.

The outcome is a typed answer that is one of the tool's output schema, or a SecretaryError; where the command failed, it
is never an empty list or a zero that was none; and no number is negative or beyond what any machine has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from recorded._every import BUILT_IN, cases, check_numbers, leaves, put, questions, text_of

from resource_secretary.errors import SecretaryError
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

NATIVE = str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩")
Answer = Callable[[str], Ran]

FAILED: dict[str, Callable[[str], Ran]] = {
    "exit code 1": lambda text: Ran((), 1, "", "boom: not today"),
    "exit code 1, silent": lambda text: Ran((), 1),
    "exit code 1, a part": lambda text: Ran((), 1, text[: len(text) // 2], "boom: not today"),
    "no answer": lambda text: Ran((), None, problem="no answer in 2 s"),
}
# Exit code 0, and no answer that the tool ever gives.
NONSENSE: dict[str, Callable[[str], str]] = {
    "garbage": lambda text: "\0nonsense=[{<",
    "null": lambda text: "null",
    "cut": lambda text: text[: len(text) * 3 // 5],
    "cut late": lambda text: text[: len(text) * 9 // 10],
    "native digits": lambda text: text.translate(NATIVE),
    "NUL for blanks": lambda text: text.replace(" ", "\0"),
    "warned": lambda text: f"WARNING: the licence ends soon\n{text}",
    "CRLF": lambda text: text.replace("\n", "\r\n"),
    "NUL behind": lambda text: f"{text}\0",
    "twice": lambda text: text * 2,
    "huge": lambda text: re.sub(r"(?<![\w.])\d+(?!\w)", "7" * 17, text),
    "times a billion": lambda text: re.sub(r"\d+", lambda match: f"{match[0]}000000000", text),
    "negative": lambda text: re.sub(r"(?<![\w.-])(\d+)", r"-\1", text),
}
EMPTY: dict[str, Callable[[str], str]] = {"empty": lambda text: "", "[]": lambda text: "[]", "{}": lambda text: "{}"}
ODD = ("987654321987", "98765432198765432", "-5")  # each in place of one number

# Where nothing, an empty list or an empty object is what a tool prints if there are none of what is asked for.
MAY_BE_EMPTY = {
    *("docker.containers", "docker.images", "podman.containers", "podman.images", "charliecloud.images"),
    *("containerd.containers", "containerd.images", "containerd.namespaces", "shifter.images", "enroot.containers"),
    *("htcondor.jobs", "htcondor.slots", "htcondor.submitters", "hyperqueue.jobs", "hyperqueue.workers"),
    *("oar.jobs", "oar.nodes", "pbs.jobs", "pbs.queues", "torque.jobs", "torque.queues", "cobalt.jobs"),
    *("cobalt.queues", "gridengine.parallel_environments", "slurm.jobs", "slurm.associations", "slurm.clusters"),
    *("modules.available", "modules.compilers", "spack.compilers", "spack.environments", "spack.packages"),
    *("guix.packages", "guix.compilers", "guix.generations", "guix.channels", "nix.packages", "flux.jobs"),
    *("kubernetes.jobs", "kubernetes.pods", "kubernetes.quotas"),
}
# oarstat's object has a job for each key: with all numbers alike there is one job only, of another user. What is no
# compiler by its changed name is none of nix's compilers, and `null` may be the name of a module.
ALIKE = {"oar.jobs", "nix.compilers", "modules.compilers"}
# amd-smi and the kernel number the same node of this machine differently: sysfs answers where amd-smi does not.
OTHER_SOURCE = {"amd-gpu.devices", "amd-gpu.topology"}


def check_failed(answer: Any, before: Any) -> None:
    """Nothing is told to be none that is not known: nothing empty and no zero that was not there before."""
    known = {} if isinstance(before, (SecretaryError, Absent, Unreachable)) else dict(leaves(before))
    for path, value in leaves(answer):
        if value == [] or value == {} or (value == 0 and value is not False):
            assert path and known.get(path, "nothing") == value, f"{path or 'the answer'} is {value!r}"


def bad(text: str) -> Iterator[tuple[str, Ran | None, str]]:
    """A name, and a whole answer or the text of one."""
    for name, fails in FAILED.items():
        yield name, fails(text), ""
    for name, makes in (NONSENSE | EMPTY).items():
        yield name, None, makes(text)
    numbers = list(re.finditer(r"\d+", text))
    for match in numbers[:: max(1, len(numbers) // 5)]:
        for odd in ODD:
            yield f"{odd} at {match.start()}", None, text[: match.start()] + odd + text[match.end() :]


CASES = [pytest.param(case, id=f"{case.machine}-{case.provider.name}") for case in cases()]


@pytest.mark.parametrize("case", CASES)
def test_a_command_that_answers_badly(case):
    for question in questions(case.provider, case.make):
        name = f"{case.provider.name}.{question.name}"
        system = case.make()
        before = put(question, case.provider, system)
        check_numbers(before)
        for words in dict.fromkeys(system.asked):
            if words not in system.commands:
                continue
            text, answered = text_of(system.commands[words])
            for kind, whole, changed in bad(text):
                system = case.make()
                system.commands[words] = whole or answered(changed)
                place = f"{name} where {' '.join(words)[:60]!r} answers {kind}"
                try:
                    answer = put(question, case.provider, system)
                    if isinstance(answer, (SecretaryError, Absent, Unreachable)):
                        assert kind not in FAILED or not isinstance(answer, Absent) or question.tool is not None
                        continue
                    check_numbers(answer)
                    if kind in FAILED and name not in OTHER_SOURCE and question.tool is not None:
                        check_failed(answer, before)
                    if answer == [] and before not in ([], None) and not isinstance(before, SecretaryError):
                        none = kind in EMPTY and name in MAY_BE_EMPTY
                        assert none or name in ALIKE, "it is an empty list"
                except Exception as error:
                    raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error


BAD_FILES = ("", "\0nonsense", "-5", "9" * 30, "١٢", "max", "0-", "4-2")


class Watched:
    """The paths that a recorded machine was asked to read."""

    def __init__(self, system: RecordedSystem) -> None:
        self.paths: dict[str, None] = {}
        original = system.read

        def read(path: str, *rest: int) -> str | None:
            self.paths[path] = None
            return original(path, *rest)

        system.read = read  # type: ignore[method-assign]


@pytest.mark.parametrize("case", CASES)
def test_a_file_that_can_not_be_read_or_holds_nonsense(case):
    for question in questions(case.provider, case.make):
        system = case.make()
        watched = Watched(system)
        put(question, case.provider, system)
        read = [path for path in watched.paths if path in system.files]
        for path in read[:: max(1, len(read) // 40)]:
            for text in (None, *BAD_FILES):
                system = case.make()
                if text is None:
                    system.read = lambda one, *_, read=system.read, path=path: None if one == path else read(one)
                else:
                    system.files[path] = text
                try:
                    answer = put(question, case.provider, system)
                    if not isinstance(answer, (SecretaryError, Absent, Unreachable)):
                        check_numbers(answer)
                except Exception as error:
                    place = f"{case.provider.name}.{question.name} where {path} is {text!r}"
                    raise AssertionError(f"{place}: {type(error).__name__}: {error}") from error


def test_what_these_tests_see():
    with pytest.raises(AssertionError):
        check_failed([], [{"id": "1"}])
    with pytest.raises(AssertionError):
        check_failed({"free_cores": 0}, {"free_cores": 4})
    for wrong in ({"cores": -1}, {"cores": 10**8}, {"memory": 2**61}, [{"walltime": 2**64}]):
        with pytest.raises(AssertionError):
            check_numbers(wrong)
    assert {case.values[0].provider.name for case in CASES} == BUILT_IN.keys()
