"""The command line, as users see it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
Write = Callable[[str], Path]
HEAVY = ("river", "numpy", "scipy", "rich", "yaml", "flux", "asyncio", "resources.pool", "ensemble.engine")


def test_help_imports_nothing_heavy() -> None:
    code = f"""if True:
        import sys
        from ensemble.cli import main
        main(["--help"], standalone_mode=False)
        sys.stderr.write(" ".join(name for name in {HEAVY!r} if name in sys.modules))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert [command in done.stdout for command in ("run", "validate", "members")] == [True] * 3


def test_version(ensemble: Run) -> None:
    assert re.fullmatch(r"ensemble, version \S+\n", ensemble("--version").stdout)


HELLO = """\
=> trigger start
   submit sleep (name:sleep),(command:sleep 1),(count:5),(nodes:1)
=> trigger count.sleep.success
   submit echo (name:echo),(command:echo hello world),(count:5),(nodes:1)
"""
SUMMARY = re.compile(
    r"🌊 Streaming ML Model Summary (\S+): "
    r"\(variance:[\d.e-]+\),\(mean:[\d.e-]+\),\(iqr:[\d.e-]+\),\(max:[\d.e-]+\),\(min:[\d.e-]+\),\(mad:[\d.e-]+\)"
)


def test_hello_world_prints_the_lines_of_the_document(ensemble: Run, examples: Path, tmp_path: Path) -> None:
    done = ensemble("run", examples / "hello-world.yaml", "--dir", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(HELLO)
    series = [match[1] for line in done.stdout.splitlines()[4:] if (match := SUMMARY.fullmatch(line))]
    assert sorted(series) == ["echo-duration", "echo-pending", "sleep-duration", "sleep-pending"]
    assert len(done.stdout.splitlines()) == 8
    assert "no member was asked for: using local" in done.stderr
    assert "echo: 5 submitted, 5 finished, 5 success" in done.stderr
    output = tmp_path / "out/member/out"
    assert any("hello world" in path.read_text() for path in output.rglob("*") if path.is_file())
    assert f"directory of the run: {tmp_path}/out\n" in done.stderr
    assert f"output of the jobs: {output}" in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def end_of(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert all(isinstance(line["type"], str) for line in lines)
    end: dict[str, Any] = lines[-1]
    assert end["type"] == "end"
    return end


@pytest.mark.parametrize(
    ("name", "counts", "triggers"),
    [
        ("backoff-example", {"sleep": 10, "echo": 6}, ["start", *["count.sleep.success"] * 3]),
        ("custom-action-example", {"sleep": 4, "echo": 4}, ["start", *["count.sleep.finished"] * 2]),
        ("terminate", {"hit": 1, "search": 2}, ["start", "start", "job-success hit"]),
    ],
)
def test_examples(ensemble: Run, examples: Path, name: str, counts: dict[str, int], triggers: list[str]) -> None:
    done = ensemble("run", "--json", "--member", "local", "--cores", "2", examples / f"{name}.yaml")
    assert done.returncode == 0, done.stderr
    end = end_of(done)
    assert {group: count["submitted"] for group, count in end["counts"].items()} == counts
    assert all(count["submitted"] == count["finished"] for count in end["counts"].values())
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["name"] for line in told if line["type"] == "trigger"] == triggers


def test_all_examples_are_valid(ensemble: Run, examples: Path) -> None:
    for path in sorted(examples.glob("*.yaml")):
        if "rules:" in path.read_text():
            done = ensemble("validate", path)
            assert (done.returncode, "valid" in done.stdout) == (0, True), done.stdout


def test_validate_and_run_tell_problems(ensemble: Run, document: Write) -> None:
    path = document("jobs: []\nrules: [{trigger: start, action: {name: submit, label: x}}]\nrulse: 3\n")
    done = ensemble("validate", path)
    lines = [
        f"{path}:2:56: no group of jobs is named 'x'; there are no jobs",
        f"{path}:3:1: rulse: unknown key; did you mean 'rules'?",
    ]
    assert (done.returncode, done.stdout.splitlines(), done.stderr) == (1, lines, "")
    done = ensemble("validate", "--json", path)
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["valid"], [p["line"] for p in answer["problems"]]) == (1, False, [2, 3])
    done = ensemble("run", path)
    assert (done.returncode, done.stdout, done.stderr.splitlines()) == (1, "", lines)


