"""Which device is which network: every kind over every network provider, and what the tools of fabrics print."""

from __future__ import annotations

import pytest
from recorded import hardware as recorded

from resource_secretary import Secretary
from resource_secretary.errors import CommandFailed, OutputError
from resource_secretary.providers.network import _rdma_text as text
from resource_secretary.result import Absent, Unreachable
from resource_secretary.run import Ran
from resource_secretary.testing import RecordedSystem

net, rdma, cxi = recorded.net, recorded.rdma, recorded.cxi
DOWN = {"state": "1: DOWN", "phys_state": "3: Disabled"}


def bond(state="up", virtual=False):
    """bond0 of two interfaces; virtual: of two that no device stands behind."""
    drivers = (None, None) if virtual else ("ice", "ice")
    parts = [net(f"eth{n}", driver) for n, driver in enumerate(drivers)]
    files, links = net("bond0", None, operstate=state, bonding__slaves="eth0 eth1", speed="200000")
    for n, _ in enumerate(drivers):
        files[f"/sys/class/net/bond0/lower_eth{n}/mtu"] = "9000"
        links[f"/sys/class/net/eth{n}/master"] = "../bond0"
    return [*parts, (files, links)]


def vlan():
    return net("eth0.42", None, uevent="DEVTYPE=vlan\nINTERFACE=eth0.42", lower_eth0__mtu="1500")


MACHINES = {
    "nothing": ([], []),
    "ethernet": ([net("eth0")], ["ethernet"]),
    "ethernet down": ([net("eth0", operstate="down")], []),
    "bond": (bond(), ["ethernet"]),
    "bond down": (bond("down"), []),
    "bond of virtual ones": (bond(virtual=True), []),
    "vlan without its interface up": ([net("eth0", operstate="down"), vlan()], []),
    "wireless": ([net("wlan0", wireless__link="0")], []),
    "infiniband": ([rdma("mlx5_0", "mlx5_core", "InfiniBand"), net("ib0", "mlx5_core", type="32")], ["infiniband"]),
    "infiniband down": ([rdma("mlx5_0", "mlx5_core", "InfiniBand", **DOWN)], []),
    "infiniband initializing": ([rdma("mlx5_0", "mlx5_core", "InfiniBand", state="2: INIT")], []),
    "roce": ([rdma("mlx5_0", "mlx5_core", "Ethernet"), net("eth0", "mlx5_core")], ["ethernet"]),
    "roce alone": ([rdma("mlx5_bond_0", "mlx5_core", "Ethernet")], []),
    "iwarp": ([rdma("irdma0", "irdma", "Ethernet", node_type="4: RNIC")], []),
    "omni-path": ([rdma("hfi1_0", "hfi1", "InfiniBand"), net("ib0", "hfi1", type="32")], ["omni-path"]),
    "omni-path renamed by udev": ([rdma("ibp94s0", "hfi1", "InfiniBand")], ["omni-path"]),
    "omni-path down": ([rdma("hfi1_0", "hfi1", "InfiniBand", **DOWN)], []),
    "efa": ([rdma("rdmap0s6", "efa", "Unspecified"), net("eth0", "ena")], ["efa", "ethernet"]),
    "slingshot": ([cxi(0)], ["slingshot"]),
    "slingshot down": ([cxi(0, "down")], []),
    "slingshot 10": ([rdma("mlx5_0", "mlx5_core", "Ethernet"), net("hsn0", "mlx5_core")], ["ethernet"]),
    "all": (
        [
            net("eno1"),
            rdma("mlx5_0", "mlx5_core", "InfiniBand"),
            rdma("hfi1_0", "hfi1", "InfiniBand"),
            rdma("efa_0", "efa", "Unspecified"),
            cxi(0),
        ],
        ["efa", "ethernet", "infiniband", "omni-path", "slingshot"],
    ),
}


@pytest.mark.parametrize("name", MACHINES)
def test_exactly_the_right_networks_are_active(name):
    parts, active = MACHINES[name]
    manifest = Secretary(system=recorded.machine(*parts)).detect("network")
    assert sorted(entry.known.name for entry in manifest.active) == active
    assert all(entry.result.reason for entry in manifest.entries if not entry.active)
    assert len(manifest.entries) == 5


def probe(system, name):
    return Secretary(system=system).detect(name=name)[name].result


