"""The hub and workers over HTTP: one that keeps the protocol, and every kind that does not."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from resources import fit, parse
from resources.documents import Inventory

from resource_secretary import cli
from resource_secretary.asking import Answer
from resource_secretary.errors import SecretaryError
from resource_secretary.hub.honesty import lie
from resource_secretary.hub.hub import ask_all
from resource_secretary.hub.remote import LARGEST, HttpWorker, ready
from resource_secretary.hub.worker import Rejected, WorkerFailed
from resource_secretary.hub.workers import WorkerError, read_workers, token_from, unique, worker
from resource_secretary.serving.token import VARIABLE as TOKEN
from resource_secretary.serving.token import from_file
from resource_secretary.tools import as_json

pytest.importorskip("mcp", reason="the extra mcp is not installed")
NEED = parse("cores=2")
COMMAND = [sys.executable, "-c", "from resource_secretary.cli import main; main()"]


def now(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat(timespec="seconds")


def answer(**changes) -> dict:
    made = Answer("READY", (), "slurm", now(), "login1", cores=8, free_cores=4, fits=2, request=NEED.text)
    return {**as_json(made), **changes}


class Handler(BaseHTTPRequestHandler):
    """A server of the protocol in its smallest form; `server.reply(handler)` answers the tool's call."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["content-length"])))
        method = message.get("method")
        self.server.seen.append((method, self.headers.get("authorization"), message.get("params")))
        if "id" not in message:
            self.send(b"", status=202)
        elif method == "initialize":
            version = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
            self.result(message, {**version, "serverInfo": {"name": "fake", "version": "1"}})
        elif method == "tools/call":
            self.server.reply(self, message)
        else:
            self.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}))

    def do_GET(self) -> None:
        self.send(b"", status=405)

    do_DELETE = do_GET

    def result(self, message: dict, result: object) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}))

    def send(self, body: str | bytes, *, status: int = 200, **headers: str) -> None:
        body = body.encode() if isinstance(body, str) else body
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


def saying(structure: object, *, error: bool = False):
    """A reply with this structure."""

    def reply(handler: Handler, message: dict) -> None:
        content = [{"type": "text", "text": structure if isinstance(structure, str) else "{}"}]
        structured = {} if isinstance(structure, str) else {"structuredContent": structure}
        handler.result(message, {"content": content, "isError": error, **structured})

    return reply


@pytest.fixture
def serve() -> Iterator:
    """Starts a worker that replies so; its address, and `.seen` of what it was sent."""
    servers = []

    def start(reply, handler: type[Handler] = Handler) -> HttpWorker:
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.reply, server.seen, server.daemon_threads = reply, [], True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        start.seen = server.seen
        return worker(f"http://127.0.0.1:{server.server_port}/mcp", token="secret")

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def ask(*workers, timeout: float = 60.0):
    ready()
    return asyncio.run(ask_all(workers, NEED, timeout))


def test_a_worker_that_keeps_the_protocol(serve):
    [reply] = ask(serve(saying(answer())))
    assert reply.answer.verdict == "READY" and reply.answer.fits == 2
    methods = {method: params for method, _, params in serve.seen}
    assert methods["tools/call"]["name"] == "ask" and methods["tools/call"]["arguments"] == {"request": "cores=2"}
    assert {token for _, token, _ in serve.seen} == {"Bearer secret"}


def test_what_a_newer_secretary_says_besides_is_passed_over(serve):
    [reply] = ask(serve(saying(answer(colour="blue"))))
    assert reply.answer.verdict == "READY"


@pytest.mark.parametrize(
    ("structure", "kind", "reason"),
    [
        (answer(verdict="SURE"), "malformed", "Invalid enum value 'SURE'"),
        (answer(cores="8"), "malformed", "Expected `int | null`, got `str` - at `$.cores`"),
        ({"verdict": "READY"}, "malformed", "missing required field `reasons`"),
        ("yes, it fits", "malformed", "its answer has no structure"),
        (answer(wait=float("nan"), start=now()), "lying", "wait is nan"),
        (answer(request="cores=1"), "lying", "it answers another request: cores=1"),
        (answer(free_cores=1, fits=None), "lying", "it says READY with 1 free cores for a request of 2"),
        (answer(start=now(-86400), wait=0.0), "lying", "it would start in the past"),
        (answer(manager="\x1b[31mred"), "ok", ""),
    ],
)
def test_answers_that_do_not_count(serve, structure, kind, reason):
    [reply] = ask(serve(saying(structure)))
    assert getattr(reply, "kind", "ok") == kind and reason in getattr(reply, "reason", "")


