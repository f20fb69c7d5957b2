"""What `resources` prints for people where there is much to say, and of what is no text at all."""

import errno
import json
import os
import subprocess
import sys

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
    (tmp_path / "utf16").write_text("cores=1", encoding="utf-16")
    assert "is not UTF-8 text (it is UTF-16: iconv " in run("parse", "utf16")[2]
    monkeypatch.setattr(clikit, "LARGEST_DOCUMENT", 2**20)
    (tmp_path / "large").write_bytes(b" " * 2**20 + b"cores=1")
    assert run("parse", "large") == (1, "", "resources: the request 'large' is larger than 1 MiB\n")


def test_an_inventory_is_no_request(run):
    said = "resources: many: it is an inventory; a request is key=value, such as cores=4\n"
    assert run("fit", "many", "--in", "many") == (1, "", said)


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


def command(folder, script, *arguments, **variables):
    """A command that does what a script of Python says; exit code and stderr. Here a folder can vanish."""
    source = (
        "import os, sys, click\nfrom pathlib import Path\nfrom resources.clikit import LazyGroup\n"
        "@click.group(cls=LazyGroup)\ndef cli(): pass\n"
        f"@cli.command()\n@click.argument('text', default='')\ndef do(text):\n    {script}\n"
        "cli(prog_name='cli')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", source, "do", *arguments],
        cwd=folder, env=os.environ | variables, capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr.decode()


def test_a_folder_that_has_gone_is_no_bug(tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    gone = (1, "cli: the current directory is gone: change to one that is there\n")
    assert command(here, "Path.cwd().rmdir(); Path('x').absolute()") == gone
    code, said = command(tmp_path, "raise FileNotFoundError(2, 'No such file or directory')")
    assert (code, said.split(":")[1]) == (70, " bug")


def test_text_that_this_locale_or_utf8_does_not_have_is_no_bug(tmp_path):
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, said = command(tmp_path, "os.stat(chr(252))", **plain)
    assert (code, said) == (1, "cli: names of files can't have 'ü' in this locale (ascii): set LC_ALL=C.UTF-8\n")
    utf8 = {"LC_ALL": "C.UTF-8", "PYTHONUTF8": "1"}
    assert command(tmp_path, "text.encode()", b"a\xff", **utf8) == (1, "cli: 'a\\udcff' is not UTF-8 text\n")
    assert command(tmp_path, "chr(0xdcff).encode()", **utf8)[0] == 70
