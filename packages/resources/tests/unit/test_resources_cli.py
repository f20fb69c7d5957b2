"""The command line, as it is typed."""

import json
import os
import subprocess
import sys

import pytest
from click.testing import CliRunner
from resources import Inventory
from resources.cli import main

INVENTORY = (
    "inventory version=1 observed_on=login1\n"
    "hosts=n[0-3] ranks=0-3 state=up | cores=64 memory=256GB gpus=4:a100 | cores=[0-3] memory=10GB gpus=0:a100\n"
    "hosts=n4 ranks=4 state=down | cores=64 memory=256GB\n"
    "shared | licenses=matlab:4 | licenses=matlab:1\n"
)


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inv").write_text(INVENTORY)

    def run(*words, stdin=None):
        made = CliRunner().invoke(main, list(words), input=stdin, prog_name="resources")
        assert made.exit_code != 70, made.stderr
        return made.exit_code, made.stdout, made.stderr

    return run


def test_parse(run):
    assert run("parse", "memory=8192MB cores=4 walltime=90m") == (0, "cores=4 memory=8GB walltime=1:30:00\n", "")
    code, out, _ = run("parse", "-", "--json", stdin="gpus=2:a100")
    assert code == 0
    assert json.loads(out) == {
        "type": "request",
        "version": 1,
        "resources": {"gpus": {"count": 2, "type": "a100"}},
    }
    assert run("parse", "-", stdin=out)[1] == "gpus=2:a100\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("parse", "cores=four"), "resources: column 1: cores must be a whole number, not 'four'\n"),
        (("parse", "nowhere"), "resources: can't read the request 'nowhere': No such file or directory\n"),
        (("fit", "core=4", "--in", "inv"), "resources: column 1: unknown kind 'core'; did you mean 'cores'?\n"),
        (("stat", "."), "resources: can't read the inventory '.': Is a directory\n"),
        (
            ("convert", "cores=1", "--to", "flux-r"),
            "resources: a request is no resource set: flux-r takes an inventory\n",
        ),
    ],
)
def test_bad_input_is_one_line_with_stdout_empty(run, words, says):
    assert run(*words) == (1, "", says)


@pytest.mark.parametrize(
    "words", [("fit", "cores=1"), ("fit", "-", "--in", "-"), ("fit",), ("nope",), ("parse", "cores=1", "-x")]
)
def test_usage_is_2(run, words):
    assert run(*words, stdin="")[0] == 2


def test_a_mistyped_command_is_shown_the_right_one(run):
    code, out, said = run("prase", "cores=1")
    assert (code, out) == (2, "") and "No such command 'prase'. Did you mean 'parse'?" in said
    assert "Did you mean" not in run("zzzzzz")[2]


def test_fit(run):
    assert run("fit", "cores=4 memory=10GB", "--in", "inv") == (0, "READY: fits now on n0\n", "")
    code, out, _ = run("fit", "cores=5", "--in", "inv")
    assert code == 1
    assert out == (
        "BUSY: does not fit now: cores short by 1 (needs 5, has 4) on n0, the best host;"
        " 1 host that could take it is not up\n"
    )
    assert run("fit", "cores=65", "--in", "inv")[1].startswith("INCOMPATIBLE: can never fit: cores short by 1")
    assert run("fit", "licenses=matlab:2", "--in", "inv")[1].startswith("BUSY")
    assert run("fit", "licenses=matlab:1", "--in", "-", stdin=INVENTORY)[0] == 0


def test_fit_count(run):
    assert run("fit", "cores=2", "--in", "inv", "--count", "8")[0] == 0
    code, out, _ = run("fit", "cores=2", "--in", "inv", "--count", "9", "--json")
    answer = json.loads(out)
    assert (code, answer["verdict"], answer["fits"], answer["count"]) == (1, "BUSY", 8, 9)
    assert json.loads(run("fit", "cores=64", "--in", "inv", "--count", "6", "--json")[1])["verdict"] == "BUSY"
    # beyond what all hosts hold, even empty
    assert "can never fit" not in run("fit", "cores=3", "--in", "inv", "--count", "200")[1]
    assert run("fit", "cores=3", "--in", "inv", "--count", "200")[1].startswith("INCOMPATIBLE: 105 of 200 can ever fit")


def test_unknown_is_told_apart(run, tmp_path):
    (tmp_path / "dark").write_text("inventory version=1\nhosts=a ranks=0 | cores=4 | unknown\n")
    code, out, _ = run("fit", "cores=4", "--in", "dark", "--json")
    assert (code, json.loads(out)["verdict"]) == (1, "UNKNOWN")
    assert json.loads(run("fit", "cores=5", "--in", "dark", "--json")[1])["verdict"] == "INCOMPATIBLE"


def test_explain(run):
    code, out, _ = run("explain", "nodes=2 cores=4", "--in", "inv")
    assert code == 0
    assert "place     n1 (rank 1), 1 task" in out
    code, out, _ = run("explain", "cores=8 gpus=1", "--in", "inv", "--json")
    assert code == 1
    assert [short["kind"] for short in json.loads(out)["short"]] == ["cores", "gpus"]
    assert out.count("\n") == 1


