"""The container providers, on recordings of several versions of each tool."""

from __future__ import annotations

import pytest
from recorded import container_storage as machines
from recorded.container_storage import JSON, text

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, InactiveProvider, OutputError
from resource_secretary.providers.container import _containerd_text, _docker_text, _singularity, shifter
from resource_secretary.providers.container._container import subordinate, unprivileged
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem


def probed(system, name):
    return Secretary(system=system).detect("container", name)[name]


def items(system, tool, **arguments):
    return Secretary(system=system).call(tool, arguments).result["items"]


def call(system, tool, **arguments):
    return Secretary(system=system).call(tool, arguments).result


@pytest.mark.parametrize(("version", "client"), [("20.10", "20.10.24+dfsg1"), ("28.2", "28.2.2")])
def test_docker(version, client):
    system = machines.docker(version)
    metadata = probed(system, "docker").metadata
    assert (metadata["client"], metadata["version"], metadata["rootless"]) == (client, "20.10.24+dfsg1", False)
    assert (metadata["storage_driver"], metadata["cgroup_version"]) == ("vfs", "v1")
    assert "memory" in metadata["limits"] and metadata["platform"] == "linux/amd64"
    [image] = items(system, "docker.images")
    assert (image["name"], image["size"], image["problem"]) == ("tiny:1.0", 35700, "")
    [box] = items(system, "docker.containers")
    assert (box["name"], box["image"], box["state"]) == ("box", "tiny:1.0", "created")


@pytest.mark.parametrize("version", ["20.10", "28.2"])
def test_docker_without_a_daemon_is_unreachable(version):
    folder = f"docker-{version}"
    answer = Ran((), 1, text(f"{folder}/no-daemon.json"), text(f"{folder}/no-daemon.stderr.txt"))
    result = probed(RecordedSystem(commands={("docker", "version", *JSON): answer}), "docker").result
    assert isinstance(result, Unreachable) and "Cannot connect to the Docker daemon" in result.reason


def test_docker_that_may_not_be_asked_is_unreachable():
    answer = Ran((), 1, text("docker-28.2/no-daemon.json"), text("docker-28.2/denied.stderr.txt"))
    result = probed(RecordedSystem(commands={("docker", "version", *JSON): answer}), "docker").result
    assert isinstance(result, Unreachable) and "permission denied" in result.reason


@pytest.mark.parametrize("said", ["as-docker.stderr.txt", ""])  # /etc/containers/nodocker makes it say nothing
def test_podman_by_the_name_of_docker_is_not_docker(said):
    answer = Ran((), 0, text("podman-4.3/as-docker.json"), text(f"podman-4.3/{said}") if said else "")
    result = probed(RecordedSystem(commands={("docker", "version", *JSON): answer}), "docker").result
    assert isinstance(result, Absent) and "Podman" in result.reason


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_whether_an_image_is_there(engine):
    system = machines.MACHINES[engine]()
    there = call(system, f"{engine}.image", name="tiny:1.0")
    assert (there["present"], there["size"], there["platform"]) == (True, 35664, "linux/amd64")
    assert call(system, f"{engine}.image", name="nosuch:1")["present"] is False
    verb = (engine, "image", "inspect", "--", "tiny:1.0")
    system.commands[verb] = Ran((), 1, "", "Cannot connect to the Docker daemon at unix:///var/run/docker.sock.")
    with pytest.raises(CommandFailed, match="Cannot connect"):
        call(system, f"{engine}.image", name="tiny:1.0")
    system.commands[verb] = Ran((), None, problem="no answer in 2 s", stderr="no such image")
    with pytest.raises(CommandFailed, match="no answer"):
        call(system, f"{engine}.image", name="tiny:1.0")


