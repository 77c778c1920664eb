"""What files of others say of ends: endpoint files, libvirt's domains, names of the user's own."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import NAMES as HOSTILE
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.identity import libvirt, names, opflex
from ryu_droplog.identity.base import IdentitySource, SourceContext
from ryu_droplog.identity.files import SIZE
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.identity.statement import Prefix, Statement
from ryu_droplog.model.errors import ConfigError

# As python-opflex-agent of OpenStack writes one, and the host agent of Kubernetes the other.
SERVER = {
    "uuid": "7d3f|fa-16-3e-00-00-01",
    "policy-space-name": "prj_shop",
    "endpoint-group-name": "Shop|net_1",
    "access-interface": "tap7d3f",
    "access-uplink-interface": "qpf7d3f",
    "interface-name": "qpi7d3f",
    "mac": "fa:16:3e:00:00:01",
    "ip": ["10.0.0.5", "fd00::5"],
    "virtual-ip": [{"ip": "10.0.0.99", "mac": "fa:16:3e:00:00:01"}],
    "neutron-network": "77777777-1111-4222-8333-444444444444",
    "attributes": {"vm-name": "web server"},
    "promiscuous-mode": False,
}
POD = {
    "uuid": "node-1_10.2.0.7_veth7",
    "eg-policy-space": "kube",
    "endpoint-group": "kubernetes|kube-default",
    "ip": ["10.2.0.7/16"],
    "mac": "0a:58:0a:02:00:07",
    "access-interface": "veth7",
    "attributes": {"interface-name": "veth7", "namespace": "default", "vm-name": "nginx-1"},
}
DOMAIN = """\
<domain type='kvm'>
  <name>plain</name><uuid>1111</uuid>
  <devices>
    <interface type='bridge'>
      <mac address='52:54:00:00:00:01'/><source bridge='br0'/><target dev='vnet0'/>
    </interface>
    <interface type='network'><mac address='52:54:00:00:00:02'/></interface>
  </devices>
</domain>
"""


def test_endpoint_of_a_server() -> None:
    assert opflex.endpoint(json.dumps(SERVER).encode()) == Statement(
        said_by="opflex",
        ports=("tap7d3f", "qpi7d3f", "qpf7d3f"),
        macs=(bytes.fromhex("fa163e000001"),),
        addresses=(
            bytes([10, 0, 0, 5]),
            bytes.fromhex("fd000000000000000000000000000005"),
            bytes([10, 0, 0, 99]),
        ),
        logical_port="7d3f",
        vm="web server",
        network="prj_shop/Shop|net_1",
    )


def test_endpoint_of_a_pod() -> None:
    assert opflex.endpoint(json.dumps(POD).encode()) == Statement(
        said_by="opflex",
        ports=("veth7",),
        macs=(bytes.fromhex("0a580a020007"),),
        addresses=(bytes([10, 2, 0, 7]),),
        logical_port="node-1_10.2.0.7_veth7",
        pod="nginx-1",
        namespace="default",
        network="kube/kubernetes|kube-default",
    )


def test_group_is_told_by_its_path() -> None:
    path = "/PolicyUniverse/PolicySpace/common/GbpEpGroup/web/"
    said = opflex.endpoint(json.dumps({"uuid": "x", "endpoint-group": path}).encode())
    assert "common/web" == said.network


def test_interfaces_of_a_domain() -> None:
    assert libvirt.domain(DOMAIN.encode()) == (
        Statement(
            said_by="libvirt",
            bridge="br0",
            ports=("vnet0",),
            macs=(bytes.fromhex("525400000001"),),
            vm="plain",
            vm_id="1111",
        ),
        Statement(
            said_by="libvirt", macs=(bytes.fromhex("525400000002"),), vm="plain", vm_id="1111"
        ),
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<domain>",
        "<network/>",
        '<!DOCTYPE domain [<!ENTITY a "aaaa">]><domain><name>&a;</name></domain>',
        "<domstatus/>",
        '<?xml version="1.0" encoding="utf-16"?><domain',
    ],
)
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        libvirt.domain(text.encode())


@given(st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for parse in (opflex.endpoint, libvirt.domain):
        try:
            parse(data)
        except ValueError:
            continue


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE)
def test_hostile_names_come_fit_for_a_line(name: str) -> None:
    data = json.dumps({**SERVER, "attributes": {"vm-name": name}, "access-interface": name})
    if any(0xD800 <= ord(character) < 0xE000 for character in name):  # no character: no such file
        with pytest.raises(ValueError, match="surrogate"):
            opflex.endpoint(data.encode())
        return
    said = opflex.endpoint(data.encode())
    assert said.vm.isprintable()
    assert len(said.vm) <= 258
    assert all(port.isprintable() for port in said.ports)


NAMES_FILE = """\
names:
  - {mac: 52:54:00:00:00:09, vm: printer, network: office}
  - {ip: 10.9.0.0/16, network: branch}
  - {ip: 'fd00::1', router: edge}
  - {vm_id: 5db4cf2d, vm: shop front}
  - {bridge: br-lab, port: s1-eth1, pod: a, namespace: b, logical_port: c}
