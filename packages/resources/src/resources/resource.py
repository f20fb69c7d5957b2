"""What every resource is: a kind with an amount, in the role of a request, a provider or an allocation.

The interface of a kind is five methods: `_request`, `_alloc`, `_dealloc`, `_repr` and `_stat`. A class that
has them and a constructor is a whole kind: its text and JSON follow from the constructor's arguments,
which are attributes of the same names.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from resources.errors import AllocationError, CombineError, InfeasibleRequest, InputError, InsufficientResources
from resources.lexer import arguments, arguments_text, from_arguments, parameters
from resources.units import LARGEST, shown

if TYPE_CHECKING:
    from types import TracebackType

    from resources.answer import Answer

R = TypeVar("R", bound="Resource")
PLACEMENT = frozenset({"nodes", "tasks"})  # kinds that say how a request is laid out, not what it takes


class Resource:
    """One kind of resource. Subclass it to make a kind; see the module's docstring."""

    __slots__ = ("__weakref__", "_fresh", "_owner")
    _fresh: Resource | None
    _owner: Resource | None

    kind: ClassVar[str] = ""
    """The name in text, JSON and listings; the class name in lower case where a class sets none."""
    about: ClassVar[str] = ""
    """One line for listings: unit and meaning."""
    order: ClassVar[int] = 100
    """Where the kind stands in text; third-party kinds come last, by name."""
    shows: ClassVar[tuple[str, ...] | None] = None
    """The attributes that a combination shows of this part; None: every public one."""
    unlimited: ClassVar[bool] = False
    """Whether a provider without this kind has as much of it as anyone asks for."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "kind" not in cls.__dict__:
            cls.kind = cls.__name__.lower().replace("_", "-")

    # The interface of a kind; `res` is always of the same kind.

    def _request(self, res: Any) -> bool:
        """Whether `_alloc(res)` would succeed now."""
        raise NotImplementedError(f"{type(self).__name__} has no _request")

    def _alloc(self, res: Any) -> Resource:
        """Take `res` out of this provider and return it as an allocation, which is a request too."""
        raise NotImplementedError(f"{type(self).__name__} has no _alloc")

    def _dealloc(self, res: Any) -> None:
        """Put back what `_alloc` returned."""
        raise NotImplementedError(f"{type(self).__name__} has no _dealloc")

    def _repr(self) -> str:
        """How it is written in Python; combinations join these with `&`."""
        return f"{type(self).__name__}({', '.join(map(repr, arguments(self)))})"

    def _stat(self) -> tuple[int, int]:
        """(free, total): the share that is available."""
        raise NotImplementedError(f"{type(self).__name__} has no _stat")

    def _free(self) -> Resource | None:
        """What is left of this provider, as a resource; None where that can't be said in one.

        A kind that keeps what is taken beside its amount has to say; one that lowers its amount need not.
        """
        return self if type(self).from_text(self.to_text()) == self else None

    # The language. The defaults serve every class whose constructor arguments are attributes.

    @classmethod
    def from_text(cls: type[R], text: str) -> R:
        """Read what stands behind `kind=`. Raises InputError."""
        made: R = from_arguments(cls, text)
        return made

    def to_text(self) -> str:
        """What stands behind `kind=`; `from_text` reads it back as an equal resource."""
        return arguments_text(self)

    @classmethod
    def from_json(cls: type[R], value: object) -> R:
        """Read the JSON value of this kind: by default a number, or the text form. Raises InputError."""
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            raise InputError(f"{cls.kind} is a number or a text, not {shown(value)}")
        if isinstance(value, int) and abs(value) > LARGEST:
            raise InputError(f"{cls.kind} is too large")
        return cls.from_text(value if isinstance(value, str) else repr(value))

    def to_json(self) -> Any:
        """The JSON value of this kind."""
        text = self.to_text()
        return int(text) if text.isascii() and text.isdigit() else text

    def _times(self: R, n: int) -> R:
        """The amount of n tasks: numbers multiply, what is no amount stays."""
        values = [getattr(self, name) for name in parameters(type(self))]
        return type(self)(*(v * n if isinstance(v, (int, float)) and not isinstance(v, bool) else v for v in values))

    # What users call.

    @property
    def asks_nothing(self) -> bool:
        """Whether, as a request, it fits a provider without this kind too: an amount of zero does."""
        return self.unlimited

    @property
    def leaves(self) -> tuple[Resource, ...]:
        """The parts of a combination in canonical order; of a single kind, itself."""
        return (self,)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of the parts, in canonical order."""
        return tuple(leaf.kind for leaf in self.leaves)

    def get(self, kind: str) -> Any:
        """The part of this kind, or None."""
        return next((leaf for leaf in self.leaves if leaf.kind == kind), None)

    def request(self, need: Any) -> bool:
        """Whether `need` could be allocated from this provider now."""
        return holds(self, per_host(need))

    def alloc(self, need: Any) -> Resource:
        """Take `need` out of this provider; the result is a context manager that frees it.

        Raises InsufficientResources or InfeasibleRequest; then nothing has changed.
        """
        need = per_host(need)
        fresh = self.fresh
        if not holds(self, need):
            error = InsufficientResources if holds(fresh, need) else InfeasibleRequest
            raise error(lambda: _explain(self, fresh, need))
        granted = _take(self, need)
        granted._owner = self
        return granted

    def dealloc(self, granted: Resource) -> None:
        """Put back an allocation. Raises AllocationError unless this provider granted it and still misses it."""
        owner = getattr(granted, "_owner", None)
        if owner is None:
            raise AllocationError(f"{shown(granted)} is no allocation, or was freed already")
        if owner is not self:
            raise AllocationError(f"{shown(granted)} was granted by another provider; free it there")
        _give(self, granted)
        granted._owner = None

    def explain(self, need: Any) -> Answer:
        """Whether `need` fits now, and if not, what is short and whether it ever can."""
        return _explain(self, self.fresh, per_host(need))

    @property
    def fresh(self: R) -> R:
        """This provider as it was before anything was taken from it."""
        kept: R | None = getattr(self, "_fresh", None)  # a constructor need not call this class's
        if kept is None:
            kept = copy.deepcopy(self)
            self._fresh = kept
        return kept

    def stat(self) -> dict[str, tuple[int, int]]:
        """kind -> (free, total)."""
        return {leaf.kind: leaf._stat() for leaf in self.leaves}

    def __enter__(self: R) -> R:
        if getattr(self, "_owner", None) is None:
            raise AllocationError(f"{self!r} is no allocation: there is nothing to free")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if owner := getattr(self, "_owner", None):
            owner.dealloc(self)

    def __and__(self, other: object) -> Resource:
        if not isinstance(other, Resource):
            raise CombineError(f"only resources combine with '&', not {shown(other)}")
        if twice := [kind for kind in other.kinds if kind in self.kinds]:
            raise CombineError(f"both sides of '&' have {', '.join(twice)}; a combination holds a kind once")
        # As a provider a combination has a state of its own: its operands stay untouched.
        return combine([copy.deepcopy(leaf) for leaf in (*self.leaves, *other.leaves)])

    def __rand__(self, other: object) -> Resource:
        raise CombineError(f"only resources combine with '&', not {shown(other)}")

    def __deepcopy__(self: R, memo: dict[int, Any]) -> R:
        twin = object.__new__(type(self))
        for name, value in _state(self).items():
            setattr(twin, name, copy.deepcopy(value, memo))
        return twin  # nobody's allocation: _owner stays behind

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return type(self) is type(other) and _state(self) == _state(other)

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def text(self) -> str:
        """The canonical text, which `parse` reads back: equal requests have equal texts."""
        return str(self)

    def __repr__(self) -> str:
        return self._repr()

    def __str__(self) -> str:
        return " ".join(f"{leaf.kind}={leaf.to_text()}" for leaf in self.leaves)


