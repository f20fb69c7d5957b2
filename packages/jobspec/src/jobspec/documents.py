"""Which system a document (YAML or JSON) is for, told by its outermost keys and without reading it whole.

A manifest of Kubernetes has `kind: Job`; a Flux jobspec (RFC 14) a version, a list of resources and tasks;
jobspec's own a task, groups, or tasks with what RFC 14 does not know.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jobspec.errors import DocumentError
from jobspec.safeyaml import LARGEST, load_yaml

_KEY = re.compile(
    r"""^(["']?)([A-Za-z]{1,40})\1[ \t]{0,40}:(?:[ \t]{1,40}([^\n]{0,200}))?\r?$""", re.ASCII | re.MULTILINE
)
_OWN_TASK = ("transform", "scripts", "steps", "group", "depends_on", "local", "replicas", "requires")
_OWN_KEY = re.compile(rf"^[ \t]{{1,40}}(?:-[ \t]{{1,40}})?(?:{'|'.join(_OWN_TASK)}):", re.MULTILINE)
# Resources that are a list: behind the key, or on a line of their own.
_COMMENT = r"[ \t]{0,40}(?:#[^\n]{0,400})?\r?\n"
_LIST = re.compile(
    rf"""^["']?resources["']?[ \t]{{0,40}}:"""
    rf"(?:[ \t]{{0,40}}\[|{_COMMENT}(?:{_COMMENT}){{0,50}}[ \t]{{0,40}}-[ \t\r\n])",
    re.MULTILINE,
)
_OWN_TOP = ("task", "groups", "requires", "name")
Found = tuple[str, int, str]  # the system, the line from 1, what stands there


def detect_document(text: str) -> Found | None:
    """The system of a document; None where it is none that is known."""
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith("#!") or len(text) > LARGEST:
        return None
    if start.startswith("{"):
        return _of_flow(text, text[: len(text) - len(start)].count("\n") + 1)
    keys: dict[str, tuple[int, str]] = {}
    line, at = 1, 0
    for match in _KEY.finditer(text):
        line += text.count("\n", at, match.start())
        at = match.start()
        value = (match[3] or "").partition(" #")[0].strip().strip("\"'")
        if match[2] == "kind" and value == "Job":
            return "kubernetes", line, match[0].strip()
        keys.setdefault(match[2], (line, match[0].strip()))
    if "version" not in keys:
        return None
    for key in _OWN_TOP:
        if key in keys and {"task", "tasks", "groups"} & keys.keys():
            return "jobspec", *keys[key]
    if "tasks" not in keys or "resources" not in keys:
        return ("jobspec", *keys["tasks"]) if "tasks" in keys else None
    if own := _OWN_KEY.search(text):
        return "jobspec", text.count("\n", 0, own.start()) + 1, own[0].strip()
    return ("flux-jobspec" if _LIST.search(text) else "jobspec"), *keys["resources"]


def _of_flow(text: str, line: int) -> Found | None:
    try:
        top = json.loads(text)
    except (ValueError, RecursionError):
        try:
            top = load_yaml(text)
        except DocumentError:
            return None
    if not isinstance(top, dict):
        return None
    system, key = _system(top)
    return (system, line, key) if system else None


def _system(top: Mapping[str, Any]) -> tuple[str, str]:
    if top.get("kind") == "Job":
        return "kubernetes", "kind: Job"
    if "version" not in top or not {"task", "tasks", "groups"} & top.keys():
        return "", ""
    for key in _OWN_TOP:
        if key in top:
            return "jobspec", key
    if not isinstance(top.get("resources"), list) or any(True for _ in _own_keys(top.get("tasks"))):
        return "jobspec", "tasks"
    return "flux-jobspec", "resources"


def _own_keys(tasks: object) -> Iterator[str]:
    for task in tasks if isinstance(tasks, list) else ():
        if isinstance(task, dict):
            yield from (key for key in _OWN_TASK if key in task)
