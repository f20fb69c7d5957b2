"""Jobs of Slurm: the queue, one job as text and in four versions of JSON, accounting, submission, cancelling."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys

import pytest
from recorded import slurm_flux as recorded
from resources import parse

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError, UnknownProvider
from resource_secretary.providers.workload import _slurm_values as values
from resource_secretary.providers.workload._slurm_accounting import read_accounting
from resource_secretary.providers.workload._slurm_jobs import SQUEUE, read_depth, read_job, read_queue
from resource_secretary.providers.workload._slurm_json import read_job_json
from resource_secretary.providers.workload._slurm_submit import options_of, read_start, read_submitted, script
from resource_secretary.providers.workload.slurm import SlurmProvider
from resource_secretary.run import Ran


@pytest.fixture
def slurm():
    return recorded.slurm()


def call(system, tool, arguments=None, *, dispatch=False):
    return Secretary(system=system, dispatch=dispatch).call(f"slurm.{tool}", arguments).result


def test_the_queue(slurm):
    rows = {row["id"]: row for row in call(slurm, "jobs")["items"]}
    assert list(rows) == ["3_[1-3%2]", "4", "1", "2"]
    assert (rows["1"]["name"], rows["1"]["state"], rows["1"]["node_list"]) == ("a b=c | d", "RUNNING", "n1")
    assert (rows["1"]["time_limit"], rows["1"]["elapsed"], rows["1"]["memory"]) == (600, 3, 300 * 2**20)
    assert rows["1"]["start"] == values.moment("2026-11-21T15:52:07") and rows["1"]["memory_per"] == "node"
    assert (rows["4"]["reason"], rows["4"]["start"], rows["4"]["memory"]) == ("JobHeldUser", None, None)
    assert rows["3_[1-3%2]"]["cpus"] == 2 and rows["3_[1-3%2]"]["start"]  # Slurm expects it
    assert call(slurm, "jobs", {"everyone": True})["total"] == 4


def test_a_line_of_the_queue_that_cannot_be_read_loses_only_itself(slurm):
    text = (recorded.SLURM / "queue.txt").read_text()
    jobs = read_queue(text.replace("|1:00:00|", "|soon|") + "garbage\n")
    assert [(job.id, job.unread) for job in jobs if job.unread] == [
        ("4", "limit: 'soon' is no time: [days-]hours:minutes:seconds"),
        ("line 5", f"a job's {len(SQUEUE)} fields expected, not 'garbage'"),
    ]
    with pytest.raises(OutputError, match="it says: slurm is on holiday"):
        read_queue("slurm is on holiday\n")
    assert read_queue("") == []


def test_a_name_that_would_steer_a_terminal_or_end_a_line():
    line = (recorded.SLURM / "queue.txt").read_text().splitlines()[2]
    [job] = read_queue(line.replace("a b=c | d", "a\u2028b\x1b[2J\x0bc"))
    assert job.name == "a?b?[2J?c" and not job.unread


def test_a_failed_query_is_never_no_jobs(slurm):
    slurm.commands[*recorded.QUEUE, "--user=user", recorded.LAYOUT] = Ran((), 1, "", "slurm_load_jobs error: no")
    with pytest.raises(CommandFailed, match="slurm_load_jobs error: no"):
        call(slurm, "jobs")


@pytest.mark.parametrize(
    ("cpus", "cores"),
    [("2|2|1\n", 7), ("16|2|4\n2|1|1\n", 4), ("16|2|4\n2|2|1\n", None), ("16+|2|4\n", None), ("0|0|0\n", None)],
)
def test_the_depth_of_the_queue(slurm, cpus, cores):
    slurm.commands["sinfo", "--noheader", "--exact", "--format=%c|%X|%Y"] = cpus
    assert call(slurm, "depth") == {"pending": 4, "running": 2, "pending_cores": cores}
    with pytest.raises(OutputError, match="line 2"):
        read_depth("PENDING|2\nCLUSTER: other\n")


def test_a_site_that_hides_jobs_tells_no_depth(slurm):
    slurm.commands["scontrol", "show", "config"] = "PriorityType = x\nPrivateData             = usage,jobs\n"
    with pytest.raises(CommandFailed, match="PrivateData=jobs"):
        call(slurm, "depth")
    slurm.commands["scontrol", "show", "config"] = "PrivateData             = none\n"
    assert call(slurm, "depth")["pending"] == 4


def test_one_job_of_22_05_which_has_no_json_for_it(slurm):
    job = call(slurm, "job", {"job_id": "1"})
    assert (job["name"], job["user"], job["state"], job["source"]) == (
        "a b=c | d",
        "root",
        "RUNNING",
        "scontrol show job",
    )
    assert (job["time_limit"], job["nodes"], job["cpus"]) == (600, 1, 1)
    assert job["allocated"]["mem"] == "300M" and job["exit_code"] is None  # it has not ended
    assert call(slurm, "job", {"job_id": "5"})["exit_code"] == 3
    killed = call(slurm, "job", {"job_id": "6"})
    assert (killed["state"], killed["exit_code"], killed["signal"]) == ("FAILED", 0, 9)
    array = call(slurm, "job", {"job_id": "3"})
    assert (array["id"], array["state"], array["start"]) == ("3_1-3%2", "PENDING", values.moment("2026-11-21T15:59:00"))
    assert call(slurm, "job", {"job_id": "2"})["gpus"] == {"a100": 1}  # the site does not track GPUs
    with pytest.raises(CommandFailed, match="Invalid job id specified"):
        call(slurm, "job", {"job_id": "999"})


def test_one_job_of_20_11(data):
    job = read_job((data / "slurm-20.11.8/job.txt").read_text())
    assert (job.state, job.reason, job.time_limit, job.start) == ("PENDING", "JobHeldAdmin", 604800, None)
    assert (job.user, job.workdir, job.command, job.gpus) == ("nobody", "/home/user", "", {"": 1})


@pytest.mark.parametrize(
    ("file", "job_id", "expected"),
    [
        ("slurm-21.08.5/job.json", "26515966", ("RUNNING", 1814400, "1686633833", "cs75", "26515966")),
        ("slurm-22.05.8/jobs.json", "1", ("RUNNING", 600, None, "n1", "1")),
        ("slurm-23.02/job.json", "58948420", ("PENDING", 86340, None, "", "58948420")),
        ("slurm-23.11.1/job.json", "6080221", ("RUNNING", 691200, "1712226008", "cma2-02", "6077609_41")),
        ("slurm-23.11.1/job.json", "6077609_41", ("RUNNING", 691200, "1712226008", "cma2-02", "6077609_41")),
    ],
)
def test_json_of_four_versions(data, file, job_id, expected):
    state, limit, end, nodes, name = expected
    job = read_job_json((data / file).read_text(), job_id)
    assert (job.state, job.time_limit, job.node_list, job.id) == (state, limit, nodes, name)
    assert end is None or job.end == values.utc(int(end))
    assert job.cpus == job.nodes == 1 and job.exit_code is None and job.requested["cpu"] == "1"


def test_json_and_text_of_one_job_agree(data):
    document = (data / "slurm-22.05.8/jobs.json").read_text()
    for number, code, signal in ((5, 3, None), (6, 0, 9)):
        job = read_job_json(document, str(number))
        text = read_job((data / f"slurm-22.05.8/job-{number}.txt").read_text())
        assert (job.state, job.exit_code, job.signal, job.reason) == (text.state, code, signal, text.reason)
    job = read_job_json(document, "1")
    assert (
        job.name == "a b=c | d" and job.allocated == read_job((data / "slurm-22.05.8/job-1.txt").read_text()).allocated
    )


def test_an_exit_code_of_its_own_members(data):
    document = json.loads((data / "slurm-23.11.1/job.json").read_text())
    row = document["jobs"][0]
    number = {"set": True, "infinite": False}
    row["job_state"] = ["FAILED"]
    row["exit_code"] = {"status": ["SIGNALED"], "return_code": {**number, "number": 0}}
    row["exit_code"]["signal"] = {"id": {**number, "number": 9}, "name": "KILL"}
    job = read_job_json(json.dumps(document), "6080221")
    assert (job.exit_code, job.signal) == (0, 9)
    row["exit_code"] = {**number, "number": 768}
    assert read_job_json(json.dumps(document), "6080221").exit_code == 3
    row["time_limit"] = "long"
    with pytest.raises(OutputError, match=r"time_limit .*data_parser/v0.0.40"):
        read_job_json(json.dumps(document), "6080221")


def test_json_is_read_first_and_text_where_it_is_of_a_new_version(slurm):
    slurm.commands[recorded.job_json(5)] = (recorded.SLURM / "jobs.json").read_text()
    assert call(slurm, "job", {"job_id": "5"})["source"] == "scontrol --json show job"
    slurm.commands[recorded.job_json(5)] = '{"jobs": {"5": {}}}'
    assert call(slurm, "job", {"job_id": "5"})["source"] == "scontrol show job"


def test_accounting_from_the_database(slurm):
    told = call(slurm, "accounting", {"job_id": "5"})
    assert (told["source"], told["tried"], told["state"], told["finished"]) == ("sacct", [], "FAILED", True)
    assert (told["exit_code"], told["elapsed"], told["time_limit"], told["account"]) == (3, 0, 60, "root")
    assert [(step["id"], step["state"], step["exit_code"]) for step in told["steps"]] == [("batch", "FAILED", 3)]
    killed = call(slurm, "accounting", {"job_id": "6"})
    assert killed["signal"] == 9 and killed["steps"][0]["state"] == "CANCELLED"
    running = call(slurm, "accounting", {"job_id": "1"})
    assert not running["finished"] and running["name"] == "a b=c | d" and running["end"] is None
    assert call(slurm, "accounting", {"job_id": "3"})["start"] is None


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Ran((), None, problem="not found on PATH"), "not found on PATH"),
        (Ran((), 1, "", "Slurm accounting storage is disabled\n"), "Slurm accounting storage is disabled"),
        ("refused", "Connection refused"),
        ("", "it knows no such job"),
        ("nonsense\n", "fields expected"),
    ],
)
def test_accounting_without_the_database(slurm, answer, said):
    if answer == "refused":
        answer = Ran((), 1, "", (recorded.SLURM / "accounting-refused.stderr.txt").read_text())
    slurm.commands[recorded.sacct(5)] = answer
    told = call(slurm, "accounting", {"job_id": "5"})
    assert (told["source"], told["state"], told["exit_code"]) == ("scontrol", "FAILED", 3)
    assert len(told["tried"]) == 1 and said in told["tried"][0]
    slurm.commands[recorded.job(5)] = Ran((), 1, "", "slurm_load_jobs error: Invalid job id specified")
    squeue = (*recorded.QUEUE, "--states=all", "--jobs=5", recorded.LAYOUT)
    line = (recorded.SLURM / "queue.txt").read_text().splitlines()[3].replace("RUNNING", "FAILED")
    slurm.commands[squeue] = line.replace("2|", "5|", 1)
    told = call(slurm, "accounting", {"job_id": "5"})
    assert (told["id"], told["source"], told["state"], told["exit_code"]) == ("5", "squeue", "FAILED", None)
    assert len(told["tried"]) == 2
    slurm.commands[squeue] = ""
    with pytest.raises(CommandFailed, match=r"the accounting of job 5: .*; scontrol.*; squeue"):
        call(slurm, "accounting", {"job_id": "5"})


def test_an_array_in_accounting():
    line = "{}|COMPLETED|0:0|u|a|p|q|2026-11-21T15:52:06|2026-11-21T15:52:07|2026-11-21T15:52:17|10|Partition_Limit|2|1"
    line += "|900M|{}|00:01.5|cpu=2|n1|name\n"
    text = line.format("3_1", "") + line.format("3_1.batch", "5120K") + line.format("3_2", "")
    found = read_accounting(text, "3")
    assert (found.record.name, found.count, found.steps[0].max_memory, found.steps[0].cpu_time) == (
        "3_1",
        2,
        5 * 2**20,
        1,
    )
    assert read_accounting(text, "3_2").record.name == "3_2" and read_accounting("", "3") is None


def test_limits_and_clusters(slurm):
    [first, second] = call(slurm, "associations")["items"]
    assert (first["account"], first["group_resources"], first["max_submitted"]) == (
        "proj",
        {"cpu": "60", "node": "3"},
        None,
    )
    assert first["max_jobs"] == 50 and first["qos"] == ["normal"] and second["max_jobs"] is None
    [cluster] = call(slurm, "clusters")["items"]
    assert (cluster["name"], cluster["address"], cluster["federation"]) == ("test", "127.0.0.1", "")
    disabled = (recorded.SLURM / "associations-disabled.stderr.txt").read_text()
    for words in list(slurm.commands):
        if words[0] == "sacctmgr":
            slurm.commands[words] = Ran((), 1, "", disabled)
    with pytest.raises(CommandFailed, match="You are not running a supported accounting_storage plugin"):
        call(slurm, "associations")


def test_reservations_and_licenses(slurm):
    [one] = call(slurm, "reservations")["items"]
    assert (one["name"], one["state"], one["duration"], one["flags"]) == (
        "maint", "INACTIVE", 3600, ["MAINT", "IGNORE_JOBS", "SPEC_NODES"]
    )  # fmt: skip
    licenses = {row["name"]: row for row in call(slurm, "licenses")["items"]}
    assert (licenses["solver"]["total"], licenses["solver"]["free"], licenses["mesh"]["free"]) == (4, 2, 1)
    slurm.commands["scontrol", "--oneliner", "show", "reservations"] = "No reservations in the system\n"
    assert call(slurm, "reservations")["items"] == []


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("sbatch: Job 7 to start at {} using 1 processors on nodes n1 in partition main", (1, "n1", "main")),
        ("sbatch: Job 3 to start at {} using 16 processors on n[1-2]", (16, "n[1-2]", "")),
        ("x\nsalloc: Job 5 to start at {} using 1 processor on nodes c1 in partition p\n", (1, "c1", "p")),
        ("sbatch: error: something", None),
        ("sbatch: Job 7 to start at 9999-99-99T99:99:99 using 1 processors on nodes n1", None),
    ],
)
def test_what_sbatch_says_of_a_start(text, start):
    found = read_start(text.format("2026-11-21T15:52:12"))
    assert (found and found[1:]) == start


def test_a_start(slurm):
    told = call(slurm, "start")
    assert told["start"] == values.moment("2026-11-21T15:52:12") and told["partition"] == "main"
    slurm.commands[recorded.test_only("--nodes=9", "--ntasks=9")] = recorded.said("start-never.stderr.txt", 1)
    with pytest.raises(CommandFailed, match="Requested node configuration is not available"):
        call(slurm, "start", {"nodes": 9})
    expected = recorded.test_only("--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=1", "--threads-per-core=1")
    slurm.commands[expected] = recorded.said("start.stderr.txt")
    provider = SlurmProvider(slurm)
    assert provider.estimated_start(parse("nodes=1")) == values.epoch("2026-11-21T15:52:12")
    slurm.commands[expected] = recorded.said("start-never.stderr.txt", 1)
    with pytest.raises(CommandFailed, match="allocation failure: Requested node configuration is not available"):
        provider.estimated_start(parse("nodes=1"))
    assert provider.estimated_start(parse("nodes=1 disk=1GB")) is None


@pytest.mark.parametrize(
    ("request_text", "options"),
    [
        ("cores=4 memory=8GB", ["--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=4", "--mem=8192M"]),
        ("nodes=2 gpus=2:a100", ["--nodes=2", "--ntasks-per-node=1", "--cpus-per-task=1", "--gpus-per-node=a100:2"]),
        ("tasks=8 cores=2 memory=4GB", ["--ntasks=8", "--cpus-per-task=2", "--mem-per-cpu=2048M"]),
        ("tasks=8 nodes=2 gpus=1", ["--nodes=2", "--ntasks=8", "--cpus-per-task=1", "--gpus-per-task=1"]),
        ("cores=1 walltime=1:30:00", ["--nodes=1", "--ntasks-per-node=1", "--cpus-per-task=1", "--time=0-01:30:00"]),
    ],
)
def test_a_request_as_options(request_text, options):
    assert [one for one in options_of(parse(request_text)) if one != "--threads-per-core=1"] == options


SUBMIT = ("sbatch", "--parsable", "--job-name=job", "--chdir=/", "--export=NONE", "--nodes=1", "--ntasks=1")


def test_submit(slurm):
    with pytest.raises(UnknownProvider):
        call(slurm, "submit", {"argv": ["true"]})
    slurm.commands[SUBMIT] = "a line of the site\n42;test\n"
    argv = ["a=b", "$(x)", "it's", "", "#SBATCH --uid=0\n#SBATCH -p x", "-x"]
    told = call(slurm, "submit", {"argv": argv}, dispatch=True)
    assert (told["job_id"], told["cluster"]) == ("42", "test") and told["script"] == slurm.stdins[-1] == script(argv)
    slurm.commands[SUBMIT] = "sbatch: nothing\n"
    with pytest.raises(OutputError, match="no job id in what it says"):
        call(slurm, "submit", {"argv": ["true"]}, dispatch=True)
    for argv in ([], [""]):
        with pytest.raises(ArgumentError, match="must have a command"):
            call(slurm, "submit", {"argv": argv}, dispatch=True)
    slurm.commands[SUBMIT] = Ran((), None, problem="no answer in 10 s")
    with pytest.raises(CommandFailed, match="whether the job was submitted is not known"):
        call(slurm, "submit", {"argv": ["true"]}, dispatch=True)


def test_submit_with_everything(slurm):
    slurm.environ = {"HOME": "/home/u", "PATH": "/bin", "SECRET": "x", "SLURM_JOB_ID": "7"}
    words = ("--job-name=my job", "--chdir=/data/x", "--export=HOME,PATH", "--output=/data/o.txt", "--nodes=2")
    words += ("--ntasks=8", "--cpus-per-task=4", "--threads-per-core=1", "--gres=gpu:a100:2", "--mem=1024M")
    slurm.commands["sbatch", "--parsable", *words, "--time=1-00:00:01", "--partition=a,b", "--account=acc"] = "7\n"
    given = {
        "argv": ["srun", "x"],
        "job_name": "my job",
        "nodes": 2,
        "tasks": 8,
        "cores": 4,
        "gpus": 2,
        "gpu_type": "a100",
    }
    given |= {"memory": 1024, "walltime": 86401, "partition": "a,b", "account": "acc", "workdir": "/data/x"}
    told = call(slurm, "submit", {**given, "output": "/data/o.txt"}, dispatch=True)
    assert (told["job_id"], told["cluster"]) == ("7", "")
    with pytest.raises(ArgumentError):
        call(slurm, "submit", {**given, "gpu_type": "a100:9,x"}, dispatch=True)


@pytest.mark.parametrize(
    "words",
    [
        ["a b"],
        ["$(touch x)", "`y`"],
        ["it's", '"q"', "\\"],
        ["\n", "\t", ""],
        ["--", "-c", "é", ";", "&&"],
        ["x" * 100_000],
    ],
)
def test_a_script_says_its_words_and_nothing_else(words):
    code = "import sys; print(ascii(sys.argv[1:]))"
    made = script([sys.executable, "-c", code, *words])
    done = subprocess.run(["/bin/sh"], input=made, capture_output=True, text=True, check=True)
    assert done.stdout == f"{words!a}\n"


def test_the_first_word_is_a_command_and_no_assignment():
    for word in ("a=b", "if", "while", "!"):
        line = script([word]).splitlines()[-1]
        assert line.startswith("'") and shlex.split(line) == [word]


def test_cancel(slurm):
    slurm.commands["scancel", "1"] = ""
    assert call(slurm, "cancel", {"job_id": "1"}, dispatch=True) == {"job_id": "1", "state": "RUNNING"}
    with pytest.raises(CommandFailed, match="Invalid job id"):  # scancel says nothing of a job that is not there
        call(slurm, "cancel", {"job_id": "999"}, dispatch=True)
    slurm.commands["scancel", "1"] = Ran((), 1, "", "scancel: error: Access/permission denied")
    with pytest.raises(CommandFailed, match="denied"):
        call(slurm, "cancel", {"job_id": "1"}, dispatch=True)


@pytest.mark.parametrize("job_id", ["-1", "all", "1;2", "1 2", "nodes", "1.0", "1_", "$(x)", "1\n2", "9" * 400])
@pytest.mark.parametrize("tool", ["job", "accounting", "cancel"])
def test_what_is_no_job_id(slurm, tool, job_id):
    with pytest.raises(ArgumentError):
        call(slurm, tool, {"job_id": job_id}, dispatch=True)
    assert not [words for words in slurm.asked if job_id in words]


def test_an_id_that_has_no_words():
    with pytest.raises(OutputError, match="no job id"):
        read_submitted("", "")
