"""The match of a summary flow: within the match of a flow of ours, the packets of one signature.

OpenFlow 1.3.5 section 7.2.3.8 for fields and their prerequisites; Open vSwitch,
include/openvswitch/meta-flow.h, for NXM_NX_IP_FRAG. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ryu_droplog.openflow.oxm_match import FieldId, fields, with_free_bit
from ryu_droplog.packet.headers import (
    ETHERTYPE_IPV4,
    ETHERTYPE_IPV6,
    OXM,
    OXM_FIELD_SHIFT,
    OXM_LENGTH,
)
from ryu_droplog.packet.signature import NONE, WITH_PORTS, Signature

ANY_REGISTER = 15
"""Whose bit 31 makes a match ours where none does yet: see `oxm_match.SPARE_REGISTERS`."""

_BASIC = 0x8000
_IN_PORT, _ETH_TYPE, _IP_PROTO = (_BASIC, 0), (_BASIC, 5), (_BASIC, 10)
_ETH_SRC, _ETH_DST = (_BASIC, 4), (_BASIC, 3)
_ADDRESSES = {
    ETHERTYPE_IPV4: ((_BASIC, 11), (_BASIC, 12)),
    ETHERTYPE_IPV6: ((_BASIC, 26), (_BASIC, 27)),
}
"""Source and destination address by EtherType."""
_PORTS = {6: (_BASIC, 14), 17: (_BASIC, 16), 132: (_BASIC, 18)}
"""Destination port by IP protocol: TCP, UDP, SCTP."""
_IP_FRAG = (0x0001, 26)
_LATER = 2
"""The bit of NXM_NX_IP_FRAG that later fragments have, and no other packet."""


def narrowed(match: bytes, signature: Signature) -> bytes | None:
    """The match of those packets of `match` that have the signature; raw OXM fields, as `match`.

    `match` is of a flow of ours. The result says of bit 31 of a register that it is 0, as the
    matches of our flows above others' do, so that it is nobody else's. None: it contradicts itself.
    """
    whole = match or with_free_bit(b"", ANY_REGISTER)
    there = fields(whole)
    asked: dict[FieldId, _Asked] = {}
    for field, (value, mask, size) in _asked(signature).items():
        their_value, their_mask, _ = there.get(field, (0, 0, size))
        if (value ^ their_value) & mask & their_mask:
            return None
        asked[field] = _Asked(value | their_value, mask | their_mask, size)
    # A field stands behind its prerequisites, which may be asked of anything in `match`, too.
    first = [field for field in (_IN_PORT, _ETH_TYPE, _IP_PROTO) if field in asked]
    last = [field for field in asked if field not in first]
    kept = [raw for field, raw in _raw_fields(whole) if field not in asked]
    return b"".join(
        [
            *(_packed(field, asked[field]) for field in first),
            *kept,
            *(_packed(field, asked[field]) for field in last),
        ]
    )


class _Asked(NamedTuple):
    """What is asked of a field."""

    value: int
    mask: int
    size: int
    """Bytes."""


def _asked(signature: Signature) -> dict[FieldId, _Asked]:
    asked = {
        _IN_PORT: _exact(signature.in_port.to_bytes(4, "big")),
        _ETH_TYPE: _exact(signature.ethertype.to_bytes(2, "big")),
    }
    ends = _ADDRESSES.get(signature.ethertype, (_ETH_SRC, _ETH_DST))
    asked.update(zip(ends, map(_exact, (signature.source, signature.target)), strict=True))
    protocol = signature.protocol
    if protocol != NONE:
        asked[_IP_PROTO] = _exact(bytes((protocol,)))
    if protocol in WITH_PORTS:
        asked[_IP_FRAG] = _Asked(_LATER if signature.later else 0, _LATER, 1)
    if signature.port != NONE:
        asked[_PORTS[protocol]] = _exact(signature.port.to_bytes(2, "big"))
    return asked


def _exact(value: bytes) -> _Asked:
    size = len(value)
    return _Asked(int.from_bytes(value, "big"), (1 << 8 * size) - 1, size)


def _packed(field: FieldId, asked: _Asked) -> bytes:
    value, mask, size = asked
    exact = mask == (1 << 8 * size) - 1
    length = size if exact else 2 * size
    head = field[0].to_bytes(2, "big") + bytes((field[1] << 1 | (not exact), length))
    body = value.to_bytes(size, "big")
    return head + body if exact else head + body + mask.to_bytes(size, "big")


def _raw_fields(match: bytes) -> Iterator[tuple[FieldId, bytes]]:
    """The fields of a match of ours, each as it stands there, with its header."""
    start = 0
    while start + OXM_LENGTH <= len(match):
        oxm_class, field_and_mask, length = OXM.unpack_from(match, start)
        end = start + OXM_LENGTH + length
        yield (oxm_class, field_and_mask >> OXM_FIELD_SHIFT), match[start:end]
        start = end
