"""PBS, from recordings of PBS Pro 11.3, 19, OpenPBS 20 and 2022.1, and its JSON that is none."""

from __future__ import annotations

import pytest
from recorded import pbs_family as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.workload import _pbs_types
from resource_secretary.providers.workload._batch import seconds, size, whole
from resource_secretary.providers.workload._pbs_json import read_records
from resource_secretary.providers.workload._pbs_text import read_text
from resource_secretary.run import Ran


def call(system, tool, **arguments):
    result = Secretary(system=system).call(tool, arguments).result
    return result.get("items", result)


def jobs_of(body: str):
    """The jobs of a document whose jobs are the text."""
    text = f'{{\n    "timestamp":1,\n    "pbs_version":"19.1.1",\n    "Jobs":{{\n{body}\n    }}\n}}\n'
    return {job.id: job for job in _pbs_types.jobs(read_records(text, "Jobs", "qstat"), "qstat")}


def job(id: str, *lines: str, state: str = "Q") -> str:
    inner = ",\n".join(f"            {line}" for line in (f'"job_state":"{state}"', '"queue":"workq"', *lines))
    return f'        "{id}":{{\n{inner}\n        }}'


def test_the_nodes_of_2022():
    nodes = {node["name"]: node for node in call(recorded.pbs(), "pbs.nodes")}
    assert [(node["state"], node["free_cores"]) for node in nodes.values()] == [("up", 64), ("up", 0), ("down", 0)]
    first = nodes["x3006c0s13b1n0"]
    assert first["gpus"] == first["free_gpus"] == {"A100": 4} and first["memory"] == 527672488 * 1024
    assert nodes["x3008c0s37b1n0"]["free_gpus"] == {"A100": 0} and nodes["x3008c0s37b1n0"]["free_memory"] == 0
    assert nodes["x3009c0s19b0n0"]["reason"] == "node down: communication closed"
    assert [node["name"] for node in call(recorded.pbs(), "pbs.nodes", state="down")] == ["x3009c0s19b0n0"]


def test_the_nodes_of_19_though_a_comment_has_quotes():
    first, second = call(recorded.pbs_19(), "pbs.nodes")
    assert (first["cores"], first["free_cores"], first["queues"]) == (56, 24, ["normal"])
    assert first["free_memory"] == (384000000 - 278921216) * 1024
    assert second["state"] == "drained" and '"sent a mail"' in second["reason"]


def test_text_where_there_is_no_json():
    system = recorded.pbs_11()
    nodes = {node["name"]: node for node in call(system, "pbs.nodes")}
    assert nodes["b01a07"]["state"] == "unknown" and nodes["b01a07"]["raw_state"] == "<various>"
    assert (nodes["uv[95]"]["free_cores"], nodes["uv[96]"]["free_cores"]) == (8, 0)
    waiting, running = call(system, "pbs.jobs")
    assert (waiting["cores"], waiting["nodes"], waiting["max_walltime"]) == (240, 15, 3600)
    assert waiting["reason"] == "Not Running: Node is in an ineligible state: offline"
    assert (running["state"], running["hosts"]) == ("running", "bc01r07c3b[1-2]")


def test_vnodes_of_one_host_count_together():
    lines = [line.split(" | ") for line in Secretary(system=recorded.pbs_11()).offer("pbs").to_text().splitlines()[1:]]
    assert lines == [
        ["hosts=b01a07 ranks=0 state=unknown", "cores=8 memory=24602260KB", "unknown"],
        ["hosts=uv ranks=1 state=up", "cores=16 memory=32752MB", "cores=8 memory=16368MB"],
    ]


def test_the_text_of_20():
    first, second = _pbs_types.nodes(read_text(recorded.text("pbs-20/nodes.txt"), "nodes", "x"), "x")
    assert (first.name, first.host, first.memory) == ("vn[5]", "0dc6520bf9f0", 2 * 2**30)
    assert (second.raw_state, second.cores, second.free_cores, second.gpus) == ("job-busy", 20, 0, {})


