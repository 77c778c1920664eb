"""Filters as the configuration writes them: each key, each mistake, and back into text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from frames import mac

from ryu_droplog.config.filter_spec import (
    DEFAULTS,
    FilterError,
    FilterSpec,
    fields,
    only,
    parse_filter,
    parse_plain_filter,
)

WHOLE = b"\xff" * 16
PORTS = 'an integer from 0 to 65535, a range such as "8000-8080", or a list of these'
KEYS = "name, sip, dip, smac, dmac, ethertype, ip_proto, sport, dport, bridge, table, reason"


def v4(text: str) -> bytes:
    return bytes(map(int, text.split(".")))


@pytest.mark.parametrize("key", ["sip", "dip"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.2.0.229", (v4("10.2.0.229"), WHOLE[:4])),
        ("192.168.0.1/16", (v4("192.168.0.0"), v4("255.255.0.0"))),
        ("10.255.255.255/9", (v4("10.128.0.0"), v4("255.128.0.0"))),
        ("1.2.3.4/32", (v4("1.2.3.4"), WHOLE[:4])),
        ("255.255.255.255/0", (bytes(4), bytes(4))),
        ("255.255.255.255/1", (v4("128.0.0.0"), v4("128.0.0.0"))),
        ("fd00::1", (b"\xfd" + bytes(14) + b"\x01", WHOLE)),
        ("FD00::1/8", (b"\xfd" + bytes(15), b"\xff" + bytes(15))),
        ("::1/128", (bytes(15) + b"\x01", WHOLE)),
        ("::/0", (bytes(16), bytes(16))),
        ("::ffff:10.0.0.1", (bytes(10) + b"\xff\xff\x0a\x00\x00\x01", WHOLE)),
        ("::ffff:10.0.0.1/96", (bytes(10) + b"\xff\xff" + bytes(4), WHOLE[:12] + bytes(4))),
    ],
)
def test_address_is_read_with_its_prefix_and_masked(
    key: str, text: str, expected: tuple[bytes, bytes]
) -> None:
    assert FilterSpec("x", **{key: expected}) == parse_filter({"name": "x", key: text})


@pytest.mark.parametrize("key", ["smac", "dmac"])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5a:08:66:ce:0b:49", (mac("5a:08:66:ce:0b:49"), WHOLE[:6])),
        ("5A:08:66:CE:0B:49", (mac("5a:08:66:ce:0b:49"), WHOLE[:6])),
        ("5a:08:66:00:00:00/ff:ff:ff:00:00:00", (mac("5a:08:66:00:00:00"), mac("ffffff000000"))),
        ("5a:08:66:01:02:03/FF:ff:ff:00:00:00", (mac("5a:08:66:00:00:00"), mac("ffffff000000"))),
        ("ff:ff:ff:ff:ff:ff/01:00:00:00:00:01", (mac("010000000001"), mac("010000000001"))),
        ("5a:08:66:ce:0b:49/00:00:00:00:00:00", (bytes(6), bytes(6))),
    ],
)
def test_mac_is_read_with_any_mask_and_masked(
    key: str, text: str, expected: tuple[bytes, bytes]
) -> None:
    assert FilterSpec("x", **{key: expected}) == parse_filter({"name": "x", key: text})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("ip_proto", 0, 0),
        ("ip_proto", 255, 255),
        ("ip_proto", "17", 17),
        ("ip_proto", "icmp", 1),
        ("ip_proto", "igmp", 2),
        ("ip_proto", "tcp", 6),
        ("ip_proto", "udp", 17),
        ("ip_proto", "icmpv6", 58),
        ("ip_proto", "sctp", 132),
        ("ip_proto", "UDP", 17),
        ("sport", 0, 0),
        ("sport", "65535", 65535),
        ("dport", 65535, 65535),
        ("dport", "0", 0),
        ("dport", "5353", 5353),
    ],
)
def test_number_is_read_from_an_integer_a_decimal_text_or_a_name(
    key: str, value: object, expected: int
) -> None:
    assert FilterSpec("x", **{key: only(expected)}) == parse_filter({"name": "x", key: value})
    assert FilterSpec("x", **{key: only(expected)}) == parse_plain_filter({"name": "x", key: value})


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("dport", "8000-8080", ((8000, 8080),)),
        ("dport", "0-65535", ((0, 65535),)),
        ("sport", "53-53", ((53, 53),)),
        ("dport", [53], ((53, 53),)),
        ("dport", [53, "8000-8080"], ((53, 53), (8000, 8080))),
        ("dport", ["8000-8080", "53", 54], ((53, 54), (8000, 8080))),
        ("sport", ["10-20", "15-30", 31, 12], ((10, 31),)),
        ("sport", ["10-30", "15-20"], ((10, 30),)),
        ("ip_proto", ["udp", "tcp", 132], ((6, 6), (17, 17), (132, 132))),
        ("ip_proto", "1-5", ((1, 5),)),
    ],
)
def test_ranges_and_lists_are_read_as_the_fewest_ranges(
    key: str, value: object, expected: tuple[tuple[int, int], ...]
) -> None:
    read = parse_filter({"name": "x", key: value})
    assert FilterSpec("x", **{key: expected}) == read
    assert read == parse_filter(fields(read))


@pytest.mark.parametrize("value", ["8000-8080", [53], [53, "8000-8080"]])
def test_control_files_of_the_agent_have_no_ranges_and_no_lists(value: object) -> None:
    with pytest.raises(FilterError, match=r"expected an integer from 0 to 65535$"):
        parse_plain_filter({"name": "x", "dport": value})


@pytest.mark.parametrize(
    ("value", "wrong", "expected"),
    [
        ("80-79", 'got "80-79"', "a range whose first number is not above its last"),
        ([], "got a list of 0", "a list of 1 to 1000 numbers and ranges"),
        ([1] * 1001, "got a list of 1001", "a list of 1 to 1000 numbers and ranges"),
    ],
)
def test_what_is_no_range_and_no_list_of_them_is_refused(
    value: object, wrong: str, expected: str
) -> None:
    error = refused({"name": "x", "dport": value})
    assert ("dport", wrong, expected) == (error.key, error.wrong, error.expected)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("80-65536", '"80-65536"'),
        ("080-90", '"080-90"'),
        ("80 - 90", '"80 - 90"'),
        ("80-", '"80-"'),
        ("-80", '"-80"'),
        ("1-2-3", '"1-2-3"'),
        ([53, "http"], '"http"'),
        ([53, [54]], "a list"),
        ([None], "null"),
    ],
)
def test_part_that_is_no_number_is_named(value: object, shown: str) -> None:
    error = refused({"name": "x", "dport": value})
    assert ("dport", f"got {shown}", PORTS) == (error.key, error.wrong, error.expected)


def test_all_keys_together_are_read() -> None:
    form = {
        "name": "backup of the night",
        "sip": "10.0.0.0/8",
        "dip": "10.1.2.3",
        "smac": "5a:08:66:00:00:00/ff:ff:ff:00:00:00",
        "dmac": "00:22:bd:f8:19:ff",
        "ip_proto": 6,
        "sport": 873,
        "dport": 0,
    }
    expected = FilterSpec(
        "backup of the night",
        sip=(v4("10.0.0.0"), v4("255.0.0.0")),
        dip=(v4("10.1.2.3"), WHOLE[:4]),
        smac=(mac("5a:08:66:00:00:00"), mac("ff:ff:ff:00:00:00")),
        dmac=(mac("00:22:bd:f8:19:ff"), WHOLE[:6]),
        ip_proto=only(6),
        sport=only(873),
        dport=only(0),
    )
    assert expected == parse_filter(form)
    assert form == fields(expected)


@pytest.mark.parametrize("name", ["x", "y" * 64, "Überwachung", "a b/c"])
def test_printable_name_is_kept(name: str) -> None:
    assert name == parse_filter({"name": name, "dport": 1}).name


def refused(form: Any) -> FilterError:
    with pytest.raises(FilterError) as error:
        parse_filter(form)
    return error.value


@pytest.mark.parametrize("key", ["sip", "dip"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("10.1", '"10.1"'),
        ("10", '"10"'),
        ("010.0.0.1", '"010.0.0.1"'),
        ("0x0a.0.0.1", '"0x0a.0.0.1"'),
        ("1.2.3.256", '"1.2.3.256"'),
        ("1.2.3.4.5", '"1.2.3.4.5"'),
        ("1.2.3.4/", '"1.2.3.4/"'),
        ("1.2.3.4/a", '"1.2.3.4/a"'),
        ("1.2.3.4/33", '"1.2.3.4/33"'),
        ("1.2.3.4/-1", '"1.2.3.4/-1"'),
        ("1.2.3.4/08", '"1.2.3.4/08"'),
        ("1.2.3.4/8/8", '"1.2.3.4/8/8"'),
        ("1.2.3.4/255.0.0.0", '"1.2.3.4/255.0.0.0"'),
        ("1.2.3.4/٨", '"1.2.3.4/٨"'),
        ("1.2.3.4 ", '"1.2.3.4 "'),
        ("1.2.3.4\0", '"1.2.3.4\\u0000"'),
        ("/8", '"/8"'),
        ("", '""'),
        ("fd00::1/129", '"fd00::1/129"'),
        ("fd00:::1", '"fd00:::1"'),
        ("fe80::1%eth0", '"fe80::1%eth0"'),
        ("[::1]", '"[::1]"'),
        ("localhost", '"localhost"'),
        ("\ud800", '"\\ud800"'),
        (167772161, "167772161"),
        (10.1, "10.1"),
        (True, "true"),
        (None, "null"),
        (["10.0.0.1"], "a list"),
        ({}, "a mapping"),
        (b"\x0a\0\0\1", "a value of type bytes"),
    ],
)
def test_what_is_no_address_is_refused(key: str, value: object, shown: str) -> None:
    error = refused({"name": "x", key: value})
    expected = 'an address or ADDRESS/PREFIX, IPv4 or IPv6, such as "10.0.0.0/8"'
    assert (key, f"got {shown}", expected) == (error.key, error.wrong, error.expected)
    assert f"{key}: got {shown}; expected {expected}" == str(error)


@pytest.mark.parametrize("key", ["smac", "dmac"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("aa:bb:cc:dd:ee:ff/", '"aa:bb:cc:dd:ee:ff/"'),
        ("aa:bb:cc:dd:ee:ff/24", '"aa:bb:cc:dd:ee:ff/24"'),
        ("/aa:bb:cc:dd:ee:ff", '"/aa:bb:cc:dd:ee:ff"'),
        ("aa:bb:cc:dd:ee", '"aa:bb:cc:dd:ee"'),
        ("aa:bb:cc:dd:ee:ff:00", '"aa:bb:cc:dd:ee:ff:00"'),
        ("a:b:c:d:e:f", '"a:b:c:d:e:f"'),
        ("aa-bb-cc-dd-ee-ff", '"aa-bb-cc-dd-ee-ff"'),
        ("aabb.ccdd.eeff", '"aabb.ccdd.eeff"'),
        ("aabbccddeeff", '"aabbccddeeff"'),
        ("aa:bb:cc:dd:ee:fg", '"aa:bb:cc:dd:ee:fg"'),
        ("aa:bb:cc:dd:ee:ff\n", '"aa:bb:cc:dd:ee:ff\\n"'),
        ("", '""'),
        (8_041_827_049, "8041827049"),  # 10:20:30:40:50:49 in YAML 1.1
        (None, "null"),
    ],
)
def test_what_is_no_mac_is_refused(key: str, value: object, shown: str) -> None:
    error = refused({"name": "x", key: value})
    expected = 'a MAC or MAC/MASK, such as "5a:08:66:00:00:00/ff:ff:ff:00:00:00" in quotes'
    assert (key, f"got {shown}", expected) == (error.key, error.wrong, error.expected)


BAD_NUMBERS = [
    (-1, "-1"),
    (True, "true"),
    (False, "false"),
    (6.0, "6.0"),
    (None, "null"),
    ("", '""'),
    ("-1", '"-1"'),
    ("+6", '"+6"'),
    ("06", '"06"'),
    ("0x06", '"0x06"'),
    ("6 ", '"6 "'),
    ("٦", '"٦"'),
    ("1_0", '"1_0"'),
    ({"6": 7}, "a mapping"),
    (1 << 200, "an integer of 201 bits"),
    ("9" * 5000, '"' + "9" * 59 + "…"),
]


@pytest.mark.parametrize("key", ["sport", "dport"])
@pytest.mark.parametrize(
    ("value", "shown"),
    [*BAD_NUMBERS, (65536, "65536"), ("65536", '"65536"'), ("http", '"http"'), ("tcp", '"tcp"')],
)
def test_what_is_no_port_is_refused(key: str, value: object, shown: str) -> None:
    error = refused({"name": "x", key: value})
    assert (key, f"got {shown}", PORTS) == (error.key, error.wrong, error.expected)


@pytest.mark.parametrize(
    ("value", "shown"),
    [*BAD_NUMBERS, (256, "256"), ("256", '"256"'), ("ip", '"ip"'), ("tcp ", '"tcp "')],
)
def test_what_is_no_protocol_is_refused(value: object, shown: str) -> None:
    error = refused({"name": "x", "ip_proto": value})
    names = "icmp, igmp, tcp, udp, icmpv6, sctp"
    expected = f"an integer from 0 to 255, or one of {names}"
    expected += ', a range such as "0-5", or a list of these'
    assert ("ip_proto", f"got {shown}", expected) == (error.key, error.wrong, error.expected)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("", '""'),
        ("y" * 65, '"' + "y" * 59 + "…"),
        ("a\nb", '"a\\nb"'),
        ("a\x7f", '"a\\u007f"'),
        ("\ud800", '"\\ud800"'),
        (7, "7"),
        (None, "null"),
    ],
)
def test_name_that_cannot_be_shown_is_refused(name: object, shown: str) -> None:
    error = refused({"name": name, "dport": 1})
    expected = "a name of 1 to 64 printable characters"
    assert ("name", f"got {shown}", expected) == (error.key, error.wrong, error.expected)


@pytest.mark.parametrize(
    ("form", "key", "wrong", "expected"),
    [
        ({"dport": 1}, "name", "missing", "a name of 1 to 64 printable characters"),
        ({}, "name", "missing", "a name of 1 to 64 printable characters"),
        (
            {"name": "x"},
            "",
            "nothing but a name, which all drops would fit",
            f"one of {KEYS[6:]}",
        ),
        ({"name": "x", "dprt": 1}, "dprt", "unknown key, nearest is dport", f"one of {KEYS}"),
        (
            {"name": "x", "etherype": 1},
            "etherype",
            "unknown key, nearest is ethertype",
            f"one of {KEYS}",
        ),
        ({"name": "x", 10**5000: 1}, "an integer of 16610 bits", "unknown key", f"one of {KEYS}"),
        ({"name": "x", (1,): 1}, "a value of type tuple", "unknown key", f"one of {KEYS}"),
        (["name"], "", "got a list", f"a mapping with the keys {KEYS}"),
        (None, "", "got null", f"a mapping with the keys {KEYS}"),
    ],
)
def test_wrong_mapping_is_refused(form: Any, key: str, wrong: str, expected: str) -> None:
    error = refused(form)
    assert (key, wrong, expected) == (error.key, error.wrong, error.expected)


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (
            {"name": "x"},
            f"nothing but a name, which all drops would fit; expected one of {KEYS[6:]}",
        ),
        ({"name": "x", "a\nb": 1}, f'"a\\nb": unknown key; expected one of {KEYS}'),
    ],
)
def test_mistake_is_told_on_one_line(form: Mapping[str, object], text: str) -> None:
    assert text == str(refused(form))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"sip": "192.168.0.1/16"}, {"sip": "192.168.0.0/16"}),
        ({"sip": "10.0.0.1/32"}, {"sip": "10.0.0.1"}),
        ({"dip": "255.0.0.0/0"}, {"dip": "0.0.0.0/0"}),
        ({"dip": "FD00:0:0::1/64"}, {"dip": "fd00::/64"}),
        ({"dip": "fd00::1/128"}, {"dip": "fd00::1"}),
        ({"smac": "AA:bb:cc:dd:ee:ff"}, {"smac": "aa:bb:cc:dd:ee:ff"}),
        (
            {"dmac": "33:33:12:34:56:78/ff:ff:00:00:00:00"},
            {"dmac": "33:33:00:00:00:00/ff:ff:00:00:00:00"},
        ),
        ({"ip_proto": "udp"}, {"ip_proto": 17}),
        ({"sport": "0", "dport": "53"}, {"sport": 0, "dport": 53}),
    ],
)
def test_filter_is_spelt_in_its_shortest_form_and_read_again(
    form: Mapping[str, object], expected: Mapping[str, str | int]
) -> None:
    read = parse_filter({"name": "x", **form})
    assert {"name": "x", **expected} == fields(read)
    assert read == parse_filter(fields(read))


def test_default_filters_are_spelt_with_their_ethertype() -> None:
    group = {"dmac": "33:33:00:00:00:00/ff:ff:00:00:00:00"}
    multicast = {**group, "ethertype": "0x86dd"}
    expected = [
        {"name": "lldp", "dmac": "01:80:c2:00:00:0e"},
        {"name": "igmp", "ethertype": "0x0800", "ip_proto": 2},
        {"name": "icmpv6-multicast", **multicast, "ip_proto": 58},
        {"name": "ipv6-hop-by-hop-multicast", **multicast, "ip_proto": 0},
        {"name": "mdns-ipv6", **group, "ip_proto": 17, "dport": 5353},
        {
            "name": "mdns",
            "dip": "224.0.0.251",
            "ethertype": "0x0800",
            "ip_proto": 17,
            "sport": 5353,
            "dport": 5353,
        },
    ]
    assert expected == [fields(one) for one in DEFAULTS]


def test_integer_of_more_digits_than_python_prints_is_refused() -> None:
    assert "got an integer of 20001 bits" == refused({"name": "x", "sport": 1 << 20_000}).wrong
