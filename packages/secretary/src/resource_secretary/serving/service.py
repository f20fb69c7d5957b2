"""What the server answers, without the protocol: tools, calls, resources. Called from several threads at once."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import click
import msgspec
from resources.errors import ResourcesError

from resource_secretary.errors import InactiveProvider, SecretaryError
from resource_secretary.manifest import ToolResult
from resource_secretary.paging import Pages, cut
from resource_secretary.serving.names import hints, published, terse, tool_name
from resource_secretary.serving.own import Own, listed
from resource_secretary.sidebyside import first_line
from resource_secretary.system import DEADLINE
from resource_secretary.tools import Tool, as_json, tools_of

if TYPE_CHECKING:
    from resource_secretary.manifest import Manifest
    from resource_secretary.secretary import Secretary

LARGEST = 58_000  # bytes of what is in a reply; with what the protocol puts around it, it stays below 60,000
FRESH = 60.0  # seconds for which what was detected is told again
_LONGEST = 8000  # characters of an error
_RESOURCE = "secretary://"
MANIFEST = f"{_RESOURCE}manifest"
PROVIDER = f"{_RESOURCE}provider/"


@dataclass(frozen=True, slots=True)
class Reply:
    """What a tool answered: texts for the reader, the first of which is the result as JSON, and the result itself; or
    one text that says what went wrong, and no result. meta: when and from where it was seen."""

    texts: tuple[str, ...]
    result: dict[str, Any] | None = None
    meta: dict[str, str] | None = None


class Service:
    """A secretary as clients see it. timeout: seconds of a call. changed: called where the tools are others now."""

    def __init__(self, secretary: Secretary, timeout: float, *, probing: float = DEADLINE) -> None:
        self.secretary, self.timeout, self._probing = secretary, timeout, probing
        self.pages = secretary.pages or Pages()
        self.secretary.pages = self.pages
        self.changed: Callable[[], object] | None = None
        self.ending = threading.Event()  # set where nobody wants to know any more
        self._lock = threading.Lock()
        self._seen: Manifest | None = None
        self._until = 0.0
        self._validators: dict[str, Any] = {}

    def manifest(self) -> Manifest:
        """What is here: detected once for all that ask at the same time, and anew after `FRESH` seconds."""
        with self._lock:
            if self._seen is not None and time.monotonic() < self._until:
                return self._seen
            before, self._seen = self._seen, self._within(self.ending).detect(timeout=self._probing)
            self._until = time.monotonic() + FRESH
            seen = self._seen
        if before is not None and self.changed is not None and _names(before) != _names(seen):
            self.changed()
        return seen

    def warm_up(self) -> None:
        """Detect, and import what checks results, before anybody asks."""
        try:
            self.manifest()
            import jsonschema  # noqa: F401
        except Exception as error:  # noqa: BLE001 - whoever asks gets the same error, as an answer
            click.echo(f"resource-secretary: {first_line(error)}", err=True)

    def tools(self) -> list[dict[str, Any]]:
        """The tools as the protocol lists them: the secretary's own, then those of the active providers.

        Schemas of results are left out where there is no room for them; `read` of a provider has them.
        """
        found = [("secretary", tool, tool.name) for tool in self._own]
        for entry in self.manifest().active:
            found += [(entry.known.name, tool, tool_name(entry.known.name, tool.name)) for tool in entry.tools]
        made = [_listing(*one) for one in found]
        # Many clients read the first page only: rather all tools on it, and what they give described less.
        if _size(made) > LARGEST:
            made = [{**one, "outputSchema": terse(one["outputSchema"])} for one in made]
        if _size(made) > LARGEST:
            made = [{key: value for key, value in one.items() if key != "outputSchema"} for one in made]
        return made

    def has(self, name: str) -> bool:
        """Whether there is a tool of that name that may be called, be its provider active or not."""
        return any(tool.name == name for tool in self._own) or name in self._theirs

    def call(self, name: str, arguments: Mapping[str, object], stop: threading.Event) -> Reply:
        """Call a tool by the name that it has for clients. `stop` ends what it runs. Raises KeyError for another."""
        own = {tool.name: tool for tool in self._own}
        tool = own[name] if name in own else self._theirs[name][1]
        try:
            answer = self._call_own(tool, arguments, stop) if name in own else self._call(name, arguments, stop)
            self._check(name, tool, answer.result)
        except (SecretaryError, ResourcesError) as error:
            if isinstance(error, InactiveProvider):
                self._until = 0.0  # it was active when the tools were listed, or is one that nobody listed
            return Reply((_short(str(error)),))
        except Exception as error:  # noqa: BLE001 - a bug of one tool is the answer of that tool
            return Reply((_short(f"{name} failed: {first_line(error)}"),))
        seen = {"observed_at": answer.observed_at, "observed_on": answer.observed_on}
        notice = f"{answer.notice}. " if answer.notice else ""
        texts = (_text(answer.result), f"{notice}Seen from {answer.observed_on} at {answer.observed_at}.")
        return Reply(texts, answer.result, seen)

    def resources(self) -> list[dict[str, Any]]:
        """The resources as the protocol lists them."""
        made = [
            {
                "uri": MANIFEST,
                "name": "manifest",
                "title": "What this machine or cluster has",
                "description": "Every provider: whether it is active and why not, static metadata, names of its tools.",
                "mimeType": "application/json",
            }
        ]
        for entry in self.manifest().active:
            known = entry.known
            about = {"title": known.name, "description": known.description, "mimeType": "application/json"}
            made.append({"uri": f"{PROVIDER}{known.name}", "name": known.name, **about})
        return made

    def read(self, uri: str) -> str | None:
        """A resource as JSON, None where there is none of that name."""
        manifest = self.manifest()
        if uri == MANIFEST:
            rows = [as_json(listed(entry, tool_name)) for entry in manifest.entries]
            head = {"observed_at": manifest.observed_at, "observed_on": manifest.observed_on}
            whole = {**head, "providers": rows}
            if _size(_json(whole)) <= LARGEST:
                return _json(whole)
            notice = f"metadata is left out here; read {PROVIDER}NAME"
            return _fitting({**head, "notice": notice, "providers": [{**row, "metadata": None} for row in rows]})
        for entry in manifest.entries:
            if uri == f"{PROVIDER}{entry.known.name}":
                tools = [
                    _listing(entry.known.name, tool, tool_name(entry.known.name, tool.name)) for tool in entry.tools
                ]
                return _fitting({**entry.as_dict(), "tools": tools})
        return None

    @cached_property
    def _own(self) -> tuple[Tool, ...]:
        return tuple(sorted(tools_of(Own), key=lambda tool: ("manifest", "ask", "offer").index(tool.name)))

    @cached_property
    def _theirs(self) -> dict[str, tuple[str, Tool]]:
        """Of all providers, active or not: who calls a tool of one that went away gets its reason."""
        return {
            tool_name(known.name, tool.name): (f"{known.name}.{tool.name}", tool)
            for known in self.secretary.catalog.entries
            for tool in self.secretary.tools(known)
        }

    def _call(self, name: str, arguments: Mapping[str, object], stop: threading.Event) -> ToolResult:
        return self._within(stop).call(self._theirs[name][0], arguments, self.timeout)

    def _call_own(self, tool: Tool, arguments: Mapping[str, object], stop: threading.Event) -> ToolResult:
        secretary = self._within(stop)
        given = tool.read(arguments)
        own = Own(secretary, self.timeout, self.manifest, tool_name)
        now, where = secretary.system.now(), secretary.system.where()
        kept = self.pages.find(given["cursor"]) if tool.paged else None
        if kept is not None:
            now, where, value = kept.observed_at, kept.observed_on, kept
        else:
            value = getattr(own, tool.name)(**tool.method_arguments(given))
        result, notice = tool.result(given, value, None if kept else partial(self._keep, now, where))
        return ToolResult(tool.name, result, now, where, notice)

    def _keep(self, now: str, where: str, items: Sequence[Any]) -> str:
        return self.pages.keep(items, now, where)

    def _within(self, stop: threading.Event) -> Secretary:
        other = copy.copy(self.secretary)
        other.system = other.system.until(stop)
        return other

    def _check(self, name: str, tool: Tool, result: object) -> None:
        """Raise TypeError where a result is not of the schema: a client would refuse it, and say less clearly why."""
        from jsonschema import Draft202012Validator

        if name not in self._validators:
            self._validators[name] = Draft202012Validator(tool.output_schema)
        for error in self._validators[name].iter_errors(result):
            raise TypeError(f"its answer is not of its schema: {error.json_path}: {error.message:.200}")


def page(entries: Sequence[dict[str, Any]], cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """The entries that follow a cursor, as many as a reply holds, and the cursor of the next page.

    Raises ValueError for a cursor that is not of this listing.
    """
    start, size = 0, 0
    if cursor is not None:
        if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 9 and 0 < int(cursor) < len(entries)):
            raise ValueError("the cursor is not one of this listing; begin again without one")
        start = int(cursor)
    shown: list[dict[str, Any]] = []
    for entry in entries[start:]:
        size += _size(entry) + 1
        if shown and size > LARGEST:
            break
        shown.append(entry)
    end = start + len(shown)
    return shown, str(end) if end < len(entries) else None


def _names(manifest: Manifest) -> list[tuple[str, str]]:
    return [(entry.known.name, tool.name) for entry in manifest.active for tool in entry.tools]


def _listing(provider: str, tool: Tool, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "title": f"{provider}: {tool.name.replace('_', ' ')}",
        "description": tool.description,
        "inputSchema": published(tool.input_schema),
        "outputSchema": published(tool.output_schema),
        "annotations": hints(tool),
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _size(value: object) -> int:
    """Bytes of a value as JSON; of a text with its quotes escaped."""
    return len(msgspec.json.encode(value))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more characters)"


def _text(result: dict[str, Any]) -> str:
    """A result as a text, cut where a reply that has it twice would be too long: many escapes make it so."""
    text = _json(result)
    room = LARGEST - _size(result) - 2000
    while _size(text) > room:
        text = f"{text[: len(text) * room // _size(text) - 200]}… (cut; the whole is in the structured result)"
    return text


def _fitting(document: dict[str, Any]) -> str:
    """A document as JSON, cut until it fits into a reply as a text."""
    most = LARGEST
    while _size(text := _json(cut(document, most)[0])) > LARGEST:
        most = most * LARGEST // _size(text) - 100
    return text