def test_what_is_down_says_so():
    system = recorded.machine(rdma("mlx5_0", "mlx5_core", "InfiniBand", **DOWN))
    folder = "/sys/class/infiniband"
    assert probe(system, "infiniband") == Unreachable(folder, "no port is up: mlx5_0 port 1 is DOWN (Disabled)")
    system = recorded.machine(rdma("hfi1_0", "hfi1", "InfiniBand", state="2: INIT"))
    assert probe(system, "omni-path").reason == f"{folder}: no port is up: hfi1_0 port 1 is INIT (LinkUp)"
    assert probe(recorded.machine(cxi(0, "down")), "slingshot").reason.endswith("no card is up: cxi0 is down")
    system = recorded.machine(rdma("mlx5_0", "mlx5_core", "Ethernet"))
    assert probe(system, "infiniband") == Absent(f"an InfiniBand port in {folder}: mlx5_0 is roce")


def test_ports_and_counters():
    parts = (rdma("mlx5_0", "mlx5_core", "InfiniBand", node="1"), rdma("mlx5_1", "mlx5_core", "Ethernet"))
    secretary = Secretary(system=recorded.machine(*parts))
    [port] = secretary.call("infiniband.ports").result["items"]
    assert (port["rate"], port["width"], port["lid"], port["numa_node"]) == (400, "4X NDR", 0x33F9, 1)
    assert (port["bus"], port["firmware"], port["driver"]) == ("0000:1a:00.0", "28.39.1002", "mlx5_core")
    every = secretary.call("infiniband.ports", {"kind": "any"}).result["items"]
    assert {one["device"]: one["kind"] for one in every} == {"mlx5_0": "infiniband", "mlx5_1": "roce"}
    [count] = secretary.call("infiniband.counters").result["items"]
    assert (count["sent"], count["received"], count["link_downed"]) == (4000, 8000, 2)
    assert count["errors"] == {"link_downed": 2, "port_rcv_errors": 7}
    assert secretary.detect(name="infiniband")["infiniband"].metadata["others"] == {"mlx5_1": "roce"}


def test_a_bond_counts_once():
    system = recorded.machine(*bond(), vlan())
    [one] = Secretary(system=system).detect(name="ethernet")["ethernet"].metadata["interfaces"]
    assert (one["name"], one["members"], one["speed"]) == ("bond0", ["eth0", "eth1"], 200000)
    why = {row["name"]: row["excluded"] for row in Secretary(system=system).call("ethernet.interfaces").result["items"]}
    assert why == {
        "bond0": "",
        "eth0": "a member of the bond bond0",
        "eth1": "a member of the bond bond0",
        "eth0.42": "a VLAN of eth0",
    }


def test_a_bridge_takes_nothing_away():
    files, links = net("eth0")
    bridge = net("br0", None, bridge__stp_state="0", lower_eth0__mtu="1500")
    system = recorded.machine((files, links | {"/sys/class/net/eth0/master": "../br0"}), bridge)
    [one] = Secretary(system=system).detect(name="ethernet")["ethernet"].metadata["interfaces"]
    assert one["name"] == "eth0" and one["bus"] == "0000:00:03.0" and one["numa_node"] == 0


def test_a_virtual_function_beside_its_device_is_not_another_link():
    system = recorded.machine(net("eth0"), net("eth0v0", "iavf", device__physfn__net__eth0__mtu="1500"))
    assert [one.name for one in probe(system, "ethernet").metadata.interfaces] == ["eth0"]


def test_ethernet_tells_of_roce():
    system = recorded.machine(net("eth0", "mlx5_core", device__infiniband__mlx5_0__node_type="1: CA"))
    [one] = probe(system, "ethernet").metadata.interfaces
    assert one.rdma == ("mlx5_0",)


def test_ethernet_counters():
    rows = Secretary(system=recorded.machine(net("eth0", statistics__tx_bytes="5"), net("veth1", None)))
    [row] = rows.call("ethernet.counters").result["items"]
    assert (row["name"], row["sent"], row["errors"]) == ("eth0", 5, {"rx_dropped": 3})


def test_ibstat_that_stops_at_a_device():
    told = text.read_ibstat(recorded.text("fabrics/ibstat-infiniband-partial.txt"))
    down, up = told.ports
    assert (up.device, up.kind, up.rate, up.lid, up.up) == ("mlx5_7", "infiniband", 200, 13305, True)
    assert down.reason == "mlx5_6 port 1 is Down (Polling)" and "mlx5_8" in told.unread[0]
    system = RecordedSystem(
        commands={("ibstat",): Ran((), 255, recorded.text("fabrics/ibstat-infiniband-partial.txt"))}
    )
    found = Secretary(system=system).detect(name="infiniband")["infiniband"].metadata
    assert (found["source"], found["up"], found["rate"], len(found["unread"])) == ("ibstat", 1, 200, 1)


