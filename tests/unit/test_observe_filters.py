"""The filters of `observe`: which records fit, and what `--not` negates."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from frames import ARP, arp, ethernet, syn
from record_drops import FLOW, METADATA, context, place

from ryu_droplog.__main__ import main
from ryu_droplog.observe.filters import FILTERS, predicate
from ryu_droplog.observe.query import Condition
from ryu_droplog.packet.ethernet import decode
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.maker import RecordMaker
from ryu_droplog.records.record import Acknowledged, Identity, Port, Record


def record() -> Record:
    """A SYN from the VM web-1 to the pod shop/db-0, which an ACL denies."""
    drop = decode(syn(), 1.0, place("DENY", FLOW, "no-http"), METADATA)
    made = RecordMaker(context(explain=lambda drop: {"direction": "ingress"})).make(drop).record
    assert made.source is not None
    assert made.destination is not None
    made.source.identity = Identity(vm="web-1", vm_id="0b2e", network="blue")
    made.destination.identity = Identity(pod="db-0", namespace="shop", network="red")
    made.port = Port(3, "tap3")
    made.acknowledged = Acknowledged("known here")
    return made


def unlike() -> Record:
    """An ARP request elsewhere, whose ends nobody knows."""
    drop = decode(ethernet(ARP, arp("192.0.2.1", "192.0.2.2")), 1.0, place(bridge="br-ex"), b"")
    return RecordMaker(context()).make(drop).record


SYN = record()
assert SYN.source is not None
assert SYN.destination is not None
FITTING = {
    "acknowledged": ["yes"],
    "ip": [SYN.source.ip, f"{SYN.destination.ip}/24"],
    "from-ip": [SYN.source.ip, "10.0.0.0/8"],
    "to-ip": [SYN.destination.ip, f"{SYN.destination.ip}/32"],
    "port": ["80", str(SYN.source.port)],
    "from-port": [str(SYN.source.port)],
    "to-port": ["80"],
    "mac": [SYN.source.mac, SYN.destination.mac.upper().replace(":", "-")],
    "protocol": ["tcp", "TCP", "6", "ipv4"],
    "pod": ["db-", "shop/db-0"],
    "to-pod": ["db-0"],
    "namespace": ["shop"],
    "vm": ["web-1", "web-*", "0b2e"],
    "network": ["blue", "r?d"],
    "traffic-direction": ["ingress", "INGRESS"],
    "interface": ["tap3", "tap*"],
    "node-name": [SYN.node],
    "bridge": ["br-int", "br-i*"],
    "table": ["4", "SEC_GROUP_IN_TABLE", "SEC_*"],
    "reason": ["DENY", "deny", SYN.drop_reason],
    "rule": ["no-http", hex(FLOW.cookie), "ls_out_acl"],
    "signature": [SYN.signature],
    "problem": [SYN.problem],
}
UNKNOWN = {"port", "pod", "namespace", "vm", "network", "traffic-direction", "interface", "rule"}
"""What is not known of `unlike`."""
NOT_FITTING = {
    "acknowledged": "no",
    "ip": "10.255.0.1",
    "from-ip": SYN.destination.ip,
    "to-ip": SYN.source.ip,
    "port": "443",
    "from-port": "80",
    "to-port": str(SYN.source.port),
    "mac": "00:00:00:00:00:01",
    "protocol": "udp",
    "pod": "other/db-0",
    "from-pod": "db-0",
    "to-pod": "web",
    "namespace": "sho",
    "vm": "web",
    "network": "green",
    "traffic-direction": "egress",
    "interface": "tap",
    "node-name": "other",
    "bridge": "br",
    "table": "5",
    "reason": "MISS",
    "rule": "http",
    "signature": SYN.problem,
    "problem": SYN.signature,
}


def holds(*conditions: Condition, of: Record = SYN) -> bool:
    return predicate(conditions)(of)


@pytest.mark.parametrize(
    ("name", "value"), [(name, value) for name, values in FITTING.items() for value in values]
)
def test_filter_fits_what_it_asks_for_and_its_negation_does_not(name: str, value: str) -> None:
    assert holds(Condition(name, [value]))
    assert not holds(Condition(name, [value], True))


@pytest.mark.parametrize(("name", "value"), NOT_FITTING.items())
def test_filter_does_not_fit_what_is_otherwise(name: str, value: str) -> None:
    assert not holds(Condition(name, [value]))
    assert holds(Condition(name, [value], True))


def test_every_filter_is_tried_here() -> None:
    assert {*FITTING, "from-pod"} == set(FILTERS) == set(NOT_FITTING)
    swapped = record()
    swapped.source, swapped.destination = swapped.destination, swapped.source
    assert holds(Condition("from-pod", ["shop/db"]), of=swapped)


@pytest.mark.parametrize("name", sorted(UNKNOWN))
def test_what_is_not_known_fits_no_filter(name: str) -> None:
    assert not any(holds(Condition(name, [value]), of=unlike()) for value in FITTING[name])


def test_values_of_a_flag_are_alternatives_and_flags_must_all_hold() -> None:
    right, wrong = Condition("port", ["80"]), Condition("port", ["443"])
    other = Condition("protocol", ["udp"])
    assert holds(wrong, right)
    assert not holds(right, other)
    assert holds(right, Condition("protocol", ["udp", "tcp"]))
    # Neither of two that are negated may hold.
    assert not holds(Condition("port", ["443"], True), Condition("port", ["80"], True))
    assert holds()


def test_not_negates_the_next_filter_alone() -> None:
    text = to_json(SYN) + b"\n" + to_json(unlike()) + b"\n"
    words = {
        ("--not", "--protocol", "tcp"): 1,
        ("--protocol", "tcp", "--not", "--port", "80"): 0,
        ("--not", "--port", "80", "--protocol", "arp"): 1,
        ("--not", "--bridge", "br-ex", "--bridge", "br-int"): 1,
        ("--bridge", "br-ex", "--bridge", "br-int"): 2,
    }
    for order, expected in words.items():
        done = CliRunner().invoke(main, ["observe", "--from", "-", *order], input=text)
        assert (0, expected) == (done.exit_code, len(done.stdout.splitlines())), order