class Combined(Resource):
    """Resources of different kinds, in canonical order, with the attributes of each. `a & b` makes it."""

    __slots__ = ("_leaves", "_text")
    _leaves: tuple[Resource, ...]
    __hash__ = Resource.__hash__

    def __init__(self, leaves: tuple[Resource, ...] = ()) -> None:
        self._leaves = leaves
        self._text: str | None = None

    @property
    def leaves(self) -> tuple[Resource, ...]:
        return self._leaves

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)  # also while a copy is being made and has no parts yet
        for leaf in self._leaves:
            if (leaf.shows is None or name in leaf.shows) and hasattr(leaf, name):
                return getattr(leaf, name)
        raise AttributeError(f"{' & '.join(self.kinds) or 'ZERO'} has no {name!r}")

    @property
    def text(self) -> str:
        # Amounts never change; what is free of a provider does, and is no part of its text.
        if self._text is None:
            self._text = str(self)
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Resource):
            return NotImplemented
        return type(other) is Combined and self._leaves == other._leaves

    def _repr(self) -> str:
        return " & ".join(leaf._repr() for leaf in self._leaves) or "ZERO"

    def to_text(self) -> str:
        return str(self)


ZERO = Combined()
"""No resource: what a request asks for that needs nothing, and what a provider has that holds nothing."""


