"""Which names, labels, variables and quantities the API server takes, and the nearest one to another text.

Kubernetes: "Object Names and IDs", "Labels and Selectors", "Define Dependent Environment Variables", "Quantity".
"""

from __future__ import annotations

import re

LONGEST = 63  # of a DNS-1123 label
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_PART = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,251}[a-z0-9])?", re.ASCII)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_KEY = re.compile(
    r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII
)
_VARIABLE = re.compile(r"[A-Za-z_.-][A-Za-z0-9_.-]{0,1000}", re.ASCII)
_FOREIGN = re.compile("[^a-z0-9]+", re.ASCII)
_REFERENCE = re.compile(r"\$(?:\$|\(([A-Za-z0-9_.-]{1,1000})\))")


def is_label(text: object) -> bool:
    """Whether it is a DNS-1123 label, as the names of containers and hosts are."""
    return isinstance(text, str) and _LABEL.fullmatch(text) is not None


def is_subdomain(text: object) -> bool:
    """Whether it is a DNS-1123 subdomain, as the names of most objects are."""
    return isinstance(text, str) and len(text) <= 253 and all(map(_PART.fullmatch, text.split(".")))


def is_label_value(text: object) -> bool:
    return isinstance(text, str) and _VALUE.fullmatch(text) is not None


def is_label_key(text: object) -> bool:
    """Whether it is the key of a label, or the name of a resource."""
    return isinstance(text, str) and _KEY.fullmatch(text) is not None


def is_variable(text: object) -> bool:
    return isinstance(text, str) and _VARIABLE.fullmatch(text) is not None


def label(text: str, room: int = 0, fallback: str = "job") -> str:
    """The nearest DNS-1123 label, with `room` characters to spare."""
    if len(text) <= LONGEST - room and is_label(text):
        return text
    return _FOREIGN.sub("-", text.lower()).strip("-")[: LONGEST - room].rstrip("-") or fallback


def escape(text: str) -> str:
    """A value or argument that `$(NAME)` and `$$` are not replaced in."""
    return text.replace("$", "$$") if "$$" in text or "$(" in text else text


def expand(text: str, values: dict[str, str]) -> str:
    """A value or argument as the kubelet expands it; references to what is not known stay."""
    if "$" not in text:
        return text
    return _REFERENCE.sub(lambda match: "$" if match[1] is None else values.get(match[1], match[0]), text)


def bytes_quantity(size: int) -> str:
    """Bytes as a quantity, exactly."""
    for suffix in ("Ei", "Pi", "Ti", "Gi", "Mi", "Ki"):
        whole, rest = divmod(size, 1024 ** (1 + ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei").index(suffix)))
        if whole and not rest:
            return f"{whole}{suffix}"
    return str(size)
