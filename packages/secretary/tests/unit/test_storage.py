"""The storage providers, on a recorded node that has a mount of every kind, and their parsers on several versions."""

from __future__ import annotations

import threading

import pytest
from recorded.container_storage import cluster, text

from resource_secretary import Secretary
from resource_secretary.errors import ArgumentError, CommandFailed, OutputError
from resource_secretary.paths import resolved
from resource_secretary.providers.storage import _beegfs_text, _gpfs_text, _lustre_text, _nvme_text
from resource_secretary.providers.storage._ceph_text import read_status
from resource_secretary.providers.storage._mounts import mount_of, read_mounts, visible
from resource_secretary.providers.storage._network_text import read_quotas
from resource_secretary.reading import scaled, whole
from resource_secretary.run import Ran
from resource_secretary.system import Disk
from resource_secretary.testing import RecordedSystem


@pytest.fixture
def node():
    return cluster()


def items(node, tool, **arguments):
    return Secretary(system=node).call(tool, arguments).result["items"]


def points(text):
    return [mount.point for mount in visible(read_mounts(text)[0])]


def line(number, parent, point, kind="ext4", device="8:1"):
    return f"{number} {parent} {device} / {point} rw - {kind} /dev/x rw"


def test_the_mount_table():
    mounts, unread = read_mounts(text("mounts/cluster.txt") + "nonsense line\n")
    assert len(mounts) == 18 and unread == ["line 19: nonsense line"]
    spaced = next(mount for mount in mounts if mount.point == "/mnt/my data")
    assert spaced.source == "[fe80::1]:/export/my data" and spaced.option("vers") == "3" and not spaced.read_only
    assert next(mount for mount in mounts if mount.point == "/boot").read_only


def test_what_is_mounted_over_is_not_seen():
    over = [line(1, 0, "/"), line(2, 1, "/a", device="8:2"), line(3, 2, "/a", device="8:3")]
    assert [mount.id for mount in visible(read_mounts("\n".join(over))[0])] == [1, 3]
    # /a came after /a/b, whose parent it therefore is not; what is below /a/b went with it
    above = [line(1, 0, "/"), line(2, 1, "/a/b"), line(3, 2, "/a/b/c"), line(4, 1, "/a"), line(5, 4, "/a/d")]
    assert points("\n".join(above)) == ["/", "/a", "/a/d"]
    many = [line(1, 0, "/"), *(line(number, 1, f"/a/{number}") for number in range(2, 20_000)), line(20_000, 1, "/a")]
    assert points("\n".join(many)) == ["/", "/a"]
    assert points("\n".join([line(1, 1, "/"), line(2, 1, "/ab"), line(3, 1, "/a")])) == ["/", "/ab", "/a"]


def test_the_mount_of_a_path():
    mounts = visible(read_mounts(text("mounts/cluster.txt"))[0])
    assert mount_of("/local/hidden/x", mounts).root == "/inner"  # the later one lies over the NFS
    assert mount_of("/localhost", mounts).point == "/"
    assert mount_of("/mnt/my data/x", mounts).type == "nfs"


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("12", 12),
        (12, 12),
        ("-1", None),
        (-1, None),
        ("9" * 19, None),
        ("²", None),
        (True, None),
        (1.5, None),
        ("", None),
    ],
)
def test_whole_numbers(value, number):
    assert whole(value) == number


@pytest.mark.parametrize(
    ("value", "decimal", "amount"),
    [
        ("28.11 MiB", True, 29475471),
        ("5.59MB", True, 5590000),
        ("1.5M", True, 1500000),
        ("2.0GB", False, 2**31),
        ("17", False, 17),
        ("1 fortnight", False, None),
        ("-1 kB", False, None),
    ],
)
def test_amounts_with_units(value, decimal, amount):
    assert scaled(value, decimal=decimal) == amount


