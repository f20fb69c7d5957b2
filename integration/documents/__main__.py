"""`python integration/documents [--write] [PAGE...]`: run pages by hand; all that are held to it where none is named.

With `--write` the output that a page shows becomes what was seen, wherever they differ.
Exits 1 where something is wrong.
"""

from __future__ import annotations

import sys
from pathlib import Path


def main() -> int:
    # In the place of this folder, which Python puts there: its modules are those of a package.
    sys.path[0] = str(Path(__file__).resolve().parents[1])
    from documents.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
