"""The odd strings of Slurm: one table for each kind, tested whole."""

from __future__ import annotations

import pytest

from resource_secretary.providers.workload import _slurm_values as values

NODE_STATES = {
    "up": [
        *("IDLE", "MIXED", "ALLOCATED", "idle", "mix", "alloc", "comp", "plnd", "mixed-", "idle-"),
        *("ALLOCATED+COMPLETING", "MIXED+PLANNED", "IDLE+CLOUD", "IDLE+DYNAMIC_NORM"),
    ],
    "down": [
        *(
            "IDLE*",
            "idle*",
            "alloc*",
            "DOWN",
            "down*",
            "DOWN+NOT_RESPONDING",
            "IDLE+CLOUD+POWERED_DOWN",
            "IDLE~",
            "idle#",
        ),
        *("idle%", "idle!", "mix^", "fail", "failg", "inval", "pow_dn", "pow_up", "error"),
    ],
    "drained": [
        *("DOWN*+DRAIN", "IDLE+DRAIN", "MIXED+DRAIN", "MIXED+DRAIN@", "drng@", "drng", "drng*", "drain", "drained*"),
        *("IDLE+MAINTENANCE+RESERVED", "IDLE$", "maint", "resv", "boot", "idle@", "npc", "IDLE+BLOCKED"),
    ],
    "unknown": ["UNKNOWN", "unk", "FUTURE", "futr", "IDLE+SOMETHING_NEW", "", "idle?"],
}


@pytest.mark.parametrize(("state", "raw"), [(state, raw) for state, every in NODE_STATES.items() for raw in every])
def test_states_of_nodes(state, raw):
    assert values.node_state(raw) == state


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        *values.JOB_STATES.items(),
        ("CANCELLED by 1000", "CANCELLED"),
        ("CANCELLED+", "CANCELLED"),
        ("running", "RUNNING"),
        ("R", "RUNNING"),
    ],
)
def test_states_of_jobs(raw, state):
    assert values.job_state(raw) == state and values.known_job_state(state)


def test_a_state_that_is_not_known():
    assert not values.known_job_state(values.job_state("NEW_STATE"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("4:00", 240),
        ("0:04", 4),
        ("00:30:00", 1800),
        ("1:00:00", 3600),
        ("1-00:00:00", 86400),
        ("7-00:00:00", 604800),
        ("365-00:00:00", 31536000),
        ("2-12", 216000),
        ("2-12:30", 217800),
        ("30", 1800),
        ("0:00", 0),
        *(
            (none, None)
            for none in ("UNLIMITED", "infinite", "NOT_SET", "INVALID", "Partition_Limit", "N/A", "NONE", "")
        ),
    ],
)
def test_times(text, seconds):
    assert values.seconds(text) == seconds
    assert values.is_unlimited(text) == (text in ("UNLIMITED", "infinite"))


@pytest.mark.parametrize("text", ["soon", "4:60", "1:60:00", "-4:00", "1:2:3:4", "9" * 40, "4:0", "²:00", "9999999-99"])
def test_what_is_no_time(text):
    try:
        assert 0 <= values.seconds(text) < 10**12
    except ValueError as error:
        assert "no time" in str(error)


@pytest.mark.parametrize("amount", [1, 59, 60, 3600, 86399, 86400, 90061])
def test_a_time_for_sbatch_reads_back(amount):
    assert values.seconds(values.clock(amount)) == amount


def test_stamps():
    assert values.utc(0) == "1970-01-01T00:00:00Z"
    told = values.moment("2026-11-21T15:38:02")
    assert told == values.utc(values.epoch("2026-11-21T15:38:02"))
    assert values.moment("Unknown") is values.moment("N/A") is values.moment("None") is None
    for text in ("2026-13-21T15:38:02", "yesterday", "2026-11-21"):
        with pytest.raises(ValueError, match="is no time stamp"):
            values.moment(text)


@pytest.mark.parametrize(
    ("gres", "gpus"),
    [
        ("(null)", {}),
        ("", {}),
        ("N/A", {}),
        ("gpu:0", {}),
        ("gpu", {"": 1}),
        ("gpu:8", {"": 8}),
        ("gpu:8(S:0-3)", {"": 8}),
        ("gpu:a100:4(S:0-1)", {"a100": 4}),
        ("gpu:(null):4(IDX:0-3)", {"": 4}),
        ("gpu:(null):0(IDX:N/A)", {}),
        ("gpu:a100:0(IDX:N/A)", {"a100": 0}),
        ("gpu:a100:2(IDX:0,3),gpu:h100:1(IDX:2),nvme:1", {"a100": 2, "h100": 1}),
        ("gpu:2(S:1),gpu:a100:2(S:0)", {"": 2, "a100": 2}),
        ("gpu:a100_1g.5gb:7(S:0)", {"a100_1g.5gb": 7}),
        ("craynetwork:4,license:2", {}),
        ("mps:a100:400,gpu:a100:4", {"a100": 4}),
        ("gres:gpu:2", {"": 2}),
        ("gres:gpu:a100:2", {"a100": 2}),
        ("gres/gpu:a100:2", {"a100": 2}),
        ("gres/gpu:1,gres/nvme:2", {"": 1}),
    ],
)
def test_generic_resources(gres, gpus):
    assert values.gres(gres) == gpus


@pytest.mark.parametrize("gres", [",", "gpu:4,,", "gpu:4 (S:0)", "gpu:4(S:0", ":4"])
def test_generic_resources_that_cannot_be_read(gres):
    with pytest.raises(ValueError, match="is no generic resource"):
        values.gres(gres)


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("300M", (300 * 2**20, "")),
        ("62.50G", (64000 * 2**20, "")),
        ("4Gn", (4 * 2**30, "n")),
        ("2Gc", (2 * 2**30, "c")),
        ("1000", (1000 * 2**20, "")),
        ("512K", (2**19, "")),
        ("0", (0, "")),
        ("1T", (2**40, "")),
        ("UNLIMITED", None),
        ("(null)", None),
        ("", None),
    ],
)
def test_memory(text, amount):
    assert values.memory(text) == amount


def test_trackable_resources():
    found = values.tres("billing=136,cpu=80,mem=386619M,gres/gpu=3,gres/gpu:a100=2,gres/gpu:h100=1,license/a@b=4")
    assert found["mem"] == "386619M" and values.tres_gpus(found) == {"a100": 2, "h100": 1}
    assert values.tres_gpus(values.tres("cpu=1,gres/gpu=3")) == {"": 3} and values.tres("(null)") == {}
    with pytest.raises(ValueError, match="trackable"):
        values.tres("cpu")