def test_a_worker_that_refuses(serve):
    [reply] = ask(serve(saying("column 1: no kind named \x1b[31mcolour", error=True)))
    assert (reply.kind, reply.reason) == ("refused", "column 1: no kind named ?[31mcolour")


def test_a_token_that_is_not_taken(serve):
    class Closed(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send(b"{}", status=401)

    [reply] = ask(serve(None, Closed))
    assert reply.kind == "refused" and reply.reason.startswith("HTTP 401") and "secret" not in repr(reply)


def test_a_redirect_elsewhere_is_not_followed(serve):
    first = serve(saying(answer()))
    seen = serve.seen

    class Elsewhere(Handler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send(b"", status=307, location=first.url)

    [reply] = ask(serve(None, Elsewhere))
    assert reply.kind == "refused" and "not followed" in reply.reason and seen == []


@pytest.mark.parametrize("compressed", [False, True])
def test_a_huge_reply_is_cut_off(serve, compressed):
    def huge(handler: Handler, message: dict) -> None:
        if compressed:
            handler.send(b"\x1f\x8b" + bytes(100), **{"content-encoding": "gzip"})
            return
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.end_headers()
        try:
            for _ in range(64 * LARGEST // 2**16):
                handler.wfile.write(b" " * 2**16)
            handler.server.seen.append("all of it was read")
        except OSError:
            pass
        handler.close_connection = True

    [reply] = ask(serve(huge))
    wanted = "it sends what is compressed" if compressed else f"it sends more than {LARGEST} bytes"
    assert reply.kind == "malformed" and reply.reason.startswith(wanted) and "all of it was read" not in serve.seen


def silent(handler: Handler, message: dict) -> None:
    time.sleep(20)


def dripping(handler: Handler, message: dict) -> None:
    handler.send_response(200)
    handler.send_header("content-type", "text/event-stream")
    handler.end_headers()
    for _ in range(400):
        handler.wfile.write(b": still here\n\n")
        time.sleep(0.05)


def junk(handler: Handler, message: dict) -> None:
    handler.send(b"\0nonsense")


def test_bad_workers_cost_one_deadline_and_the_good_one_counts(serve):
    workers = [serve(reply) for reply in (silent, dripping, junk, saying(answer()))]
    dead = worker("http://127.0.0.1:9/mcp")
    start = time.monotonic()
    replies = ask(*workers, dead, timeout=4.0)
    assert time.monotonic() - start < 12, "the slow ones take 20 s each"
    assert [getattr(reply, "kind", "ok") for reply in replies] == ["slow", "slow", replies[2].kind, "ok", "unreachable"]
    assert replies[2].kind in ("malformed", "refused") and replies[0].reason == "no answer in 4 s"


def test_an_answer_counts_though_the_end_of_the_session_hangs(serve):
    class Sticky(Handler):
        def do_DELETE(self) -> None:
            time.sleep(20)

        def result(self, message: dict, result: object) -> None:
            body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result})
            self.send(body, **{"mcp-session-id": "one"})

    [reply] = ask(serve(saying(answer()), Sticky), timeout=4.0)
    assert reply.answer.verdict == "READY"


class Odd:
    """A worker of a plugin, or of a test: anything may be wrong with it."""

    def __init__(self, name: str, do) -> None:
        self.name, self.do = name, do

    async def ask(self, request: str, timeout: float):
        return await self.do()


def test_workers_of_any_kind_fail_alone():
    async def good():
        return Answer(**{**answer(), "reasons": (), "notes": ()})

    async def boom():
        raise KeyError("x")

    async def stubborn():
        while True:
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                await asyncio.sleep(0.3)
                raise

    async def refuses():
        raise WorkerFailed("refused", "no")

    names = {"good": good, "boom": boom, "stubborn": stubborn, "refuses": refuses}
    replies = ask(*(Odd(name, do) for name, do in names.items()), timeout=0.3)
    assert [getattr(one, "kind", "ok") for one in replies] == ["ok", "unreachable", "slow", "refused"]
    assert isinstance(replies[1], Rejected) and replies[1].reason == "KeyError: 'x'"


READY = Answer("READY", (), "slurm", now(), "login1", cores=8, free_cores=4, fits=2, request="cores=2")


@pytest.mark.parametrize(
    ("changes", "wrong"),
    [
        ({}, ""),
        ({"cores": None, "free_cores": None, "fits": None}, ""),
        ({"start": now(3600), "wait": 3600.0}, ""),
        ({"verdict": "BUSY", "reasons": ["full"], "fits": None, "free_cores": 0}, ""),
        ({"reasons": ["full"]}, "it says READY, and why not: full"),
        ({"fits": 0}, "it fits 0 times"),
        ({"fits": 3}, "3 times 2 cores fit in 4 free ones"),
        ({"fits": -1}, "fits is -1"),
        ({"free_cores": 9}, "9 of 8 cores are free"),
        ({"cores": 10**30}, "cores is 1e+30"),
        ({"depth": {"pending": -4, "running": 0}}, "pending is -4"),
        ({"wait": -5.0, "start": now()}, "wait is -5.0"),
        ({"wait": float("inf"), "start": now()}, "wait is inf"),
        ({"wait": 5.0}, "start and wait belong together"),
        ({"start": "soon", "wait": 5.0}, "start is no time"),
        ({"start": now(9000), "wait": 5.0}, "which is not in 5 s"),
        ({"observed_at": now(-7200)}, "it is old"),
        ({"observed_at": now(7200)}, "observed in the future"),
        ({"observed_at": "2026-01-01T00:00:00"}, "observed_at is no time"),
        ({"verdict": "BUSY"}, "it says BUSY and gives no reason"),
        ({"verdict": "INCOMPATIBLE", "reasons": ["no"]}, "it says INCOMPATIBLE, and that it fits 2 times now"),
        ({"request": ""}, "it does not say which"),
        ({"notes": ["x" * 3000]}, "notes: more than"),
        ({"manager": ""}, "it does not say who was asked"),
    ],
)
def test_lies(changes, wrong):
    import msgspec

    made = msgspec.convert({**as_json(READY), **changes}, Answer)
    said = lie(NEED, made, time.time())
    assert said == "" if not wrong else wrong in said


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://10.0.0.1/mcp", "http only to this host; use https, or --allow-http"),
        ("ftp://127.0.0.1/mcp", "is no address such as"),
        ("127.0.0.1:80/mcp", "is no address such as"),
        ("https:///mcp", "is no address such as"),
        ("https://[::1/mcp", "is no address"),
        ("https://h:99999/mcp", "is no address"),
        ("https://user:hunter2@h/mcp", "holds a password"),
        ("http://127.0.0.1\r\nx: y/", "is no address"),
        ("stdio:", "is no command such as"),
        ("stdio:ssh 'x", "is no command"),
    ],
)
def test_addresses(url, why):
    with pytest.raises(WorkerError, match=re.escape(why)) as caught:
        worker(url)
    assert "hunter2" not in str(caught.value)
    assert worker("http://10.0.0.1/mcp", allow_http=True).url and worker("https://h/mcp").url
    assert worker("http://[::1]:80/mcp").local and not worker("https://h/mcp").local