@pytest.mark.parametrize(
    "name", ["--privileged", "-x", "a b", "$(id)", "a;b", "a\nb", "../../etc", "a\0", "", "a" * 300]
)
@pytest.mark.parametrize("tool", ["docker.image", "podman.image", "charliecloud.image", "shifter.image"])
def test_a_name_is_a_name(tool, name):
    system = machines.MACHINES[tool.partition(".")[0]]()
    with pytest.raises(ArgumentError):
        call(system, tool, name=name)
    assert not system.asked


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("3.4", ("3.4.4", True, "v2", "crun", None, 3)),
        ("4.3", ("4.3.1", False, "v1", "crun", "cni", 1)),
        ("5.8", ("5.8.6", False, "v1", "crun", "pasta", 0)),
    ],
)
def test_podman(version, expected):
    system = machines.podman(version)
    assert probed(system, "podman").metadata["version"] == expected[0]
    found = call(system, "podman.info")
    assert (
        tuple(found[key] for key in ("version", "rootless", "cgroup_version", "runtime", "network", "images"))
        == expected
    )
    assert found["storage_driver"] == ("overlay" if version == "3.4" else "vfs") and found["remote"] is False


def test_podman_images_and_containers():
    system = machines.podman()
    [image] = items(system, "podman.images")
    assert (image["name"], image["size"]) == ("localhost/tiny:1.0", 42051)
    [box] = items(system, "podman.containers")
    assert (box["name"], box["state"]) == ("box", "created")
    both = _docker_text.read_podman_images('[{"Id": "abc", "Names": null}, {"Id": 7}, 5]')
    assert both[0].name == "abc" and [bool(one.problem) for one in both] == [False, True, True]


def test_containerd_by_ctr():
    system = machines.containerd()
    assert probed(system, "containerd").metadata == {
        "client": "ctr",
        "client_version": "1.6.20~ds1",
        "version": "1.6.20~ds1",
    }
    assert items(system, "containerd.namespaces") == ["default"]
    [image] = items(system, "containerd.images")
    assert (image["name"], image["size"]) == ("localhost/tiny:1.0", 15872)
    assert [one["name"] for one in items(system, "containerd.containers")] == ["box"]
    states = {one["name"]: one["state"] for one in items(system, "containerd.snapshotters")}
    assert states["overlayfs"] == "ok" and states["devmapper"] == "error" and len(states) == 6
    with pytest.raises(ArgumentError, match="there are: default"):
        items(system, "containerd.images", namespace="moby")


def test_containerd_by_nerdctl():
    system = machines.nerdctl()
    metadata = probed(system, "containerd").metadata
    assert (metadata["client"], metadata["client_version"], metadata["version"]) == ("nerdctl", "v1.7.6", "v1.7.16")
    [image] = items(system, "containerd.images", namespace="k8s.io")
    assert (image["name"], image["size"]) == ("alpine:latest", round(7.6 * 2**20))
    [box] = items(system, "containerd.containers", namespace="k8s.io")
    assert (box["name"], box["state"]) == ("alpine-ea19d", "Up")


def test_containerd_is_for_root():
    denied = Ran(
        (), 1, text("containerd-1.6/version.txt").partition("Server")[0], text("containerd-1.6/denied.stderr.txt")
    )
    system = machines.containerd()
    system.commands["ctr", "version"] = denied
    result = probed(system, "containerd").result
    assert isinstance(result, Unreachable) and "permission denied" in result.reason
    system = machines.containerd()
    system.files = {}
    result = probed(system, "containerd").result  # ctr would wait ten seconds for a socket
    assert isinstance(result, Unreachable) and "no socket" in result.reason and not system.asked
    with pytest.raises(OutputError, match="names no server"):
        _containerd_text.read_version("Client:\n  Version: 1.6\n")


def test_apptainer():
    system = machines.apptainer()
    metadata = probed(system, "apptainer").metadata
    assert metadata == {
        "runtime": "apptainer",
        "version": "1.4.5",
        "command": "apptainer",
        "setuid": False,
        "cache_dir": "/home/user/.apptainer/cache",
        "configuration": "/etc/apptainer/apptainer.conf",
    }
    built = ("apptainer", "buildcfg")
    system.commands[built] = text("apptainer-1.4/buildcfg.txt").replace("SUID_INSTALL=0", "SUID_INSTALL=1")
    assert probed(system, "apptainer").metadata["setuid"] is False  # built for it, but the starter is not installed
    system.files["/usr/lib/x86_64-linux-gnu/apptainer/bin/starter-suid"] = ""
    assert probed(system, "apptainer").metadata["setuid"] is True
    assert [one["type"] for one in items(system, "apptainer.list_cache")] == ["blob"] * 3
    [instance] = items(system, "apptainer.instances")
    assert (instance["name"], instance["id"], instance["image"]) == ("db", "4711", "/home/user/db.sif")
    settings = [(one["name"], one["value"]) for one in items(system, "apptainer.configuration")]
    assert ("allow setuid", "yes") in settings and [value for name, value in settings if name == "bind path"] == [
        "/etc/localtime",
        "/etc/hosts",
    ]
    assert settings[0][0] == "allow setuid" and ("image driver", "") in settings


