"""The third-party example fluxburst-ssh: a real sshd on loopback, two names of this machine, a real lead."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from growing import PATIENCE, RunningLead, until

from fluxburst.client import FluxBurst
from fluxburst.errors import AuthenticationError, ParameterError, UncertainError
from fluxburst.lead import environment
from fluxburst.model import Burst
from fluxburst.plugins import REGISTRY, BurstPlugin
from fluxburst.testing import check_burstable, check_create, check_destroy

SLOTS = "ssh[0-1]"
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
pytestmark = pytest.mark.skipif(not SSHD or not shutil.which("ssh"), reason="OpenSSH (sshd and ssh) is not here")

DAEMON = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/user.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
"""
CLIENT = """
Host node0 node1 node2
    HostName 127.0.0.1
    Port {port}
    User {user}
    IdentityFile {folder}/{key}
    IdentitiesOnly yes
    UserKnownHostsFile {folder}/known
    HostKeyAlias fluxburst
Host nowhere
    HostName 127.0.0.1
    Port 1
"""


class Sshd:
    """A daemon on a free port of loopback, with keys of its own, and the configurations of its clients."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for key in ("host", "user", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)]
            subprocess.run(command, check=True, timeout=PATIENCE)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        known = (folder / "host.pub").read_text()
        (folder / "known").write_text(f"fluxburst {known}")
        (folder / "sshd").write_text(DAEMON.format(port=self.port, folder=folder))
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where sshd of the superuser separates privileges
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen([SSHD, "-D", "-e", "-f", str(folder / "sshd")], stderr=log)
        until(self._answers, (folder / "log").read_text)

    def config(self, key: str = "user") -> Path:
        path = self.folder / f"config-{key}"
        path.write_text(CLIENT.format(port=self.port, user=getpass.getuser(), folder=self.folder, key=key))
        return path

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    made = Sshd(tmp_path_factory.mktemp("sshd"))
    yield made
    made.process.terminate()
    made.process.wait(PATIENCE)


@pytest.fixture
def folder(examples: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The example, as if it were installed."""
    place = examples / "plugins" / "fluxburst-ssh"
    monkeypatch.syspath_prepend(str(place))
    REGISTRY.refresh()
    yield place
    REGISTRY.refresh()


@pytest.fixture
def load(folder: Path, sshd: Sshd, lead: RunningLead, tmp_path: Path):
    """Loads the plugin on the lead, with a folder that does not survive the test."""
    loaded: list[BurstPlugin] = []

    def call(*machines: str, key: str = "user", **more: object) -> BurstPlugin:
        values = {"machines": list(machines or ("node0", "node1")), "folder": str(tmp_path / "far"), **more}
        client = FluxBurst(lead=lead.lead)
        loaded.append(client.load("ssh", config=sshd.config(key), **values))
        return loaded[-1]

    yield call
    for pid in pids(tmp_path / "far"):
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue
    until(lambda: lead.up() == {"lead"}, "the brokers go")


def pids(far: Path) -> list[int]:
    return [int(path.read_text()) for path in far.glob("*/*/*/*/pid")]


def kill(pid: int) -> None:
    """Kill what was started with all that belongs to it: the session of its own that it may only just be making."""
    until(lambda: os.getpgid(pid) == pid, "it has a session of its own")
    os.killpg(pid, signal.SIGKILL)


def order(name: str, hosts: tuple[str, ...], lease: float = 300.0) -> Burst:
    return Burst(name, "ssh", "ssh", hosts, ("1",), deadline=time.time() + lease)


def test_it_is_small_and_keeps_the_contract(folder, sshd):
    assert REGISTRY.found("ssh").origin == str(folder)
    check_burstable("ssh", machines=["node0"], config=sshd.config())
    assert len((folder / "fluxburst_ssh.py").read_text().splitlines()) < 150


@pytest.mark.parametrize("machine", ["-oProxyCommand=touch${IFS}x", "-l@node0", "a b", "", "me@-x", "a;b", "a\n"])
def test_a_machine_is_never_an_option(folder, machine):
    with pytest.raises(ParameterError, match="machines"):
        FluxBurst().load("ssh", machines=[machine])


