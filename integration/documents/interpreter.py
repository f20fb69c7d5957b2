"""Runs the Python blocks of a page in one namespace: a JSON object with the code comes in on a line, one goes out.

Started as a program in the page's own environment; standard library only. The answer has what was printed by line of
the block (`printed`), all of it (`output`), and the traceback of an exception (`error`).
"""

from __future__ import annotations

import io
import json
import sys
import traceback
from typing import Any


class Recorder(io.TextIOBase):
    """Standard output that knows which line of the block printed what."""

    def __init__(self, name: str) -> None:
        self.name, self.all, self.lines = name, "", dict[int, str]()

    def write(self, text: str) -> int:
        frame: Any = sys._getframe()
        while frame is not None and frame.f_code.co_filename != self.name:
            frame = frame.f_back
        if frame is not None:
            self.lines[frame.f_lineno] = self.lines.get(frame.f_lineno, "") + text
        self.all += text
        return len(text)


def main() -> None:
    answers = sys.stdout
    namespace: dict[str, Any] = {"__name__": "__main__"}
    sys.path.insert(0, "")
    for line in sys.stdin:
        asked = json.loads(line)
        recorder = Recorder(asked["name"])
        sys.stdout = recorder
        error = ""
        try:
            exec(compile(asked["code"], asked["name"], "exec"), namespace)
        except BaseException:
            error = traceback.format_exc()
        sys.stdout = answers
        print(json.dumps({"printed": recorder.lines, "output": recorder.all, "error": error}), flush=True)


if __name__ == "__main__":
    main()
