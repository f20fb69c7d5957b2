"""A job's output as Flux keeps it: an eventlog of `data`, `log` and other events (RFC 24)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass

LEVELS = {0: "FATAL", 1: "FATAL", 2: "FATAL", 3: "ERROR"}  # of the shell's messages, those that tell why a job failed


@dataclass(slots=True)
class Output:
    """Both streams, all tasks in the order of their events."""

    out: bytes = b""
    err: bytes = b""


def decode(eventlog: str) -> Output:
    """Read a whole output eventlog, one JSON object a line (RFC 18); what is not known is skipped."""
    parts: dict[str, list[bytes]] = {"stdout": [], "stderr": []}
    for line in eventlog.splitlines():
        event = json.loads(line)
        context = event.get("context") or {}
        if event["name"] == "data" and context.get("stream") in parts:
            parts[context["stream"]].append(_data(context))
        elif event["name"] == "log" and context.get("level") in LEVELS:
            text = f"flux-shell[{context.get('rank')}]: {LEVELS[context['level']]}: {context.get('message')}\n"
            parts["stderr"].append(text.encode())
    return Output(b"".join(parts["stdout"]), b"".join(parts["stderr"]))


def _data(context: dict[str, object]) -> bytes:
    data = str(context.get("data", ""))
    plain = base64.b64decode(data) if context.get("encoding") == "base64" else data.encode(errors="surrogateescape")
    return plain * int(str(context.get("repeat", 1)))


def cut(data: bytes, offset: int, limit: int) -> bytes:
    """From `offset` on (negative: from the end), at most `limit` bytes."""
    start = max(0, len(data) + offset) if offset < 0 else offset
    return data[start : start + limit]