"""


def test_names_of_the_user() -> None:
    said = names.parse(NAMES_FILE, "names.yaml")
    assert said == [
        Statement(
            "names",
            local=False,
            macs=(bytes.fromhex("525400000009"),),
            vm="printer",
            network="office",
        ),
        Statement(
            "names", local=False, prefixes=(Prefix(bytes([10, 9, 0, 0]), 16),), network="branch"
        ),
        Statement(
            "names",
            local=False,
            addresses=(bytes.fromhex("fd000000000000000000000000000001"),),
            router="edge",
            forwards=True,
        ),
        Statement("names", local=False, vm_id="5db4cf2d", vm="shop front"),
        Statement(
            "names",
            bridge="br-lab",
            local=False,
            ports=("s1-eth1",),
            pod="a",
            namespace="b",
            logical_port="c",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "mistake"),
    [
        ("names: [{vm: x}]", "names[0]: got an end without any"),
        ("names: [{ip: 10.0.0.300, vm: x}]", "an IP address, or a prefix such as 10.0.0.0/8"),
        ("names: [{mac: here, vm: x}]", "a MAC such as 52:54:00:12:34:56"),
        ("names: [{mac: 52:54:00:00:00:09, wm: x}]", "wm"),
        ("[]", "expected"),
        ("names: [", "names.yaml:1"),
    ],
)
def test_mistake_in_names_is_named(text: str, mistake: str) -> None:
    with pytest.raises(ConfigError) as caught:
        names.parse(text, "names.yaml")
    assert mistake in str(caught.value)
    assert str(caught.value).startswith("names.yaml")


class Looked:
    """A source that looks when it is told to."""

    def __init__(self, kind: type[IdentitySource], place: Path) -> None:
        self.knowledge = Knowledge(threading)
        self.source = kind(str(place), SourceContext(self.knowledge, threading))

    def look(self) -> tuple[int, str]:
        """Ends that are known, and the trouble."""
        self.source.attempt()
        state = self.source.state()
        return state["ends"], state["trouble"]


def replace(path: Path, data: Any) -> None:
    """Write a file in one step."""
    other = path.with_name(".new")
    other.write_bytes(data if isinstance(data, bytes) else json.dumps(data).encode())
    other.rename(path)


def test_files_that_come_change_and_go_are_followed(tmp_path: Path) -> None:
    looked = Looked(opflex.Opflex, tmp_path / "ep")
    ends, trouble = looked.look()
    assert (0, True) == (ends, "No such file" in trouble)
    (tmp_path / "ep").mkdir()
    assert (0, "") == looked.look()
    replace(tmp_path / "ep" / "a.ep", SERVER)
    replace(tmp_path / "ep" / "b.ep", POD)
    (tmp_path / "ep" / "c.extep").write_text("{}")
    assert (2, "") == looked.look()
    replace(tmp_path / "ep" / "a.ep", b"{")
    ends, trouble = looked.look()
    assert 2 == ends  # what it said before stays
    assert trouble.startswith(f"{tmp_path}/ep/a.ep: ")
    (tmp_path / "ep" / "a.ep").unlink()
    assert (1, "") == looked.look()
    (tmp_path / "ep" / "b.ep").unlink()
    (tmp_path / "ep" / "c.extep").unlink()
    (tmp_path / "ep").rmdir()
    assert 0 == looked.look()[0]


def test_odd_files_hold_up_nobody(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.xml")
    (tmp_path / "folder.xml").mkdir()
    (tmp_path / "device.xml").symlink_to("/dev/zero")
    (tmp_path / "lost.xml").symlink_to("/nowhere")
    (tmp_path / "large.xml").write_bytes(b" " * (SIZE + 1))
    (tmp_path / "good.xml").write_text(DOMAIN)
    ends, trouble = Looked(libvirt.Libvirt, tmp_path).look()
    assert 2 == ends
    assert trouble == f"{tmp_path}/large.xml: it has more than {SIZE} bytes"


def test_names_that_are_wrong_leave_what_was(tmp_path: Path) -> None:
    path = tmp_path / "names.yaml"
    looked = Looked(names.Names, path)
    assert "No such file" in looked.look()[1]
    path.write_text(NAMES_FILE)
    assert (5, "") == looked.look()
    replace(path, b"names: [{vm: x}]")
    ends, trouble = looked.look()
    assert (5, True) == (ends, "got an end without any" in trouble)
    replace(path, b"names: []")
    assert (0, "") == looked.look()


def test_source_with_a_mistake_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Wrong(opflex.Opflex):
        steps: Callable[[], None] = staticmethod(lambda: 1 / 0)  # type: ignore[assignment, return-value]

        def look(self) -> None:
            self.steps()

    looked = Looked(Wrong, tmp_path)
    assert looked.look() == looked.look() == (0, "a mistake of this program: ZeroDivisionError")
    assert 1 == sum(record.exc_info is not None for record in caplog.records)


def test_source_of_the_documentation_does_what_its_text_says(tmp_path: Path) -> None:
    text = Path(__file__).parents[2].joinpath("docs", "extending.md").read_text()
    section = text.partition("## A source of identities\n")[2].partition("\n## ")[0]
    code: dict[str, Any] = {"__name__": "hosts"}
    exec(section.partition("```python\n")[2].partition("```")[0], code)
    (tmp_path / "hosts").write_text("192.0.2.7 printer\nodd\n::1 localhost more\n")
    looked = Looked(code["Hosts"], tmp_path / "hosts")
    assert (2, "") == looked.look()
    [held] = looked.knowledge.at(("ip", bytes([192, 0, 2, 7])), float("1e18"))
    assert "printer" == held.statement.vm
    (tmp_path / "hosts").unlink()
    assert "No such file" in looked.look()[1]


def test_closed_source_says_nothing_more(tmp_path: Path) -> None:
    replace(tmp_path / "a.ep", SERVER)
    looked = Looked(opflex.Opflex, tmp_path)
    assert 1 == looked.look()[0]
    looked.source.close()
    assert 0 == looked.look()[0]