def test_the_inventory():
    groups = {group.hosts: group for group in Secretary(system=recorded.pbs()).offer("pbs").groups}
    assert str(groups["x3006c0s13b1n0",].free) == "cores=64 memory=527672488KB gpus=4:A100"
    assert str(groups["x3008c0s37b1n0",].free) == "cores=0 memory=0B gpus=0:A100"
    assert groups["x3009c0s19b0n0",].free is None and groups["x3009c0s19b0n0",].state == "down"


def test_the_queues():
    queues = {queue["name"]: queue for queue in call(recorded.pbs(), "pbs.queues")}
    assert [(queue["state"], queue["default"]) for queue in queues.values()] == [
        ("closed", False),
        ("up", True),
        ("stopped", False),
    ]
    assert queues["cpu"]["reason"] == "takes jobs from routing queues only" and queues["cpu"]["enabled"] is False
    assert (queues["cpu"]["running"], queues["cpu"]["pending"]) == (806, 235)
    assert queues["develop"]["max_walltime"] == 6 * 3600 and queues["cpu"]["max_walltime"] is None
    # A limit of several parts is written as a key that occurs several times.
    assert queues["develop"]["limits"]["max_queued"] == "[o:PBS_ALL=10],[u:PBS_GENERIC=2],[u:tom=15]"


def test_the_jobs():
    jobs = {job["id"]: job for job in call(recorded.pbs(), "pbs.jobs")}
    running, held, array = jobs.values()
    assert (running["state"], running["user"], running["cores"], running["hosts"]) == (
        "running",
        "user1",
        128,
        "deg[0011-0012]",
    )
    assert held["reason"] == "held (s): Not Running: Job held by dependency"
    assert (array["tasks"], array["reason"]) == (5, "Not Running: Insufficient amount of resource: ncpus")
    assert array["submitted"] == "2024-11-13T20:00:00Z"
    assert [job["id"] for job in call(recorded.pbs(), "pbs.jobs", user="user2")] == ["6587000[].desched1"]
    assert call(recorded.pbs(), "pbs.depth") == {"pending": 237, "running": 806, "pending_cores": None}


def test_json_with_shell_functions_and_odd_numbers_is_read():
    jobs = call(recorded.pbs_19(), "pbs.jobs")
    assert [(job["id"], job["state"], job["reason"]) for job in jobs] == [
        ("4.scheduler", "running", ""),
        ("53.scheduler", "held", "held (u)"),
    ]
    assert call(recorded.pbs_19(), "pbs.job", id="4")["hosts"] == "execute-2"


@pytest.mark.parametrize(
    "line",
    [
        '"comment":"a "b", c"',
        '"Submit_arguments":"-v X=\\\'a\\\'"',
        '"Submit_arguments":"a\\,b"',
        '"Submit_arguments":"C:\\dir\\new"',
        '"Priority":-00.5',
        '"Priority":.5',
        '"comment":"a\tb\x01c"',
        '"Variable_List":{\n                "f()":"() { echo "x";\n}",\n                "n":005\n            }',
        '"Variable_List":{\n                "X":"a\n        "99.server":{"\n            }',
    ],
)
def test_what_is_no_json_in_one_job_changes_nothing(line):
    jobs = jobs_of(",\n".join([job("1.server"), job("2.server", line), job("3.server", state="R")]))
    assert {one.id: one.state for one in jobs.values()} == {
        "1.server": "pending",
        "2.server": "pending",
        "3.server": "running",
    }


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('"comment":"never ends', "ends within a string"),
        ('"Resource_List":{"ncpus":', "a value expected"),
        ('"a" "b"', "':' expected"),
        ('"job_state":"R"', "job_state occurs more than once"),
        ('"Resource_List":{"ncpus":"many"}', "'many' is no whole number"),
        ('"Resource_List":{"walltime":"soon"}', "is no time"),
    ],
)
def test_a_bad_job_loses_only_itself_and_says_why(line, why):
    jobs = jobs_of(",\n".join([job("1.server"), job("2.server", line), job("3.server", state="R")]))
    assert (jobs["1.server"].state, jobs["3.server"].state) == ("pending", "running")
    assert jobs["2.server"].state == "unread" and why in jobs["2.server"].reason


