"""Bursts ordered from people: one order file per burst in a folder that an operator works through."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from fluxburst.model import Burst, NodeShape
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
            path.write_text(json.dumps(replace(burst, state="creating").as_dict()))

    def status(self) -> Sequence[Burst]:
        orders = [json.loads(path.read_text()) for path in sorted(self.params.folder.glob("*.json"))]
        return [Burst.from_dict(order) for order in orders]


def init(params: BurstParameters) -> OrderedBurst:
    return OrderedBurst(params)
