"""The command line as a whole, the listing, and the examples as a user types them."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

HEAVY = {"yaml", "rich", "resources.pool", "jobspec.runner", "jobspec.document", "subprocess", "importlib.metadata"}


def test_help_and_version(jobspec):
    assert "transformers" in jobspec("--help").stdout
    assert jobspec("--version").stdout.split()[-1] == importlib.metadata.version("jobspec")
    for command in ("run", "request", "transformers"):
        assert jobspec(command, "--help").exit_code == 0
    assert jobspec("run").exit_code == 2


def test_help_imports_nothing_heavy():
    code = "import sys; from jobspec.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.splitlines()[-1].split())


def test_import_does_no_work():
    code = "import sys, jobspec, jobspec.steps, jobspec.transformer; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert "jobspec.transformer.flux" not in done.stdout.split()


@pytest.mark.parametrize("name", ["hello-world-jobspec", "hello-world-wait-jobspec", "hello-world-batch"])
def test_examples_run_here(jobspec, examples, name, private_tmp):
    result = jobspec("run", "-t", "local", examples / f"{name}.yaml")
    assert result.exit_code == 0, result.stderr
    steps = [line for line in result.stdout.splitlines() if line.startswith("=> step ")]
    assert steps
    assert all(line.endswith(" OK") for line in steps)
    assert list(private_tmp.iterdir()) == []


def test_default_without_flux_is_local_and_says_so(jobspec, examples, monkeypatch):
    monkeypatch.setenv("PATH", "/bin:/usr/bin") if not Path("/usr/bin/flux").exists() else None
    result = jobspec("run", examples / "hello-world-wait-jobspec.yaml")
    assert result.exit_code == 0
    assert result.stderr.startswith("jobspec: running with local: ")


def test_json_of_a_run(jobspec, examples):
    answer = json.loads(jobspec("run", "-t", "local", "--json", examples / "hello-world-wait-jobspec.yaml").stdout)
    assert (answer["ok"], answer["transformer"], answer["stage"]) == (True, "local", None)
    assert [step["step"] for step in answer["steps"]] == ["write", "submit", "write", "submit"]
    planned = json.loads(
        jobspec("run", "-t", "flux", "--dry-run", "--json", examples / "hello-world-batch.yaml").stdout
    )
    assert planned["steps"][1]["actions"][0]["argv"][:2] == ["flux", "batch"]


def test_a_failing_run(jobspec):
    text = "{version: 1, task: {command: ['false'], transform: [{step: submit, wait: true}]}}"
    result = jobspec("run", "-t", "local", "-", stdin=text)
    assert result.exit_code == 1
    assert result.stdout.endswith("FAILED\n")
    assert "exit code 1" in result.stderr
    assert json.loads(jobspec("run", "-t", "local", "--json", "-", stdin=text).stdout)["ok"] is False


def test_bad_files_are_one_line(jobspec, tmp_path):
    file = tmp_path / "job.yaml"
    file.write_text("version: 1\ntask:\n  comand: [a]\n")
    result = jobspec("run", "-t", "local", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"jobspec: {file}: task: unknown key 'comand'")
    result = jobspec("run", "-t", "nosuch", file)
    assert (result.exit_code, result.stdout) == (1, "")


def test_receive_job_runs_without_flux(examples):
    done = subprocess.run(
        [sys.executable, examples / "flux" / "receive-job.py"], capture_output=True, text=True, check=False, timeout=30
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("=> step submit") == 2
    assert "running on this host" in done.stderr


def run_cli(*arguments, pythonpath=""):
    environment = {**os.environ, "PYTHONPATH": str(pythonpath)}
    command = [sys.executable, "-c", "from jobspec.cli import main; main(prog_name='jobspec')", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False, timeout=30)


def listing(pythonpath):
    rows = json.loads(run_cli("transformers", "--json", pythonpath=pythonpath).stdout)["transformers"]
    return {row["name"]: row for row in rows}


def test_a_strangers_transformer_on_the_path(examples):
    source = examples / "plugins" / "jobspec-example" / "src"
    assert len((source / "jobspec_example" / "__init__.py").read_text().splitlines()) <= 40
    row = listing(source)["example"]
    assert (row["origin"], row["usable"], row["steps"]) == (str(source), True, ["stage", "submit", "write"])
    done = run_cli("run", "-t", "example", examples / "hello-world-wait-jobspec.yaml", pythonpath=source)
    assert done.returncode == 0, done.stderr
    assert "hello world from" in done.stdout


def test_a_strangers_transformer_as_an_installed_distribution(examples, tmp_path):
    """Its wheel, built by its own backend and unpacked where distributions lie."""
    project, site = examples / "plugins" / "jobspec-example", tmp_path / "site-packages"
    code = f"import os; from hatchling.build import build_wheel; print(build_wheel({str(tmp_path)!r}))"
    pytest.importorskip("hatchling")
    built = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=True)
    with zipfile.ZipFile(tmp_path / built.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    assert listing(site)["example"]["origin"] == "jobspec-example 0.1.0"
    check = "from jobspec.testing import check_transformer as c; from jobspec_example import Transformer as T; c(T)"
    environment = {**os.environ, "PYTHONPATH": str(site)}
    subprocess.run([sys.executable, "-c", check], env=environment, check=True, timeout=30)


def test_a_broken_plugin_changes_only_its_own_line(tmp_path):
    before = listing("")
    (tmp_path / "jobspec_broken.py").write_text("raise RuntimeError('no luck')")
    (tmp_path / "jobspec_odd.py").write_text("Transformer = dict")
    (tmp_path / "jobspec_folder").mkdir()
    after = listing(tmp_path)
    assert "no luck" in after["broken"]["reason"]
    assert "TransformerBase" in after["odd"]["reason"]
    assert not after["broken"]["usable"]
    assert "folder" not in after
    assert {name: after[name] for name in before} == before
    text = run_cli("transformers", pythonpath=tmp_path).stdout
    assert len(text.splitlines()) == len(after) + 1
