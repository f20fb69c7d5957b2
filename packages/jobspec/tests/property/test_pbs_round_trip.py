"""Options of PBS Pro and of Torque in any combination: read, written and read again they are the same job."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError

small = st.integers(1, 40)
word = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
sizes = st.builds("{}{}".format, st.integers(1, 5000), st.sampled_from(["", "b", "kb", "mb", "gb", "g", "w", "KB"]))
times = st.one_of(
    st.integers(0, 10**6).map(str),
    st.builds("{}:{:02d}".format, small, small),
    st.builds("{}:{:02d}:{:02d}".format, small, small, small),
)
value = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="\"',\\"), max_size=8).map(
    str.strip
)
paths = st.from_regex(r"(localhost:|login1:)?[a-z/][a-z0-9_./-]{0,12}", fullmatch=True)


def option(letter, values):
    return values.map(lambda text: f"-{letter} {text}")


def flag(letter):
    return st.just(f"-{letter}")


def resource(name, values):
    return values.map(lambda text: f"-l {name}={text}")


def quoted(values):
    return values.map(lambda text: f'"{text}"')


SHARED = [
    option("N", word),
    option("A", quoted(value.filter(bool))),
    option("q", st.sampled_from(["long", "@server", "long@server"])),
    option("p", st.integers(-1024, 1023)),
    option("r", st.sampled_from("yn")),
    option("M", st.sampled_from(["a@b", "a,b@c"])),
    option(
        "a", st.sampled_from(["1200", "0102.30".replace("0102", "1530"), "202401020304", "2401020304.59", "051200"])
    ),
    option("o", paths),
    option("e", paths),
    option("j", st.sampled_from(["oe", "eo", "n"])),
    option("S", st.sampled_from(["/bin/sh", "/bin/sh@a,/bin/csh@b"])),
    option("u", word),
    option("v", st.sampled_from(["A", "A,B", "A=1,B=x y,C".join('""'), "\"A='1,2'\""])),
    flag("V"),
    flag("h"),
    flag("z"),
    option("k", st.sampled_from(["o", "eo", "n"])),
    option(
        "W",
        st.sampled_from(["depend=afterok:1:2,after:3.host", "depend=on:2", "umask=022,group_list=g", "stagein=a@b:c"]),
    ),
    resource("walltime", times),
    resource("cput", times),
    resource("pmem", sizes),
    resource("file", sizes),
    resource("software", word),
]
part = st.one_of(
    st.builds("ncpus={}".format, small),
    st.builds("mpiprocs={}".format, st.integers(0, 12)),
    st.builds("ompthreads={}".format, small),
    st.builds("ngpus={}".format, st.integers(0, 8)),
    st.builds("mem={}".format, sizes),
    st.builds("vmem={}".format, sizes),
    st.sampled_from(["host=n1", "vnode=v1", "fast=true", "slow=false", "model=v100", "pcmem=6gb", "cap=^x"]),
)
chunk = st.builds(
    lambda count, parts: ":".join(
        [*([str(count)] if count else []), *{one.partition("=")[0]: one for one in parts}.values()]
    ),
    st.integers(0, 5),
    st.lists(part, min_size=1, max_size=5),
)
arrangement = st.sampled_from(["", "free", "pack", "scatter", "vscatter"])
place = st.builds(
    lambda *parts: ":".join(filter(None, parts)), arrangement, st.sampled_from(["", "excl", "shared", "exclhost"]),
    st.sampled_from(["", "group=rack"]),
).filter(bool)  # fmt: skip
chunks = st.lists(chunk, min_size=1, max_size=3).map("+".join)
PRO_SHAPES = st.one_of(
    st.just([]),
    st.builds(lambda text: [f"-l select={text}"], chunks),
    st.builds(lambda text, where: [f"-l select={text}", f"-l place={where}"], chunks, place),
    st.builds(lambda n, p: [f"-l nodes={n}:ppn={p}:fast+1:ncpus=4"], small, small),
    st.builds(lambda n, m, g: [f"-l ncpus={n},mem={m},ngpus={g},wd"], small, sizes, st.integers(0, 4)),
    st.just(["-l mppwidth=24,mppnppn=12,mppdepth=2"]),
)
PRO = [
    *SHARED,
    option("P", word),
    option("J", st.builds(lambda a, n, more: f"{a}-{a + n}{more}", small, small, st.sampled_from(["", ":3", ":2%4"]))),
    option("m", st.sampled_from(["n", "a", "abe", "jb"])),
    option("R", st.just("oe")),
    option("k", st.just("oed")),
    resource("filesystems", st.just("home:grand")),
    st.just("-l min_walltime=60,max_walltime=120"),
]  # fmt: skip
node = st.builds(
    lambda first, parts: ":".join([first, *dict.fromkeys(parts)]),
    st.sampled_from(["1", "3", "n1", "n2"]),
    st.lists(st.sampled_from(["ppn=4", "gpus=2", "fast", "big"]), max_size=3),
)
TORQUE_SHAPES = st.one_of(
    st.just([]),
    st.lists(node, min_size=1, max_size=3).map(lambda nodes: [f"-l nodes={'+'.join(nodes)}"]),
    st.builds(lambda n: [f"-l procs={n}"], small),
    st.builds(lambda n: [f"-l ncpus={n}"], small),
)
TORQUE = [
    *SHARED,
    option("t", st.sampled_from(["3", "1-5", "1,3,7-9%2"])),
    option("m", st.sampled_from(["n", "p", "a", "abef"])),
    option("d", paths.filter(lambda path: ":" not in path)),
    option("w", st.just("/w")),
    flag("n"),
    resource("mem", sizes),
    resource("vmem", sizes),
    resource("qos", word),
    resource("feature", st.sampled_from(["a", "a:b", "'a|b'"])),
    resource("naccesspolicy", st.sampled_from(["singlejob", "shared"])),
    option("W", st.sampled_from(["x=QOS:high", "x=NACCESSPOLICY:SINGLEJOB;GRES:a", "x=FLAGS:ADVRES:r1"])),
]


def scripts(options, shapes):
    made = st.builds(lambda others, shape: [*others, *shape], st.lists(st.one_of(options), max_size=6), shapes)
    return made.map(lambda listed: "#!/bin/sh\n" + "".join(f"#PBS {one}\n" for one in listed) + "x\n")


def back_and_forth(system, text):
    reading = readers.read(text, system)
    if not reading.accepted:
        return
    conversion = convert(text, reading, system)
    (file,) = conversion.files
    again = readers.read(file.text, system)
    assert again.accepted, (again.errors, file.text)
    assert [replace(job, where={}) for job in again.jobs] == [replace(job, where={}) for job in reading.jobs]
    assert {entry.fate for entry in conversion.entries} <= {"exact", "ignored"}
    assert file.text.endswith("\nx\n")


@settings(max_examples=100, deadline=None)
@given(scripts(PRO, PRO_SHAPES))
def test_pbs_pro(text):
    back_and_forth("pbspro", text)


@settings(max_examples=100, deadline=None)
@given(scripts(TORQUE, TORQUE_SHAPES))
def test_torque(text):
    back_and_forth("torque", text)


@settings(max_examples=80, deadline=None)
@given(scripts([*PRO, *TORQUE], st.one_of(PRO_SHAPES, TORQUE_SHAPES)), st.data())
def test_a_changed_script_is_read_or_refused_and_never_written_wrongly(text, data):
    """A few characters are put in, taken out or changed anywhere."""
    for _ in range(data.draw(st.integers(0, 3))):
        at = data.draw(st.integers(0, len(text)))
        new = data.draw(
            st.sampled_from(["", " ", "-", ":", "+", "=", ",", "'", '"', "\\", "\n", "#", "%", "@", "0", "\0", "é"])
        )
        text = text[:at] + new + text[at + data.draw(st.integers(0, 2)) :]
    for system in ("pbspro", "torque", "moab", "pbs"):
        reading = readers.read(text, system)
        for target in ("pbspro", "torque") if reading.accepted else ():
            try:
                files = convert(text, reading, target).files
            except JobspecError:
                continue
            for file in files:
                again = readers.read(file.text, target)
                assert again.accepted, (again.errors, file.text)


@pytest.mark.parametrize("system", ["pbspro", "torque"])
def test_the_strategies_are_mostly_accepted(system):
    """So that the round trips above are about something."""
    options, shapes = (PRO, PRO_SHAPES) if system == "pbspro" else (TORQUE, TORQUE_SHAPES)
    counts = [0, 0]

    @settings(max_examples=60, deadline=None, database=None)
    @given(scripts(options, shapes))
    def count(text):
        counts[readers.read(text, system).accepted] += 1

    count()
    assert counts[1] > counts[0]
