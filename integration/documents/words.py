"""What a page says beside its blocks that run: commands in sentences, tables and pictures, and links."""

from __future__ import annotations

import re
from pathlib import Path

from documents.page import Block, Page, Span
from documents.programs import ROOT, mistakes, programs

# What a synopsis or a drawing has, and a command to be typed has not.
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z]+\b|\[--|\[[A-Z]|\.\.\.|[…─│►◄<]|  \S.*  \S")


def of_page(page: Page) -> list[str]:
    """What is wrong, each with its place: of the page as a text, of its spans and its links."""
    found = [f"{page.name}:{line}: {said}" for line, said in page.mistakes]
    for span in page.spans:
        found += [f"{page.name}:{span.line}: {said}" for said in mistakes(_line(span))]
    return found + [f"{page.name}:{line}: {said}" for line, said in _links(page)]


def commands(page: Page) -> int:
    """How many spans are commands of ours."""
    return sum(_line(span).partition(" ")[0] in (*programs(), "nox") for span in page.spans)


def of_picture(block: Block) -> list[str]:
    """Commands of ours in a block of text: those of a synopsis exist, and those to be typed do not belong there."""
    found = mistakes(block.text)
    for number, line in enumerate(block.text.splitlines(), block.line + 1):
        name, _, rest = line.strip().partition(" ")
        typed = name in programs() and re.match(r"[a-z]", rest) and not PLACEHOLDER.search(line.strip())
        if typed and not mistakes(line.strip()):
            found.append(f"line {number}: a command in a block of text: make it ```console")
    return found


def _line(span: Span) -> str:
    """The command that a span is. A first column with `<!-- command: X -->` has the rest of X's commands."""
    return f"{span.prefix} {span.text}" if span.prefix else span.text


def _links(page: Page) -> list[tuple[int, str]]:
    """Relative links that lead nowhere; a package's README has none at all, since PyPI shows it without the rest."""
    found = []
    for line, link in page.links:
        target = link.partition("#")[0]
        if not target or re.match(r"[a-z]+:", target):
            continue
        if page.path.is_relative_to(ROOT / "packages"):
            found.append((line, f"the link {link} leads nowhere on PyPI: name the file in words"))
        elif not Path(page.path.parent, target).exists():
            found.append((line, f"the link {link} leads nowhere"))
    return found
