"""The plugin `ec2` against moto's EC2 over HTTP. Unlike AWS, moto knows no client tokens and starts at once."""

from __future__ import annotations

import subprocess
import sys
import time
from base64 import b64decode
from typing import Any

import pytest

from fluxburst.burstables._cloud_aws import connect
from fluxburst.burstables._ec2_documents import NAME, OWNER
from fluxburst.burstables.ec2 import BurstParameters, Ec2Burst, init
from fluxburst.errors import ConfigurationError
from fluxburst.model import Burst
from fluxburst.testing import check_create, check_destroy

from .conftest import IMAGE, SECRET, a_lead


@pytest.fixture(scope="module")
def client(moto, nobody_is_logged_in):
    return connect("ec2", "us-east-1", None, moto.url)


@pytest.fixture
def make(moto, client, catalogue, lead):
    def plugin(owner: str = "alice", **more: Any) -> Ec2Burst:
        given: dict[str, Any] = {"secret": "file:/etc/flux/curve.cert", "image": IMAGE, "endpoint_url": moto.url}
        made = init(BurstParameters(catalogue, **{**given, **more}))
        made.lead = a_lead(lead.folder, owner)
        made._client = client
        return made

    yield plugin
    pages = client.get_paginator("describe_instances").paginate()
    ids = [one["InstanceId"] for page in pages for each in page["Reservations"] for one in each["Instances"]]
    if ids:
        client.terminate_instances(InstanceIds=ids)
    moto.calls.clear()


def burst(name: str, hosts: int = 2, **more: Any) -> Burst:
    return Burst(name, "ec2", "small", tuple(f"ec2-{n}" for n in range(hosts)), deadline=time.time() + 3600, **more)


def instances(plugin: Ec2Burst, *names: str) -> list[dict[str, Any]]:
    """What there is, asked for past the plugin; of these bursts."""
    pages = plugin.client.get_paginator("describe_instances").paginate()
    every = [one for page in pages for each in page["Reservations"] for one in each["Instances"]]
    tags = {one["InstanceId"]: {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())} for one in every}
    return [one for one in every if not names or tags[one["InstanceId"]].get(NAME) in names]


def test_the_contract(make):
    plugin = make()
    order = burst("alice-c-0")
    check_create(plugin, order)
    assert len(instances(plugin, "alice-c-0")) == 2
    check_destroy(plugin, order)
    assert not plugin.status()  # an ended burst is shown to those who know of it
    plugin.create(order)  # a name is never used again
    assert {one["State"]["Name"] for one in instances(plugin, "alice-c-0")} == {"terminated"}


def test_what_is_asked_of_ec2(make, moto):
    plugin = make(spot=True, subnet=None, security_group=["sg-1"], key_name="k")
    order = burst("alice-r-0")
    with pytest.raises(ConfigurationError, match=r"InvalidGroup|InvalidKeyPair"):
        plugin.create(order)
    (asked,) = moto.asked("RunInstances")
    assert (asked["MinCount"], asked["MaxCount"]) == ("2", "2")
    assert asked["InstanceInitiatedShutdownBehavior"] == "terminate"
    assert asked["MetadataOptions.HttpTokens"] == "required"
    assert asked["InstanceMarketOptions.SpotOptions.MaxPrice"] == "0.040000"
    assert asked["InstanceMarketOptions.SpotOptions.SpotInstanceType"] == "one-time"
    tags = {asked[f"TagSpecification.1.Tag.{n}.Key"]: asked[f"TagSpecification.1.Tag.{n}.Value"] for n in (1, 2, 3)}
    assert tags == {OWNER: "alice", NAME: "alice-r-0", "Name": "alice-r-0"}
    data = b64decode(asked["UserData"]).decode()
    assert SECRET not in data and "curve.cert" in data
    assert data.index(f"deadline={int(order.deadline)}") < data.index("curl")


def test_two_processes_and_one_name(make, moto):
    first, second = make(), make()
    order = burst("alice-t-0")
    first.create(order)
    second.create(order)
    assert len(instances(first, "alice-t-0")) == 2
    assert len(moto.asked("RunInstances")) == 1


