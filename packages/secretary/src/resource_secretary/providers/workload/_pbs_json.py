"""Read the JSON of `qstat -F json` and `pbsnodes -F json`, also where it is none.

What PBS writes is often no JSON: environment variables of jobs hold shell functions with quotes and newlines, numbers
such as 005 or .5 stand bare, `\\'` and `\\,` are no escapes, keys occur twice, quotes in comments are not escaped
(openpbs issues 1255, 2541, 2677, pull requests 585, 830, 2049, 2603). So a document that a strict reader refuses is cut
into its records, which stand on lines of their own, and each is read alone by a lenient one: a bad record loses only
itself, and says why.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

from resource_secretary.providers.workload._batch import unknown_format

_SPACE = re.compile(r"\s*")
_BARE = re.compile(r"[^\s,{}\[\]\"]+")
_STRING = re.compile(r'[^"\\]*')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
# A quote ends a string if this follows: the end of a key, of a value that is the last one, or of one before the next.
_AFTER = re.compile(r'\s*(?::|[}\]]|,\s*(?:"|[\[{}\]]|-?[.\d])|$)')
_DEEPEST = 20
_ENVIRONMENT = re.compile(r'([ \t]*)"Variable_List"\s*:\s*\{\s*')
_STATE = re.compile(r'[ \t]*"job_state"')


class Repeated(list[Any]):
    """The values of a key that occurs more than once."""


@dataclass(frozen=True, slots=True)
class Record:
    """A job, queue or node. attributes: as `qstat -f` names them, `Resource_List.ncpus`. problem: why it is unread."""

    name: str
    attributes: dict[str, str]
    problem: str = ""


def read_records(text: str, section: str, source: str) -> list[Record]:
    """The records of a section: Jobs, Queue or nodes; none where the document has no such section.

    Raises OutputError where it is no document of PBS at all.
    """
    try:
        document = _strict(text)
    except (ValueError, RecursionError):
        text = _without_environments(text)
        try:
            document = _strict(text)
        except (ValueError, RecursionError):
            return _one_by_one(text, section, source)
    if not isinstance(document, dict) or "pbs_version" not in document:
        raise unknown_format(source, "", "a JSON object with pbs_version expected", text)
    records: list[Record] = []
    found = document.get(section, {})
    for part in found if isinstance(found, Repeated) else [found]:
        if not isinstance(part, dict):
            raise unknown_format(source, section, "an object expected", text)
        records += [one for name, body in part.items() for one in _records(name, body)]
    return records


def _strict(text: str) -> Any:
    return json.loads(text, object_pairs_hook=_pairs, parse_int=str, parse_float=str, parse_constant=str)


def _without_environments(text: str) -> str:
    """The document without the environments of jobs, by the indentation of their first and last line: nobody asks for
    them, and most that is no JSON is in them. What looks like one and goes on into another job (each has a state) is
    kept. Where a variable holds such a last line, what remains of it makes its job unread or changes nothing."""
    kept: list[str] = []
    start, indent = -1, ""
    for line in text.split("\n"):
        opens = _ENVIRONMENT.fullmatch(line)
        if opens:
            start, indent = len(kept), opens[1]
        elif start >= 0 and line.rstrip() in (f"{indent}}}", f"{indent}}},"):
            del kept[start:]
            line = f'{indent}"Variable_List":{{}}{"," if line.rstrip().endswith(",") else ""}'
            start = -1
        elif start >= 0 and _STATE.match(line):
            start = -1
        kept.append(line)
    return "\n".join(kept)


def _records(name: str, body: Any) -> list[Record]:
    name = name.encode("utf-8", "replace").decode()
    if isinstance(body, Repeated):
        return [Record(name, {}, "it occurs more than once")]
    if not isinstance(body, dict):
        return [Record(name, {}, "it is no JSON object")]
    return [Record(name, _flat(body))]


def _flat(body: dict[str, Any]) -> dict[str, str]:
    """The attributes as text; those of a resource list by `list.resource`. Of a key that occurs twice with two values
    nobody knows which one holds: it is left out, but for limits, which are lists that PBS writes so."""
    flat: dict[str, str] = {}
    for key, value in body.items():
        if key == "Variable_List":
            continue
        if isinstance(value, dict):
            flat.update({f"{key}.{inner}": text for inner, text in _flat(value).items()})
        elif isinstance(value, Repeated) and not key.startswith("max_"):
            flat[key] = "(repeated)"
        elif isinstance(value, list):
            flat[key] = ",".join(str(one) for one in value if isinstance(one, (str, int)))
        else:
            flat[key] = "" if value is None else str(value)
    # Half a surrogate pair is valid in JSON and can't be written again.
    return {key: value.encode("utf-8", "replace").decode() for key, value in flat.items()}


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for key, value in pairs:
        if key in made and made[key] != value:
            made[key] = Repeated([*made[key], value] if isinstance(made[key], Repeated) else [made[key], value])
        else:
            made[key] = value
    return made


def _one_by_one(text: str, section: str, source: str) -> list[Record]:
    if '"pbs_version"' not in text:
        raise unknown_format(source, "", "a JSON object with pbs_version expected", text)
    start = re.search(rf'^[ \t]*"{section}"\s*:\s*\{{[ \t]*$', text, re.MULTILINE)
    if not start:
        raise unknown_format(source, "", f"no JSON, and no line with {section}", text)
    first = re.compile(r'^([ \t]*)"([^"\n]{1,300})"\s*:\s*\{[ \t]*\}?,?[ \t]*$', re.MULTILINE)
    found = first.search(text, start.end())
    if not found:
        raise unknown_format(source, section, "no JSON, and no record on a line of its own", text)
    # Records are those lines that are indented as the first one is.
    header = re.compile(rf'^{found[1]}"([^"\n]{{1,300}})"\s*:\s*(?=\{{)', re.MULTILINE)
    heads = list(header.finditer(text, start.end()))
    ends = [head.start() for head in heads[1:]] + [len(text)]
    # Some versions begin the section anew before each record.
    pairs = [(head, end) for head, end in zip(heads, ends, strict=True) if head[1] != section]
    seen = Counter(head[1] for head, _ in pairs)
    return [
        Record(head[1], {}, "it occurs more than once")
        if seen[head[1]] > 1
        else _alone(head[1], text[head.end() : end])
        for head, end in {head[1]: (head, end) for head, end in pairs}.values()
    ]


def _alone(name: str, text: str) -> Record:
    try:
        reader = _Lenient(text)
        body = reader.value(0)
        rest = re.sub(r'"\w+"\s*:\s*\{', "", text[reader.at :]).strip(" \t\r\n,}")
        if rest:
            raise ValueError(f"{rest[:40]!r} follows it")
    except ValueError as error:
        return Record(name, {}, f"no JSON: {error}")
    return _records(name, body)[0]


class _Lenient:
    """Reads one value where quotes and control characters are not escaped, or what needs none is."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise ValueError("it is nested too deeply")
        char = self._next()
        if char == "{":
            return _pairs(self._items("}", depth, keys=True))
        if char == "[":
            return [value for _, value in self._items("]", depth, keys=False)]
        if char == '"':
            return self._string()
        bare = _BARE.match(self.text, self.at)
        if not bare:
            raise ValueError(f"a value expected, not {self.text[self.at : self.at + 40]!r}")
        self.at = bare.end()
        return bare[0]

    def _items(self, end: str, depth: int, *, keys: bool) -> list[tuple[str, Any]]:
        self.at += 1
        made: list[tuple[str, Any]] = []
        while self._next() != end:
            if made:
                self._take(",")
                if self._next() == end:  # a comma too many
                    break
            key = ""
            if keys:
                if self._next() != '"':
                    raise ValueError(f"a key expected, not {self.text[self.at : self.at + 40]!r}")
                key = self._string()
                self._take(":")
            made.append((key, self.value(depth + 1)))
        self.at += 1
        return made

    def _string(self) -> str:
        self.at += 1
        made: list[str] = []
        while True:
            plain = _STRING.match(self.text, self.at)
            if plain:
                made.append(plain[0])
                self.at = plain.end()
            char = self.text[self.at : self.at + 2]
            if not char:
                raise ValueError("it ends within a string")
            if char[0] == '"':
                self.at += 1
                if _AFTER.match(self.text, self.at):
                    return "".join(made)
                made.append('"')
            elif len(char) == 2 and char[1] == "u" and re.match(r"[0-9a-fA-F]{4}", self.text[self.at + 2 :]):
                made.append(chr(int(self.text[self.at + 2 : self.at + 6], 16)))
                self.at += 6
            else:
                made.append(_ESCAPES.get(char[1:], char[1:]))
                self.at += 2

    def _next(self) -> str:
        space = _SPACE.match(self.text, self.at)
        if space:
            self.at = space.end()
        if self.at >= len(self.text):
            raise ValueError("it ends too early")
        return self.text[self.at]

    def _take(self, char: str) -> None:
        if self._next() != char:
            raise ValueError(f"{char!r} expected, not {self.text[self.at : self.at + 40]!r}")
        self.at += 1
