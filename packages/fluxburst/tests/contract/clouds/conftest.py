"""What the cloud tests share: a lead's folder, catalogues, and moto's EC2 over HTTP."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest

from fluxburst.lead import Lead

IMAGE = "ami-12c6146b"  # one that moto knows
SECRET = "6b7d2f-the-secret-key"

CATALOGUE = """\
[[shapes]]
name = "small"
instance_type = "t3.large"
holds = "cores=1 memory=8GB"
price = 0.1
spot_price = 0.04

[[shapes]]
instance_type = "c7i.4xlarge"
holds = "cores=8 memory=32GB"
zone = "us-east-1b"
"""


@pytest.fixture
def lead(tmp_path: Path) -> Lead:
    folder = tmp_path / "lead"
    folder.mkdir()
    certificate = folder / "curve.cert"
    certificate.write_text(f'curve\n    secret-key = "{SECRET}"\n')
    certificate.chmod(0o600)
    return a_lead(folder, "alice")


def a_lead(folder: Path, owner: str) -> Lead:
    """A lead with slots for both clouds; nothing runs."""
    slots = {"ec2": tuple(f"ec2-{n}" for n in range(100)), "compute-engine": tuple(f"gce{n}" for n in range(10))}
    hosts = ("lead", *slots["ec2"], *slots["compute-engine"])
    config = {"bootstrap": {"curve_cert": str(folder / "curve.cert"), "hosts": [{"host": host} for host in hosts]}}
    return Lead(folder, owner, hosts, "tcp://lead:8050", slots, config)


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "catalogue.toml"
    path.write_text(CATALOGUE)
    return path


@dataclass
class Service:
    """An EC2 over HTTP. calls: the form of each request. busy: how many are being answered."""

    url: str = ""
    calls: list[dict[str, str]] = field(default_factory=list)
    busy: int = 0
    lock: threading.Condition = field(default_factory=threading.Condition)

    def asked(self, action: str) -> list[dict[str, str]]:
        return [call for call in self.calls if call.get("Action") == action]

    def wait_until_idle(self) -> None:
        with self.lock:
            assert self.lock.wait_for(lambda: not self.busy, timeout=60)

    def wrap(self, app: Callable[..., Any]) -> Callable[..., Any]:
        def counted(environ: dict[str, Any], start: Any) -> list[bytes]:
            body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            environ["wsgi.input"] = io.BytesIO(body)
            with self.lock:
                self.calls.append(dict(parse_qsl(body.decode(errors="replace"))))
                self.busy += 1
            try:
                return [b"".join(app(environ, start))]
            finally:
                with self.lock:
                    self.busy -= 1
                    self.lock.notify_all()

        return counted


@pytest.fixture(scope="module")
def moto() -> Iterator[Service]:
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    pytest.importorskip("boto3", reason="boto3 is not installed")
    from werkzeug.serving import make_server

    service = Service()
    app = service.wrap(server.DomainDispatcherApplication(server.create_backend_app))
    http = make_server("127.0.0.1", 0, app, threaded=True)
    http.daemon_threads = True
    service.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, daemon=True)
    thread.start()
    yield service
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture(autouse=True, scope="module")
def nobody_is_logged_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test finds an account of the machine that it runs on, or reaches one."""
    nowhere = str(tmp_path_factory.getbasetemp() / "none")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "true",
            "GOOGLE_APPLICATION_CREDENTIALS": nowhere,
        }.items():
            patch.setenv(name, value)
        yield
