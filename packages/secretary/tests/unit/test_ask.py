"""`ask`: the verdict over a manager's nodes or this host, its queue, and which manager is asked."""

from __future__ import annotations

import json
import time

import pytest
from click.testing import CliRunner
from resources.documents import Inventory
from resources.errors import InputError

from resource_secretary import Secretary, cli
from resource_secretary.asking import MOST_FITS, Depth
from resource_secretary.catalog import Catalog, Known
from resource_secretary.cli import options
from resource_secretary.errors import ArgumentError, CommandFailed, UnknownProvider
from resource_secretary.providers import Absent, Active, Offering, Unreachable
from resource_secretary.result import Broken
from resource_secretary.run import Ran

TWO = "inventory version=1\nhosts=n[1-2] state=up | cores=4 memory=8GB | cores={free} memory=8GB\n"


class Fake(Offering):
    category, description = "workload", "A manager."
    offer = TWO.format(free=4)
    result = Active({"version": "1"})
    queue: object = None
    start: object = None

    def probe(self):
        return self.result

    def inventory(self):
        if isinstance(self.offer, Exception):
            raise self.offer
        return Inventory.from_text(self.offer)

    def depth(self):
        if isinstance(self.queue, Exception):
            raise self.queue
        return self.queue

    def estimated_start(self, need):
        if isinstance(self.start, Exception):
            raise self.start
        return self.start


def manager(name: str, **attributes) -> type[Offering]:
    return type(name, (Fake,), {"name": name, **attributes})


@pytest.fixture
def with_managers(host):
    """A secretary that knows some managers, in this order, on the recorded host."""

    def make(*managers: type[Offering]) -> Secretary:
        catalog = Catalog()
        catalog.entries = [Known("workload", one.name, one.description, "test", one) for one in managers]
        return Secretary(system=host, catalog=catalog)

    return make


@pytest.mark.parametrize(
    ("request_", "verdict", "reason"),
    [
        ("cores=1", "READY", None),
        ("nodes=2 cores=4 memory=8GB", "READY", None),
        ("cores=5", "INCOMPATIBLE", "cores short by 1 (needs 5, has 4)"),
        ("nodes=3 cores=1", "INCOMPATIBLE", "2 of 3 hosts find a place"),
        ("gpus=1", "INCOMPATIBLE", "gpus short by 1"),
        ("", "READY", None),
    ],
)
def test_the_verdict_of_a_manager(with_managers, request_, verdict, reason):
    answer = with_managers(manager("one")).ask(request_)
    assert (answer.verdict, answer.manager, answer.request) == (verdict, "one", request_)
    assert bool(answer.reasons) == bool(reason) and (reason or "") in " ".join(answer.reasons)
    assert (answer.cores, answer.free_cores) == (8, 8)


def test_busy_with_queue_and_start(with_managers):
    start = time.time() + 600
    busy = manager("one", offer=TWO.format(free=1), queue=Depth(3, 2, 12), start=start)
    answer = with_managers(busy).ask("nodes=2 cores=2")
    assert answer.verdict == "BUSY" and answer.depth == Depth(3, 2, 12) and answer.fits is None
    assert 500 < answer.wait <= 600 and answer.start.endswith("Z") and answer.free_cores == 2


def test_a_start_in_the_past_is_now(with_managers):
    answer = with_managers(manager("one", start=12.0)).ask("cores=1")
    assert answer.wait == 0.0 and answer.start > "2020"


def test_how_often_it_fits(with_managers):
    assert with_managers(manager("one")).ask("cores=3").fits == 2
    assert with_managers(manager("one")).ask("nodes=2 cores=1").fits == 4
    large = "inventory version=1\nhosts=n[1-100] | cores=64 | cores=64\n"
    assert with_managers(manager("one", offer=large)).ask("cores=1").fits == MOST_FITS


