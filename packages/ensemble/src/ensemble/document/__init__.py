"""What an ensemble is made of: groups of jobs, and rules with a trigger and an action.

The classes take the mappings of the file (`Action({"name": "submit", "label": "echo"})`), so that
custom functions write them the same way. All raise SpecError; its text names the first fault, `faults` has all.
"""

from __future__ import annotations

from ensemble.document.action import ACTION_KEYS, ACTIONS, Action
from ensemble.document.group import JOB_KEYS, JobGroup
from ensemble.document.reader import Reader
from ensemble.document.retries import Escalation, Retries
from ensemble.document.rule import RULE_KEYS, TRIGGERS, Rule
from ensemble.document.whole import Document

__all__ = [
    "ACTIONS",
    "ACTION_KEYS",
    "JOB_KEYS",
    "RULE_KEYS",
    "TRIGGERS",
    "Action",
    "Document",
    "Escalation",
    "JobGroup",
    "Reader",
    "Retries",
    "Rule",
]