def test_ibstat_of_two_ports_and_of_what_is_not_infiniband():
    down, up = text.read_ibstat(recorded.text("fabrics/ibstat-two-ports-2.0.txt")).ports
    assert (down.up, up.up, up.port, up.rate) == (False, True, 2, 56)
    for name, kind in (("roce", "roce"), ("hfi1", "omni-path")):
        answer = recorded.text(f"fabrics/ibstat-{name}.txt")
        [port] = text.read_ibstat(answer).ports
        assert port.kind == kind and port.up
        result = probe(RecordedSystem(commands={("ibstat",): answer}), "infiniband")
        assert isinstance(result, Absent) and result.reason.endswith(f"{port.device} is {kind}")


def test_tools_without_hardware():
    """As on Debian 12: ibstat prints nothing and ends with 0, the others fail."""
    assert isinstance(probe(RecordedSystem(commands={("ibstat",): ""}), "infiniband"), Absent)
    failed = Ran((), 255, "", "Failed to get IB devices list: Function not implemented")
    assert isinstance(probe(RecordedSystem(commands={("ibv_devinfo",): failed}), "infiniband"), Absent)
    failed = Ran((), 1, "", "Failed to open NETLINK_RDMA socket")
    assert isinstance(probe(RecordedSystem(commands={("rdma", "-j", "link"): failed}), "infiniband"), Absent)
    failed = Ran((), 61, "", "fi_getinfo: -61")
    for name, provider in (("efa", "efa"), ("slingshot", "cxi")):
        result = probe(RecordedSystem(commands={("fi_info", "-p", provider): failed}), name)
        assert isinstance(result, Absent) and f"fi_info -p {provider} knows of none" in result.reason
    hangs = Ran((), None, problem="no answer in 2 s")
    assert probe(RecordedSystem(commands={("ibstat",): hangs}), "infiniband").reason == "ibstat: no answer in 2 s"


def test_ibv_devinfo_with_ports_down():
    ours, other = text.read_devinfo(recorded.text("fabrics/ibv_devinfo-down.txt")).ports
    assert (ours.kind, ours.up, ours.board, other.kind) == ("infiniband", False, "MT_0000000838", "roce")
    system = RecordedSystem(commands={("ibv_devinfo",): recorded.text("fabrics/ibv_devinfo-down.txt")})
    assert probe(system, "infiniband") == Unreachable("ibv_devinfo", "no port is up: mlx5_0 port 1 is DOWN")


def test_rdma_link():
    one, other = text.read_rdma_link(recorded.text("fabrics/rdma-link.json")).ports
    assert (one.kind, one.up, one.physical_state, other.kind, other.interfaces) == (
        *("infiniband", True, "LINK_UP", "roce"),
        ("p1p1",),
    )
    system = RecordedSystem(commands={("rdma", "-j", "link"): recorded.text("fabrics/rdma-link.json")})
    assert probe(system, "infiniband").metadata.up == 1


def test_opainfo():
    [port] = text.read_opainfo(recorded.text("fabrics/opainfo.txt")).ports
    assert (port.device, port.rate, port.width, port.lid, port.up) == ("hfi1_0", 100, "4X", 3, True)
    system = RecordedSystem(commands={("opainfo",): recorded.text("fabrics/opainfo.txt")})
    found = probe(system, "omni-path").metadata
    assert (found.up, found.rate, found.source) == (1, 100, "opainfo")


def test_libfabric():
    found = text.read_fi_info(recorded.text("fabrics/fi_info-efa.txt"))
    assert [one.domain for one in found] == ["efa_0-rdm", "efa_0-dgrm", "efa_0-dgrm"]
    system = RecordedSystem(commands={("fi_info", "-p", "efa"): recorded.text("fabrics/fi_info-efa.txt")})
    assert probe(system, "efa").metadata.domains == ("efa_0",)
    rows = Secretary(system=system).call("efa.libfabric").result["items"]
    assert [row["provider"] for row in rows] == ["efa", "efa", "efa;ofi_rxd"]
    system = RecordedSystem(commands={("fi_info", "-p", "cxi"): recorded.text("fabrics/fi_info-cxi.txt")})
    assert probe(system, "slingshot").metadata.domains == ("cxi0", "cxi1")
    with pytest.raises(CommandFailed, match="fi_info: not found on PATH"):
        Secretary(system=recorded.machine(cxi(0))).call("slingshot.libfabric")


def test_slingshot_cards():
    [one, _] = Secretary(system=recorded.slingshot()).call("slingshot.cards").result["items"]
    assert (one["interface"], one["rate"], one["nid"], one["cassini"]) == ("hsn0", 200, "0x6863", "1.1")
    assert (one["bus"], one["numa_node"], one["up"]) == ("0000:d5:00.0", 1, True)
    assert probe(recorded.slingshot(), "slingshot").metadata.rate == 400


@pytest.mark.parametrize("read", [text.read_ibstat, text.read_devinfo, text.read_rdma_link, text.read_opainfo])
def test_another_format_is_shown(read):
    with pytest.raises(OutputError, match="it said: <html>"):
        read("<html>")
