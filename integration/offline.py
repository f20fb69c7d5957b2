"""Whether the site that was built stands alone: `offline.py FOLDER` exits 1 and names what a page loads from afar."""

from __future__ import annotations

import sys
from html.parser import HTMLParser
from pathlib import Path

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}  # element -> attribute
NOT_LOADED = {"canonical", "next", "prev", "alternate"}  # what a <link> may be without being fetched


class Loads(HTMLParser):
    """Collects what a page fetches from another host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        place = given.get(LOADED.get(tag, ""), "") or ""
        if place.startswith(("http:", "https:", "//")) and given.get("rel") not in NOT_LOADED:
            self.found.append(f"<{tag}> {place}")


def elsewhere(folder: Path) -> list[str]:
    """What the pages of a site load from elsewhere, each with its page."""
    found = []
    for page in sorted(folder.rglob("*.html")):
        loads = Loads()
        loads.feed(page.read_text())
        found += [f"{page.relative_to(folder)}: {one}" for one in loads.found]
    return found


def main() -> int:
    folder = Path(sys.argv[1])
    pages = len(list(folder.rglob("*.html")))
    found = elsewhere(folder)
    print("\n".join(found) or f"{pages} pages load nothing from elsewhere")
    return 1 if found or not pages else 0


if __name__ == "__main__":
    sys.exit(main())