def test_what_the_manager_keeps_no_record_of_is_unknown_not_short(with_managers):
    no_memory = manager("one", offer="inventory version=1\nhosts=n1 | cores=4 | cores=4\n")
    answer = with_managers(no_memory).ask("cores=1 memory=4GB")
    assert (answer.verdict, answer.reasons) == ("UNKNOWN", ("not known by one: memory",))
    assert with_managers(no_memory).ask("cores=9 memory=4GB").verdict == "INCOMPATIBLE"
    assert with_managers().ask("cores=1 disk=1GB").reasons == ("not known of this host: disk",)


def test_gpus_of_this_host_that_could_not_be_seen(with_managers, monkeypatch):
    assert with_managers().ask("gpus=1").verdict == "INCOMPATIBLE"
    text = (
        'inventory version=1 observed_on="h; without the GPUs of nvidia-gpu: no answer"\nhosts=h | cores=2 | cores=2\n'
    )
    monkeypatch.setattr("resource_secretary.host.host_inventory", lambda system: Inventory.from_text(text))
    answer = with_managers().ask("gpus=1")
    assert (answer.verdict, answer.reasons) == ("UNKNOWN", ("not known of this host: gpus",))


def test_nodes_that_do_not_say_what_is_free(with_managers):
    text = "inventory version=1\nhosts=n1 | cores=4 | unknown\nhosts=n2 state=down | cores=4 | unknown\n"
    answer = with_managers(manager("one", offer=text)).ask("cores=2")
    assert (answer.verdict, answer.cores, answer.free_cores) == ("UNKNOWN", 4, None)
    down = "inventory version=1\nhosts=n1 | cores=4 | cores=4\nhosts=n2 state=drained | cores=4 | unknown\n"
    answer = with_managers(manager("one", offer=down)).ask("nodes=2")
    assert answer.verdict == "BUSY" and "1 host that could take it is not up" in answer.reasons[0]


def test_no_nodes(with_managers):
    answer = with_managers(manager("one", offer="inventory version=1\n")).ask("cores=1")
    assert (answer.verdict, answer.reasons) == ("UNKNOWN", ("one tells of no node",))


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        (
            {"offer": CommandFailed("scontrol show nodes", "exit code 1: boom")},
            "scontrol show nodes: exit code 1: boom",
        ),
        ({"offer": KeyError("x")}, "one failed: KeyError: 'x'"),
        ({"result": Absent("the command one")}, "one is not active here: looked for the command one"),
        ({"result": Unreachable("one ping", "no answer in 2 s")}, "one is not active here: one ping: no answer in 2 s"),
    ],
)
def test_who_cannot_be_asked_is_unknown(with_managers, attributes, reason):
    answer = with_managers(manager("one", **attributes)).ask("cores=1", "one")
    assert (answer.verdict, answer.reasons, answer.request) == ("UNKNOWN", (reason,), "cores=1")


def test_a_queue_that_does_not_answer_costs_a_note(with_managers):
    one = manager("one", queue=CommandFailed("squeue", "exit code 1: boom"), start=ValueError("odd"))
    answer = with_managers(one).ask("cores=1")
    assert (answer.verdict, answer.depth, answer.start) == ("READY", None, None)
    assert answer.notes == (
        "its queue is not known: CommandFailed: squeue: exit code 1: boom",
        "when it would start is not known: ValueError: odd",
    )


def test_the_best_verdict_counts(with_managers):
    busy, ready = manager("busy", offer=TWO.format(free=1)), manager("ready")
    answer = with_managers(busy, ready).ask("cores=2")
    assert (answer.verdict, answer.manager) == ("READY", "ready")
    assert answer.notes[0].startswith("busy: BUSY: does not fit now")
    assert with_managers(busy, ready).ask("cores=2", "busy").verdict == "BUSY"
    lost = manager("lost", offer=CommandFailed("lost", "no answer"))
    assert [with_managers(lost, busy).ask(need).manager for need in ("cores=2", "cores=9")] == ["busy", "lost"]


def test_the_nearest_of_two_alike(with_managers):
    assert with_managers(manager("aaa"), manager("flux")).ask("cores=1").manager == "flux"
    assert with_managers(manager("aaa"), manager("bbb")).ask("cores=1").manager == "aaa"


