"""Runs the blocks of a page, one after the other, in one sandbox."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from engines import free_ports

from documents import needs, words
from documents.annotations import Mistake
from documents.match import difference, matches
from documents.page import PICTURES, Block, Command, Page
from documents.programs import DISTRIBUTIONS, mistakes
from documents.sandbox import PATIENCE, Sandbox, Seen
from documents.snippets import Snippets

STAYS = 0.5  # seconds that a command is seen to stay after it has said what is shown
CHECKERS = Path(__file__).resolve().parents[1]  # holds the package of `fragment`


@dataclass
class Result:
    """How a block went: `failures` is empty where all is as shown; `skipped` says what is not here."""

    commands: int = 0
    failures: list[str] = field(default_factory=list)
    shown: str = ""
    skipped: str = ""
    seen: list[tuple[Command, list[str]]] = field(default_factory=list)  # commands whose output is another


class PageRun:
    """A page while it runs; a context manager. Blocks that stand before the one that is asked for are run first."""

    def __init__(self, page: Page, root: Path) -> None:
        self.page = page
        parts = page.path.resolve().relative_to(root).parts if page.path.resolve().is_relative_to(root) else ()
        alone = DISTRIBUTIONS.get(parts[1], "") if parts[:1] == ("packages",) and len(parts) > 2 else ""
        start = str(Path(*parts[:-1])) if parts[:1] == ("examples",) else "."
        self.sandbox = Sandbox(start, alone)
        self.snippets = Snippets(self.sandbox)
        self.stack = ExitStack()
        self.engines: dict[str, dict[str, str]] = {}
        self.stands: dict[str, str] = {}
        self.results: list[Result] = []
        fragment = self.sandbox.home / ".checks" / "fragment"
        fragment.parent.mkdir()
        run = f'exec {self.sandbox.bin / "python"} -P -m documents.fragment "$@"'
        fragment.write_text(f"#!/bin/sh\nPYTHONPATH={CHECKERS}${{PYTHONPATH:+:$PYTHONPATH}} {run}\n")
        fragment.chmod(0o755)

    def result(self, index: int) -> Result:
        """How the block with this index went."""
        while len(self.results) <= index:
            block = self.page.blocks[len(self.results)]
            try:
                self.results.append(self._run(block))
            except (Mistake, OSError, RuntimeError) as error:
                self.results.append(
                    Result(failures=[f"{self.page.name}:{block.line}: {type(error).__name__}: {error}"])
                )
        return self.results[index]

    def end(self) -> list[str]:
        """End everything that the page started; what did not end well."""
        try:
            self.snippets.end()
            said = self.sandbox.interrupt()
        finally:
            try:
                self.stack.close()
            finally:
                self.sandbox.end()
        return [f"{self.page.name}: {one}" for one in said]

    def _run(self, block: Block) -> Result:
        steer, place = block.steer, f"{self.page.name}:{block.line}"
        if steer.shown:
            wrong = mistakes(block.text)
            return Result(shown=steer.shown, failures=[f"{place}: {one}" for one in wrong])
        if lacking := needs.lacking(steer.needs):
            return Result(skipped=lacking)
        environ: dict[str, str] = {}
        for need in steer.needs:
            environ |= self._engine(need)
        for port in steer.port:
            self.stands.setdefault(port, str(free_ports(1)[0]))
        for shown, used in (one.split(" for ") for one in steer.stands):
            self.stands[shown] = used
        if steer.file or steer.check:
            return self._file(block, environ, place)
        if block.language == "console":
            return self._console(block, environ)
        if block.language == "python":
            name = f"{place} (line 1 of the block is line {block.line + 1})"
            wrong = self.snippets.run(self._inward(block.text), name, environ, steer.varies)
            return Result(commands=1, failures=[f"{place}: {one}" for one in wrong])
        wrong = words.of_picture(block) if block.language in (*PICTURES, "indented") else []
        return Result(failures=[f"{place}: {one}" for one in wrong])

    def _engine(self, need: str) -> dict[str, str]:
        if need not in self.engines:
            started = needs.start(need)
            self.engines[need] = self.stack.enter_context(started) if started else {}
        return self.engines[need]

    def _inward(self, text: str) -> str:
        for shown, used in self.stands.items():
            text = text.replace(shown, used)
        return text

    def _outward(self, text: str) -> list[str]:
        for shown, used in self.stands.items():
            text = text.replace(used, shown)
        return text.splitlines()

    def _file(self, block: Block, environ: dict[str, str], place: str) -> Result:
        steer, text = block.steer, self._inward(block.text)
        if steer.file:
            target = self.sandbox.here / steer.file
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        if not steer.check:
            return Result(commands=1)
        path = f"{CHECKERS / 'documents'}:{self.sandbox.home / '.checks'}:{self.sandbox.environ['PATH']}"
        seen, _ = self.sandbox.run(self._inward(steer.check), environ | {"PATH": path}, stdin=text)
        said = f"{place}: `{steer.check}` exits {seen.code}:\n{seen.text}"
        return Result(commands=1, failures=[said] if seen.code else [])

    def _console(self, block: Block, environ: dict[str, str]) -> Result:
        commands, codes = block.commands(), block.steer.exit
        if len(codes) != len(commands):  # one is that of the last command
            codes = (0,) * (len(commands) - 1) + (codes[:1] or (0,))
        result = Result(commands=len(commands))
        for command, code in zip(commands, codes, strict=True):
            stays = bool(block.steer.stays) and command is commands[-1]
            seen = self._command(command, environ, block.steer.varies, stays)
            lines = self._outward(seen.text)
            place, wrong = f"{self.page.name}:{command.line}: $ {command.text}", []
            if seen.code is not None and (stays or seen.code != code):
                wrong.append(f"  exit code {seen.code}" + (", it should stay" if stays else f", expected {code}"))
            if not matches(command.expected, lines, block.steer.varies):
                wrong.append("  the output is another:\n" + difference(command.expected, lines))
                result.seen.append((command, lines))
            elif wrong:
                wrong.append("    " + "\n    ".join(lines[-20:]))
            if wrong:
                result.failures.append("\n".join([place, *wrong]))
        return result

    def _command(self, command: Command, environ: dict[str, str], varies: tuple[str, ...], stays: bool) -> Seen:
        """Run one command. The output of one that goes on in the background, or stays, is awaited."""
        text = self._inward(command.text)
        if stays:
            process, output = self.sandbox.start(text, environ)
            self.sandbox.running.append((process, output))
        else:
            seen, output = self.sandbox.run(text, environ)
            if not text.rstrip().endswith("&"):
                return seen
        until = time.monotonic() + PATIENCE
        while True:
            ended = stays and process.poll() is not None
            said = self.sandbox.read(output)
            if ended or time.monotonic() > until:
                return Seen(process.returncode if ended else None, said)
            if matches(command.expected, self._outward(said), varies):
                if not stays:
                    return Seen(None, said)
                until = min(until, time.monotonic() + STAYS)
            time.sleep(0.05)
