"""The ground truth of a fleet as a document, and what of some answers differs from it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from resource_secretary.asking import decide

if TYPE_CHECKING:
    from resource_secretary.asking import Answer
    from resource_secretary.fleet.fleet import Fleet

VERSION = 1


@dataclass(frozen=True, slots=True)
class Difference:
    """An answer that is not the truth: what was said, and what is so."""

    worker: str
    field: str
    said: str
    truth: str


def document(fleet: Fleet) -> dict[str, Any]:
    """The ground truth: `shapes` are inventories of `resources`; each of `workers` names its shape.

    expected_start: when a job that does not fit now would start, null where that is not told. depth: its queue.
    """
    from resource_secretary.tools import as_json

    used = sorted({worker.shape for worker in fleet.workers})
    return {
        "type": "fleet",
        "version": VERSION,
        "kind": fleet.kind,
        "seed": fleet.seed,
        "shapes": {
            str(number): {
                "manager": fleet.shape(number).manager,
                "inventory": fleet.shape(number).inventory.to_json(),
            }
            for number in used
        },
        "workers": [
            {
                "name": worker.name,
                "shape": str(worker.shape),
                "behaviour": worker.behaviour,
                "latency": worker.latency,
                "depth": as_json(worker.depth),
                "expected_start": _start(fleet.shape(worker.shape).inventory.observed_at, worker.wait),
            }
            for worker in fleet.workers
        ],
    }


def differences(truth: Mapping[str, Any], request: str, answers: Iterable[tuple[str, Answer]]) -> list[Difference]:
    """Answers (worker, answer) to a request that differ from the truth in verdict, cores, free cores or queue.

    The truth is read from its document alone. Raises InputError of `resources` for a request or an inventory that can't
    be read, KeyError for a worker that the fleet doesn't have.
    """
    from resources.documents import Inventory, load_request

    from resource_secretary.tools import as_json

    need = load_request(request)
    workers = {worker["name"]: worker for worker in truth["workers"]}
    known: dict[str, Answer] = {}
    made = []
    for name, answer in answers:
        worker = workers[name]
        number = worker["shape"]
        if number not in known:
            shape = truth["shapes"][number]
            inventory = Inventory.from_json(shape["inventory"])
            known[number] = decide(need, inventory, shape["manager"], now="", where="")
        right = known[number]
        pairs: list[tuple[str, object, object]] = [
            ("request", answer.request, right.request),
            ("verdict", answer.verdict, right.verdict),
            ("cores", answer.cores, right.cores),
            ("free_cores", answer.free_cores, right.free_cores),
            ("fits", answer.fits, right.fits),
            ("depth", as_json(answer.depth), worker["depth"]),
        ]
        made += [Difference(name, field, str(said), str(so)) for field, said, so in pairs if said != so]
    return made


def _start(observed_at: str, wait: float | None) -> str | None:
    if wait is None:
        return None
    start = datetime.fromisoformat(observed_at) + timedelta(seconds=wait)
    return start.isoformat(timespec="seconds").replace("+00:00", "Z")
