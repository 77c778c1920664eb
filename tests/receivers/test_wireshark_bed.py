"""tshark, capinfos and editcap read a pcapng file, also one that is still being written."""

from __future__ import annotations

from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import PcapNgWriter

from . import wireshark


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    """Two packets with comments."""
    path = tmp_path / "drops.pcapng"
    writer = PcapNgWriter(str(path))
    for number in range(2):
        packet = Ether() / IP(src="192.0.2.1", dst="198.51.100.2") / UDP(dport=53 + number)
        packet.time = 1_700_000_000 + number
        packet.comment = f"drop {number}".encode()
        writer.write(packet)
    writer.close()
    return path


def test_tshark_tells_fields(capture: Path) -> None:
    names = ["frame.comment", "ip.src", "udp.dstport", "vlan.id"]
    expected = [
        {
            "frame.comment": f"drop {number}",
            "ip.src": "192.0.2.1",
            "udp.dstport": port,
            "vlan.id": "",
        }
        for number, port in enumerate(["53", "54"])
    ]
    assert wireshark.fields(capture, names) == expected
    assert wireshark.fields(capture, names, "udp.dstport == 54") == expected[1:]


def test_tshark_tells_layers(capture: Path) -> None:
    assert [packet["ip"]["ip.dst"] for packet in wireshark.packets(capture)] == ["198.51.100.2"] * 2


def test_a_file_whose_end_is_missing(capture: Path) -> None:
    capture.write_bytes(capture.read_bytes()[:-10])
    assert len(wireshark.fields(capture, ["ip.src"], cut_short=True)) == 1
    with pytest.raises(AssertionError, match="cut short"):
        wireshark.fields(capture, ["ip.src"])


def test_capinfos_and_editcap(capture: Path, tmp_path: Path) -> None:
    assert "Number of packets:   2" in wireshark.information(capture)
    wireshark.rewritten(capture, tmp_path / "again.pcapng")
    assert len(wireshark.fields(tmp_path / "again.pcapng", ["ip.src"])) == 2
