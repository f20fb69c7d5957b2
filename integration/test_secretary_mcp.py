"""`resource-secretary serve`, asked by the MCP inspector's command line: by other people, in another language."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

SECRETARY = str(Path(sys.executable).parent / "resource-secretary")
# The inspector asks for a newer Node.js than many systems have; npm has that too.
INSPECTOR = ("npx", "--yes", "-p", "node@22", "-p", "@modelcontextprotocol/inspector@2", "mcp-inspector", "--cli")
TOKEN = "a-token-for-this-test-0123456789"
Inspect = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def inspector() -> tuple[str, ...]:
    pytest.importorskip("mcp", reason="needs the extra mcp of resource-secretary")
    if not shutil.which("npx"):
        pytest.skip("needs npx (Node.js), which runs the MCP inspector")
    done = subprocess.run([*INSPECTOR, "--help"], capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
    if done.returncode:
        pytest.skip(f"npm does not give the MCP inspector: {(done.stderr.strip().splitlines() or ['?'])[-1][:200]}")
    return INSPECTOR


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    environ = os.environ | {"RESOURCE_SECRETARY_TOKEN": TOKEN}
    command = [SECRETARY, "serve", "--http", "0"]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        found = re.search(r"http://\S+/mcp", process.stderr.readline())
        assert found
        yield found[0]
        process.terminate()
        assert process.wait(60) == 0


@pytest.fixture(params=["stdio", "http, modern"])
def inspect(request: pytest.FixtureRequest, inspector: tuple[str, ...]) -> Inspect:
    """What the inspector prints for a method, as JSON."""
    transport, _, era = request.param.partition(", ")
    target = ["env", f"PYTHONPATH={os.environ.get('PYTHONPATH', '')}", SECRETARY, "serve"]  # it hands on little else
    if transport == "http":
        target = [request.getfixturevalue("url"), "--header", f"Authorization: Bearer {TOKEN}"]

    def run(*words: str, code: int = 0) -> dict[str, Any]:
        options = ["--protocol-era", era] if era else []
        command = [*inspector, *target, *options, "--format", "json", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
        assert done.returncode == code, done.stdout[-2000:] + done.stderr[-2000:]
        answer: dict[str, Any] = json.loads(done.stdout)
        result: dict[str, Any] = answer.get("result", answer)
        return result

    return run


def cli(*words: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(subprocess.run([SECRETARY, *words, "--json"], capture_output=True).stdout)
    return answer


def test_it_lists_what_the_command_line_lists(inspect: Inspect) -> None:
    listed = {tool["name"] for tool in inspect("--method", "tools/list")["tools"]}
    expected = {f"{tool['provider']}_{tool['name']}" for tool in cli("tools")["tools"]}
    assert listed == expected | {"manifest", "ask", "offer"}


def test_it_calls_tools_and_reads_the_manifest(inspect: Inspect) -> None:
    answer = inspect("--method", "tools/call", "--tool-name", "ask", "--tool-arg", "request=cores=1")
    assert answer["structuredContent"]["verdict"] == cli("ask", "cores=1")["verdict"] and not answer["isError"]
    [entry] = cli("detect", "hardware", "cpu")["providers"]
    read = inspect("--method", "resources/read", "--uri", "secretary://provider/cpu")["contents"][0]
    assert read["mimeType"] == "application/json" and json.loads(read["text"])["metadata"] == entry["metadata"]


def test_a_refused_argument_is_an_error_of_the_tool(inspect: Inspect) -> None:
    words = ("--method", "tools/call", "--tool-name", "ask", "--tool-arg", "request=cores=banana")
    answer = inspect(*words, code=5)
    assert answer["isError"] is True and "banana" in answer["content"][0]["text"]
