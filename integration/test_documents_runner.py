"""A page with a mistake fails, and says where; one that shows what is seen does not."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

from documents import held, words
from documents.cli import look_at
from documents.page import parse
from documents.programs import ROOT
from documents.run import PageRun

HERE = Path(__file__).parent
GOOD = """
# A page

<!-- file: sub/job.txt -->
```text
cores=4 memory=8GB
```

```console
$ resources parse \\
    "$(cat sub/job.txt)"
cores=4 memory=8GB
$ cd sub && NAME=job
$ ls $NAME.txt
job.txt
$ cat > b.txt <<END
$ no command
END
$ seq 9
1
...
9
$ echo a long line; echo to stderr >&2
a … line
to stderr
```

<!-- exit: 1 -->
```console
$ resources fit cores=4 --in nowhere
resources: …nowhere…
```

<!-- varies: \\d+ s || at \\S+ -->
```console
$ echo "took   12345 s at noon"
took 3 s at night
```

```python
def twice(n):
    return 2 * n

print(twice(2))  # 4
```

```python
print("of", twice(4))  # of …
```

<!-- check: grep -q four -->
```yaml
three: four
```

<!-- shown: needs a cloud account -->
```console
$ flux-burst run --plugin gke
```

<!-- needs: no-such-engine -->
```console
$ no-such-engine --start
```

<!-- port: 8765 -->
<!-- stays: a server -->
```console
$ python3 -u -c "import time; print('serving 8765'); time.sleep(600)"
serving 8765
```

<!-- stands: big.example.org for localhost -->
```console
$ echo big.example.org | tr a-z A-Z; echo localhost
LOCALHOST
big.example.org
```

<!-- shown: a plugin's options -->
```console
$ flux-burst plan --plugin ec2 --ec2-region eu-west-1
```

```console
$ sleep 600 & echo at $HOME
at /home/you
```

<!-- file: included.yaml check: ensemble validate included.yaml -->
```yaml
--8<-- "examples/hello-world.yaml"
```

Ask `resources fit REQUEST --in INVENTORY`, or `nox -s "tests(jobspec)"`.