def test_brokers_join_run_a_job_and_go(load, lead, tmp_path):
    plugin = load()
    burst = order("x-1", ("ssh0", "ssh1"))
    check_create(plugin, burst)
    until(lambda: lead.up() == {"lead", "ssh0", "ssh1"}, "they join")
    assert lead.output(lead.submit(3, "echo", "ran")) == ["ran"] * 3
    (seen,) = plugin.status([burst])
    assert (seen.seen, set(seen.hosts)) == ("running", {"ssh0", "ssh1"})
    files = [path for path in (tmp_path / "far").rglob("*") if path.is_file()]
    assert {oct(path.stat().st_mode & 0o777) for path in files} == {"0o600"}
    assert {path.name for path in files} == {"system.toml", "curve.cert", "log", "pid"}
    secret = (lead.lead.folder / "curve.cert").read_text()
    for pid in pids(tmp_path / "far"):
        name, _, lease, *command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        assert (name, command[0]) == ("timeout", "flux"), "the lease is armed before the broker starts"
        assert 0 < int(lease) <= 300
        assert secret not in command
    check_destroy(plugin, burst)
    assert not list((tmp_path / "far").rglob("curve.cert"))
    until(lambda: lead.up() == {"lead"}, "they go")


def test_the_lease_ends_it_by_itself(load, tmp_path):
    plugin = load()
    burst = order("x-2", ("ssh0",), lease=2.0)
    plugin.create(burst)
    until(lambda: plugin.status([burst])[0].seen == "gone", "its lease ends")
    assert {path.name for path in (tmp_path / "far").rglob("*") if path.is_file()} == {"system.toml", "log", "pid"}


def test_what_it_forgot_is_found_by_its_mark_and_ended(load):
    load().create(order("x-3", ("ssh1",)))
    other = load()
    (seen,) = other.status()
    assert (seen.name, seen.seen, seen.hosts) == ("x-3", "running", ("ssh1",))
    other.destroy(Burst("x-3", "ssh", "", ()))
    until(lambda: [one.seen for one in other.status()] in ([], ["gone"]), "it ends")


def test_nobody_elses_process_is_meant(load, tmp_path):
    plugin = load("node0")
    burst = order("x-4", ("ssh0",))
    plugin.create(burst)
    (path,) = (tmp_path / "far").glob("*/*/*/*/pid")
    with subprocess.Popen(["sleep", "600"]) as bystander:
        try:
            kill(int(path.read_text()))
            path.write_text(str(bystander.pid))  # the number has been given anew
            until(lambda: plugin.status([burst])[0].seen == "gone", "its own process is gone")
            plugin.destroy(burst)
            assert bystander.poll() is None
        finally:
            bystander.kill()


def test_a_broker_that_does_not_start_tells_why(load):
    plugin = load(flux="/no/such/flux")
    burst = order("x-5", ("ssh0",))
    plugin.create(burst)
    until(lambda: plugin.status([burst])[0].seen == "gone", "it fails")
    assert "/no/such/flux" in plugin.status([burst])[0].output


def test_failures_are_told_apart(load):
    with pytest.raises(AuthenticationError, match=r"node0: .*Permission denied"):
        load(key="stranger").create(order("x-6", ("ssh0",)))
    plugin = load("node0", "nowhere")
    with pytest.raises(UncertainError, match="nowhere"):
        plugin.create(order("x-7", ("ssh1",)))
    assert plugin.status([order("x-7", ("ssh1",))]) == [], "who does not answer leaves it unknown"
    with pytest.raises(UncertainError):
        load("nowhere").status()


def test_names_reach_the_far_shell_as_they_are(load, tmp_path):
    plugin = load("node0", folder=str(tmp_path / "far" / "a $(touch x); 'b\""))
    burst = order("x-8", ("ssh0",))
    check_create(plugin, burst)
    assert list((tmp_path / "far" / "a $(touch x); 'b\"").glob("*/node0/x-8/ssh0/pid"))
    for path in (tmp_path / "far").glob("*/*/*/*/*/pid"):
        kill(int(path.read_text()))
    check_destroy(plugin, burst)


def test_the_command_line_bursts_over_ssh(folder, sshd, lead, tmp_path):
    job = lead.submit(3, "--setattr=system.burstable=1", "echo", "ran")
    settings = lead.lead.folder / "burst.toml"
    more = "delay = 0\ninterval = 1\nidle_timeout = 2\ncooldown = 0\n[plugins.ssh]\n"
    settings.write_text(settings.read_text() + more)
    options = ["--ssh-machines", "node0", "--ssh-machines", "node1", "--ssh-config", str(sshd.config())]
    paths = os.pathsep.join([str(folder), *sys.path])
    done = subprocess.run(
        [
            *[sys.executable, "-c", "from fluxburst.cli import main; main()", "run", "--until-idle", "--plugin", "ssh"],
            *[*options, "--ssh-folder", str(tmp_path / "far"), "--ssh-shape", "ssh: cores=2"],
            *["--state", str(tmp_path)],
        ],
        env={**environment(), "FLUX_URI": lead.uri, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert lead.output(job) == ["ran"] * 3
    until(lambda: lead.up() == {"lead"}, "the brokers go")