def test_lustre(node):
    manifest = Secretary(system=node).detect("storage", "lustre")["lustre"].metadata
    assert manifest["version"] == "2.15.5" and manifest["file_systems"][0]["point"] == "/scratch"
    targets = items(node, "lustre.targets")
    assert [(one["name"], one["flags"]) for one in targets[:3]] == [
        ("scratch-MDT0000", ""),
        ("scratch-OST0000", "S"),
        ("scratch-OST0001", "D"),
    ]
    assert targets[1]["free"] == 5161792 * 1024
    assert targets[3]["total"] is None and targets[3]["problem"] == "Resource temporarily unavailable"
    [quota] = items(node, "lustre.quota")
    assert quota["over"] and quota["soft"] == 2**32 and quota["files_soft"] is None
    assert quota["grace"] == "6d23h59m59s"


def test_a_quota_of_a_lustre_project_is_that_of_the_path(node):
    [quota] = items(node, "lustre.quota", kind="project", path="/scratch/work")
    assert (quota["name"], quota["hard"], quota["used"], quota["over"]) == ("1000", 10**10 * 1024, 811480 * 1024, False)
    [unknown] = items(node, "lustre.quota", kind="project")
    assert unknown["used"] is None and "lfs project" in unknown["problem"]


def test_lustre_answers_of_other_versions():
    targets = _lustre_text.read_targets(text("lustre-2.12/df.txt"), "/mnt/exacloud")
    assert [one.index for one in targets] == [0, 0, 1, 2, 23] and targets[3].problem == "inactive device"
    inexact = _lustre_text.read_quota(text("lustre-2.15/quota-inexact.txt"), "/scratch", "user", "user")
    assert inexact.used == 811480 * 1024 and inexact.problem == "not exact: a target did not answer"
    [folder] = _lustre_text.read_layout(text("lustre-2.12/getstripe-dir.txt"), "/mnt/exacloud/d")
    assert (folder.stripe_count, folder.stripe_size, folder.end) == (1, 2**20, None)
    [file] = _lustre_text.read_layout(text("lustre-2.12/getstripe-file.txt"), "/mnt/exacloud/f")
    assert file.pattern == "raid0"
    first, second = _lustre_text.read_layout(text("lustre-2.15/getstripe-pfl.txt"), "/scratch/domfile")
    assert (first.end, first.pattern, second.start, second.stripe_count, second.pool) == (
        2**20,
        "mdt",
        2**20,
        None,
        "flash",
    )
    states = [server.state for server in _lustre_text.read_servers(text("lustre-2.12/servers.txt"))]
    assert states == ["active", "active", "check error: Resource temporarily unavailable", "inactive"]


def test_lustre_health_says_why_it_knows_nothing(node):
    node.commands["lfs", "check", "servers"] = Ran((), 1, "", "lfs check: Operation not permitted")
    health = Secretary(system=node).call("lustre.health").result
    assert health["servers"] is None and "Operation not permitted" in health["problem"]
    assert health["health_check"] == "healthy"


def test_a_path_must_lie_on_a_file_system_of_the_provider(node):
    secretary = Secretary(system=node)
    layout = secretary.call("lustre.layout", {"path": "/home/user/work"}).result
    assert layout["total"] == 2  # a link to /scratch/work, which is asked
    assert ("lfs", "getstripe", "-d", "/scratch/work") in node.asked
    for path in ("/etc/passwd", "/scratch/link", "/scratchy", "/local/x"):
        with pytest.raises(ArgumentError, match="lustre has: /scratch"):
            secretary.call("lustre.layout", {"path": path})
    for path in ("/scratch/../etc/passwd", "scratch", "-d", "/scratch/a\nb", "/scratch/\0"):
        with pytest.raises(ArgumentError):
            secretary.call("lustre.layout", {"path": path})
    with pytest.raises(ArgumentError, match="links without end"):
        secretary.call("lustre.layout", {"path": "/scratch/loop"})


def test_links_are_followed_as_the_kernel_does():
    system = RecordedSystem(links={"/a": "b/../c", "/c/d": "/e", "/e": "../../f"})
    assert resolved(system, "/a/d/x") == "/f/x"
    assert resolved(system, "/nothing/here") == "/nothing/here"