def combine(leaves: list[Resource]) -> Resource:
    """The combination of parts of different kinds; one part is itself, none is ZERO."""
    if len(leaves) == 1:
        return leaves[0]
    return Combined(tuple(sorted(leaves, key=lambda leaf: (leaf.order, leaf.kind)))) if leaves else ZERO


def per_host(need: Any) -> Resource:
    """A request as amounts on one host: tasks multiplied out, placement kinds gone.

    Raises InputError where it is no request or asks for several hosts.
    """
    need = as_request(need)
    nodes, tasks = need.get("nodes"), need.get("tasks")
    if nodes is not None and nodes.N > 1:
        raise InputError(f"{nodes!r} asks for several hosts; this provider is one: use a Pool")
    leaves = [leaf for leaf in need.leaves if leaf.kind not in PLACEMENT]
    return combine([leaf._times(tasks.N) for leaf in leaves] if tasks is not None else leaves)


def as_request(need: Any) -> Resource:
    """A request from a request or from an allocation of a pool. Raises InputError."""
    need = getattr(need, "resources", need)
    if not isinstance(need, Resource):
        raise InputError(f"a request is a resource, not {shown(need)}")
    return need


def _state(resource: Resource) -> dict[str, Any]:
    """What an instance holds, slots and dict, without whose allocation it is."""
    state = {name: getattr(resource, name) for name in _slots(type(resource)) if hasattr(resource, name)}
    state.update(getattr(resource, "__dict__", {}))
    for name in ("__weakref__", "__dict__", "_owner", "_fresh"):
        state.pop(name, None)
    return state


def _slots(kind: type) -> Iterator[str]:
    """The attributes in a class's slots: one slot may be a plain text, and private names are mangled."""
    for cls in kind.__mro__[:-1]:
        slots = cls.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            private = name.startswith("__") and not name.endswith("__")
            yield f"_{cls.__name__.lstrip('_')}{name}" if private else name


def matched(provider: Resource, need: Resource) -> Iterator[tuple[Resource | None, Resource]]:
    """Each part of a request with the provider's part of the same kind."""
    for leaf in need.leaves:
        yield provider.get(leaf.kind), leaf


def holds(provider: Resource, need: Resource) -> bool:
    """Whether every part of a request fits a single provider now, and the provider's own time is not up."""
    return not any(lacks(own, leaf) for own, leaf in matched(provider, need)) and not expired(provider)


def lacks(own: Resource | None, leaf: Resource) -> bool:
    """Whether a part of a request does not fit the provider's part of its kind (None: it has none)."""
    return not leaf.asks_nothing if own is None else not own._request(leaf)


def expired(provider: Resource) -> bool:
    """Whether a provider's own time is up."""
    return any(getattr(leaf, "expired", False) for leaf in provider.leaves)


def _take(provider: Resource, need: Resource) -> Resource:
    """Allocate every part or none: a part that fails puts back the state of all."""
    saved = [(own, _saved(own)) for own, _ in matched(provider, need) if own is not None]
    granted: list[Resource] = []
    try:
        for own, leaf in matched(provider, need):
            got = leaf if own is None else own._alloc(leaf)
            # A kind may return what was asked for; an allocation is a thing of its own all the same.
            granted.append(copy.deepcopy(leaf) if got is leaf else got)
    except BaseException:
        _restore(saved)
        raise
    return combine(granted) if granted else Combined()


def _give(provider: Resource, granted: Resource) -> None:
    parts = [(own, leaf) for own, leaf in matched(provider, granted) if own is not None]
    saved = [(own, _saved(own)) for own, _ in parts]
    try:
        for own, leaf in parts:
            own._dealloc(leaf)
    except BaseException:
        _restore(saved)
        raise


def _saved(resource: Resource) -> dict[str, Any]:
    return _state(copy.deepcopy(resource))  # as the kind copies itself: a clock stays the same clock


def _restore(saved: list[tuple[Resource, dict[str, Any]]]) -> None:
    for resource, state in saved:
        for name in _state(resource).keys() - state.keys():
            delattr(resource, name)
        for name, value in state.items():
            setattr(resource, name, value)


def _explain(provider: Resource, fresh: Resource, need: Resource) -> Answer:
    from resources.answer import Answer
    from resources.shortage import shortages

    short = shortages(provider, need)
    if not short:
        return Answer("READY", "fits now", fits=1)
    verdict, opening = ("BUSY", "does not fit now") if holds(fresh, need) else ("INCOMPATIBLE", "can never fit")
    return Answer(verdict, f"{opening}: {'; '.join(map(str, short))}", tuple(short))  # type: ignore[arg-type]
