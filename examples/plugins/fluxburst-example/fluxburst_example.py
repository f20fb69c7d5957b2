"""Bursts ordered from people: one order file per burst in a folder that an operator works through."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fluxburst.model import Burst, NodeShape, Sighting
from fluxburst.plugins import BurstPlugin


@dataclass
class BurstParameters:
    folder: Path = field(metadata={"help": "Where the orders are written."})
    shape: str = field(default="desk: cores=8 memory=32GB", metadata={"help": "The machine that can be had."})
    max_nodes: int = field(default=2, metadata={"help": "How many machines there are."})


class OrderedBurst(BurstPlugin):
    def shapes(self) -> Sequence[NodeShape]:
        return [NodeShape.from_text(self.params.shape)]

    def create(self, burst: Burst) -> None:
        path = self.params.folder / f"{burst.name}.json"
        if not path.exists():
            path.write_text(json.dumps({**burst.as_dict(), "seen": "pending"}))

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        orders = [json.loads(path.read_text()) for path in sorted(self.params.folder.glob("*.json"))]
        names = {order["name"] for order in orders}
        gone = [Sighting(burst.name, "gone") for burst in known if burst.name not in names]
        return [Sighting(order["name"], order["seen"]) for order in orders] + gone

    def destroy(self, burst: Burst) -> None:
        if burst.name in {one.name for one in self.status() if one.seen == "pending"}:  # nobody has begun with it
            (self.params.folder / f"{burst.name}.json").unlink()


def init(params: BurstParameters) -> OrderedBurst:
    return OrderedBurst(params)
