"""The rules of a run as its file has them, with how often each has fired."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from ensemble.rundir import Decision

SHOWN = 500  # of a file's rules


def rules_of(
    document: Mapping[str, Any], decisions: Iterable[Decision], result: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """For each rule its place, a text, how often it fired (`fired`), of how often (`of`, None: not said), and when.

    A rule that came with a packaged set or from a function stands in no file: it is known by what it did.
    """
    fired: Counter[int] = Counter()
    shown: dict[int, str] = {}
    times: dict[int, list[float]] = {}
    decided = list(decisions)
    told = any(one.action == "trigger" for one in decided)
    for one in decided:
        if one.rule < 0:
            continue
        if one.action != "trigger":
            shown.setdefault(one.rule, f"{one.shown} → {one.action} {one.label}".strip())
            if told:
                continue
        fired[one.rule] += 1
        times.setdefault(one.rule, [one.time, one.time])[1] = one.time
    listed = document.get("rules")
    rules = [rule for rule in listed if isinstance(rule, dict)] if isinstance(listed, list) else []
    never = result.get("never_met") or []
    missed = {_key(rule) for rule in never if isinstance(rule, dict)}
    found = []
    for index in sorted({*range(min(len(rules), SHOWN)), *fired}):
        rule = rules[index] if index < len(rules) else None
        of = None if rule is None else _repetitions(rule)
        found.append(
            {
                "index": index,
                "text": _text(rule) if rule is not None else shown.get(index, ""),
                "fired": fired[index],
                "of": of,
                "first": times.get(index, [None])[0],
                "last": times.get(index, [None])[-1],
                "never": rule is not None and not fired[index] and _key(rule) in missed,
            }
        )
    return found


def _action(rule: Mapping[str, Any]) -> Mapping[str, Any]:
    action = rule.get("action")
    return action if isinstance(action, dict) else {}


def _repetitions(rule: Mapping[str, Any]) -> int | None:
    number = _action(rule).get("repetitions", 1)
    return number if isinstance(number, int) else None


def _key(rule: Mapping[str, Any]) -> tuple[str, ...]:
    action = _action(rule)
    return (
        str(rule.get("trigger", "")),
        str(rule.get("name") or ""),
        str(action.get("name")),
        str(action.get("label") or ""),
    )


def _text(rule: Mapping[str, Any]) -> str:
    action = _action(rule)
    trigger = str(rule.get("trigger", ""))
    words = [str(rule.get("name", "")) if trigger == "metric" else f"{trigger} {rule.get('name') or ''}".strip()]
    if "when" in rule:
        when = str(rule["when"]).strip()
        words.append(when if not when.replace(".", "").isdigit() else f">= {when}")
    words += ["→", str(action.get("name", "")), str(action.get("label") or "")]
    if action.get("value") is not None:
        words.append(f"({action['value']})")
    return " ".join(word for word in words if word)[:300]
