"""One GET over https, against a server of this test."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from resource_secretary.fetch import fetch
from resource_secretary.system import System

if not shutil.which("openssl"):
    pytest.skip("no openssl to make a certificate with", allow_module_level=True)


class Handler(BaseHTTPRequestHandler):
    seen: list[tuple[str, str | None]] = []

    def do_GET(self) -> None:
        self.seen.append((self.path, self.headers["Authorization"]))
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/fine")
            self.end_headers()
            return
        codes = {"/fine": (200, b'{"a": 1}'), "/large": (200, b"x" * 1000), "/odd": (500, b"\xff[")}
        status, body = codes.get(self.path, (403, b'{"message": "nodes is forbidden"}'))
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tls")
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    words += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"]
    subprocess.run(words, cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def server(certificate):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def get(server, certificate):
    authority = (certificate / "cert.pem").read_text()
    return lambda path, **more: fetch(server + path, **{"token": "t", "authority": authority, "timeout": 20, **more})


def test_an_answer_and_a_token(get):
    answer = get("/fine")
    assert answer.ok and answer.text() == '{"a": 1}' and Handler.seen[-1] == ("/fine", "Bearer t")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/no", "HTTP 403: nodes is forbidden"),
        ("/odd", "HTTP 500: Internal Server Error"),
        ("/away", "HTTP 302: Found"),
    ],
)
def test_what_is_no_answer(get, path, said):
    assert get(path).said == said and Handler.seen[-1][0] == path  # it was not followed anywhere


def test_more_than_the_cap(get):
    assert get("/large", largest=999).problem == "more than 999 bytes of output"
    assert get("/large", largest=1000).ok


def test_a_server_that_another_authority_signed_gets_no_token(get, certificate, tmp_path):
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "k", "-out", "c"]
    subprocess.run(words, cwd=tmp_path, check=True, capture_output=True)
    before = len(Handler.seen)
    answer = get("/fine", authority=(tmp_path / "c").read_text())
    assert answer.said.startswith("can't be reached: ") and "certificate" in answer.said.lower()
    assert "can't be reached" in get("/fine", authority="no PEM").said and len(Handler.seen) == before


def test_no_server_and_one_that_never_answers(certificate):
    authority = (certificate / "cert.pem").read_text()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert fetch(url, token="t", authority=authority, timeout=0.3).said == "no answer in 0.3 s"
    assert fetch(url, token="t", authority=authority, timeout=20).said.startswith("can't be reached: ")


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "file:///etc/passwd", "ftp://a/"])
def test_only_https(url, certificate):
    answer = System().fetch(url, token="t", authority=(certificate / "cert.pem").read_text())
    assert "is no https address" in answer.said
