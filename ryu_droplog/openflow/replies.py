"""What a switch says, read by code that trusts no length in it: small replies of OpenFlow 1.3.

os-ken's parsers do trust them: a length of 0 inside of a message makes some of them turn for ever.
So os-ken builds what is sent, and reads nothing. The large replies have modules of their own:
`flows`, `tables`; what comes unasked is read in `counters` and here.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from typing import NamedTuple

from os_ken.ofproto import ofproto_v1_3

from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow.framing import HEADER
from ryu_droplog.packet import headers

LOCAL_PORT: int = ofproto_v1_3.OFPP_LOCAL

_LONGEST_TEXT = 200
"""Characters of what a peer says that are repeated in a line."""

MULTIPART = Struct("!HH4x")
"""Type and flags of a multipart message, behind its header (section 7.3.5)."""
MULTIPART_MORE = 1
"""The flag that says that another part follows."""
_ECHO_REPLY = 3

# ofp_error_msg (section 7.4.4): type, code, data; of an experimenter: type, its type, its id.
_ERROR = Struct("!HH")
_EXPERIMENTER_ID = Struct("!I")
# ofp_port (section 7.2.1): number, pad, hardware address, pad, name; then configuration and speeds.
_PORT = Struct("!I4x6s2x16s32x")
# ofp_port_status (section 7.4.3): reason, pad; the port follows.
_PORT_STATUS = Struct("!8xB7x")
_PORT_DELETED = 1
_PORT_REASONS = 3
# ofp_switch_config (section 7.3.2): flags, miss_send_len.
_CONFIG = Struct("!8xHH")
# ofp_desc (section 7.3.5.1): manufacturer, hardware, software, serial number, datapath.
_DESCRIPTION = Struct("!256s256s256s32s256s")
# ofp_meter_features (section 7.3.5.14): max_meter, band types, capabilities, max_bands, max_color.
_METER_FEATURES = Struct("!IIIBB2x")
# ofp_meter_config (section 7.3.5.13): length, flags, meter id; the bands follow, each with type,
# length, rate and burst.
_METER_CONFIG = Struct("!HHI")
_BAND = Struct("!HH12x")
# ofp_meter_stats (section 7.3.5.12): meter id, length, flow count, packets and bytes in, duration
# (s, ns); the bands' counts of packets and bytes follow.
_METER_STATS = Struct("!IH6xIQQII")
_BAND_STATS = Struct("!QQ")


class SwitchErrorMessage(NamedTuple):
    """An OFPT_ERROR (section 7.4.4)."""

    type: int
    code: int
    """Of an experimenter's error: the type that the experimenter gave it."""
    data: bytes
    """At least 64 bytes of what was refused, or a text where a hello was."""


class MeterConfig(NamedTuple):
    """A meter as it is set up."""

    meter_id: int
    flags: int
    bands: tuple[int, ...]
    """The types of its bands."""


class PortStatus(NamedTuple):
    """A port has come, changed or gone."""

    number: int
    name: str | None
    """None: it has gone."""


def multipart_of(message: bytes) -> tuple[int, bytes]:
    """Type and body of a whole OFPT_MULTIPART_REPLY; raises SwitchError when it is cut."""
    start = HEADER.size + MULTIPART.size
    if len(message) < start:
        raise SwitchError(f"a multipart reply has only {len(message)} bytes")
    return MULTIPART.unpack_from(message, HEADER.size)[0], message[start:]


def echo_reply(request: bytes) -> bytes:
    """The OFPT_ECHO_REPLY to a whole request: as long, with what that carried (section 7.5.2)."""
    _, _, length, xid = HEADER.unpack_from(request)
    return HEADER.pack(headers.OPENFLOW_VERSION, _ECHO_REPLY, length, xid) + request[HEADER.size :]


def error_of(message: bytes) -> SwitchErrorMessage:
    """Read a whole OFPT_ERROR; raises SwitchError when it is cut."""
    if len(message) < HEADER.size + _ERROR.size:
        raise SwitchError(f"an error message has only {len(message)} bytes")
    kind, code = _ERROR.unpack_from(message, HEADER.size)
    return SwitchErrorMessage(kind, code, message[HEADER.size + _ERROR.size :])


def error_text(error: SwitchErrorMessage) -> str:
    """An error in the specification's words: `OFPET_FLOW_MOD_FAILED, OFPFMFC_OVERLAP`."""
    if error.type == ofproto_v1_3.OFPET_EXPERIMENTER:
        experimenter = int.from_bytes(error.data[: _EXPERIMENTER_ID.size], "big")
        return f"experimenter error {error.code} of {experimenter:#x}"
    if error.type == ofproto_v1_3.OFPET_HELLO_FAILED:
        return f"it refuses OpenFlow 1.3 ({_plain(error.data)})"
    kind = ofproto_v1_3.ofp_error_type_to_str(error.type)
    code = ofproto_v1_3.ofp_error_code_to_str(error.type, error.code)
    return f"{kind.split('(')[0]}, {code.split('(')[0]}"