def test_beegfs(node):
    targets = items(node, "beegfs.targets")
    assert [(one["kind"], one["name"]) for one in targets] == [
        ("meta", "1"),
        ("meta", "2"),
        ("storage", "1"),
        ("storage", "102"),
    ]
    assert targets[3]["pool"] == "emergency" and targets[3]["files"] == 1_500_000
    [quota] = items(node, "beegfs.quota")
    assert quota["used"] == 2791507521536 and quota["hard"] is None and quota["over"] is False
    servers = items(node, "beegfs.servers")
    assert [one["name"] for one in servers] == ["mgmt01", "meta01", "dell1", "dell2"]
    assert servers[2]["connections"] == "RDMA: 1 (192.0.2.3:8003)" and servers[3]["connections"] is None


def test_beegfs_8_is_asked_in_its_own_way(node):
    mount = "--mount=/mnt/beegfs"
    node.commands["beegfs", "health", "df", "--output=json", mount] = text("beegfs-8.3/health-df.txt")
    node.commands["beegfs", "quota", "list-usage", "--uids=current", "--output=ndjson", mount] = text(
        "beegfs-8.3/quota.ndjson"
    )
    targets = items(node, "beegfs.targets")
    assert [(one["name"], one["kind"], one["reachability"], one["consistency"]) for one in targets] == [
        ("target_meta_1", "meta", "Online", "Good"),
        ("target_storage_101", "storage", "Online", "Good"),
        ("target_storage_102", "storage", "Offline", "Needs-Resync"),
    ]
    [quota] = items(node, "beegfs.quota")
    assert (quota["used"], quota["hard"], quota["files_used"], quota["files_hard"]) == (2**30, 10 * 2**30, 1000, None)


def test_beegfs_answers_of_other_versions():
    old = _beegfs_text.read_df(text("beegfs-6.18/df.txt"))
    assert len(old) == 3 and old[0].pool == "normal" and old[0].free == round(3052.2 * 2**30)
    new = _beegfs_text.read_targets(text("beegfs-8.4/health-df.json"))
    assert (new[0].name, new[0].kind, new[0].total) == ("target_storage_103", "storage", 997409685504)
    assert new[0].files is None  # 0 inodes are none told
    [quota] = _beegfs_text.read_quota_csv(text("beegfs-7.4/quota-limited.csv"), "/b", "user")
    assert (quota.hard, quota.files_used, quota.files_hard) == (10 * 2**30, 1000, None)
    with pytest.raises(OutputError, match=r"lists no target.*surprise"):
        _beegfs_text.read_targets('{"surprise": 1}')


def test_gpfs(node):
    user, group = items(node, "gpfs.quota")
    assert user["over"] and user["soft"] == 10485760 * 1024 and user["grace"] == "2 days" and user["files_soft"] is None
    assert group["kind"] == "group" and group["hard"] is None
    project, other = items(node, "gpfs.file_systems")
    assert project["mount_point"] == "/fs/project" and project["block_size"] == 4 * 2**20
    assert other["quotas"] is None
    [state] = items(node, "gpfs.health")
    assert (state["state"], state["nodes_up"], state["nodes"]) == ("active", 7, 1122)


def test_a_report_of_gpfs_with_several_headings():
    found = _gpfs_text.read_quotas(text("gpfs-5/mmrepquota.txt"))
    assert [(one.file_system, one.kind, one.name) for one in found] == [
        ("project", "fileset", "root"),
        ("project", "fileset", "PZS1003"),
        ("scratch", "fileset", "root"),
        ("home", "user", "root"),
    ]
    assert found[1].hard == 2147483648 * 1024 and found[1].problem == ""
    assert found[2].problem.startswith(f"{5308909920 * 1024} bytes are in doubt")