<!-- command: jobspec convert -->
| option | |
|---|---|
| `--to`, `--strict` | `--nonsense` |
"""
BAD = {
    "included file": (
        '<!-- file: a -->\n```text\n--8<-- "examples/none"\n```',
        "examples/none is included and is not there",
    ),
    "wrong output": ("```console\n$ echo one\ntwo\n```", "page.md:2: $ echo one"),
    "output that is not shown": ("```console\n$ echo one; echo two\none\n```", "+two"),
    "output that is not there": ("```console\n$ echo one\none\n...\ntwo\n```", "-two"),
    "wrong exit code": ("```console\n$ exit 3\n```", "exit code 3, expected 0"),
    "exit code of one before": ("<!-- exit: 1 -->\n```console\n$ false\n$ false\n```", "page.md:3: $ false"),
    "success where failure is shown": ("<!-- exit: 1 -->\n```console\n$ true\n```", "exit code 0, expected 1"),
    "command not there": ("```console\n$ no-such-command\n```", "exit code 127"),
    "python raises": ("```python\nx = 1\nx / 0\n```", "ZeroDivisionError"),
    "python prints another": ("```python\nprint(1 + 1)  # 3\n```", "line 1 of the block shows `3`, printed was `2`"),
    "syntax of python": ("```python\nprint(\n```", "SyntaxError"),
    "check fails": ("<!-- check: grep -q four -->\n```yaml\na: b\n```", "`grep -q four` exits 1"),
    "check of a file fails": ("<!-- file: a.sh check: bash -n a.sh -->\n```bash\nif\n```", "exits 2"),
    "fragment fails": ("<!-- check: fragment json -->\n```json\n{\n```", "exits 1"),
    "rule of an ensemble": ("<!-- check: fragment rules a -->\n```yaml\n- triger: start\n```", "triger"),
    "key of settings": ("<!-- check: fragment settings -->\n```toml\ndelai = 1\n```", "did you mean 'delay'?"),
    "parameter of a plugin": (
        '<!-- check: fragment settings -->\n```toml\n[plugins.slurm]\nshap = ["a: cores=1"]\n```',
        "plugins.slurm.shap: unknown parameter",
    ),
    "catalogue": (
        '<!-- check: fragment catalogue instance_type -->\n```toml\n[[shapes]]\nmachine_type = "x"\n```',
        "machine_type",
    ),
    "key of a job": ("<!-- check: fragment job -->\n```yaml\nretries: 3\nretrys: 3\n```", "retrys"),
    "custom function": ("<!-- check: fragment custom f -->\n```python\ndef f(**_):\n    return 1\n```", "exits 1"),
    "sub-command of a shown block": (
        "<!-- shown: x -->\n```console\n$ jobspec transmute\n```",
        "`jobspec` has no sub-comm",
    ),
    "option of a shown block": ("<!-- shown: x -->\n```console\n$ jobspec run --fast\n```", "has no option `--fast`"),
    "option of a plugin": (
        "<!-- shown: x -->\n```console\n$ flux-burst plan --plugin ec2 --ec2-nope x\n```",
        "has no option `--ec2-nope`",
    ),
    "what stands": ("<!-- stands: a -->\n```console\n$ true\n```", "stands takes"),
    "option behind a pipe": ("<!-- shown: x -->\n```\ntrue | resources fit - --into x\n```", "has no option `--into`"),
    "option in a table": ("| a | b |\n|---|---|\n| x | `ensemble run --nope FILE` |", "page.md:3: `ensemble run` has"),
    "option in a sentence": ("One\n`flux-burst plan --nope` two", "page.md:2: `flux-burst plan` has no option"),
    "option of a table's command": (
        "<!-- command: jobspec run -->\n\n| a |\n|---|\n| `--nope` |",
        "has no option `--nope`",
    ),
    "option of a synopsis": ("```\nensemble run FILE [--nope]\n```", "has no option `--nope`"),
    "session": ("Run `nox -s nonsense`.", "no session `nonsense`"),
    "module": ("Run `python -m ensemble.members.nonsense`.", "no module"),
    "unknown annotation": (
        "<!-- skip: next -->\n```console\n$ true\n```",
        "page.md:1: unknown annotation `skip: next`",
    ),
    "annotation without a block": ("```text\n```\n\n<!-- exit: 1 -->\n\nText.", "steers no block"),
    "annotation at the end": ("```text\n```\n\n<!-- exit: 1 -->", "steers no block"),
    "annotation in a paragraph": ("See <!-- exit: 1 --> this.", "stands in a paragraph"),
    "regular expression": ("<!-- varies: ( -->\n```console\n$ true\n```", "no regular expression"),
    "command in text": ("```text\n$ true\n```", "page.md:1: line 2: a `$ ` line in a block of text"),
    "command in an indented block": ("A\n\n    $ true\n", "a `$ ` line in a block of text"),
    "our command in text": ("```\nresources parse cores=4\n```", "make it ```console"),
    "fence within an indented block": ("A\n\n    ```console\n    $ true\n    ```\n", "take the indentation away"),
    "language": ("```ruby\nputs 1\n```", "a block of ruby is run by nobody"),
    "no command in a console": ("```console\ntrue\n```", "begins with a `$ ` line"),
    "exit codes": ("<!-- exit: 1 0 -->\n```console\n$ true\n```", "2 exit codes for 1 commands"),
    "link": ("[a](nowhere.md)", "leads nowhere"),
    "server that ends": ("<!-- stays: a server -->\n```console\n$ echo up\nup\n```", "exit code 0, it should stay"),
    "server that is not shown": ("<!-- stays: a server -->\n```console\n$ sleep 9\n```", "shows what it prints"),
    "background that says another": ("```console\n$ echo down &\nup\n```", "-up"),
}


def wrong(folder: Path, text: str) -> str:
    path = folder / "page.md"
    path.write_text(text)
    return "\n".join(look_at(parse(path, "page.md"), []))


def test_a_page_that_shows_what_is_seen_passes(tmp_path: Path) -> None:
    assert not wrong(tmp_path, GOOD)


@pytest.mark.parametrize(("text", "said"), BAD.values(), ids=[name.replace(" ", "-") for name in BAD])
def test_a_mistake_fails_and_says_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setattr("documents.run.PATIENCE", 1.0 if "stays" not in text else 60.0)
    monkeypatch.setattr("documents.run.STAYS", 60.0)
    assert said in wrong(tmp_path, text)


def test_what_is_shown_only_and_what_is_skipped_is_known_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(
        "<!-- shown: a cloud -->\n```console\n$ x\n```\n\n<!-- needs: no-such -->\n```console\n$ false\n```\n"
    )
    page = parse(path, "page.md")
    run = PageRun(page, ROOT)
    try:
        assert run.result(0).shown == "a cloud"
        assert run.result(1).skipped == "no-such is not here"
    finally:
        assert not run.end()


def test_output_is_rewritten_with_what_was_seen(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("1. One\n\n   ```console\n   $ seq 2\n   7\n   $ echo a\n   ```\n\n```console\n$ echo b\nb\n```\n")
    assert look_at(parse(path, "page.md"), [], write=True)
    assert path.read_text() == (
        "1. One\n\n   ```console\n   $ seq 2\n   1\n   2\n   $ echo a\n   a\n   ```\n\n```console\n$ echo b\nb\n```\n"
    )
    assert not look_at(parse(path, "page.md"), [])


def test_a_package_page_has_its_own_commands_only() -> None:
    page = parse(ROOT / "packages/jobspec/README.md", "a package's")
    run = PageRun(page, ROOT)
    try:
        python = run.sandbox.bin / "python"
        found = {path.name for path in run.sandbox.bin.iterdir()}
        assert {"jobspec", "resources"} <= found
        assert not found & {"ensemble", "ensemble-server", "flux-burst", "resource-secretary"}
        assert run.sandbox.run("command -v ensemble flux-burst", {})[0].code == 1
        assert run.sandbox.run("jobspec --version && resources --version", {})[0].code == 0
        code = "import jobspec, resources\ntry:\n import ensemble\nexcept ModuleNotFoundError: print('absent')"
        said = subprocess.run([python, "-c", code], env=run.sandbox.environ, capture_output=True, text=True)
        assert said.stdout == "absent\n", said.stderr
    finally:
        run.end()


def test_links_of_a_package_page_are_refused_since_pypi_has_no_tree(tmp_path: Path) -> None:
    page = parse(ROOT / "packages/jobspec/README.md", "jobspec")
    page.links = [(1, "../../docs/index.md"), (2, "https://flux-framework.org"), (3, "#limits")]
    assert len([said for said in words.of_page(page) if "PyPI" in said]) == 1


def test_nothing_is_left_of_a_page(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```console\n$ setsid sleep 600 >/dev/null 2>&1 &\n$ (sleep 600 &)\n```\n")
    run = PageRun(parse(path, "page.md"), ROOT)
    run.result(0)
    assert run.sandbox._processes()
    run.end()
    assert not run.sandbox._processes()
    assert not run.sandbox.home.exists()


def test_by_hand_a_page_that_is_wrong_gives_one(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("```console\n$ echo one\ntwo\n```\n")
    argv = [sys.executable, str(HERE / "documents"), str(path)]
    done = subprocess.run(argv, env=os.environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert "+one" in done.stdout
    assert "1 commands" in done.stdout


def test_by_hand_a_run_that_is_terminated_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"```console\n$ pwd >{tmp_path}/where && mv {tmp_path}/where {tmp_path}/there && sleep 600\n```\n")
    process = subprocess.Popen([sys.executable, str(HERE / "documents"), str(path)], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while not (tmp_path / "there").exists():
            assert time.monotonic() < end
            time.sleep(0.05)
        process.terminate()
        assert process.wait(60) == 143
        assert not Path((tmp_path / "there").read_text().strip()).exists()
    finally:
        process.kill()
        process.wait()


def test_every_document_is_run() -> None:
    parts = [page.name for part in ("", *held.PARTS) for page in held.pages(part)]
    assert sorted(parts) == sorted(page.name for page in held.pages())
    assert {"README.md", "CONTRIBUTING.md", "docs/index.md", "packages/jobspec/README.md"} <= set(parts)
    assert len([name for name in parts if name.startswith("examples/")]) >= 6


def test_settings_go_into_a_file_as_readers_put_them_there() -> None:
    from documents.bursting import merged

    file = 'owner = "a"\n\n[limits]\nnodes = 1\n\n[plugins.slurm]\nhosts = "slurm[0-2]"\nlease = "4h"\n'
    fragment = 'delay = 0\n\n[plugins.slurm]\nlease = "30m"\n'
    assert tomllib.loads(merged(file, fragment)) == {
        "delay": 0,
        "owner": "a",
        "limits": {"nodes": 1},
        "plugins": {"slurm": {"lease": "30m"}},
    }