def ports_of(body: bytes) -> dict[int, str]:
    """Number and name of the ports of one OFPMP_PORT_DESC reply's body.

    Raises SwitchError when it does not have whole ports.
    """
    if len(body) % _PORT.size:
        raise SwitchError(f"a description of ports has {len(body)} bytes")
    return {number: _name(name) for number, _, name in _PORT.iter_unpack(body)}


def port_status_of(message: bytes) -> PortStatus:
    """Read a whole OFPT_PORT_STATUS; raises SwitchError when it makes no sense."""
    if len(message) != _PORT_STATUS.size + _PORT.size:
        raise SwitchError(f"a port-status message has {len(message)} bytes")
    [reason] = _PORT_STATUS.unpack_from(message)
    if reason >= _PORT_REASONS:
        raise SwitchError(f"a port-status message has the reason {reason}")
    number, _, name = _PORT.unpack_from(message, _PORT_STATUS.size)
    return PortStatus(number, None if reason == _PORT_DELETED else _name(name))


def config_flags(message: bytes) -> int:
    """How the switch handles fragments: the flags of a whole OFPT_GET_CONFIG_REPLY."""
    if len(message) != _CONFIG.size:
        raise SwitchError(f"the switch's configuration has {len(message)} bytes")
    return int(_CONFIG.unpack(message)[0])


def software_of(body: bytes) -> str:
    """What an OFPMP_DESC reply's body says of the switch's software."""
    if len(body) != _DESCRIPTION.size:
        raise SwitchError(f"the switch's description has {len(body)} bytes")
    return _plain(_DESCRIPTION.unpack(body)[2].split(b"\0")[0])


def max_meter_of(body: bytes) -> int:
    """max_meter of an OFPMP_METER_FEATURES reply's body."""
    if len(body) != _METER_FEATURES.size:
        raise SwitchError(f"the features of meters have {len(body)} bytes")
    return int(_METER_FEATURES.unpack(body)[0])


def meter_configs_of(body: bytes) -> Iterator[MeterConfig]:
    """The meters of one OFPMP_METER_CONFIG reply's body; raises SwitchError."""
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _METER_CONFIG.size:
            raise SwitchError("a description of meters is cut")
        length, flags, meter_id = _METER_CONFIG.unpack_from(body, offset)
        if length < _METER_CONFIG.size or offset + length > end:
            raise SwitchError(f"a description of a meter says it has {length} bytes")
        bands = _bands(body, offset + _METER_CONFIG.size, offset + length)
        yield MeterConfig(meter_id, flags, tuple(bands))
        offset += length


def _bands(body: bytes, offset: int, end: int) -> Iterator[int]:
    while offset < end:
        if end - offset < _BAND.size:
            raise SwitchError("a band of a meter is cut")
        kind, length = _BAND.unpack_from(body, offset)
        if length < _BAND.size or offset + length > end:
            raise SwitchError(f"a band of a meter says it has {length} bytes")
        yield kind
        offset += length


def meter_drops_of(body: bytes) -> Iterator[tuple[int, int]]:
    """The meters of one OFPMP_METER reply's body, and how many packets each has dropped.

    Raises SwitchError when a length contradicts the bytes.
    """
    offset, end = 0, len(body)
    while offset < end:
        if end - offset < _METER_STATS.size:
            raise SwitchError("statistics of meters are cut")
        meter_id, length, *_ = _METER_STATS.unpack_from(body, offset)
        bands = length - _METER_STATS.size
        if bands < 0 or bands % _BAND_STATS.size or offset + length > end:
            raise SwitchError(f"statistics of a meter say they have {length} bytes")
        counts = body[offset + _METER_STATS.size : offset + length]
        yield meter_id, sum(packets for packets, _ in _BAND_STATS.iter_unpack(counts))
        offset += length


def _name(field: bytes) -> str:
    """A name of a port: filled up with zeros (section 7.2.1)."""
    return field.split(b"\0")[0].decode("utf-8", "replace")


def _plain(data: bytes) -> str:
    """A text for people, as far as it is printable ASCII and short."""
    text = data[:_LONGEST_TEXT].split(b"\0")[0].decode("ascii", "replace")
    return "".join(character if " " <= character <= "~" else "?" for character in text)
