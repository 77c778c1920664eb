"""The record of a drop: what its keys are called, and what stands in them.

docs/record.md is its reference, record.schema.json its schema; tests hold both to this module.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from ryu_droplog.packet.deep.layers import Packet

VERSION = 1
"""Of the record. A key that is added leaves it as it is; see docs/record.md."""


class _Part(Struct, omit_defaults=True, gc=False):
    """What is None or empty is left out."""


def _is(description: str, pattern: str | None = None) -> Meta:
    return Meta(description=description, pattern=pattern)


_TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z$"
_KEY = "^1:[0-9a-f]{32}$"


class Table(_Part):
    """An OpenFlow table."""

    id: Annotated[int, _is("table number, 0 to 255")]
    name: Annotated[str, _is("name in the pipeline or on the bridge, else TABLE_<id>")]


class Rule(_Part):
    """What the owner of the bridge decided by."""

    name: Annotated[str, _is("name of the policy, ACL or rule, where it is known")] = ""
    cookie: Annotated[str, _is("cookie of the owner's flow, hexadecimal, 64 bits")] = ""
    priority: Annotated[int | None, _is("priority of the owner's flow, 0 to 65535")] = None
    match: Annotated[str, _is("match of the owner's flow, as ovs-ofctl shows it")] = ""
    names: Annotated[
        dict[str, str], _is("the owner's names for the flow: of OVN stage, acl, hint, logical")
    ] = {}


class Port(_Part):
    """The port where the packet came in."""

    number: Annotated[int, _is("OpenFlow port number")]
    name: Annotated[str, _is("name of the port on its bridge, where it is known")] = ""


class Identity(_Part):
    """Whose an end is, as it was when the packet was received."""

    port: Annotated[str, _is("name of its port on a bridge of this host")] = ""
    logical_port: Annotated[
        str, _is("the owner's name of that port: iface-id, OVN's logical port, an endpoint's id")
    ] = ""
    vm: Annotated[str, _is("name of the virtual machine")] = ""
    vm_id: Annotated[str, _is("id of the virtual machine")] = ""
    pod: Annotated[str, _is("name of the pod")] = ""
    namespace: Annotated[str, _is("namespace of the pod")] = ""
    network: Annotated[str, _is("network, logical switch or endpoint group")] = ""
    router: Annotated[str, _is("router, where the end is a port of one")] = ""
    found_by: Annotated[
        str, _is("what of the packet it was found by: port, mac or ip", "^(port|mac|ip)?$")
    ] = ""
    known_from: Annotated[
        tuple[str, ...], _is("who says so: names, opflex, southbound, libvirt, ovsdb")
    ] = ()
    late: Annotated[bool, _is("whether it became known only within 2 seconds after the packet")] = (
        False
    )


class End(_Part):
    """One end of the packet, by what the packet says."""

    mac: Annotated[str, _is("MAC, lower case with colons")] = ""
    ip: Annotated[str, _is("IP address; of ARP, the protocol address")] = ""
    port: Annotated[int | None, _is("port of TCP, UDP or SCTP")] = None
    tenant: Annotated[str, _is("tenant, where opflex.print_tenant asks for it")] = ""
    identity: Annotated[Identity | None, _is("whose it is, where that is known")] = None


class Conntrack(_Part):
    """What connection tracking knew of the packet, ovs-fields(7)."""

    state: Annotated[
        tuple[str, ...], _is("bits of ct_state that are set: new est rel rpl inv trk snat dnat")
    ] = ()
    zone: Annotated[int | None, _is("zone")] = None
    mark: Annotated[int | None, _is("mark, 32 bits")] = None
    label: Annotated[str, _is("label, hexadecimal, 128 bits")] = ""


class Tunnel(_Part):
    """The tunnel through which the packet came to the bridge, ovs-fields(7)."""

    id: Annotated[str, _is("tunnel id, hexadecimal, 64 bits")] = ""
    source: Annotated[str, _is("IP address of the tunnel's other end")] = ""
    destination: Annotated[str, _is("IP address of the tunnel's end here")] = ""
    metadata: Annotated[
        dict[str, str], _is("tun_metadata0 to tun_metadata63 that are there, hexadecimal")
    ] = {}


class Context(_Part):
    """What the switch had noted of the packet when it was dropped."""

    metadata: Annotated[str, _is("OpenFlow metadata, hexadecimal, 64 bits")] = ""
    registers: Annotated[dict[str, int], _is("reg0 to reg15 that are not 0")] = {}
    tunnel: Annotated[Tunnel | None, _is("where the packet came through a tunnel")] = None
    conntrack: Annotated[Conntrack | None, _is("where the packet was tracked")] = None


class Acknowledged(_Part):
    """What the baseline says of the drop: somebody knows of it."""

    reason: Annotated[str, _is("why it is left as it is")]
    until: Annotated[str, _is("the last day for which that holds, UTC; absent: without end")] = ""


class Frame(_Part):
    """The bytes of the packet."""

    length: Annotated[int, _is("bytes of the Ethernet frame that arrived here")]
    data: Annotated[bytes, _is("the frame, base64: its headers, with payload: full all of it")] = (
        b""
    )


class Record(_Part):
    """A dropped packet, or what stands for several that were deduplicated."""

    version: Annotated[int, _is("version of the record: 1")]
    time: Annotated[
        str,
        _is(
            "when the program read the packet from the switch, of a capture when it was taken;"
            " of deduplicated ones, the last. RFC 3339, nanoseconds, UTC",
            _TIME,
        ),
    ]
    observed_time: Annotated[
        str,
        _is(
            "when the record was made, of drops that were read at once the first. RFC 3339,"
            " nanoseconds, UTC",
            _TIME,
        ),
    ]
    node: Annotated[str, _is("name of the machine that runs the program")]
    bridge: Annotated[str, _is("name of the bridge")]
    table: Annotated[Table, _is("the table that dropped the packet")]
    reason: Annotated[
        str,
        _is(
            "MISS: no flow matched; DENY: a flow drops; PERMIT: reported, not dropped",
            "^(MISS|DENY|PERMIT)$",
        ),
    ]
    drop_reason: Annotated[str, _is("bridge's prefix, table, reason and policy, as a drop line")]
    signature: Annotated[str, _is("key of the same drop on any node, version 1", _KEY)]
    problem: Annotated[str, _is("key of the same drop whoever the ends are, version 1", _KEY)]
    packet: Annotated[Packet, _is("the packet by layers")]
    frame: Annotated[Frame, _is("the packet's bytes")]
    datapath_id: Annotated[str, _is("datapath id of the bridge, 16 hexadecimal digits")] = ""
    pipeline: Annotated[str, _is("name of the pipeline, where the bridge has one")] = ""
    cause: Annotated[str, _is("probable cause of a drop in this table, by the pipeline")] = ""
    rule: Annotated[Rule | None, _is("the owner's rule, where it is known")] = None
    port: Annotated[Port | None, _is("the port where the packet came in")] = None
    direction: Annotated[
        str,
        _is("ingress or egress, as the VM or pod sees it, where the owner tells", "^(in|e)gress$"),
    ] = ""
    source: Annotated[End | None, _is("the sender")] = None
    destination: Annotated[End | None, _is("the receiver")] = None
    community_id: Annotated[str, _is("Community ID, version 1, seed 0; of IP packets")] = ""
    context: Annotated[Context | None, _is("what the switch had noted")] = None
    owner: Annotated[
        dict[str, str | int], _is("what the owner's registers say, as in the json format")
    ] = {}
    repeated: Annotated[
        int, _is("packets that the record stands for; absent: it is one packet's own")
    ] = 0
    first_time: Annotated[str, _is("when the first of the repeated came, as time", _TIME)] = ""
    last_time: Annotated[str, _is("when the last of the repeated came, as time", _TIME)] = ""
    acknowledged: Annotated[
        Acknowledged | None, _is("where the baseline has its signature or its problem")
    ] = None


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of a record in the encoding `native`."""
    made = msgspec.json.schema(Record)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"ryu_droplog drop record, version {VERSION}",
    }
    return {**head, **made}
