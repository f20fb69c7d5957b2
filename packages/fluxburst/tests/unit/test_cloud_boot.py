"""What rented machines run first: the real script under bash; stubs for what would touch this machine or a cloud."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from email import message_from_bytes
from pathlib import Path

import pytest

from fluxburst.burstables import _cloud_boot, compute_engine, ec2
from fluxburst.errors import ConfigurationError
from fluxburst.lead import Lead
from fluxburst.model import Burst

SECRET = "curve\n    secret-key = 'z'\n"
BURST = Burst("alice-1-0", "ec2", "small", ("ec2-0", "ec2-7"), deadline=4e9)
# Each stub writes one line of what it was called with. `$OUT` is the folder of the test.
STUBS = {
    "shutdown": "",
    "poweroff": "",
    "setsid": "",
    "systemd-run": "exit 1",  # as where it does not work yet
    "sleep": "",
    "useradd": "",
    "chown": "",
    "runuser": 'shift 3; exec "$@"',
    "flux": 'cat "${2:+$OUT/far/curve.cert}" >"$OUT/seen"',
    "curl": 'case "$*" in */api/token) echo TOKEN ;; *ami-launch-index) cat "$OUT/index" ;; '
    "*instance/name) echo alice-1-0-1 ;; *instance/zone) echo projects/9/zones/z-1 ;; "
    '*default/token) echo \'{"access_token": "GTOKEN"}\' ;; *:access) cat >/dev/null; cat "$OUT/payload" ;; '
    "*) cat >/dev/null ;; esac",
    "aws": 'case "$*" in *"$(cat "$OUT/name")"*) cat "$OUT/secret" ;; *) exit 254 ;; esac',
}


@pytest.fixture
def lead(tmp_path: Path) -> Lead:
    folder = tmp_path / "lead o'hara"
    folder.mkdir()
    (folder / "curve.cert").write_text("secret-key = 'never sent'")
    hosts = ("lead", "ec2-0", "ec2-7")
    return Lead(folder, "alice", hosts, "tcp://lead:8050", {}, {"bootstrap": {"curve_cert": f"{folder}/curve.cert"}})


@pytest.fixture
def machine(tmp_path: Path) -> Callable[..., tuple[int, list[str], str]]:
    """Runs a script; gives its exit code, the calls of the stubs in order, and its output."""
    path = tmp_path / "bin"
    path.mkdir()
    (tmp_path / "log").touch()
    for name, text in STUBS.items():
        stub = path / name
        stub.write_text(f'#!/bin/sh\nOUT="{tmp_path}"\necho "{name} $*" >>"$OUT/log"\n{text}\n')
        stub.chmod(0o755)
    (tmp_path / "index").write_text("1")
    (tmp_path / "name").write_text("--name /flux/curve")
    (tmp_path / "secret").write_text(SECRET)

    def run(script: str, shell: str = "bash", without: str = "") -> tuple[int, list[str], str]:
        if without:
            (path / without).write_text("#!/bin/sh\nexit 9\n")
        done = subprocess.run(
            [shell, "-c", script],
            env={"PATH": f"{path}:/usr/bin:/bin", "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
        )
        end = time.monotonic() + 30
        while "setsid sh" in script and without != "setsid" and time.monotonic() < end:
            if "setsid" in (tmp_path / "log").read_text():
                break
            time.sleep(0.01)
        return done.returncode, (tmp_path / "log").read_text().splitlines(), done.stdout + done.stderr

    return run


@pytest.fixture
def script(lead: Lead, tmp_path: Path) -> Callable[..., str]:
    """The late part of the user data of `ec2`, for a folder of the test."""

    def make(**more: object) -> str:
        given = {"index": ec2._INDEX, "secret": _cloud_boot.fetched("ssm:/flux/curve", "us-east-1"), "over": ec2._OVER}
        far = {"folder": str(tmp_path / "far")}
        deadline = _cloud_boot.lease(time.time() + 1800, early=False)
        return deadline + _cloud_boot.join_script(lead, BURST, **{**given, **far, **more})  # type: ignore[arg-type]

    return make


def test_it_joins_under_its_number(script, machine, tmp_path):
    code, calls, said = machine(script())
    assert code == 0, said
    assert "-Shostname=ec2-7" in "\n".join(calls)
    far = tmp_path / "far"
    assert (tmp_path / "seen").read_text() == SECRET
    assert f'curve_cert = "{far}/curve.cert"' in (far / "system.toml").read_text()
    assert [oct(path.stat().st_mode & 0o777) for path in (far, far / "curve.cert", far / "system.toml")] == [
        "0o700",
        "0o600",
        "0o600",
    ]
    assert "secret-key" not in said and "shutdown -h now" in calls[-2:]


def test_the_end_is_armed_first(script, machine):
    _, calls, _ = machine(script())
    forced = next(call for call in calls if call.startswith("setsid"))
    calls.remove(forced)  # it runs beside the others
    left = int(forced.split()[-1]) - 30
    assert 1700 < left <= 1800
    assert calls[0].startswith(f"systemd-run --no-block --unit=flux-burst-lease --on-active={left} ")
    assert calls[1] == f"shutdown -h +{left // 60}"
    assert calls[2].startswith("curl")


@pytest.mark.parametrize("without", ["curl", "aws", "flux", "chown", "systemd-run", "shutdown", "setsid", "getent"])
def test_whatever_fails_the_end_is_armed_and_comes_at_once(script, machine, without):
    code, calls, _ = machine(script(), without=without)
    armed = {"setsid", "systemd-run", "shutdown"} - {without}
    assert armed <= {call.split()[0] for call in calls}
    beside = [call for call in calls if not call.startswith("setsid")]
    assert {call.split()[0] for call in beside[:2]} >= armed - {"setsid"}
    assert beside[-1] in {"shutdown -h now", "poweroff -f"}
    assert code == 0 if without in {"systemd-run", "shutdown", "setsid"} else True


def test_the_early_part_is_for_any_shell(machine):
    code, calls, said = machine(_cloud_boot.lease(time.time() - 5, early=True), shell="sh")
    assert code == 0 and not said
    assert {call.split()[0] for call in calls} == {"setsid", "systemd-run"}  # shutdown may wait for what is not up
    assert any("--on-active=0 " in call for call in calls)


@pytest.mark.parametrize("index", ["", "x", "7", "1; touch pwned"])
def test_a_number_that_is_none(script, machine, tmp_path, index):
    (tmp_path / "index").write_text(index)
    code, calls, _ = machine(script())
    assert code != 0 and not any(call.startswith("flux") for call in calls)
    assert "shutdown -h now" in calls[-2:] and not list(tmp_path.rglob("pwned"))


def test_setup_is_run_before_the_broker_and_can_set_its_path(script, machine, tmp_path):
    setup = tmp_path / "setup.sh"
    setup.write_text("export FOO='a b'; touch \"$HOME/was here\"\n")
    code, _, said = machine(script(setup=setup))
    assert code == 0 and (tmp_path / "was here").exists(), said
    setup.write_text("false\n")
    code, calls, _ = machine(script(setup=setup))
    assert code != 0 and "shutdown -h now" in calls[-2:]


def test_on_google_it_deletes_itself(lead, machine, tmp_path):
    (tmp_path / "payload").write_text('{"payload": {"data": "Y3VydmUK"}}')
    script = _cloud_boot.GOOGLE_CALL.format(metadata="http://metadata") + _cloud_boot.join_script(
        lead,
        BURST,
        index=compute_engine._INDEX,
        secret=_cloud_boot.fetched("secretmanager:projects/p1/secrets/curve"),
        over=compute_engine._OVER,
        folder=str(tmp_path / "far"),
    )
    code, calls, said = machine(script)
    assert code == 0, said
    assert (tmp_path / "seen").read_text() == "curve\n"
    assert any("-Shostname=ec2-7" in call for call in calls)
    assert "-X DELETE https://compute.googleapis.com/compute/v1/projects/9/zones/z-1/instances/alice-1-0-1" in calls[-1]
    assert not any("GTOKEN" in call for call in calls) and not any("shutdown" in call for call in calls)


def test_parts_are_read_by_a_mime_parser():
    parts = [("cloud-boothook", "#cloud-boothook\na"), ("x-shellscript", "#!/bin/bash\nb")]
    message = message_from_bytes(_cloud_boot.parts(parts))
    found = [(part.get_content_type(), str(part.get_payload()).rstrip()) for part in message.get_payload()]
    assert found == [(f"text/{kind}", text) for kind, text in parts]
    assert _cloud_boot.parts(parts) == _cloud_boot.parts(parts)


@pytest.mark.parametrize("secret", ["ssm:", "ssm:-x", "ssm:a b", "file:rel", "x", "ssm:$(id)", "secretmanager:x"])
def test_secrets_that_are_nowhere(secret):
    with pytest.raises(ConfigurationError, match=r"secret: .* is none of"):
        _cloud_boot.fetched(secret)


def test_what_can_not_be_sent(lead, script):
    with pytest.raises(ConfigurationError, match="no host name"):
        _cloud_boot.join_script(lead, replace(BURST, hosts=("a;b",)), index="", secret="", over="")
    with pytest.raises(ConfigurationError, match="no name of an account"):
        script(user="-x")
    with pytest.raises(ConfigurationError, match="no slot"):
        _cloud_boot.join_script(lead, replace(BURST, hosts=("ec2-9",)), index="", secret="", over="")
