"""Python blocks: run in the page's one interpreter; what `print(...)  # output` shows is compared."""

from __future__ import annotations

import ast
import io
import json
import subprocess
import tokenize
from pathlib import Path
from typing import Any

from documents.match import matches
from documents.sandbox import PATIENCE, Sandbox

INTERPRETER = Path(__file__).with_name("interpreter.py")


class Snippets:
    """The interpreter of a page, started when it is first needed."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.process: subprocess.Popen[str] | None = None

    def run(self, code: str, name: str, environ: dict[str, str], varies: tuple[str, ...]) -> list[str]:
        """Run a block; what went wrong, each with the line within the block that it is about."""
        answer = self._ask(code, name, environ)
        if answer["error"]:
            return [answer["error"].rstrip()]
        printed = {int(line): text for line, text in answer["printed"].items()}
        wrong = []
        for first, last, shown in shown_prints(code):
            seen = "".join(printed.get(line, "") for line in range(first, last + 1)).rstrip("\n")
            if not matches([shown], seen.split("\n"), varies):
                wrong.append(f"line {last} of the block shows `{shown}`, printed was `{seen}`")
        return wrong

    def _ask(self, code: str, name: str, environ: dict[str, str]) -> dict[str, Any]:
        if self.process is None:
            self.process = subprocess.Popen(
                [str(self.sandbox.bin / "python"), "-P", str(INTERPRETER)], cwd=self.sandbox.here, text=True, bufsize=1,
                env=self.sandbox.environ | environ,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            )  # fmt: skip
        try:
            said, errors = self.process.stdin, self.process.stdout
            if said is None or errors is None:
                raise RuntimeError("no pipes")
            said.write(json.dumps({"code": code, "name": name}) + "\n")
            said.flush()
            line = errors.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            left = self.process.communicate(timeout=PATIENCE)[1]
            self.process = None
            return {"error": f"the interpreter ended: {left}", "printed": {}}
        return dict(json.loads(line))

    def end(self) -> None:
        if self.process is not None:
            self.process.communicate(timeout=PATIENCE)


def shown_prints(code: str) -> list[tuple[int, int, str]]:
    """The statements `print(...)  # output`: first and last line, and the output that is shown."""
    comments = {}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type == tokenize.COMMENT and not token.line.lstrip().startswith("#"):
            comments[token.start[0]] = token.string.removeprefix("#").strip()
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
            last = node.end_lineno or node.lineno
            if isinstance(call.func, ast.Name) and call.func.id == "print" and last in comments:
                found.append((node.lineno, last, comments[last]))
    return found