def test_without_a_manager_it_is_this_host(with_managers):
    gone = manager("gone", result=Unreachable("gone ping", "exit code 1: boom"))
    absent = manager("absent", result=Absent("the command absent"))
    answer = with_managers(gone, absent, manager("bad", result=Broken("x"))).ask("cores=1")
    assert (answer.verdict, answer.manager, answer.cores) == ("READY", "host", 2)
    assert answer.notes[0] == "gone was not asked: gone ping: exit code 1: boom" and len(answer.notes) == 2
    assert with_managers(manager("one")).ask("cores=3", "host").verdict == "INCOMPATIBLE"
    assert with_managers().ask("nodes=2").verdict == "INCOMPATIBLE"


def test_a_manager_that_tells_no_nodes_is_told(host):
    assert Secretary(system=host, only=["hardware"]).ask("cores=1").verdict == "READY"
    with pytest.raises(ArgumentError, match="cpu manages no cluster"):
        Secretary(system=host).ask("cores=1", "cpu")
    with pytest.raises(UnknownProvider):
        Secretary(system=host).ask("cores=1", "nix2")
    with pytest.raises(InputError):
        Secretary(system=host).ask("cores=many")


def test_a_manager_that_hangs_costs_its_deadline(with_managers):
    class Hangs(Fake):
        name = "hangs"

        def inventory(self):
            time.sleep(30)

    start = time.monotonic()
    answer = with_managers(Hangs, manager("one", offer=TWO.format(free=0))).ask("cores=1", timeout=0.5)
    assert time.monotonic() - start < 10
    assert (answer.manager, answer.verdict) == ("one", "BUSY") and "hangs: UNKNOWN: hangs: no answer" in answer.notes[0]


def test_recorded_managers(slurm, flux):
    slurm.commands.update(flux.commands)
    secretary = Secretary(system=slurm, only=["slurm", "flux"])
    assert secretary.ask("cores=1", "flux").request == "cores=1"
    assert secretary.ask("nodes=500 cores=1", "slurm").verdict == "INCOMPATIBLE"
    slurm.commands["scontrol", "--details", "--oneliner", "show", "nodes"] = Ran(
        (), 1, stderr="slurm_load_node: refused"
    )
    answer = secretary.ask("cores=1", "slurm")
    assert answer.verdict == "UNKNOWN" and "slurm_load_node: refused" in answer.reasons[0]


@pytest.fixture
def ask(monkeypatch, with_managers):
    """Runs the command where there is one manager."""
    one = manager("one", offer=TWO.format(free=1), queue=Depth(3, 2), start=time.time() + 90061)
    monkeypatch.setattr(options.Choice, "secretary", lambda self: with_managers(one))

    def run(*words: str, code: int, stdin: str | None = None):
        result = CliRunner().invoke(cli.main, ["ask", *words], input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


def test_the_screen(ask, tmp_path):
    lines = dict(line.split(maxsplit=1) for line in ask("cores=2", code=1).stdout.splitlines())
    assert lines["verdict"] == "BUSY: it fits, but not now" and lines["queue"] == "3 waiting, 2 running"
    assert lines["cores"] == "8 up, 2 free" and "in 1d 01:0" in lines["start"]
    assert "READY: it fits now" in ask("-", stdin="cores=1", code=0).stdout
    (tmp_path / "need.json").write_text(json.dumps({"type": "request", "version": 1, "resources": {"cores": 1}}))
    assert "fits      2 of such" in ask(str(tmp_path / "need.json"), code=0).stdout


def test_json(ask):
    answer = json.loads(ask("cores=2", "--json", code=1).stdout)
    assert answer["verdict"] == "BUSY" and answer["depth"] == {"pending": 3, "running": 2, "pending_cores": None}
    assert json.loads(ask("cores=1", "--json", code=0).stdout)["reasons"] == []


@pytest.mark.parametrize("words", [("cores=x",), ("nosuchfile",), ("cores=1", "--from", "nobody"), ("colour=1",)])
def test_bad_input_is_one_line(ask, words):
    result = ask(*words, code=1)
    assert result.stdout == "" and len(result.stderr.splitlines()) == 1
