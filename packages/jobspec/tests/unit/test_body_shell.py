"""Where a place of a shell script stands: POSIX.1-2017, Shell Command Language, chapter 2."""

import re

import pytest

from jobspec.body.shell import scan, words


def places(text: str) -> list[tuple[str, bool]]:
    return [(one.context, one.command) for one in scan(text, [match.start() for match in re.finditer("srun", text)])]


@pytest.mark.parametrize(
    "line",
    [
        "srun a",
        "A=1 B='x y' srun a",
        "true && srun a",
        "false || srun a",
        "cat x | srun a",
        "sleep 1 & srun a",
        "if srun a; then :; fi",
        "for i in 1 2; do srun a; done",
        "( srun a )",
        "{ srun a; }",
        "f() { srun a; }",
        "x=$(srun a)",
        'x="$(srun a)"',
        "x=`srun a`",
        "time srun a",
        "exec srun a",
        "nohup srun a &",
        "timeout -k 5 60 srun a",
        "nice -n 5 srun a",
        "env -u X A=b srun a",
        "case x in a) srun a;; esac",
        "while ! srun a; do :; done",
        "echo $((1 << 3)); srun a",
        "echo ${x#*/} ${y//#/}; srun a",
        "A=(1 2 3); srun a",
        "cat <<< text; srun a",
        "echo don\\'t; srun a",
        "true; \\\n srun a",
    ],
)
def test_it_is_a_command(line: str) -> None:
    assert places(line) == [("code", True)]
    assert places(f"echo 'q' \"x $(date)\" (\n# don't\n{line}\n")[-1:] == [("code", True)]


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("# srun a", "comment"),
        ("true # don't srun a", "comment"),
        ("echo 'srun a'", "single"),
        ('echo "srun a"', "double"),
        ("cat <<EOF\nsrun a\nEOF\n", "here"),
        ("cat <<'EOF'\nsrun a\nEOF\n", "quoted here"),
        ("cat <<-\\EOF\n\tsrun a\n\tEOF\n", "quoted here"),
        ("cat <<A <<B\nx\nA\nsrun a\nB\n", "here"),
        ("echo '\nsrun a\n'", "single"),
    ],
)
def test_it_is_no_code(text: str, context: str) -> None:
    assert places(text)[0][0] == context


@pytest.mark.parametrize("text", ["echo srun a", "which srun", "A=srun", "L=(srun -n 4)", "ls srun", "echo a#srun"])
def test_it_is_no_command(text: str) -> None:
    (place,) = scan(text, [text.index("srun")])
    assert place.context == "code"
    assert text[place.word :].split()[0].strip(")") != "srun" or not place.command


def test_after_a_here_document_there_is_code_again() -> None:
    text = "cat <<EOF\nEOF2\n EOF\nEOF\nsrun a\n"
    assert places(text) == [("code", True)]


def test_words_end_with_the_command_and_keep_their_quotes() -> None:
    text = "srun -n \"$N\" \\\n  --x='a b' ${Y} $(nproc) ./a > out; next"
    assert [word.raw for word in words(text, 0)] == ["srun", "-n", '"$N"', "--x='a b'", "${Y}", "$(nproc)", "./a"]
