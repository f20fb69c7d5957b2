"""Run pages by hand, and rewrite what they show."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path

from documents import held, words
from documents.page import Page, parse
from documents.programs import ROOT
from documents.run import PageRun, Result
from documents.tally import Count, count, lines


def look_at(page: Page, counts: list[Count], write: bool = False) -> list[str]:
    """What is wrong with a page; its output is rewritten where that was asked for."""
    failures = words.of_page(page)
    counts.append(Count(page.name, mentioned=words.commands(page)))
    running = PageRun(page, ROOT)
    try:
        results = [running.result(index) for index in range(len(page.blocks))]
    finally:
        failures += running.end()
    for block, result in zip(page.blocks, results, strict=True):
        counts.append(count(page, block, result))
        failures += result.failures
    if write:
        rewrite(page.path, results)
    return failures


def rewrite(path: Path, results: list[Result]) -> None:
    """Put what was seen in the place of what is shown. From the end, so that line numbers stay right."""
    lines = path.read_text().splitlines()
    for result in reversed(results):
        for command, seen in reversed(result.seen):
            at = command.output_line - 1
            above = lines[command.line - 1]
            indent = above[: len(above) - len(above.lstrip())]
            lines[at : at + len(command.expected)] = [f"{indent}{line}".rstrip() for line in seen]
    path.write_text("\n".join(lines) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description="Run what documents show.")
    parser.add_argument("pages", nargs="*", metavar="PAGE", type=Path)
    parser.add_argument("--write", action="store_true", help="shown output becomes what was seen")
    asked = parser.parse_args()
    # What a page has started is ended then, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    pages = [parse(path.resolve(), str(path)) for path in asked.pages] or held.pages()
    counts: list[Count] = []
    wrong = False
    for page in pages:
        failures = look_at(page, counts, asked.write)
        wrong = wrong or bool(failures)
        print(f"{page.name}: {len(page.blocks)} blocks, {len(failures)} wrong")
        for failure in failures:
            print(failure)
    print("\n".join(lines(counts)))
    return 1 if wrong else 0
