"""What `serve` tells, asked by the SDK's own client in both eras of the protocol."""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading

import pytest
import recorded
from resources import hostlist

from resource_secretary import Secretary
from resource_secretary.catalog import Catalog, Known
from resource_secretary.errors import CommandFailed
from resource_secretary.providers import Absent, Active, BaseProvider, secretary_tool
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

mcp = pytest.importorskip("mcp", reason="needs the extra mcp")

from jsonschema import Draft202012Validator  # noqa: E402

from resource_secretary.serving.names import hints, published, tool_name  # noqa: E402
from resource_secretary.serving.server import SecretaryServer  # noqa: E402
from resource_secretary.serving.service import LARGEST, Service, page  # noqa: E402

LIMIT = 60_000
ERAS = ("legacy", "auto")


def ask(service, question, era="legacy", **options):
    """What `question(client)` gives, asked of a server in this process."""

    async def main():
        async with mcp.Client(SecretaryServer(service), mode=era, cache=None, **options) as client:
            return await question(client)

    return asyncio.run(main())


def small(answer):
    """The answer, if it is short enough on the wire."""
    assert len(answer.model_dump_json(by_alias=True, exclude_none=True).encode()) < LIMIT - 500
    return answer


async def every_tool(client):
    tools, cursor = [], None
    while True:
        answer = small(await client.list_tools(cursor=cursor))
        tools += answer.tools
        cursor = answer.next_cursor
        if cursor is None:
            return tools


async def every_item(client, name, **arguments):
    items, cursor = [], ""
    while cursor is not None:
        answer = small(await client.call_tool(name, {**arguments, "cursor": cursor}))
        assert not answer.is_error, answer.content
        assert json.loads(answer.content[0].text) == answer.structured_content
        items += answer.structured_content["items"]
        cursor = answer.structured_content["next"]
    assert len(items) == answer.structured_content["total"]
    return items


@pytest.mark.parametrize("era", ERAS)
def test_tools_as_every_client_takes_them(era, slurm):
    tools = ask(Service(Secretary(system=slurm), 10.0), every_tool, era)
    names = [tool.name for tool in tools]
    assert names[:3] == ["manifest", "ask", "offer"] and {"slurm_nodes", "slurm_partitions"} <= set(names)
    for tool in tools:
        assert re.fullmatch("[A-Za-z0-9_-]{1,64}", tool.name) and tool.title and tool.description
        for schema in (tool.input_schema, tool.output_schema):
            Draft202012Validator.check_schema(schema)
            assert schema["type"] == "object" and '"pattern"' not in json.dumps(schema)
        for name, about in tool.input_schema["properties"].items():
            assert about["description"], f"{tool.name}.{name}"
        assert tool.annotations.read_only_hint is True and tool.annotations.destructive_hint is False
        assert tool.annotations.idempotent_hint is True and tool.annotations.open_world_hint is False


MACHINES = recorded.machines()


@pytest.mark.parametrize("name", [known.name for known in Catalog().entries if known.provider])
def test_all_tools_of_all_providers_answer_by_their_schema(name, host):
    system = MACHINES[name]() if name in MACHINES else host

    async def question(client):
        answered = 0
        for tool in await every_tool(client):
            if not tool.name.startswith(f"{name}_") or tool.input_schema.get("required"):
                continue
            answer = small(await client.call_tool(tool.name, {}))
            if answer.is_error:
                assert "not recorded" in answer.content[0].text, (tool.name, answer.content)
                continue
            Draft202012Validator(tool.output_schema).validate(answer.structured_content)
            assert json.loads(answer.content[0].text) == answer.structured_content
            assert answer.content[-1].text.endswith("Z.") and answer.meta["observed_on"]
            answered += 1
        return answered

    assert ask(Service(Secretary(system=system, only=[name]), 10.0), question) > 0