def test_a_record_of_gpfs_that_is_cut_loses_only_itself():
    whole_text = text("gpfs-5/mmlsquota.txt")
    found = _gpfs_text.read_quotas(whole_text.replace("mmlsquota::0:1:::gpfs01:GRP:500", "mmlsquota::0:1:::gpfs01"))
    assert found[0].name == "user"
    assert found[1].used is None and "line 3" in found[1].problem


def test_ceph(node):
    [quota] = items(node, "ceph.quota", path="/ceph/proj/me")
    assert (quota["name"], quota["hard"], quota["used"]) == ("/ceph/proj", 10**12, 250 * 10**9)
    [none] = items(node, "ceph.quota")
    assert none["name"] == "/ceph" and none["hard"] is None and none["used"] == 9
    assert Secretary(system=node).call("ceph.health").result["status"] == "HEALTH_OK"
    old = read_status(text("ceph-14/status.json"))
    assert old.osds_up == 11 and old.checks == ("OSD_DOWN: 1 osds down",)
    metadata = Secretary(system=node).detect("storage", "ceph")["ceph"].metadata
    assert not any("secret" in option for option in metadata["file_systems"][0]["options"])


def test_network_file_systems(node):
    found = {one["point"]: one for one in items(node, "network-fs.mounts")}
    assert set(found) == {"/home", "/mnt/my data", "/mnt/win"}  # one more is mounted over
    assert found["/home"]["total"] is None and "does not tell" in found["/home"]["problem"]
    assert found["/mnt/win"]["read_only"] and found["/mnt/win"]["files"] is None
    servers = {one["point"]: one for one in items(node, "network-fs.servers")}
    assert (servers["/mnt/my data"]["server"], servers["/mnt/my data"]["export"]) == ("fe80::1", "/export/my data")
    assert servers["/home"]["hard"] is True and servers["/mnt/my data"]["hard"] is False
    assert servers["/mnt/win"]["server"] == "fileserver" and servers["/mnt/win"]["hard"] is None
    assert items(node, "network-fs.automounts") == [{"point": "/net", "map": "auto.net"}]


def test_quotas_of_network_file_systems(node):
    first, second = items(node, "network-fs.quota")
    assert (first["used"], second["used"], second["files_used"]) == (5 * 2**30, 102400, 5)
    assert first["over"] and first["grace"] == "1795880000" and second["file_system"] == "server:/export/my data"
    assert read_quotas(Ran(("quota",), 0, text("quota-4.06/none.txt"))) == []
    # A pattern that goes through such a line again and again would take hours.
    long = text("quota-4.06/none.txt") + f"\n a: {' ' * 10**6}b\n"
    assert [one.problem[:16] for one in read_quotas(Ran(("quota",), 0, long))] == ["can't be read: a"]
    with pytest.raises(CommandFailed):
        read_quotas(Ran(("quota",), 1, "", ""))
    with pytest.raises(OutputError):
        read_quotas(Ran(("quota",), 0, ""))


class Stuck(RecordedSystem):
    """One of its file systems never answers."""

    def disk(self, path):
        if path == "/home":
            threading.Event().wait(20)
        return super().disk(path)


def test_a_server_that_is_gone_costs_its_deadline_and_hides_no_other():
    recorded = cluster()
    stuck = Stuck(files=recorded.files, disks=recorded._disks)
    answer = Secretary(system=stuck).call("network-fs.mounts", timeout=2)
    found = {one["point"]: one for one in answer.result["items"]}
    assert found["/home"]["problem"].startswith("no answer in 1.")
    assert found["/mnt/win"]["total"] == 10**9


def test_what_is_free_is_never_more_than_all():
    node = cluster()
    node._disks["/mnt/win/x"] = Disk(10, 5, 99, 0, 0)
    answer = Secretary(system=node).call("network-fs.space", {"path": "/mnt/win/x"}).result
    assert (answer["total"], answer["free"], answer["files"]) == (10, 10, None)


