"""The commands over scripts as a user types them: answers, places, exit codes, files."""

from __future__ import annotations

import json
import os
from types import SimpleNamespace

import pytest

SCRIPT = """#!/bin/bash
#SBATCH --nodes=2 --ntasks-per-node=4
#SBATCH --time=1:30:00   # wall clock
#SBATCH --mem=8G
#SBATCH --partition=batch
 #SBATCH --mem=1G
srun hostname
#SBATCH --mem=2G
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "job.sbatch"
    path.write_text(SCRIPT)
    return path


def lines(result):
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_explain_says_what_slurm_would_hold(jobspec, script):
    [answer] = lines(jobspec("explain", "--json", script))
    assert (answer["file"], answer["system"], answer["accepted"], answer["errors"]) == (str(script), "slurm", True, [])
    job = answer["job"]
    assert (job["nodes"], job["tasks"], job["tasks_per_node"]) == ({"min": 2, "max": 2}, 8, 4)
    assert (job["walltime_s"], job["memory"], job["queue"]) == (5400, {"bytes": 8 * 2**30, "per": "node"}, "batch")
    assert job["account"] is None
    assert job["requeue"] is True, "as Slurm does unless it is told otherwise"
    ignored = [one["line"] for one in answer["report"] if one["state"] == "ignored"]
    assert ignored == [6, 8]
    people = jobspec("explain", script)
    assert "8GB per node" in people.stdout
    assert people.exit_code == 0


def test_explain_answers_for_every_file_in_order(jobspec, script, tmp_path):
    bad, absent, binary = tmp_path / "bad.sh", tmp_path / "absent.sh", tmp_path / "binary.sh"
    bad.write_text("#!/bin/sh\n#SBATCH --nodes=four\nhostname\n")
    binary.write_bytes(b"#!/bin/sh\n\xff\xfe#SBATCH\0\n")
    result = jobspec("explain", "--json", bad, absent, script, binary)
    answers = lines(result)
    assert [one["file"] for one in answers] == [str(bad), str(absent), str(script), str(binary)]
    assert [one["accepted"] for one in answers] == [False, False, True, False]
    assert answers[0]["job"] is None
    assert (answers[0]["errors"][0]["line"], answers[1]["errors"][0]["line"]) == (2, 0)
    assert result.exit_code == 1


def test_validate_points_at_the_place(jobspec, tmp_path):
    path = tmp_path / "bad.sh"
    path.write_text("#!/bin/sh\n#SBATCH -N 1\n#SBATCH --mem=4GiB\nhostname\n")
    result = jobspec("validate", path)
    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:3:")
    assert ": error: " in result.stdout
    [answer] = lines(jobspec("validate", "--json", path))
    assert (answer["valid"], answer["errors"][0]["line"]) == (False, 3)


def test_detect_gives_the_evidence(jobspec, script, tmp_path):
    assert f"{script}: slurm (line 2: #SBATCH" in jobspec("detect", script).stdout
    nothing = tmp_path / "plain.sh"
    nothing.write_text("#!/bin/sh\nhostname\n")
    result = jobspec("detect", "--json", script, nothing)
    assert [one["system"] for one in lines(result)] == ["slurm", None]
    assert result.exit_code == 1


def test_diff_compares_what_is_asked_for(jobspec, script, tmp_path):
    same, other = tmp_path / "same.sh", tmp_path / "other.sh"
    same.write_text("#!/bin/sh\n#SBATCH -N2 --ntasks-per-node 4 -t 90 --mem 8192 -p batch\nhostname\n")
    other.write_text(SCRIPT.replace("mem=8G", "mem=9G"))
    assert jobspec("diff", script, same).exit_code == 0
    result = jobspec("diff", "--json", script, other)
    answer = json.loads(result.stdout)
    assert result.exit_code == 1
    assert [one["field"] for one in answer["differences"]] == ["memory"]


def test_one_script_goes_to_stdout_and_its_report_to_stderr(jobspec, script):
    result = jobspec("convert", "--to", "flux", script)
    assert result.exit_code == 0
    assert result.stdout.startswith("#!/bin/bash\n")
    assert "flux run" in result.stdout
    assert "#SBATCH --mem=2G" in result.stdout, "lines that Slurm ignores stay as they are"
    assert "dropped" in result.stderr
    assert "memory" in result.stderr


def test_annotate_puts_the_report_into_the_script(jobspec, script):
    text = jobspec("convert", "--to", "flux", "--annotate", script).stdout
    assert "# jobspec: line 2: " in text
    assert text.index("# jobspec:") < text.index("flux run")


def test_strict_writes_nothing_that_lost_what_matters(jobspec, script, tmp_path):
    out = tmp_path / "out"
    result = jobspec("convert", "--to", "flux", "--strict", "--out-dir", out, script)
    assert result.exit_code == 1
    assert not list(out.rglob("*"))
    assert "--mem" in result.stderr


def test_many_files_keep_their_folders(jobspec, tmp_path):
    for place in ("a/run.sh", "b/run.sh", "b/deep/run.sbatch", "b/deep/run.sh"):
        path = tmp_path / "in" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SCRIPT)
    sources = sorted((tmp_path / "in").rglob("run.*"))
    out = tmp_path / "out"
    result = jobspec("convert", "--to", "flux", "--out-dir", out, *sources)
    assert result.exit_code == 0
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    assert made == ["a/run.flux", "b/deep/run.sbatch.flux", "b/deep/run.sh.flux", "b/run.flux"]
    assert jobspec("convert", "--to", "flux", *sources).exit_code == 2


def test_a_source_is_never_overwritten(jobspec, script):
    result = jobspec("convert", "--to", "slurm", "--out-dir", script.parent, script)
    assert result.exit_code == 1
    assert "one of the sources" in result.stderr
    assert script.read_text() == SCRIPT


def test_json_has_the_text_and_the_report(jobspec, script, tmp_path):
    [answer] = lines(jobspec("convert", "--json", "--to", "flux", script))
    assert answer["converted"] is True
    assert answer["files"][0]["text"].startswith("#!/bin/bash\n")
    assert {one["line"] for one in answer["report"] if one["fate"] == "ignored"} == {6, 8}
    [answer] = lines(jobspec("convert", "--json", "--to", "flux", "--out-dir", tmp_path / "out", script))
    assert answer["files"] == [{"path": str(tmp_path / "out" / "job.flux")}]


def test_refused_scripts_do_not_stop_the_others(jobspec, script, tmp_path):
    bad = tmp_path / "bad.sbatch"
    bad.write_text("#!/bin/sh\n#SBATCH --nodes=four\nhostname\n")
    out = tmp_path / "out"
    result = jobspec("convert", "--to", "flux", "--out-dir", out, bad, script)
    assert result.exit_code == 1
    assert f"{bad}:2:" in result.stderr
    assert "2 scripts: 1 converted, 1 refused; in them: " in result.stderr.splitlines()[-1]
    assert [path.name for path in out.iterdir()] == ["job.flux"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--to", "pbs"), "pbspro, torque"),
        (("--to", "moab"), "only read"),
        (("--to", "nothing"), "known:"),
        (("--to", "flux", "--from", "htcondor"), "only written"),
        (("--to", "flux", "--profile", "absent.yaml"), "absent.yaml"),
    ],
)
def test_what_can_not_be_asked_for_is_one_line(jobspec, script, arguments, words):
    result = jobspec("convert", *arguments, script)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


def test_stdin_and_bytes_that_are_no_text(jobspec):
    data = SCRIPT.encode().replace(b"hostname", b"echo caf\xe9")
    result = jobspec("convert", "--to", "slurm", "-", stdin=data)
    assert b"echo caf\xe9" in result.stdout_bytes


@pytest.mark.parametrize("command", ["explain", "validate", "detect", "request", "convert"])
def test_a_closed_stdin_is_said(jobspec, monkeypatch, command):
    options = ["--to", "flux"] if command == "convert" else []
    # As Python has it where it was closed before the start; a runner would open another one.
    monkeypatch.setattr("jobspec.readers.sys", SimpleNamespace(stdin=None))
    result = jobspec(command, *options, "-")
    assert result.exit_code == 1
    assert "can't read a script from stdin: it is closed" in result.output


def test_a_second_time_with_a_source_that_is_not_there(jobspec, script, tmp_path):
    for _ in range(2):
        result = jobspec("convert", "--to", "flux", script, tmp_path / "missing", "--out-dir", tmp_path / "out")
        assert result.exit_code == 1
        assert "missing': No such file" in result.stderr
        assert (tmp_path / "out" / "job.flux").exists()


@pytest.mark.parametrize("folder", ["job.sbatch/x", "file/y/z"])
def test_a_folder_that_can_not_be_made(jobspec, script, tmp_path, folder):
    (tmp_path / "file").touch()
    result = jobspec("convert", "--to", "flux", script, "--out-dir", tmp_path / folder)
    assert result.exit_code == 1
    assert "can't write" in result.stderr
    assert "ot a directory" in result.stderr


def test_no_folder_is_not_the_root(jobspec, script):
    result = jobspec("convert", "--to", "flux", script, "--out-dir", "")
    assert result.exit_code == 2
    assert "--out-dir is empty" in result.stderr


@pytest.mark.timeout(60)
def test_many_files_a_second_time(jobspec, tmp_path, monkeypatch):
    """Whether a file is one of the sources is not asked of each pair of them."""
    files = [tmp_path / f"{number}.sbatch" for number in range(300)]
    for file in files:
        file.write_text("#!/bin/sh\n#SBATCH -n 1\nhostname\n")
    calls = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda *args, **options: calls.append(args) or stat(*args, **options))
    for _ in range(2):
        calls.clear()
        assert jobspec("convert", "--to", "flux", *files, "--out-dir", tmp_path / "out").exit_code == 0
    assert len(calls) < 2000
