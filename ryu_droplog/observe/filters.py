"""What may be asked of a record: a filter for each flag. Pure, and the same for all records.

The running program, a file and a topic of Kafka are asked by these. Values of one flag are
alternatives, different flags must all hold, and each flag that is negated must not.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

from ryu_droplog.observe.query import Condition, QueryError
from ryu_droplog.records.record import End, Identity, Record
from ryu_droplog.text.printable import printable

Predicate = Callable[[Record], bool]
EndTest = Callable[[End], bool]
_Parse = Callable[[str], Predicate]


class Filter(NamedTuple):
    """A flag that chooses records."""

    parse: _Parse
    """What one value asks; raises ValueError, which says what was expected."""
    value: str
    """What a value is, for the help."""
    help: str


def predicate(conditions: Sequence[Condition]) -> Predicate:
    """What all these conditions ask of a record; raises QueryError for what makes no sense."""
    alternatives: dict[str, list[Predicate]] = {}
    refused: list[Predicate] = []
    for condition in conditions:
        asked = [_parse(condition.filter, value) for value in condition.values]
        if condition.negated:
            refused += asked
        else:
            alternatives.setdefault(condition.filter, []).extend(asked)
    wanted = [_any(asked) for asked in alternatives.values()]
    if not wanted and not refused:
        return _everything

    def holds(record: Record) -> bool:
        for test in wanted:
            if not test(record):
                return False
        return not any(test(record) for test in refused)

    return holds


def _parse(name: str, value: str) -> Predicate:
    chosen = FILTERS.get(name)
    if chosen is None:
        raise QueryError(f"--{printable(name)}: there is no such filter")
    try:
        return chosen.parse(value)
    except ValueError as error:
        raise QueryError(f'--{name}: got "{printable(value)}"; expected {error}') from None


def _everything(record: Record) -> bool:
    return True


def _any(tests: Sequence[Predicate]) -> Predicate:
    if len(tests) == 1:
        return tests[0]
    return lambda record: any(test(record) for test in tests)


# Ends


def _source(parse: Callable[[str], EndTest]) -> _Parse:
    def parse_source(value: str) -> Predicate:
        test = parse(value)
        return lambda record: record.source is not None and test(record.source)

    return parse_source


def _destination(parse: Callable[[str], EndTest]) -> _Parse:
    def parse_destination(value: str) -> Predicate:
        test = parse(value)
        return lambda record: record.destination is not None and test(record.destination)

    return parse_destination


def _either(parse: Callable[[str], EndTest]) -> _Parse:
    def parse_either(value: str) -> Predicate:
        test = parse(value)
        return lambda record: (
            (record.source is not None and test(record.source))
            or (record.destination is not None and test(record.destination))
        )

    return parse_either


@lru_cache(maxsize=4096)
def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _ip(value: str) -> EndTest:
    try:
        network: IPv4Network | IPv6Network = ip_network(value, strict=False)
    except ValueError:
        raise ValueError("an address or a prefix, such as 10.0.0.0/8") from None
    if network.num_addresses == 1:
        only = str(network.network_address)
        return lambda end: end.ip == only

    def inside(end: End) -> bool:
        address = _address(end.ip)
        return address is not None and address in network

    return inside


def _port(value: str) -> EndTest:
    number = _number(value, 0xFFFF)
    return lambda end: end.port == number


def _mac(value: str) -> EndTest:
    digits = re.sub("[:.-]", "", value.lower())
    if not re.fullmatch("[0-9a-f]{12}", digits):
        raise ValueError("a MAC such as 0a:58:0a:02:00:c3")
    mac = ":".join(digits[i : i + 2] for i in range(0, 12, 2))
    return lambda end: end.mac == mac


def _identity(test: Callable[[Identity], bool]) -> EndTest:
    return lambda end: end.identity is not None and test(end.identity)


def _pod(value: str) -> EndTest:
    namespace, slash, name = value.rpartition("/")
    if not slash:
        return _identity(lambda found: bool(found.pod) and found.pod.startswith(name))
    return _identity(
        lambda found: (
            bool(found.pod) and found.namespace == namespace and found.pod.startswith(name)
        )
    )


def _namespace(value: str) -> EndTest:
    return _identity(lambda found: found.namespace == value)


def _vm(value: str) -> EndTest:
    matches = _pattern(value)
    return _identity(lambda found: matches(found.vm) or matches(found.vm_id))


def _network(value: str) -> EndTest:
    matches = _pattern(value)
    return _identity(lambda found: matches(found.network))


# Records


def _number(value: str, most: int) -> int:
    if not (value.isascii() and value.isdigit() and int(value[:9]) <= most):
        raise ValueError(f"a number from 0 to {most}")
    return int(value)


def _pattern(value: str) -> Callable[[str], bool]:
    """Whether a name that is not empty is that one; `*`, `?` and `[…]` as in names of files."""
    if not re.search(r"[*?\[]", value):
        return lambda name: name == value and name != ""
    matches = re.compile(translate(value)).match
    return lambda name: name != "" and matches(name) is not None


def _of_text(read: Callable[[Record], str]) -> _Parse:
    def parse(value: str) -> Predicate:
        matches = _pattern(value)
        return lambda record: matches(read(record))

    return parse


def _interface(value: str) -> Predicate:
    matches = _pattern(value)
    return lambda record: record.port is not None and matches(record.port.name)


_LAYERS = {
    "icmp": ("icmp", "icmpv6"),
    "icmpv4": ("icmp",),
    **{name: (name,) for name in ("arp", "tcp", "udp", "sctp", "gre", "icmpv6", "dhcp", "dns")},
    **{name: (name,) for name in ("vxlan", "geneve", "ipv4", "ipv6")},
}


def _protocol(value: str) -> Predicate:
    if value.isascii() and value.isdigit():
        number = _number(value, 255)

        def has_number(record: Record) -> bool:
            ip = record.packet.ipv4 or record.packet.ipv6
            return ip is not None and ip.protocol == number

        return has_number
    layers = _LAYERS.get(value.lower())
    if layers is None:
        raise ValueError(f"an IP protocol number, or one of {', '.join(sorted(_LAYERS))}")
    if len(layers) == 1:
        [layer] = layers
        return lambda record: getattr(record.packet, layer) is not None
    return lambda record: any(getattr(record.packet, layer) is not None for layer in layers)


def _direction(value: str) -> Predicate:
    direction = value.lower()
    if direction not in ("ingress", "egress"):
        raise ValueError("ingress or egress")
    return lambda record: record.direction == direction


def _table(value: str) -> Predicate:
    if value.isascii() and value.isdigit():
        number = _number(value, 255)
        return lambda record: record.table.id == number
    matches = _pattern(value)
    return lambda record: matches(record.table.name)


def _reason(value: str) -> Predicate:
    reason = value.upper()
    if reason in ("MISS", "DENY", "PERMIT"):
        return lambda record: record.reason == reason
    matches = _pattern(value)
    return lambda record: matches(record.drop_reason)


def _rule(value: str) -> Predicate:
    matches = _pattern(value)

    def holds(record: Record) -> bool:
        rule = record.rule
        if rule is None:
            return False
        names = (rule.name, rule.cookie, *rule.names.values())
        return any(matches(name) for name in names)

    return holds


def _acknowledged(value: str) -> Predicate:
    if value not in ("yes", "no"):
        raise ValueError("yes or no")
    wanted = value == "yes"
    return lambda record: (record.acknowledged is not None) == wanted


_IP = "ADDRESS", "addresses, or prefixes such as 10.0.0.0/8"
_PORT = "PORT", "ports of TCP, UDP or SCTP"
_POD = "[NAMESPACE/]POD", "pods whose name begins so"

SHORT = {"namespace": "-n"}
"""Short flags, by the name of the long one."""
FILTERS: dict[str, Filter] = {
    "ip": Filter(_either(_ip), _IP[0], f"Either end: {_IP[1]}."),
    "from-ip": Filter(_source(_ip), _IP[0], f"Source: {_IP[1]}."),
    "to-ip": Filter(_destination(_ip), _IP[0], f"Destination: {_IP[1]}."),
    "port": Filter(_either(_port), _PORT[0], f"Either end: {_PORT[1]}."),
    "from-port": Filter(_source(_port), _PORT[0], f"Source: {_PORT[1]}."),
    "to-port": Filter(_destination(_port), _PORT[0], f"Destination: {_PORT[1]}."),
    "mac": Filter(_either(_mac), "MAC", "Either end: its MAC."),
    "protocol": Filter(_protocol, "PROTOCOL", "tcp, udp, icmp, arp, …, or a number of IP's."),
    "pod": Filter(_either(_pod), _POD[0], f"Either end: {_POD[1]}."),
    "from-pod": Filter(_source(_pod), _POD[0], f"Source: {_POD[1]}."),
    "to-pod": Filter(_destination(_pod), _POD[0], f"Destination: {_POD[1]}."),
    "namespace": Filter(_either(_namespace), "NAMESPACE", "Either end: namespace of its pod."),
    "vm": Filter(_either(_vm), "NAME", "Either end: name or id of its virtual machine."),
    "network": Filter(_either(_network), "NAME", "Either end: its network."),
    "traffic-direction": Filter(
        _direction, "DIRECTION", "ingress or egress, as the VM or pod sees it."
    ),
    "interface": Filter(_interface, "NAME", "The port where the packet came in."),
    "node-name": Filter(_of_text(lambda record: record.node), "NAME", "The node."),
    "bridge": Filter(_of_text(lambda record: record.bridge), "NAME", "The bridge."),
    "table": Filter(_table, "TABLE", "Number or name of the table."),
    "reason": Filter(_reason, "REASON", "MISS, DENY, PERMIT, or the whole drop reason."),
    "rule": Filter(_rule, "NAME", "Name, cookie or any of the owner's names of the rule."),
    "signature": Filter(
        _of_text(lambda record: record.signature), "KEY", "The same drop of the same ends."
    ),
    "problem": Filter(_of_text(lambda record: record.problem), "KEY", "The same drop."),
    "acknowledged": Filter(
        _acknowledged, "yes|no", "Whether the baseline has it, by signature or problem."
    ),
}
"""By the name of their flag, in the order of the help. Names may have `*` and `?` in them."""