_VICTIM = """
import os, random, signal, sys, time
from pathlib import Path
from fluxburst.burstables.ec2 import BurstParameters, init
from fluxburst.lead import Lead
from fluxburst.model import Burst
folder, url, image, rounds = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
plugin = init(BurstParameters(folder.parent / "catalogue.toml", "file:/x", image, endpoint_url=url))
plugin.lead = Lead(folder, "alice", ("lead", "ec2-0", "ec2-1"), "", {}, {"bootstrap": {}})
plugin.client  # read before the race: it takes longer than the call
chance = random.Random(6)
for number in range(rounds):
    burst = Burst(f"alice-k-{number}", "ec2", "small", ("ec2-0", "ec2-1"), deadline=4e9)
    child = os.fork()
    if not child:
        plugin.create(burst)
        os._exit(0)
    time.sleep(chance.uniform(0, float(sys.argv[5])))
    os.kill(child, signal.SIGKILL)
    print(number, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_killed_between_the_call_and_its_answer(make, moto, lead):
    """Fifty controllers are killed somewhere in `create`; the next one finds by tag what they have made."""
    plugin, rounds = make(), 50
    assert not plugin.status()
    began = time.monotonic()
    plugin.create(burst("alice-k-warm"))
    once = time.monotonic() - began
    command = [sys.executable, "-c", _VICTIM, str(lead.folder), moto.url, IMAGE, str(rounds), str(3 * once)]
    told = subprocess.run(command, capture_output=True, text=True, timeout=110, check=True).stdout
    killed = sum(line.endswith(" -9") for line in told.splitlines())
    moto.wait_until_idle()
    names = [f"alice-k-{number}" for number in range(rounds)]
    before = {one["InstanceId"] for one in instances(plugin, *names)}
    assert killed and killed + sum(line.endswith(" 0") for line in told.splitlines()) == rounds
    assert {one.name for one in plugin.status()} >= {"alice-k-warm"}
    for name in names:
        plugin.create(Burst(name, "ec2", "small", ("ec2-0", "ec2-1"), deadline=4e9))
    found = instances(plugin, *names)
    assert len(found) == 2 * rounds and before <= {one["InstanceId"] for one in found}
    tokens = {(call["TagSpecification.1.Tag.2.Value"], call["ClientToken"]) for call in moto.asked("RunInstances")}
    assert len(tokens) == rounds + 1  # whoever asks for a burst asks with one token
    for name in names:
        plugin.destroy(Burst(name, "", "", ()))
    assert not {one.name for one in plugin.status()} & set(names)


def test_nobody_elses_instances(make):
    mine, other = make(), make("bob")
    mine.create(burst("alice-f-0"))
    other.create(burst("alice-f-0"))  # under the very same name
    plain = mine.client.run_instances(ImageId=IMAGE, MinCount=1, MaxCount=1)["Instances"][0]["InstanceId"]
    assert [one.name for one in mine.status()] == ["alice-f-0"]
    assert mine.status()[0].id != other.status()[0].id
    mine.destroy(burst("alice-f-0"))
    assert not mine.status()
    assert [one.seen for one in other.status()] == ["running"]
    states = {one["InstanceId"]: one["State"]["Name"] for one in instances(mine)}
    assert states[plain] == "running"


def test_an_owner_is_no_pattern(make):
    make("bob").create(burst("bob-p-0"))
    assert not make("b*").status()
    make("b?b").destroy(burst("bob-p-0"))
    assert [one.seen for one in make("bob").status()] == ["running"]


def test_some_of_a_burst_have_ended(make):
    plugin = make()
    order = burst("alice-s-0", hosts=3)
    plugin.create(order)
    by_place = {one["AmiLaunchIndex"]: one["InstanceId"] for one in instances(plugin, "alice-s-0")}
    plugin.client.terminate_instances(InstanceIds=[by_place[1]])
    (seen,) = plugin.status([order])
    assert (seen.seen, seen.hosts) == ("running", ("ec2-0", "ec2-2"))


def test_dry_run_says_what_would_be_refused(make, moto):
    make().check()
    assert not instances(make(), "alice-check")
    with pytest.raises(ConfigurationError, match="subnet"):
        make(subnet="subnet-0000000000000000f").check()


def test_an_instance_whose_tags_were_taken_off_is_not_gone(make):
    """Missing for long and unknown by its id: gone. Missing and there by its id: unknown."""
    plugin = make()
    now = [time.time()]
    plugin.clock = lambda: now[0]
    order = burst("alice-u-0", id="", state="ready")
    plugin.create(order)
    known = burst("alice-u-0", id=plugin.status([order])[0].id, state="ready")
    lost = burst("alice-u-1", id="i-0123456789abcdef0", state="deleting")
    plugin.client.delete_tags(Resources=[one["InstanceId"] for one in instances(plugin)], Tags=[{"Key": NAME}])
    for _ in range(5):
        assert not plugin.status([known, lost])
    now[0] += 601
    assert [(one.name, one.seen) for one in plugin.status([known, lost])] == [("alice-u-1", "gone")]


def test_no_image_no_lead_no_deadline(make):
    plugin = make(image=None)
    with pytest.raises(ConfigurationError, match="has no image"):
        plugin.create(burst("alice-n-0"))
    with pytest.raises(ConfigurationError, match="deadline"):
        plugin.create(Burst("alice-n-0", "ec2", "small", ("ec2-0",)))
    with pytest.raises(ConfigurationError, match="no shape 'big'"):
        plugin.create(Burst("alice-n-0", "ec2", "big", ("ec2-0",), deadline=4e9))
    plugin.lead = None
    with pytest.raises(ConfigurationError, match="no lead"):
        plugin.status()