def test_the_token_is_never_shown(tmp_path):
    path = tmp_path / "token"
    path.write_text("hunter2hunter2hunter2\n")
    path.chmod(0o644)
    with pytest.raises(SecretaryError, match="chmod 600") as caught:
        from_file(str(path))
    assert "hunter2" not in str(caught.value)
    path.chmod(0o600)
    assert from_file(str(path)) == "hunter2hunter2hunter2" == token_from({TOKEN: "hunter2hunter2hunter2"})
    assert "hunter2" not in repr(worker("https://h/mcp", token=from_file(str(path))))
    path.write_text("two words here\n")
    with pytest.raises(SecretaryError):
        from_file(str(path))
    with pytest.raises(SecretaryError, match="can't read"):
        from_file(str(tmp_path / "none"))


def test_a_file_of_workers(tmp_path):
    path = tmp_path / "token"
    path.write_text("abcdefghijklmnop")
    path.chmod(0o600)
    text = f"# ours\nhttps://a/mcp name=alpha token-file={path}\n\nhttps://b/mcp # near\n"
    alpha, b = read_workers(text, "w", token="general")
    assert (alpha.name, alpha.token, b.name, b.token) == ("alpha", "abcdefghijklmnop", "https://b/mcp", "general")
    for line in ("http://10.0.0.1/mcp", "https://a/mcp colour=red", "https://a/mcp 'x", "https://a/mcp token-file=/no"):
        with pytest.raises(WorkerError, match=r"w: line 2: "):
            read_workers(f"\n{line}", "w")
    with pytest.raises(WorkerError, match="two workers are named"):
        unique([alpha, alpha])