def test_a_file_that_cannot_be_read_is_an_error_and_no_answer(ensemble: Run, tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for command in ("run", "validate"):
        for file in ("none.yaml", tmp_path, "bytes"):
            done = ensemble(command, file)
            assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
            assert done.stderr.startswith("ensemble: ")


def test_the_file_may_be_stdin(ensemble: Run, examples: Path) -> None:
    done = ensemble("validate", "-", stdin=(examples / "hello-world.yaml").read_text())
    assert (done.returncode, done.stdout) == (0, "-: valid (2 groups of jobs, 2 rules)\n")


def test_validate_json_of_a_valid_file(ensemble: Run, examples: Path) -> None:
    done = ensemble("validate", "--json", examples / "hello-world.yaml")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["valid"]) == (0, True)
    assert answer["rules"][1] == {
        "trigger": "metric",
        "name": "count.sleep.success",
        "when": ">= 3",
        "action": {"name": "submit", "label": "echo", "repetitions": 1, "backoff": 0},
    }


JOBS = """\
member: local
jobs:
  - {name: bad, command: sh -c 'echo oh >&2; exit 3'}
  - {name: huge, command: 'true', tasks: 100000}
  - {name: slow, command: sleep 60, duration: 1}
  - {name: fine, command: 'true'}
"""


def test_jobs_that_fail_are_told_with_their_reason(ensemble: Run, document: Write, tmp_path: Path) -> None:
    rules = "".join(
        f"- {{trigger: start, action: {{name: submit, label: {name}}}}}\n" for name in ("bad", "huge", "slow", "fine")
    )
    done = ensemble("run", "--dir", tmp_path / "o", document(f"{JOBS}rules:\n{rules}"))
    assert done.returncode == 1
    place = re.search(r"failed: bad.0 \(id \w+, on \S+\): exit code 3 \((.*)\)\n   \| oh\n", done.stderr)
    assert place, done.stderr
    assert Path(place[1]).read_text() == "oh\n"
    assert re.search(r"exception: huge.0 \(id \w+\): it can never run on this machine: ", done.stderr)
    assert re.search(r"timeout: slow.0 \(.*\): it ran longer than 1 s", done.stderr)
    assert "fine: 1 submitted, 1 finished, 1 success" in done.stderr


def test_a_rule_that_is_never_met_is_told(ensemble: Run, document: Write) -> None:
    rules = """rules:
- {trigger: start, action: {name: submit, label: bad}}
- {trigger: metric, name: count.bad.success, when: 1, action: {name: submit, label: fine}}
"""
    done = ensemble("run", document(JOBS + rules))
    assert (done.returncode, "never met: count.bad.success >= 1 -> submit fine" in done.stderr) == (1, True)


def test_a_rule_that_can_never_fire_is_told_before_anything_runs(ensemble: Run, document: Write) -> None:
    rules = """rules:
- {trigger: start, action: {name: submit, label: fine}}
- {trigger: metric, name: count.fine.success, when: "> 1", action: {name: submit, label: fine}}
"""
    path = document(JOBS + rules)
    done = ensemble("run", path)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}:9:53: it can never fire: count.fine.success > 1" in done.stderr


def test_a_custom_function_that_fails_is_no_end_of_the_run(ensemble: Run, document: Write) -> None:
    text = f"""{JOBS}rules:
- {{trigger: start, action: {{name: custom, label: f}}}}
- {{trigger: start, action: {{name: submit, label: fine}}}}
custom: |
  def f(**kwargs):
      return 1 / 0
"""
    path = document(text)
    done = ensemble("run", path)
    assert done.returncode == 1
    assert f"{path}:12: f: ZeroDivisionError: division by zero" in done.stderr
    assert "fine: 1 submitted, 1 finished, 1 success" in done.stderr
    assert "Traceback" not in done.stderr


def test_heartbeats_drive_a_run(ensemble: Run, document: Write) -> None:
    text = f"""logging: {{heartbeat: 0.1}}
{JOBS}rules:
- {{trigger: heartbeat, action: {{name: submit, label: fine, repetitions: 3, backoff: 1}}}}
"""
    done = ensemble("run", "--json", document(text))
    assert done.returncode == 0, done.stderr
    assert end_of(done)["counts"]["fine"]["success"] == 3
    assert done.stdout.count('"type": "trigger", "name": "heartbeat"') == 3
    told = [json.loads(line) for line in done.stdout.splitlines()]
    assert sum(line["type"] == "event" and line["name"] == "tick" for line in told) == 5  # two of them are skipped


def test_debug_tells_the_events_on_stderr(ensemble: Run, document: Write) -> None:
    text = f"logging: {{debug: true}}\n{JOBS}rules: [{{trigger: start, action: {{name: submit, label: fine}}}}]\n"
    done = ensemble("run", document(text))
    assert "'name': 'alloc'" in done.stderr
    assert "alloc" not in done.stdout


