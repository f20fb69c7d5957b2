"""The report: one self-contained page of a run, which loads nothing and runs only its own script."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from typing import Any

from ensemble.reporting.gather import embedded, gather
from ensemble.rundir import RunDir


def page(run: RunDir, now: float | None = None) -> str:
    """The page as HTML text. Raises RunDirError where the journal can't be read."""
    return render(gather(run, now))


def render(data: dict[str, Any]) -> str:
    """The page for what `gather` found.

    Whatever jobs and files say is in one JSON element and reaches the page as text only; the policy of the page
    (Content Security Policy 3) allows this script and this style by their hash, and no connection at all.
    """
    style, script = _part("page.css"), _part("page.js")
    policy = (
        f"default-src 'none'; script-src '{_hash(script)}'; style-src '{_hash(style)}'; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )
    parts = {
        "POLICY": policy,
        "TITLE": escape(f"{data['run']['file'] or 'ensemble'}: {data['state']['word']}"),
        "STYLE": style,
        "SCRIPT": script,
        "DATA": embedded(data),
    }
    pieces = _part("page.html").split("{{")
    out = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition("}}")
        out += [parts[name], rest]
    return "".join(out)


def _part(name: str) -> str:
    return (files("ensemble.reporting") / "page" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
