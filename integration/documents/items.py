"""The tests of pages: one for the text of each, one for each block, and one for what is left at the end.

A module of tests names its pages as `PAGES` and takes these in, so that some files can share the pages among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from documents import words
from documents.page import Page
from documents.programs import ROOT
from documents.run import PageRun
from documents.tally import Count, count, kept

Running = Callable[[Page], PageRun]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrize the tests of a module with its pages, and with their blocks in their order."""
    pages: list[Page] = metafunc.module.PAGES
    if "index" in metafunc.fixturenames:
        blocks = [(page, index) for page in pages for index in range(len(page.blocks) + 1)]
        names = [f"{page.name}:{line}" for page in pages for line in [*(block.line for block in page.blocks), "end"]]
        metafunc.parametrize(("page", "index"), blocks, ids=names)
    else:
        metafunc.parametrize("page", pages, ids=[page.name for page in pages])


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    """The page that runs; the one before it is ended."""
    current: list[PageRun] = []

    def run(page: Page) -> PageRun:
        if current and current[0].page is not page:
            current.pop().end()
        if not current:
            current.append(PageRun(page, ROOT))
        return current[0]

    yield run
    if current:
        current[0].end()


def test_commands_in_sentences_and_tables_exist_and_the_text_keeps_the_rules(
    page: Page, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(kept(Count(page.name, mentioned=words.commands(page))))
    if wrong := words.of_page(page):
        pytest.fail("\n".join(wrong), pytrace=False)


def test_block_does_what_the_page_shows(
    page: Page, index: int, running: Running, request: pytest.FixtureRequest
) -> None:
    run = running(page)
    if index == len(page.blocks):
        if wrong := run.end():
            pytest.fail("\n".join(wrong), pytrace=False)
        return
    result = run.result(index)
    request.node.user_properties.append(kept(count(page, page.blocks[index], result)))
    if result.skipped:
        pytest.skip(result.skipped)
    if result.failures:
        pytest.fail("\n".join(result.failures), pytrace=False)
