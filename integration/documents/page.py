"""A page: its blocks with what steers them, its code in sentences and tables, and what is wrong with it as a text."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

from documents.annotations import PAGE_KEYS, Annotations, Mistake, read
from documents.programs import ROOT

PICTURES = ("", "text", "mermaid")  # languages of what is only looked at
RUN = ("console", "python")
INCLUDED = re.compile(r'^--8<-- "([^"\n]+)"$', re.MULTILINE)  # a file of the repository, as the site puts it in
HEREDOC = re.compile(r"<<-?\s*(['\"]?)(\w+)\1")


@dataclass(frozen=True)
class Command:
    """One command of a console block and the output below it. Line numbers begin with 1 and are those of the page."""

    line: int
    text: str
    expected: tuple[str, ...]
    output_line: int  # where the output begins


@dataclass(frozen=True)
class Block:
    """A fenced block (or an indented one: `language` is then "indented")."""

    line: int
    language: str
    text: str
    steer: Annotations

    def commands(self) -> list[Command]:
        """Those of a console block. Raises Mistake where it has none, or output before the first."""
        found: list[Command] = []
        lines = self.text.splitlines()
        number = 0
        while number < len(lines):
            if not lines[number].startswith("$ "):
                raise Mistake(f"line {self.line + 1 + number}: a console block begins with a `$ ` line")
            start, taken = number, [lines[number][2:]]
            number += 1
            while number < len(lines) and (taken[-1].endswith("\\") or _open(taken)):
                taken.append(lines[number])
                number += 1
            begin = number
            while number < len(lines) and not lines[number].startswith("$ "):
                number += 1
            expected = tuple(lines[begin:number])
            found.append(Command(self.line + 1 + start, "\n".join(taken), expected, self.line + 1 + begin))
        if not found:
            raise Mistake("a console block without a `$ ` line")
        return found


def _open(taken: list[str]) -> bool:
    """Whether a here-document of these lines has not ended yet."""
    word = HEREDOC.search(taken[0])
    return bool(word) and word is not None and word[2] not in (line.strip() for line in taken[1:])


@dataclass(frozen=True)
class Span:
    """Code in a sentence or a cell; `prefix` is the command that it goes on with (from `<!-- command: -->`)."""

    line: int
    text: str
    prefix: str = ""


@dataclass
class Page:
    path: Path
    name: str  # as it is called in reports
    steer: Annotations = field(default_factory=Annotations)  # of all of it
    blocks: list[Block] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    links: list[tuple[int, str]] = field(default_factory=list)
    mistakes: list[tuple[int, str]] = field(default_factory=list)  # with their lines


def parse(path: Path, name: str) -> Page:
    """Read a page. What is wrong with it is among its `mistakes`."""
    page = Page(path, name)
    waiting, waiting_line = Annotations(), 0
    command = ""  # of the table that we are in
    column = 0
    for token in MarkdownIt("commonmark", {"html": True}).enable("table").parse(path.read_text()):
        line = token.map[0] + 1 if token.map else 0
        if token.type == "html_block":
            try:
                waiting, waiting_line = waiting + read(token.content), line
            except Mistake as mistake:
                page.mistakes.append((line, str(mistake)))
            continue
        if token.type in ("fence", "code_block"):
            language = token.info.split()[0] if token.info.split() else ""
            try:
                text = _included(token.content, ROOT)
            except OSError as error:
                text = token.content
                page.mistakes.append((line, f"{error.filename} is included and is not there"))
            language = language if token.type == "fence" else "indented"
            page.blocks.append(Block(line, language, text, page.steer + waiting))
        elif waiting.keys() and token.type == "table_open" and waiting.command:
            command = waiting.command
        elif waiting.keys() and not token.type.endswith("_close") and waiting.keys() != ["note"]:
            _steers_the_page(page, waiting, waiting_line)
        if not token.type.endswith("_close"):
            waiting = Annotations()
        if token.type == "table_close":
            command = ""
        column = 0 if token.type == "tr_open" else column + (token.type in ("td_open", "th_open"))
        if token.type == "inline":
            _code(page, token, line, command if column == 1 else "")
    if waiting.keys() and waiting.keys() != ["note"]:
        page.mistakes.append((waiting_line, "this comment steers no block"))
    for block in page.blocks:
        page.mistakes += [(block.line, said) for said in _wrong(block)]
    return page


def _included(text: str, root: Path) -> str:
    """The text of a block with the files that it includes. Raises OSError where one is not there."""
    return INCLUDED.sub(lambda found: Path(root, found[1]).read_text().rstrip("\n"), text)


def _steers_the_page(page: Page, steer: Annotations, line: int) -> None:
    """A comment before the first block, with no block behind it, is for the whole page."""
    if page.blocks or set(steer.keys()) - set(PAGE_KEYS):
        page.mistakes.append((line, f"this comment ({', '.join(steer.keys())}) steers no block"))
    else:
        page.steer += steer


def _code(page: Page, token: Token, line: int, prefix: str) -> None:
    for child in token.children or []:
        if child.type == "code_inline":
            page.spans.append(Span(line, child.content, prefix))
        elif child.type == "link_open":
            page.links.append((line, str(child.attrs.get("href", ""))))
        elif child.type == "html_inline" and child.content.startswith("<!--"):
            page.mistakes.append((line, f"`{child.content}` stands in a paragraph: put it on a line of its own"))
        line += child.type in ("softbreak", "hardbreak")


def _wrong(block: Block) -> list[str]:
    """What the text of a block alone says."""
    steer, found = block.steer, []
    if block.language == "indented" and re.search(r"^\s*(```|~~~)", block.text, re.MULTILINE):
        found.append("a fence within an indented block is run by nobody: take the indentation away")
    if block.language in (*PICTURES, "indented") and not (steer.file or steer.check or steer.shown):
        numbers = [number for number, line in enumerate(block.text.splitlines(), 1) if line.startswith("$ ")]
        found += [
            f"line {block.line + number}: a `$ ` line in a block of text: make it ```console" for number in numbers
        ]
    elif block.language not in (*RUN, *PICTURES, "indented") and not (steer.file or steer.check or steer.shown):
        found.append(f"a block of {block.language} is run by nobody: say file, check or shown before it")
    if block.language == "console" and not (steer.file or steer.check):
        try:
            commands = block.commands()
        except Mistake as mistake:
            found.append(str(mistake))
        else:
            if len(steer.exit) not in (0, 1, len(commands)):
                found.append(f"{len(steer.exit)} exit codes for {len(commands)} commands")
            if steer.stays and not commands[-1].expected:
                found.append("a command that stays shows what it prints once it is up")
    return found
