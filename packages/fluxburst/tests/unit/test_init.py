"""`init` and `check` on folders alone: no Flux is started, and certificates are not real."""

from __future__ import annotations

import json
import os
import stat
import tomllib
from pathlib import Path

import pytest

from fluxburst.lead import Lead, LeadError
from fluxburst.setup import files
from fluxburst.setup.check import problems

KEY = "a" * 40
CERTIFICATE = f"""metadata
    name = "lead"
    keygen.flux-core-version = "0.1.0"
    keygen.time = "2999-01-01T00:00:00"
    keygen.userid = "4294967294"
curve
    public-key = "{KEY}"
    secret-key = "{KEY}"
"""
FILES = ["R", "burst.toml", "curve.cert", "system.toml"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a certificate in it, which `init` keeps."""
    place = tmp_path / "lead"
    place.mkdir(mode=0o700)
    put(place / "curve.cert", CERTIFICATE)
    return place


def put(path: Path, text: str) -> None:
    path.write_text(text)
    path.chmod(0o600)


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.fixture
def init(run, folder):
    def call(*arguments: str, code: int = 0, at: Path = folder):
        result = run("init", "--lead", "lead", *arguments, str(at))
        assert result.exit_code == code, result.output
        if code:
            assert result.stdout == ""
            assert len(result.stderr.splitlines()) == 1
        return result

    return call


def test_it_writes_four_private_files(init, folder):
    said = json.loads(init("--slots", "local:4", "--slots", "slurm:64", "--json").stdout)
    assert sorted(contents(folder)) == FILES
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    lead = Lead.open(folder)
    assert said["owner"] == lead.owner
    assert said["slots"] == {"local": "local[0-3]", "slurm": "slurm[0-63]"}
    assert lead.hosts[0] == lead.host == "lead"
    assert len(lead.hosts) == 69
    assert lead.slots("slurm")[-1] == "slurm63"
    assert lead.slots("other") == ()
    assert (folder / "curve.cert").read_text() == CERTIFICATE


def test_it_says_the_commands_that_start_the_lead(init, folder):
    output = init("--slots", "local:1").stdout
    assert f"flux broker --config-path={folder}/system.toml -Shostname=lead" in output
    assert "flux-burst run --plugin local" in output


def test_a_second_run_changes_nothing(init, folder):
    init("--slots", "local:4", "--port", "8123")
    before = contents(folder)
    for arguments in (["--slots", "local:4"], ["--slots", "local:4", "--port", "8123", "--connect", "127.0.0.1"]):
        assert "nothing to do" in init(*arguments).stdout
    assert contents(folder) == before


def test_two_leads_have_two_owners(init, tmp_path, folder):
    init("--slots", "local:1")
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    put(other / "curve.cert", CERTIFICATE)
    init("--slots", "local:1", at=other)
    assert Lead.open(other).owner != Lead.open(folder).owner


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ([], "--slots local:4"),
        (["--slots", "local:2"], "never taken away"),
        (["--slots", "local:4:cores=77"], "not changed"),
        (["--slots", "local:4", "--port", "9"], "--port 8050, not 9"),
        (["--slots", "local:4", "--bind", "eth7"], "--bind"),
        (["--slots", "local:4", "--lead", "other"], "--lead"),
        (["--slots", "local:4", "--lead-cores", "77"], "--lead-cores"),
        (["--slots", "local:4", "--lead-cores", "0"], "--lead-cores"),
    ],
)
def test_what_would_change_a_lead_is_refused(init, folder, arguments, why):
    init("--slots", "local:4")
    before = contents(folder)
    assert why in init(*arguments, code=1).stderr
    assert contents(folder) == before


def test_more_slots_are_added_and_what_the_user_wrote_is_kept(init, folder):
    init("--slots", "local:2", "--slots", "mock:1")
    put(folder / "system.toml", (folder / "system.toml").read_text() + "\n[access] # mine\nallow-guest-user = true\n")
    put(folder / "burst.toml", (folder / "burst.toml").read_text().replace("# [limits]  ", "[limits] # mine"))
    owner = Lead.open(folder).owner
    said = init("--slots", "local:4", "--slots", "ec2:2:cores=8,gpus=1")
    assert "anew" in said.stderr
    lead = Lead.open(folder)
    assert lead.hosts == ("lead", "local0", "local1", "mock0", "local2", "local3", "ec2-0", "ec2-1")
    assert (lead.owner, lead.slots("local")) == (owner, ("local0", "local1", "local2", "local3"))
    assert lead.config["access"] == {"allow-guest-user": True}
    assert "[limits] # mine" in (folder / "burst.toml").read_text()
    assert not [one for one in problems(lead) if one.check != "certificate"]
    before = contents(folder)
    assert "nothing to do" in init("--slots", "local:4", "--slots", "ec2:2").stdout
    assert contents(folder) == before


@pytest.mark.parametrize("survivor", [1, 2])
def test_an_addition_that_was_cut_short_is_taken_up_again(init, folder, monkeypatch, survivor):
    init("--slots", "local:2")
    replaced = []

    def die(path, text, real=files.replace):
        if len(replaced) == survivor:
            raise LeadError("the machine went down")
        replaced.append(path)
        real(path, text)

    with monkeypatch.context() as broken:
        broken.setattr(files, "replace", die)
        init("--slots", "local:4", code=1)
    init("--slots", "local:4")
    lead = Lead.open(folder)
    assert lead.hosts == ("lead", "local0", "local1", "local2", "local3")
    assert [one.check for one in problems(lead)] == []


def test_a_first_run_that_was_cut_short_is_taken_up_again(init, folder):
    init("--slots", "local:2")
    owner = Lead.open(folder).owner
    (folder / "system.toml").unlink()
    init("--slots", "local:2")
    assert Lead.open(folder).owner == owner


@pytest.mark.parametrize("name", ["R", "burst.toml", "system.toml"])
def test_files_of_others_are_never_overwritten(init, folder, name):
    put(folder / name, 'mine = "yes"\n')
    put(folder / "notes.txt", "mine, too")
    before = contents(folder)
    assert name in init("--slots", "local:2", code=1).stderr
    assert before.items() <= contents(folder).items()


def test_a_configuration_that_was_changed_beyond_recognition_is_left_alone(init, folder):
    init("--slots", "local:2")
    text = (folder / "system.toml").read_text()
    put(folder / "system.toml", text.replace("\n]\n", " ]\n"))
    before = contents(folder)["system.toml"]
    assert "yourself" in init("--slots", "local:3", code=1).stderr
    assert contents(folder)["system.toml"] == before


def test_an_empty_folder_becomes_private_and_one_that_others_write_to_is_refused(init, tmp_path, folder):
    folder.chmod(0o777)
    assert "chmod 700" in init("--slots", "local:1", code=1).stderr
    assert sorted(contents(folder)) == ["curve.cert"]


@pytest.mark.parametrize("name", ["x" * 300, "a\nb", "/dev/null", "/dev/null/x", "/proc/nothing"])
def test_folders_that_can_not_be(run, tmp_path, name):
    for command in (["init", "--slots", "local:1"], ["check"]):
        result = run(*command, str(tmp_path / name))
        assert (result.exit_code, result.stdout) == (1, "")
        assert len(result.stderr.splitlines()) == 1


def test_without_flux_nothing_is_written(run, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("init", "--slots", "local:1", str(tmp_path / "lead"))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "install flux-core" in result.stderr
    assert not (tmp_path / "lead").exists()


def test_an_unresolvable_lead_is_reached_on_this_machine_and_told(init, run, folder):
    result = run("init", "--lead", "no-such-host.invalid", "--slots", "slurm:1", str(folder))
    assert "--connect ADDRESS" in result.stderr
    assert Lead.open(folder).uri == "tcp://127.0.0.1:8050"


def test_a_lead_that_others_reach_listens_everywhere(init, folder):
    init("--slots", "slurm:1", "--connect", "10.0.0.7")
    lead = Lead.open(folder)
    assert lead.uri == "tcp://10.0.0.7:8050"
    assert lead.config["bootstrap"]["hosts"][0]["bind"] == "tcp://*:%p"


def test_the_command_of_a_broker(init, folder):
    init("--slots", "local:2")
    lead = Lead.open(folder)
    command = lead.broker("local1", folder="/etc/x", rundir="/tmp/r")
    assert command[:3] == ["flux", "broker", "--config-path=/etc/x/system.toml"]
    assert {"-Shostname=local1", "-Sbroker.boot-method=config", "-Srundir=/tmp/r"} <= set(command)
    for wrong in ("lead", "local2", "--help", ""):
        with pytest.raises(LeadError):
            lead.broker(wrong)
    with pytest.raises(LeadError, match="shorter"):
        lead.broker("local1", rundir="/tmp/" + "x" * 100)


def test_files_for_other_machines_hold_no_secret_and_no_path_of_this_one(init, folder):
    init("--slots", "local:2")
    lead = Lead.open(folder)
    (text,) = lead.files("/etc/there").values()
    assert KEY not in text
    assert str(folder) not in text
    document = tomllib.loads(text)
    assert document["bootstrap"]["curve_cert"] == "/etc/there/curve.cert"
    assert {name: document[name] for name in ("tbon", "heartbeat")}.items() <= lead.config.items()
    assert document["resource"] == {"noverify": True}
    assert lead.secrets() == {"curve.cert": CERTIFICATE}


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("system.toml", None, "missing"),
        ("burst.toml", None, "missing"),
        ("system.toml", "a = [", "no TOML"),
        ("system.toml", "bootstrap = 3", "a table"),
        ("system.toml", "[bootstrap]\nhosts = []", "no host"),
        ("system.toml", "[bootstrap]\nhosts = ['a']", "a table with 'host'"),
        ("system.toml", "[bootstrap]\nhosts = [{host = 'a[0-'}]", "hostlist"),
        ("system.toml", "[bootstrap]\nhosts = [{host = 'a'}]", "connect"),
        ("burst.toml", "", "owner"),
        ("burst.toml", "owner = 'x'\n[plugins.local]\nhosts = 'a[0-'", "hostlist"),
        ("system.toml", "\udcff", "UTF-8"),
    ],
)
def test_a_damaged_folder_is_named(init, run, folder, name, text, why):
    init("--slots", "local:2")
    (folder / name).unlink()
    if text is not None:
        (folder / name).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(Exception, match=why) as caught:
        Lead.open(folder)
    assert str(folder / name) in str(caught.value)
    result = run("check", str(folder))
    assert (result.exit_code, result.stdout) == (1, "")
    assert len(result.stderr.splitlines()) == 1


def broken(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    put(folder / name, text.replace(old, new))


@pytest.mark.parametrize(
    ("check", "name", "old", "new"),
    [
        ("slots", "burst.toml", "local[0-2]", "local[0-3]"),
        ("slots", "burst.toml", "mock0", "local0"),
        ("topology", "system.toml", "kary:0", "kary:2"),
        ("topology", "system.toml", "kary:0", "binomial"),
        ("resources", "system.toml", "noverify = true", ""),
        ("resources", "R", "mock0", "mock1"),
        ("certificate", "curve.cert", KEY, "a"),
    ],
)
def test_check_tells_what_is_wrong_and_what_to_do(init, run, folder, check, name, old, new):
    init("--slots", "local:3", "--slots", "mock:1")
    assert problems(Lead.open(folder)) == []
    broken(folder, name, old, new)
    (found,) = problems(Lead.open(folder))
    assert found.check == check
    assert found.cure
    result = run("check", "--json", str(folder))
    assert result.exit_code == 1
    assert found.as_dict() in json.loads(result.stdout)["checks"]


def test_check_tells_a_certificate_that_others_read(init, folder):
    init("--slots", "local:1")
    (folder / "curve.cert").chmod(0o640)
    (found,) = problems(Lead.open(folder))
    assert "chmod 600" in found.cure


def test_a_lead_without_slots_is_told_what_to_do(init, folder):
    init("--slots", "local:1")
    text = (folder / "burst.toml").read_text()
    put(folder / "burst.toml", text[: text.index("[plugins")])
    (found,) = problems(Lead.open(folder))
    assert "flux-burst init" in found.cure


def test_a_running_lead_that_does_not_know_new_slots_is_told_of(init, folder):
    class Started:
        def inventory(self):
            from resources.documents import Inventory

            return Inventory(())

    init("--slots", "local:1")
    (found,) = problems(Lead.open(folder), Started())
    assert "local0" in found.text


@pytest.mark.parametrize(
    ("host", "check"),
    [("local7", "host"), ("lead", "host"), ("local1", "flux"), ("local1", "user"), ("local1", "clock")],
)
def test_check_on_the_far_side(init, run, folder, tmp_path, host, check):
    init("--slots", "local:2")
    far = tmp_path / "far"
    far.mkdir()
    for name, text in {**Lead.open(folder).files(far), **Lead.open(folder).secrets()}.items():
        put(far / name, text)
    result = run("check", "--join", host, "--json", str(far))
    assert result.exit_code == 1
    found = {one["check"]: one for one in json.loads(result.stdout)["checks"]}
    assert found[check]["state"] == "problem"
    assert found[check]["cure"]


def test_check_without_a_lead_is_a_usage_error(run, monkeypatch):
    monkeypatch.delenv("FLUX_URI", raising=False)
    assert run("check").exit_code == 2


def test_the_environment_of_a_broker_is_no_other_instance():
    from fluxburst.lead import environment

    assert environment({"FLUX_URI": "x", "FLUX_CONF_DIR": "y", "PATH": "z"}) == {"PATH": "z"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_somebody_else_is_refused(init, folder):
    os.chown(folder, 65534, 65534)
    assert "another user" in init("--slots", "local:1", code=1).stderr
