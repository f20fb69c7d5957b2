"""Tags that match requests to providers."""

from __future__ import annotations

from collections.abc import Iterable

from resources.errors import InputError
from resources.lexer import elements, quote, unquote
from resources.resource import Resource
from resources.units import shown


class Token(Resource):
    """A tag: only a provider that bears exactly this tag takes the request. Several tags: all of them."""

    __slots__ = ("_tags",)
    kind = "token"
    about = "tags that a host must bear exactly: big, or big,ssd"
    order = 80
    shows = ("token", "tokens")

    def __init__(self, token: str | Iterable[str]) -> None:
        tags = [token] if isinstance(token, str) or not isinstance(token, Iterable) else list(token)
        for tag in tags:
            if not isinstance(tag, str) or not tag or not tag.isprintable():
                raise InputError(f"a token is a text of printable characters, not {shown(tag)}")
        if not tags:
            raise InputError("Token needs a tag")
        if len(set(tags)) < len(tags):
            raise InputError(f"a token occurs twice in {shown(tags)}")
        self._tags = tuple(sorted(tags))

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tags, sorted."""
        return self._tags

    @property
    def token(self) -> str:
        """The tag; several are joined by commas."""
        return ",".join(self._tags)

    def _request(self, res: Token) -> bool:
        return set(res._tags) <= set(self._tags)

    def _alloc(self, res: Token) -> Token:
        return Token(res._tags)

    def _dealloc(self, res: Token) -> None:
        """A tag is never used up."""

    def _stat(self) -> tuple[int, int]:
        return 1, 1

    def _times(self, n: int) -> Token:
        return self

    def _repr(self) -> str:
        return f"Token({self._tags[0]!r})" if len(self._tags) == 1 else f"Token({list(self._tags)!r})"

    @classmethod
    def from_text(cls, text: str) -> Token:
        return cls([unquote(element) for element in elements(text)])

    def to_text(self) -> str:
        return ",".join(quote(tag) for tag in self._tags)

    @classmethod
    def from_json(cls, value: object) -> Token:
        if isinstance(value, list):
            return cls(value)
        if not isinstance(value, str):
            raise InputError(f"token is a text or a list of texts, not {shown(value)}")
        return cls(value)

    def to_json(self) -> str | list[str]:
        return self._tags[0] if len(self._tags) == 1 else list(self._tags)


KIND = Token
