"""What `resources` prints for people where there is much to say, and of what is no text at all."""

import errno
import json

import pytest
from click.testing import CliRunner
from resources import clikit
from resources.cli import main

MANY = "inventory version=1\nhosts=n[0-24] ranks=0-24 | cores=4 | cores=[0]\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "many").write_text(MANY)

    def run(*words):
        made = CliRunner().invoke(main, list(words), prog_name="resources")
        return made.exit_code, made.stdout, made.stderr

    return run


def test_explain_says_how_many_copies_fit(run):
    assert "copies    25 of 25 fit now" in run("explain", "cores=1", "--in", "many", "--count", "25")[1]


def test_explain_shows_twenty_places_and_counts_the_rest(run):
    code, out, _ = run("explain", "nodes=25 cores=1", "--in", "many")
    assert code == 0
    assert [line.split()[1] for line in out.splitlines() if line.startswith("place")] == [f"n{n}" for n in range(20)]
    assert out.endswith("          and 5 hosts more (--json has all)\n")
    assert "more" not in run("explain", "nodes=20 cores=1", "--in", "many")[1]


def test_explain_names_the_closest_host_and_what_it_is_short_of(run):
    code, out, _ = run("explain", "cores=3", "--in", "many")
    assert code == 1
    assert "closest   n0\nshort     cores short by 2 (needs 3, has 1)\n" in out


def test_kinds_as_json(run):
    code, out, _ = run("kinds", "--json")
    kinds = {kind["name"]: kind for kind in json.loads(out)["kinds"]}
    assert code == 0
    assert (kinds["cores"]["origin"], kinds["cores"]["usable"], kinds["cores"]["reason"]) == ("built-in", True, None)
    assert kinds["cores"]["about"]
    assert next(iter(kinds)) == "nodes"  # the order in which requests are written


def test_what_is_no_text_and_what_is_too_large(run, tmp_path, monkeypatch):
    (tmp_path / "latin").write_bytes(b"cores=1\n\xe9")
    assert run("parse", "latin") == (1, "", "resources: the request 'latin' is not UTF-8 text (byte 8)\n")
    monkeypatch.setattr(clikit, "LARGEST_DOCUMENT", 2**20)
    (tmp_path / "large").write_bytes(b" " * 2**20 + b"cores=1")
    assert run("parse", "large") == (1, "", "resources: the request 'large' is larger than 1 MiB\n")


def test_a_bug_is_called_one_and_debug_shows_where(run, monkeypatch):
    def broken(*_):
        raise RuntimeError("not\nforeseen")

    monkeypatch.setattr("resources.cli.parse.read_request", broken)
    code, out, said = run("parse", "cores=1")
    assert (code, out) == (70, "")
    assert said == "resources: bug: RuntimeError: not foreseen (please report it; --debug shows where)\n"
    assert "Traceback" in run("--debug", "parse", "cores=1")[2]


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/far/x"), 1, "can't use '/far/x': Permission denied"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_what_the_caller_can_mend_is_no_bug(run, monkeypatch, raised, code, said):
    def broken(*_):
        raise raised

    monkeypatch.setattr("resources.cli.parse.read_request", broken)
    assert run("parse", "cores=1") == (code, "", f"resources: {said}\n")
