"""How much of a corpus of real scripts each system can say: `python rates.py [CORPUS] [--profile FILE]`.

CORPUS: JSON lines with the directive lines of one script each (`shebang`, and `lines` with `text` and `after_command`).
Prints a Markdown table: for the obeyed directives of each source the percentages that are exact, approximate and
dropped in each target. A script that a target can't be asked at all counts as dropped.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jobspec import readers
from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import Profile, load_profile
from jobspec.reading import Reading
from jobspec.systems import SYSTEMS, writers

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpus" / "directives.jsonl"
# Without a parallel environment Grid Engine can be asked for one slot only.
SITE = Profile(parallel_environments={"mpi": "mpi", "smp": "smp"})
FATES = ("exact", "approximate", "dropped")


def rebuilt(row: dict[str, Any]) -> str:
    """A script from its directive lines, with a command where there was one."""
    before = [line["text"] for line in row["lines"] if not line["after_command"]]
    after = [line["text"] for line in row["lines"] if line["after_command"]]
    return "\n".join([row.get("shebang") or "#!/bin/sh", *before, "hostname", *after]) + "\n"


def accepted(path: Path) -> Iterator[tuple[str, Reading]]:
    """The scripts that their own system accepts."""
    with path.open() as file:
        for line in file:
            text = rebuilt(json.loads(line))
            reading = readers.read(text)
            if reading.accepted:
                yield text, reading


def fates(text: str, reading: Reading, target: str, profile: Profile) -> Iterator[str]:
    """What becomes of each directive that the source obeys."""
    try:
        entries = convert(text, reading, target, profile).entries
    except JobspecError:
        obeyed = sum(one.state == "obeyed" for one in reading.directives)
        yield from ["dropped"] * obeyed
        return
    yield from (one.fate for one in entries if one.kind == "directive" and one.fate != "ignored")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--profile", type=Path)
    asked = parser.parse_args()
    profile = load_profile(asked.profile.read_text()) if asked.profile else SITE
    scripts, found = Counter[str](), defaultdict[tuple[str, str], Counter[str]](Counter)
    for text, reading in accepted(asked.corpus):
        scripts[reading.system] += 1
        for target in writers():
            found[reading.system, target].update(fates(text, reading, target, profile))
    sources = [name for name, _ in scripts.most_common()]
    print("| from \\ to |", " | ".join(writers()), "|")
    print("|---|", "|".join("---" for _ in writers()), "|", sep="")
    for source in sources:
        cells = (shares(found[source, target]) for target in writers())
        print(f"| {SYSTEMS[source].label} ({scripts[source]}) |", " | ".join(cells), "|")


def shares(counts: Counter[str]) -> str:
    """Percentages that add up to 100: exact/approximate/dropped."""
    total = counts.total()
    if not total:
        return "-"
    exact, near = (round(100 * counts[fate] / total) for fate in FATES[:2])
    return f"{exact}/{near}/{max(100 - exact - near, 0)}"


if __name__ == "__main__":
    main()
