"""REQUEST and INVENTORY arguments of a command line: with `=` in it a request is text, `-` is stdin, else a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from resources.clikit import read_argument
from resources.documents import Inventory, load_inventory, load_request
from resources.errors import InputError
from resources.resource import Resource

T = TypeVar("T")


def read_request(argument: str) -> Resource:
    """The request of an argument. Raises InputError that names where it came from."""
    if "=" in argument or not argument.strip():
        return load_request(argument)
    return _from(argument, "request", _load_request)


def _load_request(text: str) -> Resource:
    if not text.strip():
        # Most likely the program before us in a pipe has failed: to say that nothing fits anywhere would hide it.
        raise InputError("the request is empty; one that needs nothing is '' or the document with empty resources")
    if text.lstrip().startswith("inventory "):
        raise InputError("it is an inventory; a request is key=value, such as cores=4")
    return load_request(text)


def read_inventory(argument: str) -> Inventory:
    """The inventory of an argument: JSON, text, or a Flux resource set. Raises InputError."""
    return _from(argument, "inventory", load_inventory)


def _from(argument: str, what: str, load: Callable[[str], T]) -> T:
    text = read_argument(argument, what)
    try:
        return load(text)
    except InputError as error:
        raise error.at("stdin" if argument == "-" else argument) from None
