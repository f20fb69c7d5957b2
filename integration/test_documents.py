"""Every command and snippet of docs/ and CONTRIBUTING.md runs here, and prints what is shown."""

from documents import held
from documents.items import *  # noqa: F403 - the tests

PAGES = held.pages("")
