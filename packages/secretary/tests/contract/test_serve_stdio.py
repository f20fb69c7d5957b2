"""`serve` on stdin and stdout: nothing but JSON-RPC, whatever happens."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest

MAIN = ["-c", "from resource_secretary.cli import main; main()"]
mcp = pytest.importorskip("mcp", reason="needs the extra mcp")


@pytest.mark.parametrize(("era", "version"), [("legacy", "2025-11-25"), ("auto", "2026-07-28")])
def test_the_sdks_client_starts_it_lists_and_calls(environ, era, version):
    server = mcp.StdioServerParameters(command=sys.executable, args=[*MAIN, "serve"], env=environ)

    async def main():
        async with mcp.Client(server, mode=era) as client:
            assert client.protocol_version == version and client.server_info.name == "resource-secretary"
            assert "noisy_echo" in [tool.name for tool in (await client.list_tools()).tools]
            answer = await client.call_tool("noisy_echo", {"text": "hello"})
            assert answer.structured_content == {"result": "hello"}
            assert (await client.call_tool("noisy_fail", {})).is_error
            with pytest.raises(mcp.MCPError, match="no tool named"):
                await client.call_tool("noisy_submit", {"words": ["a"]})

    asyncio.run(main())


def test_whatever_prints_stdout_is_messages_only(serve):
    client = serve()
    assert client.start()["result"]["serverInfo"]["name"] == "resource-secretary"
    client.send(id=1, method="tools/list")
    names = [tool["name"] for tool in client.answer(1)["result"]["tools"]]
    assert names[:3] == ["manifest", "ask", "offer"] and "noisy_echo" in names
    answer = client.call(2, "noisy_echo", text="é…")
    assert answer["structuredContent"] == {"result": "é…"} and answer["isError"] is False
    assert client.call(3, "manifest")["structuredContent"]["items"][-1]["metadata"] == {"read": ""}
    code, rest, noise = client.end()
    assert (code, rest) == (0, [])
    for said in ("printed at import", "printed by a provider", "written to", "said by a child", "put by", "before it"):
        assert said in noise


def test_a_plugin_that_breaks_at_import_is_a_line_of_the_manifest(serve):
    client = serve()
    client.start()
    [entry] = [
        one for page in _pages(client, "manifest", active=False) for one in page["items"] if one["name"] == "broken"
    ]
    assert entry["state"] == "broken" and entry["reason"]


def _pages(client, name, **arguments):
    cursor, number = "", 100
    while cursor is not None:
        page = client.call(number, name, cursor=cursor, **arguments)["structuredContent"]
        cursor, number = page["next"], number + 1
        yield page


def test_a_failing_tool_says_the_original_text(serve):
    client = serve()
    client.start()
    answer = client.call(1, "noisy_fail")
    assert answer["isError"] is True and "structuredContent" not in answer
    assert answer["content"][0]["text"].startswith("squeue --me: exit code 1: slurm_load_jobs error: Unable to contact")
    assert "schema" in client.call(2, "noisy_lie")["content"][0]["text"]
    assert client.call(3, "noisy_leave")["isError"] is True
    wrong = client.call(4, "noisy_echo", text="--opt")
    assert wrong["isError"] is True and wrong["content"][0]["text"].startswith("echo: text: must be")
    assert "no such parameter" in client.call(5, "cpu_load", x=1)["content"][0]["text"]
    refused = client.call(6, "ask", request="cores=banana")
    assert refused["isError"] is True and "banana" in refused["content"][0]["text"]
    assert client.call(7, "ask", request="cores=1")["structuredContent"]["verdict"] == "READY"


def test_results_stay_short_however_much_they_are_escaped(serve):
    client = serve()
    client.start()
    seen = [item for page in _pages(client, "noisy_quotes", count=2000) for item in page["items"]]
    assert seen == ['"' * 60] * 2000


def test_tools_that_change_state_are_there_only_where_they_were_given(serve):
    client = serve()
    client.start()
    client.send(id=1, method="tools/list")
    assert "noisy_submit" not in str(client.answer(1))
    client.send(id=2, method="tools/call", params={"name": "noisy_submit", "arguments": {"words": ["a"]}})
    hidden = client.answer(2)["error"]
    client.send(id=3, method="tools/call", params={"name": "noisy_nothing", "arguments": {}})
    assert hidden == {**client.answer(3)["error"], "message": hidden["message"]} and hidden["code"] == -32602
    client.send(id=4, method="resources/read", params={"uri": "secretary://provider/noisy"})
    assert "submit" not in str(client.answer(4))

    given = serve("--allow-dispatch")
    given.start()
    given.send(id=1, method="tools/list")
    [tool] = [tool for tool in given.answer(1)["result"]["tools"] if tool["name"] == "noisy_submit"]
    assert tool["annotations"]["readOnlyHint"] is False and tool["annotations"]["destructiveHint"] is True
    assert given.call(2, "noisy_submit", words=["a", "-b"])["isError"] is True
    assert given.call(3, "noisy_submit", words=["a"])["structuredContent"]["items"] == ["a"]


NO_MESSAGES = {
    b"garbage": -32700,
    b'{"jsonrpc": "2.0"': -32700,
    b"\xff\xfe\x00": -32700,
    b"[" * 100_000: -32700,
    b'{"jsonrpc": "2.0", "id": 1, "method": "a\\ud800"}': -32600,
    b'[{"jsonrpc": "2.0", "id": 1, "method": "ping"}]': -32600,
    b'{"id": 1, "method": "ping"}': -32600,
    b'{"jsonrpc": "2.0", "id": [1], "method": "ping"}': -32600,
    b"7": -32600,
    b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"x": "' + b"y" * 2**21 + b'"}}': -32600,
}


def test_a_line_that_is_no_message_is_answered_and_costs_nothing_else(serve):
    client = serve()
    for line, code in NO_MESSAGES.items():
        client.write(line + b"\n \r\n")
        error = client.receive()
        assert (error["id"], error["error"]["code"]) == (None, code), line[:80]
    client.start()
    client.send(id=2, method="no/such/method")
    assert client.answer(2)["error"]["code"] == -32601
    client.send(id=3, method="resources/read", params={"uri": "secretary://provider/nothing"})
    assert client.answer(3)["error"]["code"] == -32002
    client.send(id=4, method="tools/list", params={"cursor": "-1"})
    assert client.answer(4)["error"]["code"] == -32602
    client.send(id=5, method="ping")
    assert client.answer(5)["result"] == {}


def test_a_slow_tool_blocks_nobody_and_can_be_cancelled(serve):
    client = serve("--timeout", "300")
    client.start()
    client.send(id=1, method="tools/call", params={"name": "noisy_sleep", "arguments": {"seconds": 299}})
    assert client.call(2, "noisy_echo", text="meanwhile")["structuredContent"] == {"result": "meanwhile"}
    child = _sleeping(client.process.pid)
    client.send(method="notifications/cancelled", params={"requestId": 1})
    child.wait_gone()
    assert client.call(3, "noisy_echo", text="after")["isError"] is False
    assert client.end()[0] == 0


class _sleeping:
    """The child of a process that sleeps for 299 seconds."""

    def __init__(self, parent):
        self._parent = parent
        self._until(lambda: self._found())

    def wait_gone(self):
        self._until(lambda: not self._found())

    def _found(self):
        done = subprocess.run(["ps", "-o", "args=", "--ppid", str(self._parent)], capture_output=True, text=True)
        return "sleep 299" in done.stdout

    def _until(self, condition):
        end = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_and_what_it_runs(serve, number):
    client = serve("--timeout", "300")
    client.start()
    client.send(id=1, method="tools/call", params={"name": "noisy_sleep", "arguments": {"seconds": 299}})
    child = _sleeping(client.process.pid)
    client.process.send_signal(number)
    code, rest, noise = client.finish()
    assert code == 0 and "Traceback" not in noise
    assert all(json.loads(line)["jsonrpc"] == "2.0" for line in rest)
    child.wait_gone()


def test_what_was_asked_before_the_input_ended_is_answered(serve):
    client = serve()
    client.write(
        b"".join(json.dumps({"jsonrpc": "2.0", "id": n, "method": "ping"}).encode() + b"\n" for n in range(600))
    )
    client.send(id=1000, method="ping")
    code, rest, _ = client.end()
    assert code == 0 and {json.loads(line)["id"] for line in rest} == {*range(600), 1000}


def test_a_client_that_goes_away_ends_it(environ):
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, *MAIN, "serve"], env=environ, stdin=subprocess.PIPE, stdout=write, stderr=subprocess.PIPE
    ) as process:
        os.close(write)
        process.stdin.write(b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        process.stdin.flush()
        assert process.wait(60) == 0 and b"Traceback" not in process.stderr.read()


def test_a_full_disk_in_place_of_a_client_is_told(environ):
    with open("/dev/full", "wb") as full:
        command = [sys.executable, *MAIN, "serve"]
        line = b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n'
        done = subprocess.run(command, env=environ, input=line, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and b"can't write to the client: No space left" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&-"])
def test_closed_streams_are_no_crash(environ, closed):
    words = [*MAIN, "serve"]
    script = f'exec "$@" {closed}'
    stdio = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, *words], env=environ, capture_output=True, input=b""
    )
    assert stdio.returncode in (0, 1) and b"bug" not in stdio.stderr and stdio.stdout == b""
    command = ["sh", "-c", script, "sh", sys.executable, *words, "--http", "0"]
    with subprocess.Popen(
        command, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as http:
        said = http.stderr.readline()
        port = int(said.split(b":")[2].split(b"/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 401")
        http.terminate()
        assert http.wait(60) == 0 and b"bug" not in http.stderr.read()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "nothing"], "nothing"),
        (["--timeout", "0"], "--timeout"),
        (["--token-file", "x"], "need --http"),
        (["--http", "x"], "[HOST:]PORT"),
        (["--http", "0.0.0.0:0"], "--allow-remote"),
        (["--http", "[::]:0", "--allow-remote"], "--tls-cert"),
        (["--http", "0", "--token-file", "/nonexistent"], "/nonexistent"),
        (["--http", "0", "--tls-cert", "x"], "belong together"),
        (["--http", "0", "--tls-cert", "/nonexistent", "--tls-key", "/nonexistent"], "certificate"),
    ],
)
def test_a_start_that_fails_is_one_line_and_no_message(serve, options, said):
    code, lines, noise = serve(*options).end()
    assert code in (1, 2) and lines == [] and said in noise and "Traceback" not in noise


def test_without_the_sdk_it_says_what_to_install(serve, plugins):
    (plugins / "mcp_types.py").write_text("raise ModuleNotFoundError('gone', name='mcp_types')\n")
    code, lines, noise = serve().end()
    assert (code, lines) == (1, []) and "pip install 'resource-secretary[mcp]'" in noise


def test_the_other_commands_import_no_sdk():
    code = "import sys; from resource_secretary.cli import main; main(['tools', '--all'], standalone_mode=False)"
    code += "; print([name for name in sys.modules if name.split('.')[0] in ('mcp', 'mcp_types', 'anyio', 'asyncio')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
