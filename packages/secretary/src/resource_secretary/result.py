"""What a probe finds: active, absent, unreachable, or a broken detector. Each but the first has a reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

M = TypeVar("M", covariant=True)


@dataclass(frozen=True, slots=True)
class Active(Generic[M]):
    """It is here and answers. `metadata` is a dataclass of what does not change, or slowly."""

    metadata: M
    state: ClassVar[str] = "active"
    reason: ClassVar[str] = ""

    def __bool__(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Absent:
    """It is not here. `looked_for` is what was looked for and not found."""

    looked_for: str
    state: ClassVar[str] = "absent"

    @property
    def reason(self) -> str:
        return f"looked for {self.looked_for}"

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Unreachable:
    """Its client is here and it did not answer. `asked` is what was run, `said` its exit code and first line."""

    asked: str
    said: str
    exit_code: int | None = None
    state: ClassVar[str] = "unreachable"

    @property
    def reason(self) -> str:
        return f"{self.asked}: {self.said}"

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Broken:
    """The detector failed, not the thing that it detects: a bug of a plugin, or one that can't be imported."""

    error: str
    state: ClassVar[str] = "broken"

    @property
    def reason(self) -> str:
        return self.error

    def __bool__(self) -> bool:
        return False


Probe = Active[object] | Absent | Unreachable | Broken
