"""Which manager is on a machine: each is known by its own marks, and nothing is run to learn that one is absent."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError
from resource_secretary.providers.workload.cobalt import CobaltProvider
from resource_secretary.providers.workload.gridengine import GridEngineProvider
from resource_secretary.providers.workload.lsf import LsfProvider
from resource_secretary.providers.workload.moab import MoabProvider
from resource_secretary.providers.workload.pbs import PbsProvider
from resource_secretary.providers.workload.torque import TorqueProvider
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.system import System
from resource_secretary.testing import RecordedSystem, check_provider

PROVIDERS = [PbsProvider, TorqueProvider, GridEngineProvider, LsfProvider, MoabProvider, CobaltProvider]
# Wrappers that Slurm installs for users of other managers.
WRAPPERS = {
    ("qstat", "--version"): Ran((), 2, "", "Unknown option: version"),
    **{(name,): "" for name in ("qsub", "qdel", "qhold", "qrls", "pbsnodes", "mpiexec", "bjobs", "bsub", "bkill")},
    ("lsid",): "SLURM 22.05.8, Feb 2 2023\n\nMy cluster name is test\nMy master name is ctl\n",
    ("showq",): "",
}


def machines() -> dict[str, tuple[RecordedSystem, set[str]]]:
    made = {name: (make(), {name}) for name, make in recorded.MACHINES.items()}
    made["pbs 19"] = recorded.pbs_19(), {"pbs"}
    made["pbs 11, by pbs_rstat"] = recorded.pbs_11(), {"pbs"}
    made["lsf 9"] = recorded.lsf_9(), {"lsf"}
    made["moab over torque"] = recorded.moab_over_torque(), {"moab", "torque"}
    made["wrappers of slurm"] = RecordedSystem(commands=WRAPPERS), set()
    made["nothing"] = RecordedSystem(), set()
    files = {"/var/lib/torque/server_name": "head"}
    commands = {words: answer for words, answer in recorded.torque_commands().items() if words != ("momctl",)}
    made["torque by its files"] = RecordedSystem(commands=commands, files=files), {"torque"}
    # Left over from another manager: its version decides.
    made["torque beside a pbs.conf"] = (
        RecordedSystem(commands=recorded.torque_commands(), files={"/etc/pbs.conf": ""}),
        {"torque"},
    )
    made["pbs beside momctl"] = (
        RecordedSystem(commands={**recorded.pbs_commands("pbs-19"), ("momctl",): "", ("pbs_rstat",): ""}),
        {"pbs"},
    )
    made["cobalt beside pbs"] = (
        RecordedSystem(commands={**recorded.cobalt_commands(), ("pbsnodes",): "", ("pbs_rstat",): ""}),
        {"cobalt"},
    )
    return made


@pytest.mark.parametrize("kind", machines())
def test_exactly_the_managers_that_are_there_are_active(kind):
    system, expected = machines()[kind]
    active = {one.name for one in PROVIDERS if one(system).probe()}
    assert active == expected


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
@pytest.mark.parametrize("kind", [*recorded.MACHINES, "wrappers of slurm", "nothing"])
def test_nothing_is_run_to_learn_of_absence(kind, provider):
    system, expected = machines()[kind]
    if provider.name in expected:
        return
    result = provider(system).probe()
    assert isinstance(result, Absent) and result.looked_for and not system.asked


def test_what_was_looked_for():
    assert PbsProvider(RecordedSystem()).probe() == Absent("the commands qstat and pbsnodes on PATH")
    torque, _ = machines()["torque"]
    looked = PbsProvider(torque).probe().looked_for
    assert looked == "one of pbs_rstat, pbs_probe, pbs_hostn, pbs_rsub, /etc/pbs.conf, beside qstat and pbsnodes"
    system = RecordedSystem(commands=recorded.torque_commands(), environ={"PBS_CONF_FILE": "/opt/pbs.conf"})
    assert PbsProvider(system).probe().looked_for.endswith(", /opt/pbs.conf, beside qstat and pbsnodes")
    both, _ = machines()["torque beside a pbs.conf"]
    assert "it says Version: 6.1.2" in PbsProvider(both).probe().looked_for
    assert MoabProvider(RecordedSystem(commands={("showq",): ""})).probe() == Absent("the command mdiag on PATH")


@pytest.mark.parametrize(
    ("make", "question", "said"),
    [
        (recorded.pbs, ("qstat", "-B", "-f"), "qstat: cannot connect to server pbs01 (errno=15010)"),
        (recorded.torque, ("qstat", "-B", "-f"), "Unable to communicate with head(10.0.0.1)"),
        (
            recorded.gridengine,
            ("qconf", "-sql", "-help"),
            "error: commlib error: got select error (Connection refused)",
        ),
        (recorded.lsf, ("lsid",), "lsid: ls_getentitlementinfo() failed: LIM is down; try later"),
        (recorded.moab, ("showq", "--xml"), "ERROR:  client timed out after 30 seconds (hostname:port=mg1:42559)"),
        (recorded.cobalt, ("qstat", "-Q", "-l"), "Failed to connect to queue-manager"),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_a_client_without_its_server_is_unreachable(make, question, said):
    system = make()
    system.commands[question] = Ran((), 1, "", f"{said}\nmore\n")
    provider = next(one for one in PROVIDERS if one.name == make.__name__)
    assert Secretary(system=system).detect(name=provider.name)[provider.name].result == Unreachable(
        " ".join(question), f"exit code 1: {said}", 1
    )
    system.commands[question] = Ran((), None, problem="no answer in 2 s")
    assert provider(system).probe().said == "no answer in 2 s"


@pytest.mark.parametrize("name", recorded.MACHINES)
def test_the_contract(name):
    provider = next(one for one in PROVIDERS if one.name == name)
    check_provider(provider, recorded.MACHINES[name]())


@pytest.mark.parametrize("name", ["pbs", "torque", "gridengine", "lsf"])
@pytest.mark.parametrize("id", ["1@elsewhere", "workq", "1.server@elsewhere", "a.1", "1[2]3", "1.a:2"])
def test_an_id_is_a_number_and_never_another_server(name, id):
    system = recorded.MACHINES[name]()
    provider = next(one for one in PROVIDERS if one.name == name)
    with pytest.raises(ArgumentError, match="must be a number"):
        provider(system).job(id)
    assert not system.asked


def stubs(folder: Path, system: RecordedSystem) -> System:
    """The recorded commands as executables, on a PATH that has nothing else."""
    names: dict[str, list[str]] = {}
    for (name, *words), answer in system.commands.items():
        ran = Ran((), 0, answer) if isinstance(answer, str) else answer
        out, err = (folder / f"{name}-{len(names.get(name, ()))}.{kind}" for kind in ("out", "err"))
        out.write_text(ran.stdout)
        err.write_text(ran.stderr)
        case = f"{shlex.quote(' '.join(words))}) /bin/cat {out}; /bin/cat {err} >&2; exit {ran.code};;"
        names.setdefault(name, []).append(case)
    for name, cases in names.items():
        script = "\n".join(["#!/bin/sh", 'case "$*" in', *cases, "esac", 'echo "not recorded: $*" >&2', "exit 64"])
        (folder / name).write_text(f"{script}\n")
        (folder / name).chmod(0o755)
    (folder / "pbs.conf").write_text(system.files.get("/etc/pbs.conf", ""))
    conf = {"PBS_CONF_FILE": str(folder / "pbs.conf")} if "/etc/pbs.conf" in system.files else {}
    return System(environ={"PATH": str(folder), **system.environ, **conf})


@pytest.mark.parametrize("kind", [*recorded.MACHINES, "pbs 19", "pbs 11, by pbs_rstat", "lsf 9", "moab over torque"])
def test_real_processes(kind, tmp_path):
    recording, expected = machines()[kind]
    secretary = Secretary(system=stubs(tmp_path, recording))
    entries = secretary.detect("workload", timeout=20)
    assert {one.name for one in PROVIDERS if entries[one.name].active} == expected
    for name in expected:
        assert secretary.call(f"{name}.jobs", timeout=20).result["total"] > 0
        assert secretary.call(f"{name}.queues", timeout=20).result["total"] > 0
        if name != "cobalt":
            assert secretary.offer(name, timeout=20).groups == Secretary(system=recording).offer(name).groups
