"""YAML with places: plain data from the safe loader, and the line and column of every key and value."""

from __future__ import annotations

from typing import Any

import yaml

from ensemble.errors import FileError, Problem

Path = tuple[str | int, ...]
DEEPEST = 50  # levels; an ensemble file has five
LONGEST = 2**20  # characters; reading more takes longer than anybody waits
LARGEST = 100_000  # values; aliases of aliases make a small file large
_NUMBER_TAGS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")
_MERGE = "<<"
_MERGE_TAG = "tag:yaml.org,2002:merge"
_DATE_TAG = "tag:yaml.org,2002:timestamp"


class Places:
    """Where everything in one file stands."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.lines = text.splitlines()
        self.values: dict[Path, yaml.Mark] = {}
        self.keys: dict[Path, yaml.Mark] = {}
        self.blocks: dict[Path, int] = {}  # literal blocks: how many lines stand before the first of the text
        self.duplicates: list[Problem] = []

    def problem(self, path: Path, message: str, *, at_key: bool = False) -> Problem:
        """A problem at a key or value, or at the nearest thing around it that is there."""
        mark = self.keys.get(path) if at_key else None
        while mark is None and path and path not in self.values:
            path = path[:-1]
        mark = mark or self.values.get(path)
        return (
            Problem(self.file, mark.line + 1, mark.column + 1, message) if mark else Problem(self.file, 1, 1, message)
        )

    def block_line(self, path: Path) -> int:
        """The line of the file (from 1) on which the text of a literal block starts."""
        return self.blocks.get(path, 0) + 1

    def in_block(self, path: Path, line: int, column: int, message: str) -> Problem:
        """A problem at a line and column (from 1) of a text within the file."""
        if path not in self.blocks:
            return self.problem(path, message)
        row = self.blocks[path] + line
        first = self.lines[self.blocks[path]] if self.blocks[path] < len(self.lines) else ""
        return Problem(self.file, row, column + len(first) - len(first.lstrip()), message)


def read_yaml(text: str, file: str) -> tuple[Any, Places]:
    """The data of a YAML text and the places of it. Raises FileError."""
    if len(text) > LONGEST:
        raise FileError((Problem(file, 1, 1, f"it is longer than {LONGEST} characters"),))
    places = Places(file, text)
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        return (_plain(node, (), loader, places) if node else None), places
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line, mark.column) if mark else (0, 0)
        message = f"no valid YAML: {error.problem or error.context}"
        written = places.lines[line].strip() if line < len(places.lines) else ""
        if written.startswith("when:") and ">" in written:
            message = f'a comparison is put in quotes: when: "{written.removeprefix("when:").strip()}"'
        if "'\\t'" in message:
            message = "a tab can't indent YAML: use blanks"
        raise FileError((Problem(file, line + 1, column + 1, " ".join(message.split())),)) from None
    except (yaml.YAMLError, ValueError) as error:
        raise FileError((Problem(file, 1, 1, f"no valid YAML: {' '.join(str(error).split())}"),)) from None
    except RecursionError:
        raise FileError((Problem(file, 1, 1, "it is nested too deeply"),)) from None


def _plain(node: yaml.Node, path: Path, loader: yaml.SafeLoader, places: Places) -> Any:
    places.values[path] = node.start_mark
    if len(path) > DEEPEST or len(places.values) > LARGEST:
        raise yaml.constructor.ConstructorError(None, None, "it is too deep or too large", node.start_mark)
    if isinstance(node, yaml.MappingNode):
        data: dict[str, Any] = {}
        merged: list[Any] = []
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE_TAG:
                merged.append(_plain(value_node, (*path, _MERGE), loader, places))
                continue
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            inner = (*path, key)
            if key in data:
                mark = key_node.start_mark
                places.duplicates.append(
                    Problem(places.file, mark.line + 1, mark.column + 1, f"{key}: it is there twice")
                )
            places.keys[inner] = key_node.start_mark
            data[key] = _plain(value_node, inner, loader, places)
        for others in merged:
            for other in others if isinstance(others, list) else [others]:
                if not isinstance(other, dict):
                    raise yaml.constructor.ConstructorError(None, None, "<< merges mappings only", node.start_mark)
                data = other | data  # what is written here wins, then the first
        return data
    if isinstance(node, yaml.SequenceNode):
        return [_plain(entry, (*path, index), loader, places) for index, entry in enumerate(node.value)]
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        places.blocks[path] = node.start_mark.line + 1
    if node.tag == _DATE_TAG or (node.tag in _NUMBER_TAGS and ":" in node.value):
        return node.value  # 1:00:00 is a time here, not the base-60 number of YAML 1.1
    return loader.construct_object(node)
