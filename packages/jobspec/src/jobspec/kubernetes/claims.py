"""Which values of a manifest went into which fields of the job, and so what is left over."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from jobspec.job import Where
from jobspec.kubernetes.manifest import Manifest
from jobspec.kubernetes.paths import child
from jobspec.reading import Directive, State

_KIND = ("apiVersion", "kind")


class Claims:
    """Paths of a manifest and the fields that they were read into; what nobody claims, only Kubernetes has."""

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest
        self.where: dict[str, Where] = {}
        self._claimed: dict[str, tuple[tuple[str, ...], State, str]] = {}
        self._above: set[str] = set()

    def claim(self, path: str, *fields: str, why: str = "") -> None:
        """The value was read into fields; why: what of it was not."""
        known = self._claimed.get(path, ((), "obeyed", ""))
        fields = tuple(dict.fromkeys((*known[0], *fields)))
        self._note(path, fields, "obeyed", "; ".join(filter(None, (known[2], why))))
        for field in fields:
            self.where.setdefault(field, self.manifest.where(path))

    def inert(self, path: str, why: str, state: State = "inert") -> None:
        """The value changes nothing."""
        self._note(path, (), state, why)

    def separate(self, path: str) -> None:
        """What the value holds is told one by one, even where nothing of it is claimed."""
        self._above.add(path)

    def body(self, path: str) -> None:
        """The value is, or starts, the script: no directive."""
        self._note(path, (), "obeyed", "")

    def _note(self, path: str, fields: tuple[str, ...], state: State, why: str) -> None:
        self._claimed[path] = (fields, state, why)
        while path:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
            self._above.add(path)

    def directives(self) -> Iterator[Directive]:
        """One for each claimed value, and for each largest part that has none."""
        for key, value in self.manifest.value.items():
            if key not in _KIND:
                yield from self._walk(child("", key), value)

    def _walk(self, path: str, value: Any) -> Iterator[Directive]:
        if path in self._claimed:
            fields, state, why = self._claimed[path]
            if fields or why:
                yield self._directive(path, value, fields, state, why)
        elif path in self._above and isinstance(value, (dict, list)):
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, inner in pairs:
                yield from self._walk(child(path, key), inner)
        elif value in (None, {}, []):
            yield self._directive(path, value, (), "inert", "it is empty")
        else:
            yield self._directive(path, value, ("native",), "obeyed", "")

    def _directive(self, path: str, value: Any, fields: tuple[str, ...], state: State, why: str) -> Directive:
        place = self.manifest.where(path)
        text = path if isinstance(value, (dict, list)) else f"{path}: {str(value)[:200]}"
        return Directive(place.line, place.column, text, path, fields, state, why)
