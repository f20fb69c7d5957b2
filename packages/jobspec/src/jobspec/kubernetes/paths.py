"""Values of a manifest by their dotted path: `spec.template.spec.containers[0].resources.limits["nvidia.com/gpu"]`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,100}", re.ASCII)
_PART = re.compile(r'\.?([A-Za-z_][A-Za-z0-9_-]{0,100})|\[([0-9]{1,6})\]|\[("(?:[^"\\]|\\.){0,2000}")\]', re.ASCII)
Key = str | int


def child(path: str, key: Key) -> str:
    """The path of what a mapping or list holds."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    if not _PLAIN.fullmatch(key):
        return f"{path}[{json.dumps(key)}]"
    return f"{path}.{key}" if path else key


def keys(path: str) -> list[Key]:
    """The keys on a path. Raises ValueError where it is none."""
    found: list[Key] = []
    at = 0
    while at < len(path):
        match = _PART.match(path, at)
        if not match:
            raise ValueError(path)
        plain, index, quoted = match.groups()
        found.append(plain if plain is not None else int(index) if index is not None else json.loads(quoted))
        at = match.end()
    return found


def value_at(document: Any, path: str) -> Any:
    """The value of a path; None where there is none."""
    for key in keys(path):
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and isinstance(key, int) and key < len(document):
            document = document[key]
        else:
            return None
    return document


def put(document: Any, path: str, value: object) -> None:
    """Set a value, and make the mappings on the way; None removes it. A path into what is not there is passed over."""
    *above, last = keys(path)
    for key in above:
        if isinstance(document, dict):
            document = document.setdefault(key, {})
        elif isinstance(document, list) and isinstance(key, int) and key < len(document):
            document = document[key]
        else:
            return
    if isinstance(document, dict):
        if value is None:
            document.pop(last, None)
        else:
            document[last] = value
    elif isinstance(document, list) and isinstance(last, int) and last < len(document):
        document[last] = value


def differences(wanted: Any, made: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """What to `put` into `made` so that it is `wanted`; the largest parts that differ."""
    if isinstance(wanted, dict) and isinstance(made, dict):
        for key in (*wanted, *(key for key in made if key not in wanted)):
            if key not in wanted or wanted[key] is None:
                if made.get(key) is not None:
                    yield child(path, key), None
            elif key not in made:
                yield child(path, key), wanted[key]
            else:
                yield from differences(wanted[key], made[key], child(path, key))
    elif isinstance(wanted, list) and isinstance(made, list) and len(wanted) == len(made):
        for index, (one, other) in enumerate(zip(wanted, made, strict=True)):
            yield from differences(one, other, child(path, index))
    elif type(wanted) is not type(made) or wanted != made:
        yield path, wanted
