"""`serve --http`: whoever has no token gets nothing, and one client costs the others nothing."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

mcp = pytest.importorskip("mcp", reason="needs the extra mcp")

import httpx2  # noqa: E402 - the SDK's own
from mcp.client.streamable_http import streamable_http_client  # noqa: E402

from resource_secretary.errors import SecretaryError  # noqa: E402
from resource_secretary.serving.http import Tls, address, allowed, listen, url  # noqa: E402
from resource_secretary.serving.token import VARIABLE, token  # noqa: E402

GOOD = "a-good-token-0123456789"
PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
JSON = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
COMMAND = [sys.executable, "-c", "from resource_secretary.cli import main; main()", "serve", "--http"]


class Serving:
    """A server on a free port, and what it said on stderr."""

    def __init__(self, environ, *options):
        self.process = subprocess.Popen(
            [*COMMAND, "127.0.0.1:0", *options], env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stderr.readline()
        found = re.match(r"serving (https?://127\.0\.0\.1:(\d+)/mcp); its token is in (.*)", line)
        assert found, line + self.process.stderr.read()
        self.url, self.port, self.source = found[1], int(found[2]), found[3]

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for the tests that leave nothing behind."""
    environ = os.environ | {VARIABLE: GOOD, "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}
    serving = Serving(environ)
    yield serving
    code, out, err = serving.stop()
    assert (code, out) == (0, "") and GOOD not in err and "Traceback" not in err


def post(serving, content=None, shown=GOOD, **headers):
    headers = JSON | ({"Authorization": f"Bearer {shown}"} if shown is not None else {}) | headers
    with httpx2.Client(timeout=60) as client:
        if isinstance(content, bytes):
            return client.post(serving.url, content=content, headers=headers)
        return client.post(serving.url, json=content or PING, headers=headers)


@asynccontextmanager
async def connected(serving, shown=GOOD, era="auto", **options):
    headers = {"Authorization": f"Bearer {shown}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=60) as http,
        mcp.Client(streamable_http_client(serving.url, http_client=http), mode=era, **options) as client,
    ):
        yield client


@pytest.mark.parametrize("era", ["auto", "legacy"])
def test_the_sdks_client_lists_and_calls(shared, era):
    async def main():
        async with connected(shared, era=era) as client:
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert "manifest" in names and "cpu_load" in names
            assert (await client.call_tool("cpu_load", {})).structured_content["one"] >= 0
            assert (await client.read_resource("secretary://manifest")).contents[0].text.startswith("{")
            return client.protocol_version

    assert asyncio.run(main()) == {"auto": "2026-07-28", "legacy": "2025-11-25"}[era]


@pytest.mark.parametrize("shown", [None, "x", GOOD[:-1], f"{GOOD}x", GOOD.upper(), f"x {GOOD}"])
@pytest.mark.parametrize("method", ["POST", "GET", "DELETE", "OPTIONS"])
def test_without_the_token_there_is_nothing(shared, shown, method):
    headers = {} if shown is None else {"Authorization": f"Bearer {shown}"}
    with httpx2.Client(timeout=60) as client:
        for url in (shared.url, shared.url.replace("/mcp", "/"), f"{shared.url}?token={GOOD}"):
            answer = client.request(method, url, headers=JSON | headers)
            assert answer.status_code == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer ")
            assert GOOD not in answer.text


@pytest.mark.parametrize("scheme", ["Basic", "Token", ""])
def test_another_scheme_is_no_bearer_token(shared, scheme):
    assert post(shared, shown=None, Authorization=f"{scheme} {GOOD}".strip()).status_code == 401


def test_two_authorizations_are_none(shared):
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as sock:
        sock.sendall(f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{shared.port}\r\nContent-Length: 0\r\n".encode())
        sock.sendall(f"Authorization: Bearer x\r\nAuthorization: Bearer {GOOD}\r\n\r\n".encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "attacker.example"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Host": "localhost.attacker.example:{port}"}, 421),
        ({"Origin": "http://attacker.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://localhost:1"}, 403),
        ({"Content-Type": "text/plain"}, 400),
        ({"Mcp-Session-Id": "made-up"}, 404),
    ],
)
def test_a_page_of_another_site_gets_nothing_even_with_the_token(shared, headers, status):
    given = {name: value.format(port=shared.port) for name, value in headers.items()}
    assert post(shared, **given).status_code == status


def test_bodies_that_are_wrong_or_too_large(shared):
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000, b'{"jsonrpc": "2.0", "id": 1}'):
        assert 400 <= post(shared, body).status_code < 500
    assert post(shared, b"x" * (2**20 + 1)).status_code == 413

    for shown in (GOOD, "x"):
        with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as sock:
            head = (
                f"POST /mcp HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {shown}\r\nTransfer-Encoding: chunked\r\n\r\n"
            )
            sock.sendall(head.encode())
            with pytest.raises(OSError):  # it is closed, whatever of it is still to come
                while True:
                    sock.sendall(b"10000\r\n" + b"x" * 2**16 + b"\r\n")
    with socket.create_connection(("127.0.0.1", shared.port), timeout=60) as sock:
        sock.sendall(b"POST /mcp HTTP/1.1\r\nX: " + b"y" * 2**20)
        with suppress(OSError):
            assert sock.recv(100).startswith((b"HTTP/1.1 400", b"HTTP/1.1 431", b""))