def test_stat(run):
    code, out, _ = run("stat", "inv", "--json")
    assert code == 0
    assert json.loads(out)["cores"] == {"free": 16, "total": 320}  # of the hosts that are up
    assert "hosts     4     5       80%" in run("stat", "--in", "inv")[1]
    assert json.loads(run("stat", "--json")[1])["cores"]["total"] >= 1  # this machine


def test_convert_there_and_back(run, tmp_path):
    as_json = run("convert", "inv", "--to", "json")[1]
    (tmp_path / "inv.json").write_text(as_json)
    assert run("convert", "inv.json", "--to", "text")[1] == INVENTORY.replace(
        "memory=256GB\nshared", "memory=256GB | cores=64 memory=256GB\nshared"
    )
    code, out, err = run("convert", "inv", "--to", "flux-r")
    assert code == 0
    assert json.loads(out)["execution"]["R_lite"] == [
        {"rank": "0-3", "children": {"core": "0-63", "gpu": "0-3"}},
        {"rank": "4", "children": {"core": "0-63"}},
    ]
    assert "lost: n4: the state 'down' is dropped\n" in err
    assert run("convert", "cores=2 memory=1", "--to", "json")[0] == 0
    lines = run("convert", "inv", "cores=1", "--to", "json", "--json")[1].splitlines()
    assert [json.loads(line)["lost"] for line in lines] == [[], []]


def test_a_flux_resource_set_is_an_inventory(run, shared):
    example = shared / "rfc" / "spec_20" / "example1.json"
    assert json.loads(run("convert", str(example), "--to", "flux-r")[1]) == json.loads(example.read_text())
    assert run("fit", "nodes=4 cores=48 gpus=8", "--in", str(example))[0] == 0
    assert Inventory.from_text(run("convert", str(example), "--to", "text")[1]).groups[0].hosts == tuple(
        f"node{n}" for n in range(186, 190)
    )


def test_kinds_survive_a_broken_plugin(tmp_path):
    (tmp_path / "resources_broken.py").write_text("import nothing_like_this")
    (tmp_path / "resources_wrong.py").write_text("KIND = 3")
    made = subprocess.run(
        [sys.executable, "-m", "resources", "kinds"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    plain = subprocess.run([sys.executable, "-m", "resources", "kinds"], capture_output=True, text=True, check=True)
    old, new = plain.stdout.split(), made.stdout
    assert all(word in new for word in old)
    assert "No module named 'nothing_like_this'" in new
    assert "KIND is not a subclass" in new
    assert new.count("\n") == plain.stdout.count("\n") + 2


def test_a_closed_pipe_is_no_traceback():
    code = """
import subprocess, sys
child = subprocess.Popen(
    [sys.executable, "-m", "resources", "kinds"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
)
child.stdout.close()
print(child.stderr.read().decode())
child.stderr.close()
child.wait()
"""
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "Traceback" not in made.stdout


def test_help_and_version(run):
    assert run("--version")[1] == "resources, version 1.0.0a1\n"
    for command in ("kinds", "parse", "fit", "explain", "stat", "convert"):
        assert run(command, "--help")[0] == 0
        assert f"  {command} " in run("--help")[1]


def test_a_terminal_that_is_not_utf8_gets_its_answer():
    made = subprocess.run(
        [sys.executable, "-m", "resources", "parse", 'token="ƒx"'],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert made.stdout == "token=\\u0192x\n"


def test_an_empty_request_from_a_pipe_or_a_file_is_no_request(run, tmp_path):
    """Else the failure of the program before us in the pipe would read as "it fits"."""
    (tmp_path / "empty").write_text("\n")
    for argument in ("-", "empty"):
        code, out, says = run("fit", argument, "--in", "inv", stdin="")
        assert (code, out) == (1, "")
        assert "the request is empty" in says
    assert run("parse", "")[:2] == (0, "\n")
    assert run("fit", "-", "--in", "inv", stdin='{"type": "request", "version": 1, "resources": {}}')[0] == 0


def test_stat_of_an_inventory_without_a_name_is_not_that_of_this_machine(run):
    assert run("stat", "")[:2] == (1, "")


def test_a_byte_order_mark_is_no_part_of_a_document(run, tmp_path):
    (tmp_path / "windows").write_bytes("\ufeffcores=4\r\n".encode())
    assert run("parse", "windows")[1] == "cores=4\n"


@pytest.mark.parametrize(
    ("redirection", "says"),
    [
        ("parse - <&-", "can't read the request from stdin: it is closed"),
        ("kinds >/dev/full", "can't write the output"),
        ("--help >/dev/full", "can't write the output"),
        ("kinds --help >/dev/full", "can't write the output"),
    ],
)
def test_streams_that_do_not_work_are_no_bug(redirection, says):
    made = subprocess.run(
        ["sh", "-c", f'"$0" -m resources {redirection}', sys.executable], capture_output=True, text=True
    )
    assert (made.returncode, made.stdout) == (1, "")
    assert says in made.stderr
    assert made.stderr.count("\n") == 1


def test_a_stdout_that_is_closed_is_not_missed():
    made = subprocess.run(["sh", "-c", '"$0" -m resources kinds >&-', sys.executable], capture_output=True, text=True)
    assert (made.returncode, made.stderr) == (0, "")