def test_singularity():
    system = machines.singularity()
    metadata = probed(system, "singularity").metadata
    assert (metadata["runtime"], metadata["version"], metadata["setuid"]) == ("singularity-ce", "4.2.1-noble", True)
    assert metadata["cache_dir"] == "/home/user/.singularity/cache"
    [entry] = items(system, "singularity.list_cache")
    assert entry["size"] == round(90.43 * 2**20) and entry["type"] == "library"
    assert items(system, "singularity.instances") == []
    gpus = {one["option"]: one["ready"] for one in items(system, "singularity.gpus")}
    assert gpus == {"--nv": True, "--rocm": False}


def test_whether_an_image_file_is_there():
    system = machines.apptainer()
    there = call(system, "apptainer.image", path="/images/latest.sif")
    assert there["present"] and there["platform"] == "linux/amd64" and there["id"].startswith("18a41599")
    assert call(system, "apptainer.image", path="/images/none.sif")["present"] is False
    with pytest.raises(CommandFailed, match="invalid SIF magic"):
        call(system, "apptainer.image", path="/images/odd.sif")
    asked = len(system.asked)
    for path in ("/images/secret.sif", "/etc/passwd", "/images/../x.sif", "x.sif", "--help.sif", "/images/a\n.sif"):
        with pytest.raises(ArgumentError):
            call(system, "apptainer.image", path=path)
    assert all("sif" not in words for words in system.asked[asked:])
    old = _singularity.read_header(text("singularity-3.5/sif-header.txt"), "/x.sif")
    assert old.platform == "linux/amd64" and old.id == "16a8b3c4-0000-4000-8000-000000000000"


def test_apptainer_and_singularity_are_told_apart():
    real = machines.singularity()
    assert probed(real, "apptainer").result.state == "absent"
    # Apptainer by the name of singularity only: by a link, by a wrapper
    for links in ({"/usr/bin/singularity": "apptainer"}, {}):
        system = machines.apptainer("singularity")
        system.links.update(links)
        assert isinstance(probed(system, "singularity").result, Absent)
        found = probed(system, "apptainer").metadata
        assert (found["runtime"], found["command"]) == ("apptainer", "singularity")
        assert len(items(system, "apptainer.list_cache")) == 3
    with pytest.raises(InactiveProvider):
        call(system, "singularity.list_cache")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("apptainer version 1.4.5-3.el8", ("apptainer", "1.4.5-3.el8")),
        ("apptainer version 1.0.3", ("apptainer", "1.0.3")),
        ("singularity version 3.5.2", ("singularity", "3.5.2")),
        ("singularity-pro version 3.9-8", ("singularity-pro", "3.9-8")),
        ("2.6.1-dist", ("singularity", "2.6.1-dist")),
        ("WARNING: something\nsingularity-ce version 4.2.1", ("singularity-ce", "4.2.1")),
    ],
)
def test_versions_of_singularity(said, expected):
    assert _singularity.read_version(said) == expected


def test_cache_lists_of_other_versions_and_one_that_is_none():
    guide = _singularity.read_cache(text("apptainer-1.4/cache-guide.txt"))
    assert [one.type for one in guide] == ["blob", "blob", "oci-tmp", "oci-tmp"] and guide[3].size == 0
    [entry] = _singularity.read_cache(text("singularity-3.5/cache.txt"))
    assert (entry.name, entry.size, entry.type) == ("hello-world_latest.sif", 62_650_000, "shub")
    with pytest.raises(OutputError, match="surprise"):
        _singularity.read_cache("surprise")
    # A pattern that goes through such a line again and again would take hours.
    told = _singularity.read_cache(text("singularity-3.5/cache.txt") + f"\n a: {' ' * 10**6}b\n")
    assert told[0] == entry and told[1].problem.startswith("can't be read: a:")


