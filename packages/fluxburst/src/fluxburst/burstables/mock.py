"""Bursts that exist in memory only, under a clock that moves when it is told to: for tests and demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from fluxburst.errors import ParameterError
from fluxburst.model import Burst, NodeShape, Seen, Sighting
from fluxburst.plugins import BurstPlugin


@dataclass
class BurstParameters:
    """What a mock offers, and how long its nodes take."""

    shape: list[str] = field(
        default_factory=lambda: ["standard: cores=16 memory=64GB"],
        metadata={"help": "A node shape, as 'NAME: cores=16 gpus=2'; can be repeated."},
    )
    max_nodes: int = field(default=8, metadata={"help": "The most nodes that may exist at once."})
    create_seconds: float = field(default=60.0, metadata={"help": "Virtual time from the order to a node that boots."})
    join_seconds: float = field(default=30.0, metadata={"help": "Virtual time from there until it has joined."})

    def __post_init__(self) -> None:
        if min(self.max_nodes, self.create_seconds, self.join_seconds) < 0:
            raise ParameterError("max_nodes and the times are 0 or more")


class MockBurst(BurstPlugin):
    """Keeps its bursts in memory. Time stands still until `advance` is called; nothing joins any real Flux."""

    def __init__(self, params: BurstParameters) -> None:
        super().__init__(params)
        self.now = 0.0
        self._shapes = [NodeShape.from_text(text) for text in params.shape]
        self._created: dict[str, tuple[Burst, float]] = {}

    def shapes(self) -> Sequence[NodeShape]:
        return self._shapes

    def create(self, burst: Burst) -> None:
        self._created.setdefault(burst.name, (burst, self.now))

    def status(self, known: Sequence[Burst] = ()) -> Sequence[Sighting]:
        there = [
            Sighting(name, self._seen(self.now - start), since=start) for name, (_, start) in self._created.items()
        ]
        return there + [Sighting(burst.name, "gone") for burst in known if burst.name not in self._created]

    def destroy(self, burst: Burst) -> None:
        self._created.pop(burst.name, None)

    def advance(self, seconds: float) -> None:
        """Let virtual time pass."""
        if seconds < 0:
            raise ParameterError("time does not go back", "seconds")
        self.now += seconds

    def _seen(self, age: float) -> Seen:
        return "pending" if age < self.params.create_seconds else "running"


def init(params: BurstParameters) -> MockBurst:
    return MockBurst(params)
