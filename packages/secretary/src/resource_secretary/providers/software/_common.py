"""What the providers of software share: reading JSON of others, "is X there", and which packages are compilers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from resource_secretary.errors import OutputError
from resource_secretary.reading import loads
from resource_secretary.run import printable

MOST_SIMILAR = 20  # names that are told where the one that was asked for is not there
_KEPT = 2000  # characters of an answer that can't be read

# Packages that are compilers, by the names that they have in module trees, Spack, EasyBuild, conda, Nix and Guix.
_COMPILERS = re.compile(
    r"(?:.*/)?(?:"
    r"gcc|gcc-?core|gcc-native|gcc-toolset(?:-[0-9]+)?|gcc-toolchain|gcc-wrapper|gfortran(?:-toolchain)?"
    r"|gcc_linux-[a-z0-9]+|gxx_linux-[a-z0-9]+|gfortran_linux-[a-z0-9]+"
    r"|llvm|clang|clang-toolchain|clang-wrapper|aocc|acfl|arm|armcompiler|amdclang|rocmcc|llvm-amdgpu"
    r"|intel|intel-compilers?|intel-classic|intel-oneapi|intel-oneapi-compilers|intel-oneapi-compilers-classic"
    r"|oneapi|compiler|icc|icx|ifort|ifx|dpcpp"
    r"|nvhpc|nvidia|nvidia-mixed|nvidia-compilers|pgi|cuda|cudatoolkit|cce|amd|amd-mixed"
    r"|xl|xlf|xlc|fj|fujitsu|nag|prgenv-[a-z]+|ghc|rust|go|openjdk|zig"
    r")",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Presence:
    """Whether a package is there. versions: all that are, in the order in which they are listed.

    similar: names that contain the one asked for, where it is not there.
    """

    name: str
    there: bool
    versions: tuple[str, ...]
    similar: tuple[str, ...]


def presence(name: str, installed: Iterable[tuple[str, str]], separators: tuple[str, ...] = ("@",)) -> Presence:
    """Is it there? `name` may have a version behind a separator: gcc@12.2.0. Case counts only where it tells apart."""
    pairs = list(installed)
    wanted = name
    found = [pair for pair in pairs if pair[0] == name] or [pair for pair in pairs if pair[0].lower() == name.lower()]
    for separator in () if found else separators:
        base, mark, version = name.rpartition(separator)
        some = [pair for pair in pairs if pair[0].lower() == base.lower()] if mark else []
        if some:
            wanted, found = base, [pair for pair in some if pair[1] == version]
            break
    versions = tuple(dict.fromkeys(version for _, version in found))
    return Presence(name, bool(found), versions, () if found else similar(wanted, (pair[0] for pair in pairs)))


def similar(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Names that contain this one, or that it contains, the shortest first."""
    low = name.lower()
    near = {one for one in names if low in one.lower() or (len(one) > 2 and one.lower() in low)}
    return tuple(sorted(near, key=lambda one: (abs(len(one) - len(name)), one))[:MOST_SIMILAR])


def is_compiler(name: str) -> bool:
    """Whether a package of this name is a compiler."""
    return _COMPILERS.fullmatch(name) is not None


def read_json(source: str, text: str) -> Any:
    """The value that a JSON text holds. Raises OutputError with the beginning of what it said."""
    try:
        return loads(text)
    except (ValueError, RecursionError) as error:
        raise unreadable(source, text, f"not JSON: {str(error)[:100]}") from None


def unreadable(source: str, text: str, why: str) -> OutputError:
    """An error that keeps what was said: `source` may be of a version that is not known here."""
    return OutputError(source, "", f"{why}; it said: {printable(text[:_KEPT]) or 'nothing'}")


def fields_of(value: Any) -> Mapping[str, Any]:
    """An object of JSON. Raises ValueError where it is something else."""
    if isinstance(value, Mapping):
        return value
    raise ValueError(f"an object expected, not {value!r:.40}")


def text_of(record: Mapping[str, Any], key: str) -> str:
    """The text of a field. Raises ValueError where there is none."""
    value = record.get(key)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{key} must be a text, not {value!r:.40}")
    return value


def optional(record: Mapping[str, Any], key: str) -> str | None:
    """The text of a field, None where there is none."""
    value = record.get(key)
    return value if isinstance(value, str) and value else None
