"""Against a real Flux: an instance of four brokers on this machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec

import pytest

if not shutil.which("flux") or not find_spec("flux"):
    pytest.skip("no Flux: `flux` and its Python bindings are both needed", allow_module_level=True)

SCRIPT = f"""
set -e
flux submit --quiet -N3 -n3 --exclusive sleep 300
flux submit --quiet -N3 -n3 --job-name=wide --setattr=system.burstable=1 true
flux submit --quiet -n1 -g1 --job-name=gpu --setattr=system.burstable=1 true
flux submit --quiet -N4 -n4 --job-name=plain true
flux submit --quiet -n1 --job-name=held --urgency=hold --setattr=system.burstable=1 true
flux submit --quiet -n1 --job-name=late --dependency=afterok:$(flux job last) --setattr=system.burstable=1 true
flux submit --quiet -n1 --job-name=tied --requires=rank:0 --setattr=system.burstable=1 true
sleep 0.5
{sys.executable} -c "from fluxburst.cli import main; main()" plan --plugin mock --json || test $? = 1
flux cancel --all --quiet
"""


def test_the_queue_and_the_free_nodes_of_a_real_instance(tmp_path):
    done = subprocess.run(
        ["flux", "start", "--test-size=4", "sh", "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    jobs = {job["name"]: job for job in plan["jobs"]}
    why = {name: plan["explanations"][job["explanation"]] for name, job in jobs.items()}
    assert (jobs["wide"]["outcome"], why["wide"]["verdict"]) == ("refused", "BUSY")
    assert "no hosts to spare for mock: flux-burst init --slots declares more" in why["wide"]["reason"]
    assert why["gpu"]["verdict"] == "INCOMPATIBLE"
    assert why["plain"]["reason"] == "it is not marked as burstable"
    assert why["held"]["reason"] == "it is held"
    assert why["late"]["reason"] == "it waits for a dependency, not for nodes"
    assert "constraints" in why["tied"]["reason"]
    assert plan["notes"] == []
