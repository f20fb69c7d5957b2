"""A whole file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ensemble.document.group import JobGroup
from ensemble.document.rule import Rule


@dataclass(frozen=True, slots=True)
class Document:
    """A whole file.

    text: its source. member: where it runs, empty where the file doesn't say; settings: what it says of the member.
    custom: Python source, from line `custom_line` on. heartbeat: seconds between two (0: none).
    variables: what `set` changes, before anything ran. stop_on_custom_error: whether an exception in a custom function
    ends the run.
    """

    file: str
    jobs: Mapping[str, JobGroup]
    rules: tuple[Rule, ...]
    member: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    custom: str = ""
    custom_line: int = 1
    debug: bool = False
    heartbeat: float = 0.0
    seed: int = 0
    variables: Mapping[str, float] = field(default_factory=dict)
    stop_on_custom_error: bool = False
    text: str = ""
