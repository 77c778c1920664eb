"""Small replies: read as os-ken reads them, and refused where a length contradicts the bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import openflow_bytes as wire
import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_ken.ofproto import ofproto_parser
from os_ken.ofproto.ofproto_protocol import ProtocolDesc

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.replies import (
    MeterConfig,
    PortStatus,
    SwitchErrorMessage,
    config_flags,
    echo_reply,
    error_of,
    error_text,
    max_meter_of,
    meter_configs_of,
    meter_drops_of,
    multipart_of,
    port_status_of,
    ports_of,
    software_of,
)

METER, METER_CONFIG, METER_FEATURES, DESC = 9, 10, 11, 0
PORTS = wire.port(wire.LOCAL, b"br-int") + wire.port(3, b"tap1")
DROP_BAND = struct.pack("!HHII4x", 1, 16, 1000, 100)
CONFIGS = struct.pack("!HHI", 40, 0xD, 7) + 2 * DROP_BAND + struct.pack("!HHI", 8, 1, 8)
STATS = struct.pack("!IH6xIQQII", 7, 72, 1, 5, 6, 7, 8) + struct.pack("!QQQQ", 2**40, 9, 3, 4)
STATS += struct.pack("!IH6xIQQII", 8, 40, 1, 5, 6, 7, 8)
DESCRIPTION = struct.pack("!256s256s256s32s256s", b"Nicira", b"OVS", b"3.1.0", b"None", b"None")
FEATURES = struct.pack("!IIIBB2x", 200_000, 2, 15, 1, 0)
ERROR = wire.message(wire.ERROR, struct.pack("!HH", 5, 3) + b"refused!", 4)
STATUS = wire.message(wire.PORT_STATUS, struct.pack("!B7x", 2) + wire.port(3, b"tap1"))
CONFIG = wire.message(8, struct.pack("!HH", 3, 128))


def theirs(message: bytes) -> Any:
    """What os-ken reads."""
    found = ofproto_parser.msg(ProtocolDesc(4), 4, message[1], len(message), 0, message)
    assert found is not None
    return found


def test_ports_are_read_as_os_ken_reads_them() -> None:
    expected = {
        port.port_no: port.name.rstrip(b"\0").decode()
        for port in theirs(wire.multipart(wire.PORT_DESC, PORTS, 0)).body
    }
    assert expected == ports_of(PORTS)
    assert {wire.LOCAL: "br-int", 3: "tap1"} == ports_of(PORTS)


def test_meters_are_read_as_os_ken_reads_them() -> None:
    message = theirs(wire.multipart(METER_CONFIG, CONFIGS, 0))
    expected = [
        MeterConfig(meter.meter_id, meter.flags, tuple(band.type for band in meter.bands))
        for meter in message.body
    ]
    assert expected == list(meter_configs_of(CONFIGS))
    assert [MeterConfig(7, 0xD, (1, 1)), MeterConfig(8, 1, ())] == expected


def test_counts_of_meters_are_read_as_os_ken_reads_them() -> None:
    expected = [
        (meter.meter_id, sum(band.packet_band_count for band in meter.band_stats))
        for meter in theirs(wire.multipart(METER, STATS, 0)).body
    ]
    assert expected == list(meter_drops_of(STATS))
    assert [(7, 2**40 + 3), (8, 0)] == expected


def test_description_and_features_are_read_as_os_ken_reads_them() -> None:
    [meters] = theirs(wire.multipart(METER_FEATURES, FEATURES, 0)).body
    assert 200_000 == meters.max_meter == max_meter_of(FEATURES)
    description = theirs(wire.multipart(DESC, DESCRIPTION, 0)).body
    assert "3.1.0" == description.sw_desc.rstrip(b"\0").decode() == software_of(DESCRIPTION)
    assert theirs(CONFIG).flags == config_flags(CONFIG) == 3


def test_port_status_and_error_are_read_as_os_ken_reads_them() -> None:
    assert theirs(STATUS).desc.port_no == 3
    assert PortStatus(3, "tap1") == port_status_of(STATUS)
    gone = STATUS[:8] + b"\x01" + STATUS[9:]
    assert PortStatus(3, None) == port_status_of(gone)
    error = theirs(ERROR)
    assert SwitchErrorMessage(error.type, error.code, error.data) == error_of(ERROR)
    assert "OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP" == error_text(error_of(ERROR))


def test_error_of_an_experimenter_names_it() -> None:
    body = struct.pack("!HHI", 0xFFFF, 2300, 0x4F4E4600)
    expected = "experimenter error 2300 of 0x4f4e4600"
    assert expected == error_text(error_of(wire.message(wire.ERROR, body)))


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.binary(max_size=300))
def test_any_error_has_a_short_text(kind: int, code: int, data: bytes) -> None:
    text = error_text(SwitchErrorMessage(kind, code, data))
    assert text.isprintable()
    assert len(text) < 300


def test_echo_reply_is_as_long_as_the_request() -> None:
    request = wire.message(wire.ECHO_REQUEST, b"\xee" * 65_527, 9)
    assert wire.message(wire.ECHO_REPLY, b"\xee" * 65_527, 9) == echo_reply(request)


READERS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (ports_of, PORTS),
    (lambda body: list(meter_configs_of(body)), CONFIGS),
    (lambda body: list(meter_drops_of(body)), STATS),
    (software_of, DESCRIPTION),
    (max_meter_of, FEATURES),
    (config_flags, CONFIG),
    (port_status_of, STATUS),
]
SAFE_CUTS = {0: {0, 64}, 1: {0, 40}, 2: {0, 72}}
"""Lengths at which nothing is missing, by the number of the reader."""


@pytest.mark.parametrize("number", range(len(READERS)))
def test_every_cut_is_refused(number: int) -> None:
    read, whole = READERS[number]
    for size in set(range(len(whole))) - SAFE_CUTS.get(number, set()):
        with pytest.raises(SwitchError):
            read(whole[:size])


@pytest.mark.parametrize("cut", range(16))
def test_multipart_reply_and_error_that_are_cut_are_refused(cut: int) -> None:
    with pytest.raises(SwitchError, match=f"a multipart reply has only {cut} bytes"):
        multipart_of(wire.multipart(1, b"", 1)[:cut])
    if cut < 12:
        with pytest.raises(SwitchError, match=f"an error message has only {cut} bytes"):
            error_of(ERROR[:cut])


LYING = {
    "a description of a meter says it has 0 bytes": (1, struct.pack("!HHI", 0, 1, 7)),
    "a description of a meter says it has 99 bytes": (1, struct.pack("!HHI", 99, 1, 7)),
    "a band of a meter says it has 0 bytes": (1, struct.pack("!HHIHH12x", 24, 1, 7, 1, 0)),
    "a band of a meter says it has 17 bytes": (1, struct.pack("!HHIHH12x", 24, 1, 7, 1, 17)),
    "a band of a meter is cut": (1, struct.pack("!HHIHH4x", 16, 1, 7, 1, 8)),
    "statistics of a meter say they have 0 bytes": (2, struct.pack("!IH34x", 7, 0)),
    "statistics of a meter say they have 56 bytes": (2, struct.pack("!IH34x", 7, 56)),
    "statistics of a meter say they have 41 bytes": (2, struct.pack("!IH35x", 7, 41)),
    "a port-status message has the reason 3": (6, STATUS[:8] + b"\x03" + STATUS[9:]),
}


@pytest.mark.parametrize("complaint", LYING)
def test_length_that_lies_is_refused(complaint: str) -> None:
    number, body = LYING[complaint]
    with pytest.raises(SwitchError, match=complaint):
        READERS[number][0](body)
