"""`python -m ensemble.supervisor FOLDER`: start the supervisor of a folder, in the background.

Prints `ready` when it can be talked to, `taken` where another one is at work already, else one line that says what is
wrong. For `ensemble.members.local`; nobody else has to call it.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from ensemble.supervisor import meeting

MOST_LOG = 1 << 20


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print("usage: python -m ensemble.supervisor FOLDER", file=sys.stderr)  # noqa: T201
        return 2
    folder = Path(arguments[0]).absolute()
    from ensemble.supervisor.server import Supervisor, bounded

    reading, writing = os.pipe()
    if os.fork():
        # The one that was asked passes on the answer; the supervisor itself is nobody's child.
        os.close(writing)
        with os.fdopen(reading, "rb") as answers:
            sys.stdout.buffer.write(answers.read() or b"it ended without a word\n")
        return 0
    os.setsid()
    os.close(reading)
    code = 1

    def answer(text: str) -> None:
        os.write(writing, " ".join(text.split()).encode(errors="replace") + b"\n")
        os.close(writing)

    try:
        key = meeting.key(folder)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            listener.bind(meeting.address(key))
        except OSError:
            answer("taken")
            return 0
        _redirect(folder)
        os.chdir("/")
        supervisor = Supervisor(folder, listener, key, bounded(folder / meeting.LOG, MOST_LOG))
        meeting.write_record(folder)
        listener.listen(16)
        listener.setblocking(False)
    except (OSError, ValueError, LookupError, TypeError) as error:
        answer(f"{type(error).__name__}: {error}")
        return code
    answer("ready")
    try:
        supervisor.run()
        code = 0
    except Exception:  # noqa: BLE001 - whatever it is, it belongs into the log
        traceback.print_exc()
    else:
        with suppress(OSError):
            (folder / meeting.RECORD).unlink()
    return code


def _redirect(folder: Path) -> None:
    """Away from the terminal: what it says goes to the log."""
    path = folder / meeting.LOG
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    if path.exists() and path.stat().st_size > MOST_LOG // 2:
        flags |= os.O_TRUNC
    log = os.open(path, flags, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)
    os.close(null)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
