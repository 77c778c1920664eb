"""The keys receive, prune and opflex of droplog.yaml."""

from __future__ import annotations

import pytest

from ryu_droplog.config.endpoint import UdpEndpoint
from ryu_droplog.config.filter_spec import DEFAULTS, parse_filter
from ryu_droplog.config.loader import parse
from ryu_droplog.config.settings import Opflex, Settings
from ryu_droplog.model.errors import ConfigError

ADDRESS = "ADDRESS:PORT or a port with an IPv6 address in brackets and a port from 1 to 65535"


def settings(text: str) -> Settings:
    return parse(text, "f.yaml", {})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("null", None),
        ("50000", UdpEndpoint("127.0.0.1", 50000)),
        ('"0.0.0.0:6081"', UdpEndpoint("0.0.0.0", 6081)),
        ('"[::1]:6081"', UdpEndpoint("::1", 6081)),
    ],
)
def test_receive_takes_an_address_or_a_port(value: str, expected: UdpEndpoint | None) -> None:
    assert expected == settings(f"receive: {{geneve: {value}}}").receive.get("geneve")


def test_filters_come_behind_the_defaults() -> None:
    text = "prune: {filters: [{name: dns, ip_proto: udp, dport: 53}, {name: lab, sip: 10.0.0.0/8}]}"
    mine = [
        parse_filter({"name": "dns", "ip_proto": 17, "dport": 53}),
        parse_filter({"name": "lab", "sip": "10.0.0.0/8"}),
    ]
    assert [*DEFAULTS, *mine] == list(settings(text).prune)


def test_defaults_can_be_switched_off() -> None:
    assert () == settings("prune: {defaults: false}").prune


def test_opflex_keys_are_taken() -> None:
    text = "opflex: {droplog_directory: /d, ids_directory: /i, print_tenant: true, tenants: {7: t}}"
    assert Opflex("/d", "/i", True, {7: "t"}) == settings(text).opflex


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("receive: {geneve: 0}", f"receive.geneve: got 0; expected {ADDRESS}"),
        ("receive: {geneve: host:1}", 'receive.geneve: got "host:1"; expected an IPv4 address'),
        ("receive: {udp: 1}", "receive.udp: unknown key; expected one of geneve"),
        (
            "prune: {filters: [{name: a, sip: 10.1}]}",
            "prune.filters[0].sip: got 10.1; expected ",
        ),
        ("prune: {filters: [{name: a}]}", "prune.filters[0]: "),
        (
            "prune: {filters: [{name: a, dport: 1}, {name: a, dport: 2}]}",
            'prune.filters[1].name: "a" is the name of another filter already; expected a name',
        ),
        (
            "prune: {filters: [{name: lldp, dport: 1}]}",
            'prune.filters[0].name: "lldp" is the name of another filter already; expected a name',
        ),
        ("prune: {filters: {name: a}}", "prune.filters: got a mapping; expected a list"),
        ("opflex: {droplog_directory: d}", 'opflex.droplog_directory: got "d"; expected an '),
        ("opflex: {tenants: {0: t}}", "opflex.tenants: got a mapping; expected a mapping of group"),
        ("opflex: {tenants: {1: a b}}", "opflex.tenants: got a mapping; expected a mapping of g"),
    ],
)
def test_mistake_is_named_with_its_key(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert str(caught.value).startswith(f"f.yaml:1: {expected}"), caught.value
