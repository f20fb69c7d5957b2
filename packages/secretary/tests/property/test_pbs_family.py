"""Recordings of the PBS family, mutated: typed answers that add up, or clear errors; never another exception."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recorded import pbs_family as recorded
from resources.documents import Inventory

from resource_secretary.errors import SecretaryError
from resource_secretary.providers.workload._batch import Job, Node, Queue
from resource_secretary.providers.workload._pbs_json import read_records
from resource_secretary.providers.workload.cobalt import CobaltProvider
from resource_secretary.providers.workload.gridengine import GridEngineProvider
from resource_secretary.providers.workload.lsf import LsfProvider
from resource_secretary.providers.workload.moab import MoabProvider
from resource_secretary.providers.workload.pbs import PbsProvider
from resource_secretary.providers.workload.torque import TorqueProvider
from resource_secretary.run import Ran
from resource_secretary.tools import as_json

MACHINES = {
    "pbs": (PbsProvider, recorded.pbs, "4"),
    "pbs 19": (PbsProvider, recorded.pbs_19, "4"),
    "pbs 11": (PbsProvider, recorded.pbs_11, "68350"),
    "torque": (TorqueProvider, recorded.torque, "152"),
    "torque 4": (TorqueProvider, lambda: recorded.machine(recorded.torque_commands("torque-4.2")), "152"),
    "gridengine": (GridEngineProvider, recorded.gridengine, "4"),
    "lsf": (LsfProvider, recorded.lsf, "22005"),
    "lsf 9": (LsfProvider, recorded.lsf_9, "22005"),
    "moab": (MoabProvider, recorded.moab, "4761849"),
    "moab 7": (MoabProvider, lambda: recorded.machine(recorded.moab_commands("moab-7")), "881196"),
    "cobalt": (CobaltProvider, recorded.cobalt, "763801"),
}
SNIPPETS = ["", "0", "-1", "9" * 30, "=", " ", "\n", "\t", ",", ":", "[", "]", "{", "}", '"', "\\", "<", ">", "</", "&"]
SNIPPETS += ["<!DOCTYPE a>", "(null)", "N/A", "-", "\0", "é", "²", "\\ud800", "<various>", "INFINITY", "1e999", "NaN"]


@st.composite
def mutated(draw, commands):
    """The commands, one to four pieces of their answers cut out, put in, doubled or exchanged, or one that failed."""
    made = dict(commands)
    words = [one for one, answer in commands.items() if isinstance(answer, str) and answer]
    for _ in range(draw(st.integers(1, 4))):
        which = draw(st.sampled_from(words))
        text = made[which]
        if not isinstance(text, str):
            continue
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 60)))
        piece = draw(st.sampled_from([*SNIPPETS, text[start:end] * 2, text[end : end + 30]]))
        failed = draw(st.integers(0, 15)) == 0
        made[which] = Ran((), 1, text, "boom") if failed else text[:start] + piece + text[end:]
    return made


def adds_up(value):
    if isinstance(value, (list, tuple)):
        for one in value:
            adds_up(one)
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            number = getattr(value, field.name)
            assert not isinstance(number, (int, float)) or isinstance(number, bool) or 0 <= number < 2**63, value
        if isinstance(value, Node):
            for total, free in (("cores", "free_cores"), ("threads", "free_threads"), ("memory", "free_memory")):
                have, left = getattr(value, total), getattr(value, free)
                assert left is None or (have is not None and left <= have), value
            assert value.state == "up" or not value.free_cores
        if isinstance(value, (Job, Queue)):
            assert value.state != "unread" or value.reason, value
        as_json(value)


@pytest.mark.parametrize("name", MACHINES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_every_tool(name, data):
    make, machine, id = MACHINES[name]
    system = machine()
    system.commands = data.draw(mutated(system.commands))
    provider = make(system)
    questions = [provider.probe, *(getattr(provider, tool.name) for tool in make.tools() if tool.name != "start")]
    for question in questions:
        try:
            adds_up(question(id) if question.__name__ == "job" else question())
        except SecretaryError as error:
            assert str(error).strip()
    if hasattr(provider, "inventory"):
        try:
            inventory = provider.inventory()
        except SecretaryError:
            return
        assert Inventory.from_json(inventory.to_json()) == inventory
        assert all((group.free is not None) <= (group.state == "up") for group in inventory.groups)


PIECES = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\\",
    "a",
    "\n",
    "\n        ",
    "\n            ",
    "\n                ",
    "},",
    "005",
]
PIECES += ['"job_state":"R"', '"9.server":{', '"1.server":{', '"Variable_List":{', '"x":"y"', '"Jobs":{']
WILD = st.one_of(st.text(max_size=200), st.lists(st.sampled_from(PIECES), max_size=30).map("".join))


@settings(max_examples=250, deadline=None)
@given(comment=WILD, value=WILD)
def test_nothing_in_a_job_changes_another(comment, value):
    """Whatever a job's comment and environment hold, written without any care: the jobs before and behind it are told
    as they are or as unread, and it itself never in another state."""
    rows = ((1, "R", "fine", "fine"), (2, "Q", comment, value), (3, "H", "fine", "fine"))
    body = ",\n".join(
        f'        "{id}.server":{{\n            "job_state":"{state}",\n            "comment":"{text}",\n'
        f'            "Variable_List":{{\n                "V":"{variable}"\n            }},\n'
        f'            "project":"p"\n        }}'
        for id, state, text, variable in rows
    )
    document = f'{{\n    "pbs_version":"19.1.1",\n    "Jobs":{{\n{body}\n    }}\n}}\n'
    try:
        records = {record.name: record for record in read_records(document, "Jobs", "qstat")}
    except SecretaryError:
        return
    for id, state in (("1.server", "R"), ("2.server", "Q"), ("3.server", "H")):
        told = records[id]
        assert told.problem or told.attributes.get("job_state") in (state, "(repeated)"), document
