"""The names and schemas of tools in the form that every known client takes."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from resource_secretary.tools import Tool

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_LEFT_OUT = ("title", "pattern")


def tool_name(provider: str, tool: str) -> str:
    """`PROVIDER_TOOL`, such as `nvidia-gpu_devices`: no provider's name has an underscore, so no two are alike.

    The specification allows dots and 128 characters; models' interfaces take letters, digits, _ and -, and 64 of them.
    """
    name = f"{provider}_{tool}"
    if _NAME.fullmatch(name):
        return name
    digest = hashlib.blake2s(name.encode(), digest_size=4).hexdigest()
    return f"{re.sub('[^A-Za-z0-9_-]', '-', name)[:55]}_{digest}"


def published(schema: Any) -> Any:
    """A schema without what costs room or clients: titles that only repeat names, and patterns.

    Several models' interfaces refuse a whole request for one pattern with a lookahead, and so do local engines that
    make a grammar of it. The description says in words what the pattern does, and arguments are checked against the
    full schema when they arrive.
    """
    if isinstance(schema, list):
        return [published(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):  # here the keys are names, and a field may be called `title`
            made[key] = {name: published(one) for name, one in value.items()}
        elif key in ("default", "enum", "const"):
            made[key] = value
        elif key not in _LEFT_OUT:
            made[key] = published(value)
    return made


def terse(schema: Any) -> Any:
    """A schema without descriptions."""
    if isinstance(schema, list):
        return [terse(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    made = {}
    for key, value in schema.items():
        if key in ("properties", "$defs"):
            made[key] = {name: terse(one) for name, one in value.items()}
        elif key in ("default", "enum", "const"):
            made[key] = value
        elif key != "description":
            made[key] = terse(value)
    return made


def hints(tool: Tool) -> dict[str, bool]:
    """The annotations of a tool. One that changes state may destroy something (cancel a job), as far as we know."""
    reads = tool.kind == "read"
    return {
        "readOnlyHint": reads,
        "destructiveHint": not reads,
        "idempotentHint": reads,
        "openWorldHint": not reads,
    }
