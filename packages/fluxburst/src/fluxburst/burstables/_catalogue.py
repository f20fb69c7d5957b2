"""The catalogue of a cloud plugin: which machines it may rent, what one holds, and what it costs.

[[shapes]]
name = "large"                    # by default the machine's type
instance_type = "c7i.4xlarge"     # machine_type on Compute Engine
holds = "cores=8 memory=32GB"     # in the language of requests; with gpus=1 where it has one
price = 0.714                     # of one machine for an hour, in whatever currency the limits are in
spot_price = 0.30
zone = "us-east-1a"
subnet = "subnet-0a1b2c3d"
image = "ami-0a1b2c3d"            # where it is not the plugin's
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite
from pathlib import Path
from typing import Any

from fluxburst.errors import FluxBurstError, ParameterError
from fluxburst.model import NodeShape

_TEXTS = ("name", "holds", "zone", "subnet", "image")
_PRICES = ("price", "spot_price")
_TYPES = frozenset({"instance_type", "machine_type"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One kind of machine. price, spot_price: of one for an hour, None where the catalogue does not say."""

    name: str
    machine: str
    holds: str
    price: float | None = None
    spot_price: float | None = None
    zone: str = ""
    subnet: str = ""
    image: str = ""

    def asked_price(self, *, spot: bool, fallback: bool) -> float | None:
        """The most that one can cost for an hour, bought so; None where that is not known."""
        if not spot:
            return self.price
        bid = self.price if self.spot_price is None else self.spot_price  # nobody pays more for spot than on demand
        if not fallback:
            return bid
        return None if bid is None or self.price is None else max(bid, self.price)

    def shape(self, *, spot: bool, fallback: bool) -> NodeShape:
        """As planning sees it. Its price is the highest that may be paid."""
        bare = NodeShape.from_text(f"{self.name}: {self.holds}")
        if bare.price or bare.place:
            raise FluxBurstError("price and place are keys of their own (price, zone), not part of holds")
        price = self.asked_price(spot=spot, fallback=fallback)
        return NodeShape(bare.name, bare.holds, inf if price is None else price, self.subnet or self.zone)


def read(path: Path, type_key: str) -> dict[str, Entry]:
    """The entries of a catalogue by name, in its order. type_key: `instance_type` or `machine_type`.

    Raises ParameterError with the file and the entry that is wrong.
    """
    import tomllib

    try:
        document = tomllib.loads(path.read_text())
    except OSError as error:
        raise ParameterError(f"{path}: {error.strerror or error}", "catalogue") from None
    except ValueError as error:
        raise ParameterError(f"{path}: {error}", "catalogue") from None
    shapes = document.get("shapes")
    if set(document) - {"shapes"} or not isinstance(shapes, list) or not shapes:
        raise ParameterError(f"{path}: a catalogue is one or more [[shapes]] tables and nothing else", "catalogue")
    entries: dict[str, Entry] = {}
    for number, table in enumerate(shapes):
        try:
            entry = _entry(table, type_key)
            entry.shape(spot=False, fallback=False)
        except (FluxBurstError, ValueError) as error:
            raise ParameterError(f"{path}: shapes[{number}]: {error}", "catalogue") from None
        if entry.name in entries:
            raise ParameterError(f"{path}: shapes[{number}]: two shapes are named {entry.name!r}", "catalogue")
        entries[entry.name] = entry
    return entries


def _entry(table: Any, type_key: str) -> Entry:
    known = {*_TEXTS, *_PRICES, type_key}
    if not isinstance(table, Mapping):
        raise ParameterError("a table is needed")
    for key in table:
        if key not in known:
            other = f"; it is {type_key} here" if key in _TYPES else ""
            raise ParameterError(f"unknown key {key!r}{other}")
    for key in (type_key, "holds"):
        if key not in table:
            raise ParameterError(f"{key} is missing")
    for key in (*_TEXTS, type_key):
        value = table.get(key, "-")
        if not isinstance(value, str) or not value:
            raise ParameterError(f"{key} is a text")
    prices = {key: _price(key, table[key]) for key in _PRICES if key in table}
    texts = {key: table[key] for key in ("zone", "subnet", "image") if key in table}
    machine = table[type_key]
    return Entry(
        table.get("name", machine), machine, table["holds"], prices.get("price"), prices.get("spot_price"), **texts
    )


def _price(key: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not isfinite(value) or value <= 0:
        raise ParameterError(f"{key} is a number over 0; leave it out where it is not known")
    return float(value)