def test_local_scratch(node):
    found = {one["point"]: one for one in items(node, "local-scratch.places")}
    assert {point for point, one in found.items() if one["scratch"]} == {"/", "/local", "/local/hidden", "/dev/shm"}
    assert found["/local"]["why"].startswith("TMPDIR points into it") and found["/local"]["rotational"] is False
    assert found["/dev/shm"]["kind"] == "memory" and found["/boot"]["why"] == "mounted read-only"
    assert found["/srv/b"]["rotational"] is True and found["/tank"]["rotational"] is None
    named = {one["name"]: one for one in items(node, "local-scratch.named")}
    assert named["TMPDIR"]["kind"] == "disk" and named["MEMDIR"]["kind"] == "memory"
    assert (named["SCRATCH"]["kind"], named["SCRATCH"]["type"]) == ("shared", "lustre")  # by a link in /home
    assert named["LSCRATCH"]["problem"] == "is no absolute path"


def test_without_a_local_disk_there_is_no_local_scratch():
    overlay = "1 0 0:5 / / rw - overlay overlay rw\n2 1 0:6 / /tmp rw - tmpfs tmpfs rw\n"
    system = RecordedSystem(files={"/proc/self/mountinfo": overlay})
    result = Secretary(system=system).detect("storage", "local-scratch")["local-scratch"].result
    assert "none is mounted" in result.reason
    network = overlay + "3 1 252:0 / /scratch rw - ext4 /dev/rbd0 rw\n"
    system = RecordedSystem(files={"/proc/self/mountinfo": network})
    assert "Ceph RBD" in Secretary(system=system).detect("storage", "local-scratch")["local-scratch"].result.reason


def test_nvme(node):
    first, second = items(node, "nvme.namespaces")
    assert first["size"] == 7501476528 * 512
    assert first["used_by"] == ["dm-0 (vg-root)", "/ (xfs)", "/boot (ext4)", "swap"]
    assert second["used_by"] == ["/local (xfs)", "/local/hidden (xfs)"]
    assert [one["numa_node"] for one in items(node, "nvme.controllers")] == [0, None]
    worn = items(node, "nvme.wear")
    assert [(one["wear"], one["temperature"], one["warnings"]) for one in worn] == [(3, 35, 0), (104, 38, 4)]
    assert worn[0]["written"] == worn[1]["written"] == 2000 * 512_000
    assert [one["used"] for one in items(node, "nvme.usage")] == [3840755982336, 1024]
    [old] = _nvme_text.read_list(text("nvme-cli-1/list.json"))
    assert (old.name, old.model, old.size) == ("nvme0n1", "SAMSUNG MZ1LB960HAJQ-00007", 960197124096)
    for device in ("nvme7", "/dev/nvme0", "nvme0n1"):
        with pytest.raises(ArgumentError):
            Secretary(system=node).call("nvme.wear", {"device": device})


def test_nvme_that_may_not_be_asked_says_so(node):
    for name in ("nvme0", "nvme1"):
        node.commands["nvme", "smart-log", f"/dev/{name}", "-o", "json"] = Ran((), 1, "", "open: Permission denied")
    with pytest.raises(CommandFailed, match="Permission denied"):
        items(node, "nvme.wear")
    with pytest.raises(OutputError, match=r"is no JSON.*surprise"):
        _nvme_text.read_list("surprise")
    usage = "\x1b[1mUsage: nvme smart-log <device> [OPTIONS]\x1b[0m"
    node.commands["nvme", "smart-log", "/dev/nvme0", "-o", "json"] = Ran((), 1, text("nvme-cli-2.16/error.json"), usage)
    with pytest.raises(CommandFailed, match="exit code 1: /dev/nvme0: No such file or directory"):
        items(node, "nvme.wear", device="nvme0")


def test_where_no_mount_table_is_nothing_is_claimed():
    for name in ("lustre", "beegfs", "gpfs", "ceph", "network-fs", "local-scratch", "nvme"):
        result = Secretary(system=RecordedSystem()).detect("storage", name)[name].result
        assert result.state == "absent" and result.reason
