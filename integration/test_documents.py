"""Every command and snippet that a README or docs/ shows runs here, and prints what is shown."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from documents import held, words
from documents.page import Page
from documents.programs import ROOT
from documents.run import PageRun
from documents.tally import Count, count, kept

PAGES = held.pages()
Running = Callable[[Page], PageRun]


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


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_commands_in_sentences_and_tables_exist_and_the_text_keeps_the_rules(
    page: Page, request: pytest.FixtureRequest
) -> None:
    request.node.user_properties.append(kept(Count(page.name, mentioned=words.commands(page))))
    assert not (wrong := words.of_page(page)), "\n".join(wrong)


@pytest.mark.parametrize(
    ("page", "index"),
    [(page, index) for page in PAGES for index in range(len(page.blocks) + 1)],
    ids=[f"{page.name}:{line}" for page in PAGES for line in [*(block.line for block in page.blocks), "end"]],
)
def test_block_does_what_the_page_shows(
    page: Page, index: int, running: Running, request: pytest.FixtureRequest
) -> None:
    run = running(page)
    if index == len(page.blocks):
        assert not (wrong := run.end()), "\n".join(wrong)
        return
    result = run.result(index)
    request.node.user_properties.append(kept(count(page, page.blocks[index], result)))
    if result.skipped:
        pytest.skip(result.skipped)
    if result.failures:
        pytest.fail("\n".join(result.failures), pytrace=False)
