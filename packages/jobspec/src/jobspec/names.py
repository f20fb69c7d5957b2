"""Lists of hosts: `n[1-3,07],m1` or `n1 n2`, as names that the profile maps."""

from __future__ import annotations

import re

from resources.errors import InputError
from resources.hostlist import expand

from jobspec.profile import Profile

_HOST = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}", re.ASCII)


def hosts_of(text: str | None, profile: Profile) -> list[str]:
    """The hosts of a list; [] where it is no plain list of names."""
    try:
        found = expand(re.sub(r"[\s,]+", ",", text).strip(",")) if text else []
    except InputError:
        return []
    mapped = [name for name in (profile.nodes.get(host, host) for host in found) if name]
    return mapped if all(map(_HOST.fullmatch, mapped)) else []
