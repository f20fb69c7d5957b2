"""Read the text of `qstat -f`, `qstat -Q -f`, `qstat -B -f` and `pbsnodes -a`, which PBS and Torque share.

A record begins with a line that is not indented (`Job Id: 1.server`, `Queue: workq`, a node's name); an attribute is
indented by blanks, `name = value`; a long value goes on in lines that begin with a tab, one that holds newlines in
lines of its own.
"""

from __future__ import annotations

import re
from typing import Literal

from resource_secretary.providers.workload._batch import unknown_format
from resource_secretary.providers.workload._pbs_json import Record

_ATTRIBUTE = re.compile(r" {2,8}([A-Za-z_][\w.-]*) = ?(.*)")
_HEADS = {"Jobs": "Job Id: ", "Queue": "Queue: ", "Server": "Server: ", "nodes": ""}


def read_text(text: str, section: Literal["Jobs", "Queue", "Server", "nodes"], source: str) -> list[Record]:
    """The records of the text. Raises OutputError where it is no such text."""
    head = _HEADS[section]
    records: list[Record] = []
    attributes: dict[str, str] = {}
    key = ""
    for number, line in enumerate(text.replace("\r", "").split("\n"), 1):
        found = _ATTRIBUTE.fullmatch(line)
        if line.startswith("\t") and key:
            attributes[key] += line[1:]
        elif found and records:
            key = found[1]
            # What occurs twice is a limit of several parts; where anything else does, nobody knows which one holds.
            if key not in attributes:
                attributes[key] = found[2]
            elif key.startswith("max_"):
                attributes[key] += f",{found[2]}"
            elif attributes[key] != found[2]:
                attributes[key] = "(repeated)"
        elif line[:1].strip() and line.startswith(head) and (head or not (key and _belongs(line))):
            name, key, attributes = line[len(head) :].strip(), "", {}
            records.append(Record(name, attributes))
        elif not line.strip():
            key = "" if section == "nodes" else key
        elif key:  # a value that holds newlines
            attributes[key] += f"\n{line}"
        else:
            raise unknown_format(source, f"line {number}", f"{head or 'a name'} expected, not {line[:40]!r}", text)
    for record in records:
        record.attributes.pop("Variable_List", None)
    return [Record(one.name, {}, "it occurs more than once") if double else one for one, double in _doubles(records)]


def _belongs(line: str) -> bool:
    """Whether a line that is not indented goes on with a node's value: no name has a blank in it."""
    return " " in line.strip()


def _doubles(records: list[Record]) -> list[tuple[Record, bool]]:
    seen: dict[str, int] = {}
    for record in records:
        seen[record.name] = seen.get(record.name, 0) + 1
    unique = {record.name: record for record in records}
    return [(record, seen[name] > 1) for name, record in unique.items()]
