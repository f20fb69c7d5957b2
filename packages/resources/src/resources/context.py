"""What the running job may use: a context variable in this process, the environment in a child process."""

from __future__ import annotations

import os
from contextvars import ContextVar

from resources.allocation import VARIABLE, Granted
from resources.errors import InputError

CURRENT: ContextVar[Granted | None] = ContextVar("resources.current", default=None)


def current() -> Granted | None:
    """What the running job was given: of the enclosing `with pool.alloc(...)`, else of the environment, else None.

    Raises InputError where the environment's RESOURCES_ALLOCATION can't be read.
    """
    here = CURRENT.get()
    if here is not None:
        return here
    document = os.environ.get(VARIABLE)
    try:
        return Granted.from_json(document) if document else None
    except InputError as error:
        raise error.at(VARIABLE) from None
