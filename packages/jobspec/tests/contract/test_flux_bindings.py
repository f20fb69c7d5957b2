"""Flux's bindings submit what its command line would: flux-submit(1) and flux-batch(1) say so themselves."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import types
import warnings
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from jobspec.actions import Launch
from jobspec.errors import StepFailed
from jobspec.job import Constraint, Gpus, Job, Nodes
from jobspec.transformer import _flux_bindings
from jobspec.transformer._base import call
from jobspec.transformer.flux import Transformer, _words

SCRIPTS = {
    "plain": "#!/bin/sh\necho a\n",
    "windows": "#!/bin/sh\r\necho a\r\n",
    "unusual": "#!/bin/sh\n# é {{id}}\n#flux:\n\necho '\n",
    "directives": "#!/bin/sh\n#flux: -N1\n#flux: --setattr=a=b\necho a\n",
    "odd": "#!/bin/sh\n#flux: 'open\necho a\n",
    "none": "echo a\n",
    "bytes": "#!/bin/sh\n\udcff\n",
}
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)
names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2000, exclude_categories=["C"]), min_size=1, max_size=9)
argvs = st.lists(words | st.sampled_from(["--", "-n4", "{{id}}", "a{{{b", "$HOME", "a\nb"]), max_size=4).map(tuple)
values = words | st.sampled_from(["{{id}}", "$HOME", "a\r\nb", "=", ""])
jobs = st.builds(
    Job,
    name=st.none() | names,
    nodes=st.none() | st.integers(1, 3).map(lambda n: Nodes(n, n)),
    tasks=st.integers(1, 5),
    cpus_per_task=st.integers(1, 3),
    gpus=st.just(()) | st.builds(Gpus, st.integers(0, 2), st.just("task")).map(lambda gpus: (gpus,)),
    exclusive=st.booleans(),
    walltime_s=st.none() | st.just("unlimited") | st.integers(0, 10**6),
    constraint=st.none()
    | st.lists(st.sampled_from(["a", "b-1", "x.y", "a,b", "not:a", "(", "x|y", "a b"]), max_size=2).map(
        lambda tags: Constraint(" ".join(tags), tuple(tags))
    ),
)
# Not the locale: where it is none, the Python of `flux submit` sets LC_CTYPE for itself, and so for the job (PEP 538).
launches = st.builds(
    Launch,
    argv=st.tuples(st.sampled_from(["true", "{{id}}", "a b"])).flatmap(
        lambda first: argvs.map(lambda rest: first + rest)
    ),
    job=jobs,
    watch=st.booleans(),
    cwd=st.sampled_from(["", "/tmp", "/a b"]),
    environment=st.dictionaries(st.sampled_from(["A", "B_1", "TZ", "MANPATH", "PYTHONPATH", "LUA_PATH"]), values),
    after=st.lists(st.sampled_from(["f1", "ƒ2x", "12"]), max_size=2).map(tuple),
)

SETTINGS = {
    "deadline": None,
    "derandomize": True,
    "phases": [Phase.explicit, Phase.generate],  # an example takes a `flux submit`: making it small takes minutes
    "suppress_health_check": [HealthCheck.function_scoped_fixture],
}


@pytest.fixture(scope="session")
def bindings():
    if not shutil.which("flux"):
        pytest.skip("Flux is not installed")
    with warnings.catch_warnings():  # what they say of themselves is none of ours
        warnings.simplefilter("ignore")
        try:
            import flux
            import flux.job
        except ImportError as error:
            pytest.skip(f"Flux's Python bindings don't import here ({error})")
    return _flux_bindings.Bindings(flux, None)


def by_command(launch):
    """The jobspec, or what is wrong, as the command line says."""
    command = Transformer().command(launch)
    try:
        return json.loads(call(replace(command, argv=(*command.argv[:2], "--dry-run", *command.argv[2:]))))
    except StepFailed as error:
        return str(error)


def by_bindings(bindings, launch):
    environment = bindings._job_environment(launch.environment)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made = _flux_bindings.jobspec(launch, _words(launch), environment)
    except (TypeError, ValueError) as error:
        return f"refused: {error}"
    return made and json.loads(made.dumps())


def compare(bindings, launch):
    expected, found = by_command(launch), by_bindings(bindings, launch)
    if isinstance(expected, str):
        assert found is None or isinstance(found, str), expected
    elif found is not None:  # None: it goes by the command line
        assert found == expected
    return found


@settings(max_examples=15, **SETTINGS)
@given(launches)
@example(Launch(("echo", "{{id}}"), Job(name="n", nodes=Nodes(2, 2), tasks=3, gpus=(Gpus(1, "task"),), exclusive=True)))
@example(Launch(("true",), Job(nodes=Nodes(3, 3), tasks=2)))
def test_what_is_submitted_is_what_flux_submit_says(bindings, monkeypatch, launch):
    for name in ("SLURM_JOB_ID", "PMI_RANK", "FLUX_JOB_ID", "SOMETHING"):
        monkeypatch.setenv(name, "1")
    compare(bindings, launch)


@settings(max_examples=8, **SETTINGS)
@given(launches)
def test_what_is_submitted_is_what_flux_batch_says(bindings, tmp_path, launch):
    script = tmp_path / "a {{b.sh"
    script.write_text(SCRIPTS["plain"])
    compare(bindings, replace(launch, argv=(str(script),), batch=True))


@pytest.mark.parametrize("name", SCRIPTS)
def test_batch_scripts(bindings, tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", "/a:/b")
    monkeypatch.chdir(tmp_path)
    script = tmp_path / "job.sh"
    script.write_bytes(SCRIPTS[name].encode(errors="surrogateescape"))
    found = compare(bindings, Launch((str(script),), Job(tasks=2), batch=True, watch=name == "plain"))
    assert (found is None) == (name in {"directives", "odd", "bytes"})
    assert isinstance(found, str) == (name == "none")
    if isinstance(found, dict):
        assert found["attributes"]["system"]["job"]["name"] == str(script)


def test_no_flux_is_imported_before_it_is_needed(tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("{version: 1, task: {command: ['true'], transform: [{step: submit}]}}")
    code = (
        "import sys, jobspec.transformer.flux as f; from jobspec.cli import main\n"
        f"main(['run', '-t', 'flux', '--dry-run', {str(file)!r}], standalone_mode=False)\n"
        "print([name for name in sys.modules if name.split('.')[0] in ('flux', '_flux')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_nothing_but_what_flux_adds_is_asked_of_its_command(in_python, in_flux, tmp_path, monkeypatch):
    log, stand_in = tmp_path / "log", tmp_path / "bin" / "flux"
    stand_in.parent.mkdir()
    stand_in.write_text(f'#!/bin/sh\necho "$1" >> {log}\nexec {shutil.which("flux")} "$@"\n')
    stand_in.chmod(0o700)
    monkeypatch.setenv("PATH", f"{stand_in.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("FLUX_URI", raising=False)
    file = tmp_path / "job.yaml"
    steps = "[{step: submit}, {step: submit, wait: true}, {step: submit, watch: true}]"
    file.write_text(f"{{version: 1, task: {{command: [echo, hi], transform: {steps}}}}}")
    code = "from jobspec.cli import main; main(prog_name='jobspec')"
    done = in_flux(*in_python, code, "run", "-t", "flux", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[2:-1] == ["hi"]
    used = set(log.read_text().split())
    assert used == ({"getattr", "env"} if "None" not in in_python[2] else {"getattr", "submit", "job"})


def job_of(in_flux, *options):
    return in_flux("flux", "submit", *options).stdout.strip()


ENDINGS = {
    "0": (["true"], 0),
    "3": (["sh", "-c", "exit 3"], 3),
    "killed": (["sh", "-c", "kill -9 $$"], 137),
    "absent": (["/nowhere/to/be/found"], 127),
    "too large": (["-n999", "true"], 1),
    "too long": (["-t0.1s", "sleep", "60"], 142),
}


def test_exit_codes(in_python, in_flux):
    jobs = [job_of(in_flux, *options) for options, _ in ENDINGS.values()]
    jobs += [job_of(in_flux, *options) for options in (["--urgency=hold", "true"], ["sleep", "60"])]
    in_flux("flux", "job", "wait-event", jobs[-1], "start")
    in_flux("flux", "cancel", *jobs[-2:])
    code = (
        "import sys; from jobspec.transformer.flux import Transformer\nt = Transformer()\n"
        f"print(*(t.wait(job, output) for output in (None, sys.stderr) for job in {jobs!r}))"
    )
    done = in_flux(*in_python, code)
    assert done.stdout.split() == [str(code) for code in [*(code for _, code in ENDINGS.values()), 1, 143] * 2]
    for why in ("unsatisfiable request", "start failed: /nowhere", "resource allocation expired"):
        assert why in done.stderr


def test_output_is_shown_as_it_comes_byte_for_byte(flux_jobspec, in_flux, tmp_path):
    file, mark = tmp_path / "job.yaml", tmp_path / "mark"
    command = f"printf 'first\\n\\303'; echo no >&2; until test -e {mark}; do sleep 0.05; done; printf '\\251 \\377\\n'"
    step = {"step": "submit", "watch": True}
    file.write_text(json.dumps({"version": 1, "task": {"command": ["sh", "-c", command], "transform": [step]}}))
    environment = {**os.environ, "FLUX_URI": in_flux("printenv", "FLUX_URI").stdout.strip()}
    argv = [*flux_jobspec, "run", "-t", "flux", str(file)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"first\n"
        mark.touch()
        assert process.stdout.readline() == "é \ufffd\n".encode()
        assert process.stderr.read() == b"no\n"


def test_whether_jobs_have_ended(in_python, in_flux):
    done, held = job_of(in_flux, "true"), job_of(in_flux, "--urgency=hold", "true")
    in_flux("flux", "job", "wait-event", done, "clean")
    code = (
        "from jobspec.errors import StepFailed; from jobspec.transformer.flux import Transformer\nt = Transformer()\n"
        "def ask(*jobs):\n    try: return t.ended(t.where(), [*jobs])\n    except StepFailed: return False\n"
        f"print(ask(), ask({done!r}), ask({done!r}, {held!r}), ask('f1'), ask('odd id'))"
    )
    assert in_flux(*in_python, code).stdout.split() == ["True", "True", "False", "True", "False"]
    in_flux("flux", "cancel", held)


def stand_ins(version="1.0.0", plugin="", fails=None, jobspec=None):
    """Modules like those of the bindings."""

    class Handle:
        def __init__(self):
            if fails:
                raise fails

        def attr_get(self, name):
            return version

    made = {name: types.ModuleType(name) for name in ("flux", "flux.job", "flux.cli", "flux.cli.plugin", "flux.core")}
    made["flux.core.inner"] = inner = types.ModuleType("flux.core.inner")
    inner.raw = types.SimpleNamespace(flux_core_version_string=lambda: b"1.0.0")
    made["flux"].Flux, made["flux"].job, made["flux"].cli = Handle, made["flux.job"], made["flux.cli"]
    made["flux.job"].JobspecV1 = jobspec or type("JobspecV1", (), {"apply_options": None})
    made["flux.cli"].plugin = made["flux.cli.plugin"]
    plugins = [types.SimpleNamespace(path=path) for path in ("/flux/cli/plugins/shape.py", plugin) if path]
    made["flux.cli.plugin"].__file__ = "/flux/cli/plugin.py"
    made["flux.cli.plugin"].CLIPluginRegistry = lambda prog: types.SimpleNamespace(plugins=plugins)
    return made


@pytest.mark.parametrize(
    ("modules", "why"),
    [
        ({"flux": None}, ""),
        (stand_ins() | {"flux.job": None}, "can't be imported: import of flux.job halted; None in sys.modules"),
        (stand_ins(fails=OSError(2, "no socket")), "can't be used: FileNotFoundError: [Errno 2] no socket"),
        (stand_ins("1.1.0"), "are of Flux 1.0.0, and the instance is of 1.1.0"),
        (stand_ins(jobspec=object), "of Flux 1.0.0 can't apply all options of a job"),
        (stand_ins(plugin="/site/x.py"), "don't do all that the plug-in /site/x.py does"),
    ],
)
def test_where_they_do_not_fit_the_command_line_is_used_and_it_says_why(monkeypatch, modules, why):
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    transformer = Transformer()
    assert transformer.remarks() == ([f"its command line is used, since its Python bindings {why}"] if why else [])
    assert transformer._bindings is None


def test_stand_ins_that_fit(monkeypatch):
    for name, module in stand_ins().items():
        monkeypatch.setitem(sys.modules, name, module)
    assert Transformer()._bindings


def test_the_remark_is_told_once_and_the_job_runs(in_flux, tmp_path):
    (tmp_path / "flux").mkdir()
    (tmp_path / "flux" / "__init__.py").write_text("raise ImportError('made for another Python')\n")
    file = tmp_path / "job.yaml"
    file.write_text("{version: 1, task: {command: [echo, hi], transform: [{step: submit, watch: true}]}}")
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from jobspec.cli import main; main(prog_name='jobspec')"
    done = in_flux(sys.executable, "-c", code, "run", "-t", "flux", file)
    assert done.stdout.splitlines()[0] == "hi"
    assert done.stderr == (
        "jobspec: flux: its command line is used, since its Python bindings can't be used: "
        "ImportError: made for another Python\n"
    )