def test_charliecloud():
    system = machines.charliecloud()
    assert probed(system, "charliecloud").metadata == {"version": "0.31", "storage": "/var/tmp/user.ch", "exists": True}
    assert call(system, "charliecloud.image", name="tiny:1.0")["present"] is True
    assert call(system, "charliecloud.image", name="other")["present"] is False
    assert call(system, "charliecloud.check") == {"work": True, "said": "ok"}
    system.commands["ch-checkns",] = Ran((), 1, "", "ch-checkns: unshare(2): Operation not permitted")
    assert call(system, "charliecloud.check")["work"] is False


def test_a_storage_of_charliecloud_that_is_not_there_is_not_made():
    system = machines.charliecloud()
    system.files = {}
    assert items(system, "charliecloud.images") == [] and ("ch-image", "list") not in system.asked


def test_what_a_tool_in_python_died_of_is_told():
    system = machines.charliecloud()
    said = "Traceback (most recent call last):\n  File x\nModuleNotFoundError: No module named 'lark'\n"
    system.commands["ch-image", "list"] = Ran((), 1, "", said)
    with pytest.raises(CommandFailed, match="No module named 'lark'"):
        call(system, "charliecloud.image", name="tiny:1.0")


def test_shifter():
    system = machines.shifter()
    metadata = probed(system, "shifter").metadata
    assert metadata == {
        "systems": ["mycluster", "systema", "bluewaters"],
        "images": 2,
        "configuration": "/etc/shifter/udiRoot.conf",
    }
    assert call(system, "shifter.image", name="docker:tjntest:latest")["id"] == "01f79c97b5"
    assert call(system, "shifter.image", name="wallen/fastqc:0.11.7")["present"] is False  # it is being pulled
    system.commands["shifterimg", "images"] = Ran((), 1, "", "Failed to contact the image gateway.")
    assert "image gateway" in probed(system, "shifter").result.reason
    assert shifter.read_images("what")[0].problem


def test_enroot():
    system = machines.enroot()
    metadata = probed(system, "enroot").metadata
    assert metadata["version"] == "3.4.1" and metadata["hooks"] == ["98-nvidia.sh"] and metadata["pyxis"] is False
    assert [one["name"] for one in items(system, "enroot.containers")] == ["ubuntu", "pytorch-24.05"]
    settings = {one["name"]: one["value"] for one in items(system, "enroot.configuration")}
    assert settings["ENROOT_MOUNT_HOME"] == "no" and "ENROOT_LIBRARY_PATH" not in settings


@pytest.mark.parametrize(
    ("files", "possible", "reason"),
    [
        ({}, True, ""),
        ({"/proc/sys/user/max_user_namespaces": "0"}, False, "max_user_namespaces is 0"),
        ({"/proc/sys/kernel/unprivileged_userns_clone": "0"}, False, "unprivileged_userns_clone is 0"),
        ({"/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}, None, "AppArmor"),
        ({"/etc/subgid": ""}, True, "name no ids for user"),
    ],
)
def test_whether_a_user_may_run_containers(files, possible, reason):
    found = unprivileged(RecordedSystem(files={**machines.USER, **files}))
    assert found.possible is possible and found.cgroup == "v2"
    assert reason in " ".join(found.reasons) and bool(reason) == bool(found.reasons)


def test_a_machine_that_tells_nothing_promises_nothing():
    found = unprivileged(RecordedSystem())
    assert found.possible is None and found.user_namespaces is None and found.subordinate_uids is None


def test_subordinate_ids():
    assert subordinate("user:1:10\nuser:100:5\nusers:1:7\nuser:x\n", "user") == 15
    assert subordinate("", "user") == 0 and subordinate(None, "user") is None