@contextmanager
def secretary(token: Path) -> Iterator[str]:
    """The real server of this package; its address."""
    process = subprocess.Popen(
        [*COMMAND, "serve", "--http", "0", "--token-file", token, "--only", "hardware"],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        yield re.search(r"http://\S+/mcp", line)[0]
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_the_real_server(tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("a-token-that-is-long-enough")
    token.chmod(0o600)
    with secretary(token) as url:
        words = ["hub", "ask", "cores=1", "--worker", url, "--worker", "http://127.0.0.1:9/mcp"]
        result = CliRunner().invoke(cli.main, [*words, "--token-file", str(token), "--json", "--seed", "3"])
        assert result.exit_code == 0, result.output
        document = json.loads(result.stdout)
        assert (document["chosen"], document["verdict"], document["seed"]) == (url, "READY", 3)
        assert document["answers"][0]["manager"] == "host" and document["answers"][0]["request"] == "cores=1"
        assert [one["kind"] for one in document["rejected"]] == ["unreachable"]
        monkeypatch.setenv(TOKEN, "a-token-that-is-not-the-right-one")
        result = CliRunner().invoke(cli.main, [*words, "--policy", "random"])
        assert result.exit_code == 1 and "refused: HTTP 401" in result.stdout and "right-one" not in result.output
        never = [*words[:2], "cores=100000", *words[3:5], "--token-file", str(token)]
        result = CliRunner().invoke(cli.main, never)
        assert result.exit_code == 1 and "verdict   INCOMPATIBLE" in result.stdout and "short by" in result.stdout


def command(*words: str):
    return worker(f"stdio:{shlex.join(words)}")


def test_a_secretary_behind_a_command():
    [reply] = ask(command(*COMMAND, "serve", "--only", "hardware"))
    assert reply.answer.manager == "host" and reply.answer.request == "cores=2"


@pytest.mark.parametrize(
    ("words", "kind", "reason"),
    [
        (("bash", "-c", "echo denied >&2; exit 3"), "unreachable", "denied"),
        (("no-such-command",), "unreachable", "No such file"),
        (("cat", "/dev/zero"), "malformed", "a line of more than"),
        (("yes",), "malformed", "no message of JSON-RPC"),
        (("yes", json.dumps({"jsonrpc": "2.0", "id": 7, "result": {"x": "x" * 50000}})), "malformed", "more than"),
        (("bash", "-c", "trap '' TERM; sleep 60 & echo $$ $! > pid; sleep 60"), "slow", "no answer in 2 s"),
    ],
)
def test_commands_that_are_none(words, kind, reason, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    [reply] = ask(command(*words), timeout=2.0 if kind == "slow" else 60.0)
    assert reply.kind == kind and reason in reply.reason, reply
    if kind == "slow":
        for pid in (tmp_path / "pid").read_text().split():
            state = Path(f"/proc/{pid}/stat")
            assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_command_gets_no_token(monkeypatch):
    monkeypatch.setenv(TOKEN, "hunter2hunter2hunter2")
    [reply] = ask(command("bash", "-c", 'echo "[$RESOURCE_SECRETARY_TOKEN]" >&2'))
    assert reply.reason.endswith("[]")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("cores=1",), 2),
        (("cores=1", "--worker", "https://h/mcp", "--policy", "nosuch"), 1),
        (("cores=x", "--worker", "https://h/mcp"), 1),
        (("cores=1", "--worker", "nonsense"), 1),
        (("cores=1", "--worker", "https://h/mcp", "--token-file", "/none"), 1),
        (("cores=1", "--workers-file", "/none"), 1),
        (("-", "--workers-file", "-"), 2),
        (("cores=1", "--worker", "https://h/mcp", "--timeout", "nan"), 2),
    ],
)
def test_bad_input_is_told_in_one_line(words, code):
    result = CliRunner().invoke(cli.main, ["hub", "ask", *words])
    assert result.exit_code == code and result.stdout == "" and "Traceback" not in result.stderr
    assert len(result.stderr.splitlines()) == 1 or code == 2


