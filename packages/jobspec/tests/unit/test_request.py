"""The request of a script: the exact form where there is one, and a note where there is none."""

from __future__ import annotations

import json

import pytest
from resources import Pool
from resources.documents import load_request

from jobspec.readers import read_script
from jobspec.request import request


def ask(line):
    need, notes = request(read_script(f"#!/bin/sh\n#SBATCH {line}\nhostname\n"))
    return str(need), [note.text for note in notes]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", "cores=1"),
        ("-c 4 --mem=16G -t 1:00:00", "cores=4 memory=16GB walltime=1:00:00"),
        ("-N 1 -c 4 --gres=gpu:a100:2", "cores=4 gpus=2:a100"),
        ("-t 4:00", "cores=1 walltime=0:04:00"),
        ("-n 8 -c 2 --mem-per-cpu=2G", "tasks=8 cores=2 memory=4GB"),
        ("-N 2 --ntasks-per-node=4 --mem=64G", "nodes=2 tasks=8 cores=1 memory=16GB"),
        ("-N 2 --ntasks-per-node=4 --gres=gpu:4", "nodes=2 tasks=8 cores=1 gpus=1"),
        ("--ntasks-per-node=4 --mem=64G", "nodes=1 tasks=4 cores=1 memory=16GB"),
        # 4 GPUs of a node are no whole number for each of 8 tasks: amounts per node
        ("-N 2 --ntasks-per-node=8 -c 2 --gres=gpu:4 --mem=64G", "nodes=2 cores=16 memory=64GB gpus=4"),
        ("-N 1 -n 3 --mem=64G", "cores=3 memory=64GB"),
        ("-N 3 --mem=64G", "nodes=3 tasks=3 cores=1 memory=64GB"),
        ("-n 4 --gpus-per-task=1 --mem-per-gpu=8G", "tasks=4 cores=1 memory=8GB gpus=1"),
        ("-c 4 -G 2 --tmp=10G", "cores=4 disk=10GB gpus=2"),
        ("-L matlab:2,ansys -n 2", "tasks=2 cores=1 licenses=ansys:1,matlab:2"),
    ],
)
def test_exact(line, expected):
    text, notes = ask(line)
    assert sorted(text.split()) == sorted(expected.split())
    assert notes == []


@pytest.mark.parametrize(
    ("line", "expected", "note"),
    [
        ("-n 16 --mem=64G", "cores=16 memory=64GB", "all 16 tasks on one node"),
        ("-N 4 -n 10 -c 2 --mem=8G", "nodes=4 cores=6 memory=8GB", "10 tasks on 4 nodes"),
        ("-N 2-4 -n 8", "nodes=2 tasks=8 cores=1", "takes the least"),
        ("-n 8 --ntasks-per-node=4", "nodes=2 tasks=8 cores=1", "at most 4 tasks on a node"),
        ("-n 4 -G 8", "tasks=4 cores=1 gpus=2", "shared out evenly"),
        ("-N 2 -G 3", "nodes=2 cores=1 gpus=2", "read as 2 on each node"),
        ("--mem=0", "cores=1", "all of the node's memory"),
        ("-t UNLIMITED", "cores=1", "no walltime"),
        ("--exclusive", "cores=1", "whole nodes"),
        ("-p gpu", "cores=1", "a request names no queue"),
        ("-a 1-10", "cores=1", "one element"),
    ],
)
def test_approximate(line, expected, note):
    text, notes = ask(line)
    assert sorted(text.split()) == sorted(expected.split())
    assert any(note in found for found in notes), notes


def test_nothing_is_said_of_what_shapes_no_resource():
    assert ask("-J a -o out -e err --mail-type=END --mail-user=a@b -A me --export=ALL --open-mode=append")[1] == []


def test_the_command(jobspec, examples):
    result = jobspec("request", examples / "batch-script.sh")
    assert result.stdout == "nodes=2 tasks=8 cores=8 memory=16GB walltime=2:30:00\n"
    assert result.stderr == f"{examples}/batch-script.sh:8:9: note: --partition=compute: a request names no queue\n"
    document = json.loads(jobspec("request", "--json", examples / "batch-script.sh").stdout)
    assert load_request(document) == load_request(result.stdout)
    assert load_request(json.dumps(document)) == load_request(result.stdout)


def test_fit_understands_it(jobspec, examples):
    need = load_request(jobspec("request", examples / "batch-script.sh").stdout)
    assert Pool.uniform("n[0-1]", load_request("cores=64 memory=256GB")).explain(need).verdict == "READY"
    assert Pool.uniform("laptop", load_request("cores=8 memory=16GB")).explain(need).verdict == "INCOMPATIBLE"


def test_errors_are_file_line_column(jobspec, tmp_path):
    file = tmp_path / "job.sh"
    file.write_text("#!/bin/sh\n#SBATCH --time=2h\n")
    result = jobspec("request", file)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith(f"jobspec: {file}:2:9: error: --time: '2h' is no time")


def test_no_such_file(jobspec):
    result = jobspec("request", "/no/such")
    assert (result.exit_code, result.stderr) == (
        1,
        "jobspec: /no/such: error: can't read '/no/such': No such file or directory\n",
    )


def test_a_note_names_the_kind_that_it_is_about():
    script = "#!/bin/sh\n#PBS -l nodes=2:ppn=4,mem=4gb\ntrue\n"
    _, notes = request(read_script(script))
    assert [note.text for note in notes] == ["memory of the whole job: shared out evenly to its 8 tasks"]
    assert notes[0].where.line == 2
