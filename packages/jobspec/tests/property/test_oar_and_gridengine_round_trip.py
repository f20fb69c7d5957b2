"""S -> neutral -> S is the identity on values, over each system's own options; and no input makes a reader stumble."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from jobspec import readers
from jobspec.convert import convert

WORD = st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True)
NUMBER = st.integers(1, 500).map(str)


def joined(*parts):
    return st.tuples(*(part if isinstance(part, st.SearchStrategy) else st.just(part) for part in parts)).map("".join)


def listed(strategy):
    return st.lists(strategy, min_size=1, max_size=3).map(",".join)


TIME = st.one_of(NUMBER, joined(NUMBER, ":", NUMBER, ":", NUMBER), st.just("INFINITY"), st.just("::5"))
SIZE = joined(NUMBER, st.sampled_from(["", "k", "K", "M", "g", "G"]))
REQUEST = st.one_of(
    joined(st.sampled_from(["h_rt", "s_rt", "h_cpu"]), "=", TIME),
    joined(st.sampled_from(["h_vmem", "mem_free", "mf", "virtual_free", "s_vmem"]), "=", SIZE),
    joined(st.sampled_from(["gpu", "ngpus", "gpus"]), "=", NUMBER),
    joined("gpu_type=", WORD),
    joined(st.sampled_from(["h", "hostname"]), "=", st.sampled_from(["n1", "!n1", "!(n1|n2)", "n1|n2", "n*"])),
    st.sampled_from(["exclusive", "exclusive=true", "excl=1", "avx2", "ib=TRUE", "arch=lx*", "lic=2", "q=a"]),
)
GRID_ENGINE = st.one_of(
    joined("-N ", WORD),
    joined("-N '", WORD),
    joined("-", st.sampled_from(["A", "P", "S", "o", "e", "i", "wd", "ckpt", "masterq"]), " ", WORD),
    st.sampled_from(["-cwd", "-V", "-h", "-notify", "-clear", "-j y", "-j n", "-r y", "-r n", "-R y", "-R n", "-b n"]),
    joined("-l ", listed(REQUEST)),
    joined("-soft -l ", listed(REQUEST), " -hard -l ", REQUEST),
    joined(
        "-pe ", st.sampled_from(["smp", "mpi", "orte*"]), " ", st.sampled_from(["1", "4", "2-8", "4-", "-4", "2,4"])
    ),
    joined("-t ", NUMBER, st.sampled_from(["", "-600", "-601:7", "-", ":700"]), " -tc ", NUMBER),
    joined("-q ", listed(joined(WORD, st.sampled_from(["", "@n1", "@@grp", "@n*"])))),
    joined(st.sampled_from(["-hold_jid ", "-M "]), listed(WORD)),
    joined("-m ", st.sampled_from(["b", "bea", "n", "as"])),
    joined("-v ", listed(joined(WORD, st.sampled_from(["", "=", "=1", "=x=y"])))),
    joined("-p -", NUMBER),
    joined("-a 2035", st.sampled_from(["12312359", "12312359.30", "02300000"])),
    joined("-ar ", NUMBER),
    joined("-binding ", st.sampled_from(["linear:4", "pe striding:2:4", "explicit:0,1:0,2"])),
    joined("-ac a=", WORD),
)
LEVELS = st.lists(
    joined(st.sampled_from(["nodes", "host", "cpu", "gpu", "core", "cluster", "gpunum"]), "=", st.sampled_from("124")),
    min_size=1,
    max_size=3,
).map("/".join)
GROUP = joined(st.sampled_from(["", "/", "{mem>10}/"]), LEVELS)
WALLTIME = st.sampled_from(["1", "1:30", "::9"])
SQL = st.sampled_from(["host='n1'", "gpumodel='V100'", "a='YES' AND b='YES'", "mem > 10", "not host like 'x'"])
OAR = st.one_of(
    joined("-l ", st.lists(GROUP, min_size=1, max_size=2).map("+".join), ",walltime=", WALLTIME),
    joined("-l ", GROUP),
    joined("-l walltime=", NUMBER),
    joined(st.sampled_from(["-n ", "--name ", "--project ", "-q ", "-O ", "--stderr ", "-d "]), WORD),
    joined("-p ", SQL),
    joined("-t ", st.sampled_from(["besteffort", "idempotent", "inner=5", "timesharing=user,*"])),
    joined(st.sampled_from(["-a ", "--array ", "--checkpoint ", "--signal "]), NUMBER),
    st.sampled_from(["-k", "--hold", "--array-param-file p.txt", "--notify [END]mail:a@b.c", "--notify mail:a@b.c"]),
    joined("--notify [END,RUNNING]exec:", WORD),
)  # fmt: skip


def there_and_back(system, prefix, lines):
    text = "#!/bin/sh\n" + "".join(f"{prefix} {line}\n" for line in lines) + "hostname\n"
    reading = readers.read(text, system)
    places = [(one.line, one.column) for one in reading.directives]
    assert len(set(places)) == len(places)
    if not reading.accepted:
        return False
    assert all(one.fields or one.state != "obeyed" for one in reading.directives), reading.directives
    result = convert(text, reading, system)
    again = readers.read(result.files[0].text, system)
    assert again.accepted, (text, result.files[0].text, again.errors)
    assert replace(again.jobs[0], where={}) == replace(reading.jobs[0], where={}), (text, result.files[0].text)
    assert not result.lost()
    return True


@settings(max_examples=80, deadline=None)
@given(st.lists(GRID_ENGINE, min_size=1, max_size=5))
def test_grid_engine(lines):
    there_and_back("gridengine", "#$", lines)


@settings(max_examples=80, deadline=None)
@given(st.lists(OAR, min_size=1, max_size=5))
def test_oar(lines):
    there_and_back("oar", "#OAR", lines)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["gridengine", "oar"]), st.lists(st.one_of(GRID_ENGINE, OAR, st.text(max_size=30))), st.data())
def test_no_input_makes_a_reader_stumble(system, lines, data):
    prefix = {"gridengine": "#$", "oar": "#OAR"}[system]
    text = "".join(f"{prefix} {line}\n" for line in lines)
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.text(max_size=3)) + text[at + data.draw(st.integers(0, 2)) :]
    readers.read(text, system)


def test_long_input_takes_no_longer_than_it_should():
    for system, prefix in (("gridengine", "#$"), ("oar", "#OAR")):
        for line in (
            f"{prefix} -l " + "a=1," * 20_000, f"{prefix} -l " + " " * 200_000 + "x", f"{prefix} -p " + "(" * 200_000,
            f"{prefix} -t " + "1," * 40_000, "# " * 200_000, " " * 400_000 + "#", f"{prefix}\n" * 20_000,
            f"{prefix} -l " + "/nodes=1" * 20_000, f"{prefix} -l " + "{" * 200_000,
            f"{prefix} --notify [" + "[" * 200_000,
        ):  # fmt: skip
            readers.read(line, system)