def test_many_clients_at_once_and_a_slow_tool_that_is_cancelled(environ):
    serving = Serving(environ | {VARIABLE: GOOD}, "--timeout", "300")

    async def slow():
        async with connected(serving) as client:
            await client.call_tool("noisy_sleep", {"seconds": 299})

    async def quick(number):
        async with connected(serving, era="legacy" if number % 2 else "auto") as client:
            return (await client.call_tool("noisy_echo", {"text": str(number)})).structured_content["result"]

    async def main():
        waiting = asyncio.create_task(slow())
        while "sleep 299" not in children(serving.process.pid):
            await asyncio.sleep(0.05)
        assert await asyncio.gather(*map(quick, range(24))) == [str(number) for number in range(24)]
        waiting.cancel()
        with suppress(asyncio.CancelledError):
            await waiting
        async with asyncio.timeout(60):
            while "sleep 299" in children(serving.process.pid):
                await asyncio.sleep(0.05)

    try:
        asyncio.run(main())
    finally:
        code, out, err = serving.stop()
    assert (code, out) == (0, "") and "printed by a provider" in err


def children(parent):
    return subprocess.run(["ps", "-o", "args=", "--ppid", str(parent)], capture_output=True, text=True).stdout


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_a_client_connected(environ, number):
    serving = Serving(environ, "--timeout", "300")
    path = Path(serving.source.removeprefix("the file "))
    assert path.stat().st_mode & 0o777 == 0o600
    made = path.read_text().strip()
    assert len(made) > 30

    async def main():
        try:
            async with connected(serving, shown=made, era="legacy") as client:
                calling = asyncio.create_task(client.call_tool("noisy_sleep", {"seconds": 299}))
                while "sleep 299" not in children(serving.process.pid):
                    await asyncio.sleep(0.05)
                start = time.monotonic()
                ended = await asyncio.to_thread(serving.stop, number)
                calling.cancel()
                return ended, time.monotonic() - start
        except Exception:
            return ended, time.monotonic() - start

    (code, out, err), seconds = asyncio.run(main())
    assert (code, out) == (0, "") and "Traceback" not in err and made not in err and seconds < 30
    assert not path.exists()


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs openssl, to make a certificate")
def test_tls(environ, tmp_path):
    made = "req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    files = ["-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(["openssl", *made.split(" "), *files], cwd=tmp_path, check=True, capture_output=True)
    files = ("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem"))
    serving = Serving(environ | {VARIABLE: GOOD}, *files)
    try:
        assert serving.url.startswith("https://")
        headers = JSON | {"Authorization": f"Bearer {GOOD}"}
        import ssl

        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with httpx2.Client(verify=context, timeout=60) as client:
            assert client.post(serving.url, json=PING, headers=headers).status_code == 400  # no session
            assert client.post(serving.url, json=PING, headers=JSON).status_code == 401
        with pytest.raises(httpx2.HTTPError):
            httpx2.get(serving.url.replace("https", "http"), timeout=60)
    finally:
        assert serving.stop()[0] == 0


def test_a_port_that_is_taken_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(SecretaryError, match="in use"):
        listen("127.0.0.1", taken.getsockname()[1], remote=False, tls=None)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("80", ("127.0.0.1", 80)),
        ("localhost:0", ("localhost", 0)),
        ("[::1]:8765", ("::1", 8765)),
        ("", None),
        ("x", None),
        (":80", None),
        ("::1:80", None),
        ("1.2.3.4:", None),
        ("1.2.3.4:99999", None),
        ("a:²", None),
    ],
)
def test_addresses(text, meant):
    if meant is None:
        with pytest.raises(ValueError):
            address(text)
    else:
        assert address(text) == meant


def test_the_url_is_by_the_name_that_clients_use_where_one_is_given():
    with listen("127.0.0.1", 0, remote=False, tls=None) as sock:
        port = sock.getsockname()[1]
        assert url(sock, None) == f"http://127.0.0.1:{port}/mcp"
        assert url(sock, Tls("chain.pem", "key.pem"), ["login1", "login2"]) == f"https://login1:{port}/mcp"


def test_the_names_of_a_host_that_others_reach():
    with socket.create_server(("0.0.0.0", 0)) as sock:
        port = sock.getsockname()[1]
        assert f"login.example:{port}" in allowed(sock, ["login.example"])
        assert f"localhost:{port}" not in allowed(sock, [])


def test_tokens(tmp_path):
    file = tmp_path / "token"
    file.write_text(f"{GOOD}\n")
    file.chmod(0o600)
    environ = {VARIABLE: "another-token-0123456789"}
    with token(str(file), environ) as (shown, source):
        assert shown == GOOD and source == f"the file {file}" and environ == {}
    for mode in (0o640, 0o604, 0o660, 0o620):
        file.chmod(mode)
        with pytest.raises(SecretaryError, match="chmod 600"), token(str(file), {}):
            pass
    file.chmod(0o600)
    for content in ("", "short", "with space 0123456789", "line\nline-0123456789", "ü" * 20):
        file.write_text(content)
        with pytest.raises(SecretaryError, match="has no token") as error, token(str(file), {}):
            pass
        assert not content or content not in str(error.value)
    with pytest.raises(SecretaryError, match="no regular file"), token("/dev/null", {}):
        pass
    with pytest.raises(SecretaryError, match="RESOURCE_SECRETARY_TOKEN"), token(None, {VARIABLE: "x"}):
        pass
    with token(None, {"XDG_RUNTIME_DIR": str(tmp_path)}) as (first, source):
        assert source.startswith(f"the file {tmp_path}")
    with token(None, {"XDG_RUNTIME_DIR": str(tmp_path)}) as (second, _):
        assert second != first