def test_nothing_of_the_sdk_is_printed(serve):
    url = serve(junk).url
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run(
        [*COMMAND, "hub", "ask", "cores=1", "--worker", url], capture_output=True, text=True, env=environ, timeout=60
    )
    assert ran.returncode == 1 and ran.stderr == "" and "Rejected" in ran.stdout


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "httpx2", None)
    result = CliRunner().invoke(cli.main, ["hub", "ask", "cores=1", "--worker", "https://h/mcp"])
    assert result.exit_code == 1 and result.stdout == "" and "pip install 'resource-secretary[mcp]'" in result.stderr


SIMULATED = ("hub", "ask", "nodes=2 cores=4 memory=8GB", "--simulate")


@pytest.mark.parametrize("kind", ["hpc", "cloud", "standalone"])
def test_a_simulated_fleet_is_the_same_bytes_in_every_process(kind, tmp_path):
    told = []
    for number in ("1", "2"):
        words = [*SIMULATED, kind, "--workers", "60", "--seed", "7", "--policy", "random", "--json"]
        words += ["--faults", "lying=0.1,slow=0.1,dead=0.1", "--truth", str(tmp_path / number)]
        environ = {**os.environ, "PYTHONHASHSEED": number, "PYTHONPATH": os.pathsep.join(sys.path)}
        ran = subprocess.run([*COMMAND, *words], capture_output=True, env=environ, timeout=60)
        assert ran.returncode in (0, 1) and b"answers that count differ from the truth" in ran.stderr
        told.append((ran.returncode, ran.stdout, (tmp_path / number).read_bytes()))
    assert told[0] == told[1]


def test_ten_thousand_workers_tell_the_truth(tmp_path):
    words = [*SIMULATED, "hpc", "--workers", "10000", "--seed", "3", "--json", "--truth", str(tmp_path / "truth")]
    result = CliRunner().invoke(cli.main, words)
    assert result.exit_code == 0 and result.stderr.startswith("0 of 10000 answers that count differ from the truth")
    document, truth = json.loads(result.stdout), json.loads((tmp_path / "truth").read_text())
    assert len(document["answers"]) == len(truth["workers"]) == 10000 and not document["rejected"]
    assert document["chosen"] == document["ranked"][0] and document["answers"][0]["seconds"] > 0
    by_name = {one["name"]: truth["shapes"][one["shape"]]["inventory"] for one in truth["workers"]}
    chosen = Inventory.from_json(by_name[document["chosen"]])
    assert fit(parse(document["request"]), chosen).verdict == "READY"


def test_the_screen_of_a_fleet_with_faults():
    faults = "slow=0.2,dead=0.2,lying=0.2,malformed=0.2"
    result = CliRunner().invoke(cli.main, [*SIMULATED, "hpc", "--workers", "500", "--faults", faults])
    assert re.search(r"rejected \(slow\).*rejected \(unreachable\)", result.stdout)
    assert " more: unreachable: connection refused" in result.stdout and len(result.stdout.splitlines()) < 90


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("hpc", "--worker", "https://h/mcp"), 2, "has its own workers"),
        (("moon",), 1, "no fleet of kind 'moon'; there are: hpc, cloud, standalone"),
        (("hpc", "--workers", "0"), 1, "from 1 to"),
        (("hpc", "--faults", "late=0.1"), 1, "no fault named 'late'"),
        (("hpc", "--faults", "slow"), 2, "FAULT=SHARE is wanted"),
        (("hpc", "--faults", "slow=2"), 1, "shares of faults"),
        (("hpc", "--faults", "slow=nan"), 1, "shares of faults"),
        (("hpc", "--truth", "/no/such/folder/file"), 1, "can't write the truth"),
    ],
)
def test_a_fleet_that_there_is_not(words, code, why):
    result = CliRunner().invoke(cli.main, [*SIMULATED, *words])
    assert result.exit_code == code and why in result.stderr and result.stdout == ""


def test_options_of_fleets_need_one():
    result = CliRunner().invoke(cli.main, ["hub", "ask", "cores=1", "--worker", "https://h/mcp", "--workers", "4"])
    assert result.exit_code == 2 and "need --simulate" in result.stderr
