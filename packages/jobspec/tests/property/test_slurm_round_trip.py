"""Slurm to the neutral job and back is the identity on values; whatever is done to a script, there is an answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobspec.convert import convert
from jobspec.readers import read
from jobspec.slurm.lexer import line_words
from jobspec.slurm.options import LONG, OPTIONS
from jobspec.slurm.write import quoted

number = st.integers(1, 16).map(str)
size = st.builds("{}{}".format, st.integers(0, 4096), st.sampled_from(["", "K", "M", "G", "T", "gb"]))
clock = st.sampled_from(["5", "1:30", "2:00:00", "1-", "1-2", "1-2:3", "1-2:3:4", "0", "UNLIMITED"])
name = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=12)
counts = st.sampled_from(["1", "2", "4", "a100:2", "a100:2,v100:1", "0"])
VALUES = {
    "nodes": st.sampled_from(["1", "2", "4", "1-4", "2-8"]),
    "ntasks": number, "cpus-per-task": number, "ntasks-per-node": number, "mem": size, "mem-per-cpu": size,
    "time": clock, "time-min": st.just("1"), "gpus": counts, "gpus-per-node": counts, "gpus-per-task": counts,
    "gres": st.sampled_from(["gpu", "gpu:2", "gpu:a100:2,nic:3", "none", "VRAM:24G", "gpu:0"]), "tmp": size,
    "array": st.sampled_from(["0", "1-10", "1-10:3%2", "3,1,2", "1-1", "0-99:7"]), "job-name": name, "comment": name,
    "dependency": st.sampled_from(["afterok:1:2", "singleton", "afterok:1?afterany:2"]), "output": name, "error": name,
    "constraint": st.sampled_from(["a", "a&b", "a,b", "[a|b]", "a*2"]), "nodelist": st.sampled_from(["n1", "n[1-3]"]),
    "exclude": st.just("n9"), "signal": st.sampled_from(["USR1", "B:10@60", "R:TERM@5"]), "begin": st.just("now+1hour"),
    "mail-type": st.sampled_from(["ALL", "END,FAIL", "NONE"]), "mail-user": st.just("a@b"), "account": name,
    "licenses": st.sampled_from(["m:2,n", "m"]), "distribution": st.just("block:cyclic"), "partition": st.just("p,q"),
    "exclusive": st.sampled_from(["", "user"]), "threads-per-core": number, "hint": st.just("nomultithread"),
    "sockets-per-node": number, "extra-node-info": st.sampled_from(["2", "2:4", "*:4:1"]), "switches": st.just("1@5"),
    "export": st.sampled_from(["ALL", "NONE", "A=1,B"]), "cpus-per-gpu": number, "ntasks-per-gpu": number,
    "nice": st.sampled_from(["", "5"]), "chdir": name, "open-mode": st.just("a"), "mincpus": number, "qos": name,
    "gpus-per-socket": counts, "ntasks-per-socket": number, "deadline": st.just("2099-01-01"), "wckey": name,
    **dict.fromkeys(("hold", "requeue", "no-requeue", "contiguous", "overcommit", "oversubscribe"), st.none()),
}  # fmt: skip


@st.composite
def option(draw):
    key = draw(st.sampled_from(sorted(VALUES)))
    value = draw(VALUES[key])
    short = LONG[key].short
    if value is None or (value == "" and LONG[key].takes == "optional"):
        return f"-{short}" if short and draw(st.booleans()) else f"--{key}"
    if short and draw(st.booleans()):
        return f"-{short} {quoted(value)}" if quoted(value) != value or value[0] == ":" else f"-{short}{value}"
    return f"--{key}={quoted(value)}"


scripts = st.lists(st.lists(option(), min_size=1, max_size=3).map(" ".join), max_size=5).map(
    lambda lines: "".join(["#!/bin/sh\n", *(f"#SBATCH {line}\n" for line in lines), "hostname\n"])
)


@settings(max_examples=400)
@given(scripts, st.booleans())
@example("#!/bin/sh\n#SBATCH --nodelist=n[1-3] --ntasks=1\nhostname\n", False)
@example("#!/bin/sh\n#SBATCH -N 3 --nodelist=n[1-3] --ntasks=1\nhostname\n", False)
@example("#!/bin/sh\n#SBATCH --extra-node-info=2 --threads-per-core=1\nhostname\n", False)
@example("#!/bin/sh\n#SBATCH --gpus-per-task=1 --gres=gpu:2 -n 2\nhostname\n", False)
@example("#!/bin/sh\n#SBATCH --gpus-per-node=0 --gres=gpu:2\nhostname\n", False)
def test_there_and_back(text, heterogeneous):
    if heterogeneous:
        text = text.replace("hostname", "#SBATCH hetjob\n#SBATCH -N 2 --mem=3G\nhostname")
    reading = read(text, "slurm")
    if reading.errors:
        return
    conversion = convert(text, reading, "slurm")
    again = read(conversion.files[0].text, "slurm")
    assert [replace(job, where={}) for job in again.jobs] == [replace(job, where={}) for job in reading.jobs]
    told = [(entry.line, entry.column) for entry in conversion.entries]
    assert len(told) == len(set(told)) == len(reading.directives)


@given(st.text(max_size=40))
def test_quoted_values_are_read_back(text):
    if any(letter < " " or letter == "\x7f" for letter in text):
        return
    [word] = line_words(f"#SBATCH --x={quoted(text)}", 1, 7)
    assert word.text == f"--x={text}"


@settings(max_examples=400)
@given(
    scripts, st.integers(0, 10**6), st.sampled_from(["", "x", "-", "--", "=", ":", "#", '"', "\0", "9" * 40, "é", "\n"])
)
def test_a_changed_script_has_an_answer(text, place, inserted):
    at = place % len(text)
    changed = text[:at] + inserted + text[at + (place % 3) :]
    reading = read(changed, "slurm")
    assert reading.errors or reading.jobs
    for problem in reading.errors:
        assert 1 <= problem.line <= changed.count("\n") + 1


LONG_LINES = {
    "word": "x" * 200_000,
    "option": "--" + "x" * 200_000,
    "quotes": '--comment="' + 'a\\"' * 50_000 + '"',
    "array": "-a " + ",".join(["0-4000000"] * 5000),
    "features": "-C " + "a&" * 100_000,
    "brackets": "-C " + "(" * 200_000,
    "dependency": "-d afterok" + ":1" * 100_000,
    "resources": "--gres=" + ",".join(f"g{index}:1" for index in range(20_000)),
    "hosts": "-w " + ",".join(["n[1-60000]"] * 500),
    "times": '--begin="' + "now " * 20_000 + '"',
    "flags": "-" + "H" * 50_000,
    "template": "-n " + "{" * 200_000,
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("line", LONG_LINES.values(), ids=LONG_LINES)
def test_long_lines_take_no_longer_than_they_are(line):
    reading = read(f"#!/bin/sh\n#SBATCH {line}\nhostname\n", "slurm")
    assert reading.errors or convert("#!/bin/sh\n", reading, "slurm").files


def test_every_option_has_a_place_in_the_job():
    assert all(option.inert or option.fields for option in OPTIONS)
