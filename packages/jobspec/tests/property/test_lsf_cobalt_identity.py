"""S -> neutral -> S is the identity on values, for LSF and Cobalt; and no line, however broken, ends in a traceback."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import Profile

PROFILE = Profile(memory_units={"lsf": "MB"}, memory_per={"lsf": "task"})
few = settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)

number = st.integers(1, 5000)
variable = st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True)
word = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True)
path = st.from_regex(r"[a-z/%][a-z/._%JI ]{0,10}[a-z]", fullmatch=True)
size = st.builds("{}{}".format, number, st.sampled_from(["", "K", "KB", "MB", "M", "G", "GB", "TB"]))
clock = st.builds("{}:{:02d}".format, st.integers(0, 100), st.integers(1, 99)) | number.map(str)
per = st.sampled_from(["", "/host", "/task", "/job"])


def quoted(values):
    return values.map(lambda text: f'"{text}"')


def option(name, values):
    return values.map(lambda text: f"-{name} {text}")


ranges = st.builds(
    lambda first, more, step: f"{first}-{first + more}:{step}", number, st.integers(0, 50), st.integers(1, 5)
) | number.map(str)
array = st.builds(
    lambda name, parts, limit: f'"{name}[{",".join(parts)}]{limit}"',
    st.just("") | word,
    st.lists(ranges, min_size=1, max_size=3),
    st.just("") | number.map("%{}".format),
)
condition = st.builds(
    "{}({})".format, st.sampled_from(["done", "ended", "exit", "started"]), number | st.just("'a b'") | word
)
dependency = st.recursive(
    condition,
    lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from(["&&", "||"]), inner) | inner.map("!{}".format),
    max_leaves=4,
)
use = st.one_of(
    st.builds("mem={}{}".format, size, per),
    st.builds("mem={}.5GB{}".format, number, per),
    st.builds("tmp={}{}".format, size, per),
    st.builds("scratch={}{}".format, number, per),
    st.builds("{}={}{}".format, st.sampled_from(["ngpus", "ngpus_excl_p"]), st.integers(1, 8), per),
    st.just("mem=20:duration=2h"),
)
section = st.one_of(
    st.lists(use, min_size=1, max_size=3).map(lambda uses: f"rusage[{','.join(uses)}]"),
    st.sampled_from(
        ["span[hosts=1]", "span[hosts=-1]", "span[block=4]", "order[mem:-r15s]", "same[model]", "cu[pref=b]"]
    ),
    number.map("span[ptile={}]".format),
    st.sampled_from(
        ["affinity[core]", "affinity[core(4)]", "affinity[thread(2)*2]", "affinity[core(2):membind=localonly]"]
    ),
    st.sampled_from(["select[a]", "select[a && b]", "select[mem>500 || hname!='x-1']"]),
)
requirement = st.lists(section, min_size=1, max_size=3).map(" ".join) | st.just(
    "1*{select[LN]}+3*{select[CN]span[ptile=1]}"
)
gpu = st.just("-") | st.builds(
    lambda count, where, rest: ":".join([f"num={count}{where}", *rest]),
    st.integers(1, 8),
    st.sampled_from(["", "/task", "/host"]),
    st.lists(
        st.sampled_from(["mode=shared", "mps=no", "gmodel=A100", "gmem=8G", "j_exclusive=yes"]), unique=True, max_size=3
    ),
)
LSF = st.one_of(
    option("n", number.map(str) | st.builds(lambda low, more: f"{low},{low + more}", number, number)),
    option("nnodes", number.map(str)),
    option("W", clock | clock.map("{}/hostA".format)),
    option("We", clock),
    option("R", quoted(requirement)),
    option("gpu", quoted(gpu)),
    option("M", size | size.map("{}!".format)),
    option("J", word | array),
    option("w", quoted(dependency)),
    option("b", st.sampled_from(["20:00", "5:20:00", "2:5:20:00", "2031:2:5:20:01"])),
    option("t", st.sampled_from(["20:00", "2031:2:5:20:01"])),
    option("q", word | quoted(st.builds("{} {}".format, word, word))),
    *(option(name, word) for name in ("P", "G", "U", "app", "sla", "g", "m", "L", "alloc_flags", "hostfile", "u")),
    *(option(name, quoted(path)) for name in ("o", "oo", "e", "eo", "i", "is", "cwd", "Jd", "E", "f")),
    option("sp", number.map(str)),
    option("env", quoted(st.sampled_from(["none", "all", "all, A=b", "A, B='x, y', ~C"]))),
    option("wa", st.sampled_from(["USR1", "CHKPNT", "kill"])),
    option("wt", clock),
    option("Q", quoted(st.sampled_from(["140", "all ~1"]))),
    option("F", size),
    st.sampled_from(["-B", "-N", "-Ne", "-x", "-r", "-rn", "-H", "-K", "-ul", "-Is"]),
)
attribute = st.builds("{}={}".format, word, word) | word | st.just("location=1-4,7")
COBALT = st.one_of(
    option("n", number.map(str)),
    st.builds(
        "--time={}".format, st.builds("{}:{}:{}".format, number, number, st.integers(0, 59)) | number | st.just("0")
    ),
    st.builds("--proccount {}".format, number),
    *(option(name, word) for name in ("A", "q", "O", "o", "e", "i", "M")),
    *(st.builds(f"--{name}={{}}".format, word) for name in ("jobname", "cwd", "kernel", "run_users", "debuglog")),
    st.lists(st.builds("{}={}".format, variable, word | st.just(r"x\=1\:y")), min_size=1, max_size=3).map(
        lambda pairs: "--env " + ":".join(pairs)
    ),
    st.lists(number.map(str), min_size=1, max_size=3).map(lambda ids: "--dependencies " + ":".join(ids)),
    st.sampled_from(["-h", "--run_project", "--disable_preboot", "--mode script", "--geometry 4x4x4x4x2", "-u 077"]),
)
cobalt_lines = st.builds(
    lambda options, attributes: ["-n 4 -t 60", *options, *([f"--attrs {':'.join(attributes)}"] if attributes else [])],
    st.lists(COBALT, max_size=6),
    st.lists(attribute, max_size=3),
)


def there_and_back(system, tag, options):
    text = "#!/bin/sh\n" + "".join(f"{tag} {one}\n" for one in options) + "hostname\n"
    reading = readers.read(text, system, PROFILE)
    assert reading.accepted, (text, reading.errors)
    assert all(one.fields or (one.state != "obeyed" and one.why) for one in reading.directives), text
    places = [(one.line, one.column, one.option) for one in reading.directives]
    assert len(set(places)) == len(places), text
    made = convert(text, reading, system, PROFILE)
    again = readers.read(made.files[0].text, system, PROFILE)
    assert again.accepted, (text, made.files[0].text, again.errors)
    before, after = (replace(one.jobs[0], where={}) for one in (reading, again))
    assert before == after, (text, made.files[0].text)
    assert {one.fate for one in made.entries} <= {"exact", "ignored"}, text


@few
@given(st.lists(LSF, max_size=8))
def test_lsf(options):
    there_and_back("lsf", "#BSUB", options)


@few
@given(cobalt_lines)
def test_cobalt(options):
    there_and_back("cobalt", "#COBALT", options)


SCRIPTS = {
    "lsf": '#!/bin/sh\n#BSUB -n 2,4 -R "select[a] rusage[mem=4GB/task:tmp=3] span[ptile=2]" -gpu num=2:mode=shared\n'
    "#BSUB -J 'a[1-4:2]%2' -w 'done(1) && (exit(2) || !x)' -W 1:30/h -M 4G! \\\n -env \"all, A='b'\"\ntrue\n",
    "cobalt": "#!/bin/sh\n#COBALT -n 2 -t 1:00:00 --attrs a=b:c:location=4 --env A=b:C=d\\:e\n#COBALT -hA p\ntrue\n",
    "loadleveler": "#!/bin/sh\n# @ node = 2,4\n# @ wall_clock_limit = 1:00:00,50:00\n"
    "# @ resources = ConsumableCpus(2) \\\n"
    '#  ConsumableMemory(2gb)\n# @ requirements = (Feature == "a")\n# @ environment = COPY_ALL; A=b\n# @ queue\ntrue\n',
}
PIECES = ["-", "\\", "'", '"', "[", "]", "(", ")", "{", ":", ",", "=", "/", "&&", "||", "%", "#", "\n", "\r", "\0",
          "\t", " ", "9" * 30, "é", "\udcff", "٣", "$X", "\x1b", "!", "@"]  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(sorted(SCRIPTS)), st.data())
def test_mutations(system, data):
    text = SCRIPTS[system]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 3))
        text = text[:at] + data.draw(st.sampled_from(PIECES)) + text[at + cut :]
    reading = readers.read(text, system)
    if reading.accepted:
        for target in ("lsf", "cobalt"):
            try:
                files = convert(text, reading, target).files
            except JobspecError as error:  # such as a NUL, which bsub takes in no script
                assert "\n" not in str(error)
                continue
            for file in files:
                readers.read(file.text, target)
    else:
        [error] = reading.errors
        assert error.message
        assert 1 <= error.line <= text.count("\n") + 1


def test_long_lines_end():
    for start in (
        '#BSUB -w "',
        "#BSUB -R 'rusage[",
        "#BSUB -J a[",
        "#COBALT --env ",
        "# @ resources = ",
        "# @ task_geometry = {",
    ):
        for piece in ("(", " ", "a(", "1,", "[", "a=b:", "\\\n", "(1)", '"', "&& "):
            text = "#!/bin/sh\n" + start + piece * 50_000 + "\ntrue\n"
            for system in SCRIPTS:
                readers.read(text, system)
