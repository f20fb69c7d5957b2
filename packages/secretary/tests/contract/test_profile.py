"""`profile`: what a site's manager tells, as YAML for jobspec, and why the rest is not there."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest
from click.testing import CliRunner
from resources.documents import Inventory

from resource_secretary import Secretary, cli
from resource_secretary.catalog import Catalog, Known
from resource_secretary.cli import options
from resource_secretary.errors import ArgumentError, CommandFailed
from resource_secretary.providers import Active, Offering
from resource_secretary.run import Ran
from resource_secretary.site.document import to_yaml
from resource_secretary.site.facts import Fact, Site

yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
ALIKE = "inventory version=1\nhosts=n[1-3] | cores=64 memory=250GB gpus=4:a100 | unknown\n"


@dataclass(frozen=True)
class Queue:
    name: str
    enabled: bool | None = True
    default: bool | None = False
    max_walltime: int | None = None
    state: str = "up"


@dataclass(frozen=True)
class Environment:
    name: str
    allocation_rule: str | None
    slots: int = 999


class GridEngine(Offering):
    category, name, description = "workload", "gridengine", "Grid Engine."
    offer: str | Exception = ALIKE
    rows: tuple = (Queue("all.q", default=True, max_walltime=3600), Queue("7"), Queue("old.q", enabled=False))
    environments: tuple = (
        Environment("mpi", "$fill_up"),
        Environment("orte", "$round_robin"),
        Environment("smp", "$pe_slots", 64),
        Environment("odd", None),
    )

    def probe(self):
        return Active({"version": "8.1.9"})

    def inventory(self):
        if isinstance(self.offer, Exception):
            raise self.offer
        return Inventory.from_text(self.offer)

    def queues(self):
        return self.rows

    def parallel_environments(self):
        return self.environments


QCONF = {
    ("qconf", "-sconf"): "global:\nmax_aj_instances             2000\nmax_aj_tasks                 75000\n",
    ("qconf", "-sc"): "#name shortcut type relop requestable consumable default urgency\n"
    "h_vmem              h_vmem     MEMORY      <=    YES         YES        2G       0\n",
}


@pytest.fixture
def site(host):
    """The site of a Grid Engine with such attributes."""

    def make(commands=QCONF, **attributes) -> Site:
        one = type("One", (GridEngine,), attributes)
        catalog = Catalog()
        catalog.entries = [Known("workload", one.name, one.description, "test", one)]
        host.commands = dict(commands)
        return Secretary(system=host, catalog=catalog).site()

    return make


def test_a_site_that_tells_all(site):
    text = to_yaml(site())
    assert yaml.safe_load(text) == {
        "default_queue": "all.q",
        "queues": {"all.q": "all.q", "7": "7"},
        "parallel_environments": {"smp": "smp", "mpi": "mpi", "orte": "orte", "odd": "odd"},
        "cores_per_node": 64,
        "gpus_per_node": 4,
        "memory_per_node": "250GB",
        "gpu_types": {"a100": "a100"},
        "memory_per": {"gridengine": "slot"},
        "array_cap": 75001,
    }
    assert "  all.q: all.q  # at most 1:00:00\n" in text and "left out, as they take no jobs: old.q" in text
    assert "  smp: smp  # allocation_rule $pe_slots; 64 slots\n" in text
    assert "  odd: odd  # allocation_rule not told; 999 slots\n" in text
    assert "# memory_units: bare numbers are bytes" in text and "--to gridengine" in text


def test_a_kind_whose_name_no_environment_bears(site):
    made = site(environments=(Environment("a", "$round_robin", 8), Environment("b", "4", 16), Environment("c", "x", 0)))
    fact = made.facts["parallel_environments"]
    assert fact.value == {"mpi": "b", "a": "a", "b": "b", "c": "c"}
    assert fact.each["mpi"] == "allocation_rule 4; 16 slots; also a"
    assert site(environments=()).missing["parallel_environments"] == "gridengine has none"


def test_what_is_not_known_has_its_reason(site):
    made = site(
        commands={("qconf", "-sconf"): Ran((), 1, stderr="error: denied"), ("qconf", "-sc"): "#name\n"},
        offer=CommandFailed("qhost", "no answer in 2 s"),
        rows=(Queue("a", default=None), Queue("b", default=None)),
    )
    assert made.missing["cores_per_node"] == made.missing["gpu_types"] == "qhost: no answer in 2 s"
    assert made.missing["default_queue"] == "gridengine tells of none that jobs go to by default"
    assert made.missing["array_cap"] == "qconf -sconf: exit code 1: error: denied"
    assert made.missing["memory_per"] == "qconf -sc has no h_vmem"
    text = to_yaml(made)
    assert yaml.safe_load(text).keys() == {"queues", "parallel_environments"}
    assert "\n# array_cap: qconf -sconf: exit code 1: error: denied\n" in text


def test_nodes_that_differ_are_no_fact(site):
    two = "inventory version=1\nhosts=n[1-3] | cores=64 gpus=4 | unknown\nhosts=m | cores=8 | unknown\n"
    made = site(offer=two)
    assert made.missing["cores_per_node"] == "the nodes differ: 3 with 64, 1 with 8"
    assert made.missing["memory_per_node"] == "the nodes tell no memory" and made.missing["gpu_types"]
    assert made.facts["gpus_per_node"].value == 4 and "3 nodes (of 4)" in made.facts["gpus_per_node"].about


def test_no_limit_of_arrays(site):
    assert site({("qconf", "-sconf"): "max_aj_tasks 0\n"}).missing["array_cap"].startswith("no limit")
    per_job = QCONF["qconf", "-sc"].replace("YES        2G", "JOB        2G")
    assert site({("qconf", "-sc"): per_job}).facts["memory_per"].value == {"gridengine": "job"}


@pytest.mark.parametrize("name", ["true", "7", "a b", "a: b", "#x", "-", "ä", 'q"', "a\\b", "null", "~", "1e5", "no"])
def test_any_name_can_be_written(name):
    site = Site("slurm", "", "", {"queues": Fact({name: name}, "a\nb: c", {name: "x\ny: z"})}, {"gpu_types": "a\nb: 1"})
    assert yaml.safe_load(to_yaml(site)) == {"queues": {name: name}}


def test_slurm(slurm):
    slurm.commands["scontrol", "show", "config"] = "MaxArraySize            = 1001\nMaxJobCount = 10000\n"
    made = Secretary(system=slurm, only=["slurm"]).site("slurm")
    assert made.facts["default_queue"].value == "main" and made.facts["array_cap"].value == 1001
    assert made.facts["memory_units"].value == {"slurm": "MB"}
    assert "a100" in made.facts["gpu_types"].value and "cores_per_node" in made.missing
    slurm.asked.clear()
    assert Secretary(system=slurm, only=["slurm"]).site().facts.keys() == made.facts.keys()
    assert slurm.asked.count(("scontrol", "ping")) == 1


def test_lsf_says_its_unit_in_a_file(host):
    from resource_secretary.site.managers import memory_units

    assert memory_units("lsf", host) == "LSF_UNIT_FOR_LIMITS decides; LSF_ENVDIR is not set"
    host.environ["LSF_ENVDIR"] = "/lsf/conf"
    assert "does not set it" in memory_units("lsf", host)
    host.files["/lsf/conf/lsf.conf"] = "# LSF_UNIT_FOR_LIMITS=GB\nLSF_UNIT_FOR_LIMITS=mb\n"
    assert memory_units("lsf", host).value == {"lsf": "MB"}


def test_the_command(host, monkeypatch):
    monkeypatch.setattr(options.Choice, "secretary", lambda self: Secretary(system=host, only=["cpu", "memory"]))
    result = CliRunner().invoke(cli.main, ["profile"])
    assert result.exit_code == 0 and yaml.safe_load(result.stdout) == {"cores_per_node": 2, "memory_per_node": "3GB"}
    assert "# queues: no workload manager is active here" in result.stdout
    document = json.loads(CliRunner().invoke(cli.main, ["profile", "--json"]).stdout)
    assert document["profile"]["cores_per_node"] == 2 and document["missing"]["queues"]
    with pytest.raises(ArgumentError, match="profile: from: cpu manages no cluster"):
        Secretary(system=host).site("cpu")
    assert CliRunner().invoke(cli.main, ["profile", "--from", "cpu"]).exit_code == 1
