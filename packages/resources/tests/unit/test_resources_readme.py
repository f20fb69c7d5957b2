"""What the README shows is what happens."""

import re
import shlex
from pathlib import Path

from click.testing import CliRunner
from resources import Pool
from resources.cli import main
from resources.testing import check_kind

README = Path(__file__).parents[2] / "README.md"


def blocks(language):
    found = re.findall(r"^```(\w*)\n(.*?)^```$", README.read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in found if name == language]


def test_python_runs_and_prints_what_its_comments_say(capsys):
    first, kind = blocks("python")
    exec(first, {})
    assert capsys.readouterr().out.splitlines() == re.findall(r"print\(.*\) +# (.*)", first) + re.findall(
        r"^# (.*)", first, re.MULTILINE
    )
    namespace = {}
    exec(kind, namespace)
    check_kind(namespace["KIND"])


def test_the_table_is_a_pool():
    [table] = blocks("toml")
    assert Pool.from_toml(table).stat()["cores"] == (16, 16)


def test_commands_print_what_is_shown(tmp_path, monkeypatch):
    inventory, session = (block for block in blocks("") if block.startswith(("inventory", "$")))
    (tmp_path / "cluster.txt").write_text(inventory)
    monkeypatch.chdir(tmp_path)
    shown = re.findall(r"^\$ resources (.*)\n((?:(?!\$).*\n)*)", session, re.MULTILINE)
    assert len(shown) == 3
    for command, output in shown:
        assert CliRunner().invoke(main, shlex.split(command)).stdout == output