def test_a_job_that_is_told_twice_is_unread():
    jobs = jobs_of(",\n".join([job("1.server"), job("1.server", state="R"), job("2.server")]))
    assert (jobs["1.server"].state, jobs["2.server"].state) == ("unread", "pending")


def test_a_further_section_before_each_job():  # PBS Pro 14, "Invalid JSON output" of several jobs
    jobs = jobs_of(job("1.server") + ',\n        "Jobs":{\n' + job("2.server"))
    assert {one.state for one in jobs.values()} == {"pending"} and list(jobs) == ["1.server", "2.server"]


def test_an_answer_that_is_cut_loses_its_last_job():
    text = recorded.text("pbs-2022.1/jobs.json")
    jobs = _pbs_types.jobs(read_records(text[: text.index('"array_state_count"')], "Jobs", "x"), "x")
    assert [one.state for one in jobs] == ["running", "held", "unread"]


def test_no_job_is_no_error_and_no_answer_is_no_empty_list():
    system = recorded.pbs()
    question = ("qstat", "-f", "-F", "json")
    system.commands[question] = '{\n"timestamp":1,\n"pbs_version":"19.1.1",\n"pbs_server":"s"\n}'
    assert call(system, "pbs.jobs") == []
    system.commands[question] = Ran((), 255, "", "qstat: cannot connect to server s (errno=15010)")
    with pytest.raises(CommandFailed, match="cannot connect to server s"):
        call(system, "pbs.jobs")
    system.commands[question] = "[]"
    with pytest.raises(
        OutputError, match="a JSON object with pbs_version expected; its format is not known, it begins"
    ):
        call(system, "pbs.jobs")


def test_json_of_an_unknown_format_falls_back_to_text_or_keeps_what_it_said():
    system = recorded.pbs_11()
    system.commands["qstat", "-f", "-F", "json"] = "<jobs/>"
    assert len(call(system, "pbs.jobs")) == 2
    system.commands["qstat", "-f"] = "Something Else: 1\n" + "x" * 5000
    with pytest.raises(OutputError) as caught:
        call(system, "pbs.jobs")
    assert "Something Else: 1" in str(caught.value) and len(str(caught.value)) < 2300


def test_the_probe():
    metadata = Secretary(system=recorded.pbs_19()).detect(name="pbs")["pbs"].metadata
    assert metadata == {
        "version": "19.1.1",
        "server": "scheduler",
        "state": "Active",
        "default_queue": "workq",
    }


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("free", "up"),
        ("job-busy", "up"),
        ("job-exclusive", "up"),
        ("job-exclusive,resv-exclusive", "drained"),
        ("offline", "drained"),
        ("down,offline", "drained"),
        ("down", "down"),
        ("state-unknown,down", "down"),
        ("Stale", "down"),
        ("free,provisioning", "down"),
        ("<various>", "unknown"),
        ("", "unknown"),
        ("brand-new", "unknown"),
    ],
)
def test_states_of_nodes(raw, state):
    assert _pbs_types.node_state(raw) == state


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("0b", 0),
        ("1024", 1024),
        ("2gb", 2**31),
        ("527672488kb", 540336627712),
        ("1.5G", 3 * 2**29),
        ("692tb", 692 * 2**40),
    ],
)
def test_sizes(text, amount):
    assert size(text) == amount


def test_what_is_no_size_or_time_or_number():
    for reader, texts in (
        (size, ("", "-1gb", "1xb", "1e9", "²gb", "9" * 20)),
        (seconds, ("", "a", "1:2:3:4", "-5", "1-00:00:00")),
        (whole, ("", "-1", "1.5", "²", "9" * 20, "1e3")),
    ):
        for text in texts:
            with pytest.raises(ValueError, match="is no"):
                reader(text)
    assert [seconds(text) for text in ("90", "1:30", "1:30:00", "3600:00:00", "::30")] == [90, 90, 5400, 12960000, 30]
    assert size("1k", decimal="kmg") == 1000 and size("1K", decimal="kmg") == 1024