@pytest.mark.parametrize("era", ERAS)
def test_the_manifest_is_a_resource(era, host):
    async def question(client):
        listed = await client.list_resources()
        templates = await client.list_resource_templates()
        assert templates.resource_templates[0].uri_template == "secretary://provider/{name}"
        read = {str(one.uri): small(await client.read_resource(one.uri)).contents[0] for one in listed.resources}
        with pytest.raises(mcp.MCPError, match="no resource"):
            await client.read_resource("secretary://provider/none")
        return read

    read = ask(Service(Secretary(system=host), 10.0), question, era)
    manifest = json.loads(read["secretary://manifest"].text)
    assert {one["state"] for one in manifest["providers"]} == {"active", "absent"}
    cpu = json.loads(read["secretary://provider/cpu"].text)
    assert cpu["metadata"]["sockets"] == 2 and "cpu_load" in [tool["name"] for tool in cpu["tools"]]


@pytest.fixture(scope="module")
def big(data):
    """A Slurm of 10,000 nodes; every third has an odd name and all have different loads."""
    line = (data / "slurm-22.05.8" / "nodes.txt").read_text().splitlines()[0]
    names = [f"rack{n % 7}-{n * 7919 % 100_003}x" if n % 3 == 0 else f"n{n:05}" for n in range(10_000)]
    rows = [re.sub(r"(NodeName|NodeHostName)=\S+", rf"\1={name}", line) for name in names]
    recorded = {
        ("scontrol", "ping"): (data / "slurm-22.05.8" / "ping-up.txt").read_text(),
        ("scontrol", "--version"): "slurm 22.05.8\n",
        ("scontrol", "--details", "--oneliner", "show", "nodes"): "\n".join(rows) + "\n",
    }
    return names, recorded


@pytest.mark.parametrize("tool", ["slurm_nodes", "offer"])
def test_ten_thousand_nodes_are_seen_once_each_in_small_pages(tool, big):
    names, recorded = big
    system = RecordedSystem(commands=recorded)
    arguments = {"manager": "slurm"} if tool == "offer" else {"limit": 1000}
    items = ask(Service(Secretary(system=system), 60.0), lambda client: every_item(client, tool, **arguments))
    if tool == "offer":
        assert sum(one["count"] for one in items) == 10_000
        seen = [name for one in items for name in hostlist.expand(one["hosts"])]
    else:
        seen = [one["name"] for one in items]
    assert sorted(seen) == sorted(names) and len(set(seen)) == 10_000
    asked = [words for words in system.asked if words[-1] == "nodes"]
    assert len(asked) == 1, "every page asked the manager again"


class Other(BaseProvider):
    category = "test"
    name = "other"
    description = "A provider for tests."
    here = True

    def probe(self):
        return Active({"here": True}) if self.here else Absent("what is not there any more")

    @secretary_tool
    def tell(self, long: int = 0) -> str:
        """Tells.
        long: how long."""
        if long < 0:
            raise CommandFailed("tell", "x" * 100_000)
        return '\\"\u0001' * long


def of(*providers):
    """A secretary that knows these providers only."""
    catalog = Catalog.__new__(Catalog)
    catalog.entries = [Known(one.category, one.name, one.description, "test", one) for one in providers]
    return Secretary(system=RecordedSystem(), catalog=catalog)


@pytest.mark.parametrize("era", ERAS)
def test_replies_are_short_whatever_a_tool_gives(era):
    async def question(client):
        return [small(await client.call_tool("other_tell", {"long": n})) for n in (2300, 200_000, -1)]

    whole, cut, failed = ask(Service(of(Other), 10.0), question, era)
    assert whole.structured_content == {"result": '\\"\u0001' * 2300} and not whole.is_error
    assert "cut; the whole is in the structured result" in whole.content[0].text
    assert "cut to" in cut.content[1].text and not cut.is_error
    assert failed.is_error and failed.content[0].text.startswith("tell: xxx") and failed.structured_content is None


def test_a_long_list_of_tools_comes_in_pages():
    made = [type(f"P{n}", (Other,), {"name": f"p{n}", "description": "d" * 2000 + "."}) for n in range(400)]
    service = Service(of(*made), 10.0)
    names = [tool.name for tool in ask(service, every_tool)]
    assert len(names) == len(set(names)) == 403

    async def resources(client):
        answer = small(await client.list_resources())
        assert answer.next_cursor
        return small(await client.read_resource("secretary://manifest")).contents[0].text

    json.loads(ask(service, resources))
    with pytest.raises(ValueError, match="cursor"):
        page([{}, {}], "2")
    assert page([], None) == ([], None) and LARGEST < LIMIT