@pytest.mark.parametrize(
    ("number", "where"), [(signal.SIGINT, "jobs"), (signal.SIGTERM, "custom"), (signal.SIGHUP, "jobs")]
)
def test_a_signal_stops_in_order_within_five_seconds(
    ensemble: Run, document: Write, tmp_path: Path, number: signal.Signals, where: str
) -> None:
    pid = tmp_path / "pid"
    stubborn = "trap '' TERM; " if where == "jobs" else ""
    script = f"{stubborn}echo $$ > {pid}; sleep 60; sleep 60"
    path = document(f"""\
jobs:
  - {{name: stubborn, command: [sh, -c, "{script}"]}}
  - {{name: waits, command: sleep 60, count: 9}}
rules:
  - {{trigger: start, action: {{name: submit, label: stubborn}}}}
  - {{trigger: start, action: {{name: submit, label: waits}}}}
  - {{trigger: {"start" if where == "custom" else "job-failed"}, action: {{name: custom, label: f}}}}
custom: |
  def f(**kwargs):
      import time
      time.sleep(60)
""")
    folder = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        "from ensemble.cli import main; main()",
        "run",
        "--member",
        "local",
        "--cores",
        "1",
    ]
    process = subprocess.Popen(
        [*command, str(path), "--dir", str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 20
    while not (pid.exists() and pid.read_text()) and time.monotonic() < deadline:
        time.sleep(0.02)
    started = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert time.monotonic() - started < 5
    assert process.returncode == 1
    assert f"stopped ({number.name}): 10 jobs are left to their queue (stubborn: 1, waits: 9)\n" in err
    assert f"go on with: ensemble run --resume {folder}; end it with: ensemble cancel {folder}\n" in err
    assert "Traceback" not in err
    os.kill(int(pid.read_text()), 0)  # it runs on
    done = ensemble("cancel", folder)
    assert done.returncode == 0, done.stderr
    assert "waits: 9 submitted, 9 cancelled, 9 finished" in done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_output_of_two_runs_is_not_mixed(ensemble: Run, examples: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/x").touch()
    done = ensemble("run", examples / "terminate.yaml", "--dir", tmp_path / "out")
    assert (done.returncode, done.stdout, "not empty" in done.stderr) == (1, "", True)


def test_usage_errors(ensemble: Run, examples: Path) -> None:
    assert ensemble("run").returncode == 2
    assert ensemble("run", "--cores", "0", examples / "terminate.yaml").returncode == 2
    assert ensemble("walk").returncode == 2


def test_flux_that_is_not_there_is_one_line(ensemble: Run, examples: Path) -> None:
    done = ensemble("run", "--member", "flux", examples / "terminate.yaml")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "member flux: " in done.stderr


def test_a_terminal_gets_colours_and_no_color_takes_them_away(document: Write, tmp_path: Path) -> None:
    path = document(f"{JOBS}rules: [{{trigger: start, action: {{name: submit, label: fine}}}}]\n")

    def on_a_terminal(**env: str) -> str:
        parent, child = pty.openpty()
        command = [sys.executable, "-c", "from ensemble.cli import main; main()"]
        process = subprocess.Popen(
            [*command, "run", str(path)],
            stdout=child,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "200", "TMPDIR": str(tmp_path), **env},
        )
        os.close(child)
        shown = b""
        while True:
            try:
                more = os.read(parent, 65536)
            except OSError:
                break
            if not more:
                break
            shown += more
        os.close(parent)
        assert process.wait() == 0
        return shown.decode()

    assert "\x1b[1;32m=> trigger start" in on_a_terminal()
    plain = on_a_terminal(NO_COLOR="1")
    assert "=> trigger start" in plain
    assert "\x1b[1;32m" not in plain


def test_the_end_of_the_reader_is_no_traceback(examples: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        f"{sys.executable} -c 'from ensemble.cli import main; main()' run --member local"
        f" {examples}/custom-action-example.yaml | head -n 1",
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=30,
    )
    assert done.stdout == "=> trigger start\n"
    assert "Traceback" not in done.stderr


def test_what_functions_print_is_no_json_of_ours(ensemble: Run, document: Write) -> None:
    text = """
jobs: [{name: a, command: "true"}]
rules: [{trigger: start, action: {name: submit, label: a}}, {trigger: start, action: {name: custom, label: f}}]
custom: |
  def f(**more):
      print("hello from f")
"""
    done = ensemble("run", "--json", "--member", "local", document(text))
    assert [json.loads(line) for line in done.stdout.splitlines()][-1]["type"] == "end"
    assert "hello from f" in done.stderr
