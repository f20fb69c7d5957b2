"""Make docs/demo.svg, the picture in README.md, from a real run of the demo: `python integration/picture.py [FILE]`.

The demo runs in tmux, on a terminal of 100 columns; parts of what stands on it then, with their colours, become a
picture that loads nothing. `nox -s integration` looks whether its commands are still those that the demo runs.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.ansi import AnsiDecoder
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 100
PATIENCE = 300  # seconds that the demo may take
PARTS = (  # of the demo: the beginnings of the first line and of the last one
    ("2. ", "→ One core more"),
    ("4. ", "4. "),
    ("$ ensemble run examples/hello-world.yaml --member local", "→ The rules saw"),
)
STATISTICS = "🌊"  # such a line is some 200 columns long
FONT = 'ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace'


def screen() -> list[Text]:
    """What the demo writes on a terminal. Raises CalledProcessError or TimeoutExpired where it fails."""
    with tempfile.TemporaryDirectory(prefix="picture-") as folder:
        tmux = ["tmux", "-S", f"{folder}/socket", "-f", "/dev/null"]
        demo = shlex.join([sys.executable, str(ROOT / "integration" / "demo.py")])
        seen = f"{tmux[0]} -S {folder}/socket"
        command = (
            f"{demo} && touch {folder}/done; {seen} capture-pane -p -e -J -S - >{folder}/seen; {seen} wait-for -S end"
        )
        # The limit is that of windows that are made after it was set.
        start = ["set", "-g", "history-limit", "9999", ";", "new-session", "-d", "-x", str(WIDTH), "-y", "50"]
        subprocess.run([*tmux, "start-server", ";", *start, "-e", "COLORTERM=truecolor", command], check=True)
        subprocess.run([*tmux, "wait-for", "end"], check=True, timeout=PATIENCE)
        text = Path(folder, "seen").read_text()
        if not Path(folder, "done").exists():
            raise SystemExit(f"the demo failed:\n{text[-2000:]}")
    return list(AnsiDecoder().decode(text))  # a style goes on in the next line


def shown(lines: list[Text]) -> Iterator[Text]:
    """The parts, an empty line before each, and `…` in place of the statistics."""
    for first, last in PARTS:
        start = next(index for index, line in enumerate(lines) if line.plain.startswith(first))
        yield Text()
        for line in lines[start:]:
            if not line.plain.startswith(STATISTICS):
                yield line
            elif "sleep-duration" in line.plain:
                yield Text("…")
            if line.plain.startswith(last):
                break


def main() -> None:
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "demo.svg"
    console = Console(record=True, width=WIDTH, file=StringIO(), force_terminal=True, color_system="truecolor")
    for line in shown(screen()):
        console.print(line, highlight=False)
    # Without the fonts that rich would have a browser load.
    layout = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    layout = layout.replace("Fira Code, monospace", FONT)
    target.write_text(console.export_svg(title="nox -s demo", code_format=layout, unique_id="demo"))


if __name__ == "__main__":
    main()