@pytest.mark.parametrize("era", ERAS)
def test_clients_are_told_when_the_tools_are_others(era, monkeypatch):
    monkeypatch.setattr(Other, "here", True)
    service = Service(of(Other), 10.0)
    told = []

    async def hear(message):
        told.append(getattr(message, "method", ""))

    async def question(client):
        assert "other_tell" in [tool.name for tool in (await client.list_tools()).tools]
        monkeypatch.setattr(Other, "here", False)
        gone = await client.call_tool("other_tell", {})
        assert gone.is_error and "not active here: looked for what is not there" in gone.content[0].text
        if era == "legacy":
            assert "other_tell" not in [tool.name for tool in (await client.list_tools()).tools]
            async with asyncio.timeout(60):
                while "notifications/tools/list_changed" not in told:
                    await asyncio.sleep(0.01)
        else:
            async with client.listen(tools_list_changed=True) as events:
                assert "other_tell" not in [tool.name for tool in (await client.list_tools()).tools]
                async with asyncio.timeout(60):
                    await anext(aiter(events))

    ask(service, question, era, message_handler=hear)


def test_what_is_asked_at_once_is_detected_once(slurm):
    service = Service(Secretary(system=slurm), 10.0)
    threads = [threading.Thread(target=service.manifest) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slurm.asked.count(("scontrol", "ping")) == 1


def test_names_and_schemas():
    assert tool_name("nvidia-gpu", "devices") == "nvidia-gpu_devices"
    long = tool_name("p" * 40, "t" * 40)
    assert len(long) == 64 and long != tool_name("p" * 40, "t" * 41)
    assert re.fullmatch("[A-Za-z0-9_-]{1,64}", tool_name("a", "größe"))
    schema = {
        "title": "T",
        "properties": {"title": {"pattern": "x", "default": {"title": 1}}, "pattern": {"title": "y"}},
    }
    assert published(schema) == {"properties": {"title": {"default": {"title": 1}}, "pattern": {}}}


HOSTILE = (
    "'",
    "$(id)",
    "a\nb",
    "\0",
    "-x",
    "--opt",
    "../../etc/passwd",
    "/etc/passwd",
    "-",
    "x" * 2**20,
    "\u202e",
    "{}",
    "[",
)


@pytest.mark.parametrize(
    ("tool", "parameter"),
    [("ask", "request"), ("ask", "manager"), ("offer", "manager"), ("manifest", "category"), ("manifest", "cursor")],
)
def test_what_the_secretarys_own_tools_are_given_is_refused_in_one_line(tool, parameter, slurm):
    service = Service(Secretary(system=slurm), 10.0)
    others = {"request": "cores=1"} if (tool, parameter) == ("ask", "manager") else {}
    for value in (*HOSTILE, "\ud800", 7, None if parameter == "request" else [], {}):
        reply = service.call(tool, {**others, parameter: value}, threading.Event())
        assert reply.result is None and len(reply.texts) == 1, value
        assert " failed: " not in reply.texts[0] and len(reply.texts[0]) < 1000, value


def test_a_command_is_killed_when_its_answer_is_not_wanted():
    from resource_secretary.system import System

    stop = threading.Event()
    stop.set()
    assert "stopped" in System(timeout=60).until(stop).run("sleep", "299").problem
    later = threading.Event()
    timer = threading.Timer(0.2, later.set)
    timer.start()
    ran = System(timeout=60).until(later).run("sh", "-c", "exec >&- 2>&-; sleep 299")
    assert isinstance(ran, Ran) and "stopped" in ran.problem
    timer.join()


def test_hints_of_tools_that_change_state():
    from resource_secretary.providers import dispatch_tool

    class Doer(Other):
        @dispatch_tool
        def act(self) -> str:
            """Acts."""
            return sys.version

    found = {tool.name: hints(tool) for tool in Doer.tools()}
    assert found["act"] == {
        "readOnlyHint": False,
        "destructiveHint": True,
        "idempotentHint": False,
        "openWorldHint": True,
    }
