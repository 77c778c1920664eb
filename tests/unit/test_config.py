"""droplog.yaml: what is accepted, what it means, and how each mistake is named."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.config.describe import describe
from ryu_droplog.config.loader import (
    SYSLOG,
    Accepted,
    Bridge,
    Lease,
    Meter,
    Settings,
    TcpEndpoint,
    UnixEndpoint,
    check_pipelines,
    load,
    ovs_rundir,
    parse,
)
from ryu_droplog.config.settings import Arrivals, Storm
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.schema.yaml_document import Document
from ryu_droplog.sinks.packet_events import PacketEvents
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.text import File, StandardOutput

DOCS = Path(__file__).parents[2] / "docs"

EXAMPLE = """\
drop_log_config:
  enable: true
  disable_events: true
  opflex_redirect_drop_logs: drop.log
log_directory: /var/log/ryu-droplog
run_directory: /run/ryu-droplog
pipeline_directory: null
bridges:
  - {name: br-int, prefix: "Int-", pipeline: opflex-int}
  - {name: br-access, prefix: "Acc-", pipeline: opflex-access, connect: "tcp:127.0.0.1:6653"}
listen: null
meter: {rate: 1000, burst: 100, required: true}
lease: {duration: 60, renew: 20}
"""

DEFAULTS = Settings(
    source="f.yaml",
    enable=True,
    disable_events=True,
    output=None,
    log_directory="/var/log/ryu-droplog",
    run_directory="/run/ryu-droplog",
    pipeline_directory=None,
    bridges=(Bridge("br-int", None, "auto", UnixEndpoint("/var/run/openvswitch/br-int.mgmt")),),
    listen=None,
    meter=Meter(rate=1000, burst=100, required=True),
    lease=Lease(duration=60, renew=20),
    sinks=(SinkSpec("log", "stdout", options=StandardOutput.Options(), title="standard output"),),
)

EVENTS = "/usr/local/var/run/aci-containers-packet-event-notification.sock"
LISTEN_FORMS = (
    "expected ADDRESS:PORT, a port, null, or a mapping with the keys address, connections,"
    " bridges, forget"
)
CONNECT = 'expected "unix:/absolute/path", "tcp:HOST:PORT", "service" or "listen"'
TCP = "expected tcp:HOST:PORT with an IPv6 address in brackets and a port from 1 to 65535"
LISTEN = (
    "expected ADDRESS:PORT or a port with an IPv6 address in brackets and a port from 1 to 65535"
)
NAME = (
    'expected a bridge name of 1 to 63 printable characters without spaces, "/" and "*", '
    'or "*" for any switch that connects to listen'
)
PREFIX = "expected at most 32 printable ASCII characters without spaces or null"
PIPELINE = "expected a name of 1 to 64 letters, digits and _.- that begins with a letter or digit"
REDIRECT = 'expected the name of a file inside log_directory, "syslog", or null for standard output'
TOP = (
    "drop_log_config, format, sinks, log_directory, run_directory, pipeline_directory, bridges, "
    "explicit_drops, listen, socket_room, meter, storm, "
    "lease, throttle, books, receive, identity, prune, opflex, events, ring, socket_group, baseline"
)


def parse_clean(text: str) -> Settings:
    return parse(text, "f.yaml", {})


def mistake_in(text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        parse(text, "f.yaml", environ or {})
    return str(caught.value)


def without_line(message: str) -> str:
    """What is said of a key, wherever in the file it stands."""
    return re.sub(r"^f\.yaml:[0-9]+: ", "f.yaml: ", message)


def bridge(fields: str, more: str = "") -> str:
    return f"bridges: [{{{fields}}}]\n{more}"


# What is accepted


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}", "null"])
def test_empty_file_gives_defaults(text: str) -> None:
    assert parse_clean(text) == DEFAULTS


def test_empty_sections_give_defaults() -> None:
    assert parse_clean("drop_log_config:\nmeter:\nlease:\n") == DEFAULTS


def test_no_file_gives_defaults() -> None:
    settings = load(None, {})
    assert settings.source == "defaults"
    assert settings.bridges == DEFAULTS.bridges


def test_example_file_gives_its_settings() -> None:
    expected = Settings(
        source="f.yaml",
        enable=True,
        disable_events=True,
        output="/var/log/ryu-droplog/drop.log",
        log_directory="/var/log/ryu-droplog",
        run_directory="/run/ryu-droplog",
        pipeline_directory=None,
        bridges=(
            Bridge(
                "br-int", "Int-", "opflex-int", UnixEndpoint("/var/run/openvswitch/br-int.mgmt")
            ),
            Bridge("br-access", "Acc-", "opflex-access", TcpEndpoint("127.0.0.1", 6653)),
        ),
        listen=None,
        meter=Meter(1000, 100, True),
        lease=Lease(60, 20),
        sinks=(
            SinkSpec(
                "log",
                "file",
                options=File.Options(path="/var/log/ryu-droplog/drop.log", encode="opflex"),
                title="/var/log/ryu-droplog/drop.log",
            ),
        ),
    )
    assert expected == parse_clean(EXAMPLE)


def test_documented_example_gives_defaults() -> None:
    """docs/droplog.yaml shows every key with its default."""
    text = (DOCS / "droplog.yaml").read_text(encoding="utf-8")
    assert parse_clean(text) == DEFAULTS
    assert list(Document(text, "droplog.yaml").data) == TOP.split(", ")


def test_every_key_away_from_its_default_is_kept() -> None:
    settings = parse_clean(
        "drop_log_config: {enable: false, disable_events: false,"
        " opflex_redirect_drop_logs: syslog}\n"
        "log_directory: /a\nrun_directory: /b\npipeline_directory: /c\n"
        'bridges: [{name: "*", prefix: ""}, {name: br0, connect: listen, pipeline: x}]\n'
        'listen: "[::1]:6653"\n'
        "meter: {rate: 1, burst: 4294967295, required: false}\n"
        "lease: {duration: 3, renew: 1}\n"
    )
    expected = Settings(
        source="f.yaml",
        enable=False,
        disable_events=False,
        output=SYSLOG,
        log_directory="/a",
        run_directory="/b",
        pipeline_directory="/c",
        bridges=(Bridge("*", "", "auto", Accepted()), Bridge("br0", None, "x", Accepted())),
        listen=TcpEndpoint("::1", 6653),
        meter=Meter(1, 4294967295, False),
        lease=Lease(3, 1),
        sinks=(
            SinkSpec("log", "syslog", options=Syslog.Options(), title="syslog"),
            SinkSpec(
                "packet-events",
                "packet-events",
                queue=QueueSpec(30),
                options=PacketEvents.Options(socket=EVENTS),
                title=f"packet events to {EVENTS}",
            ),
        ),
    )
    assert expected == settings


@pytest.mark.parametrize("yaml_true", ["true", "yes", "on"])
def test_yaml_boolean_is_accepted(yaml_true: str) -> None:
    assert parse_clean(f"meter: {{required: {yaml_true}}}").meter.required is True


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unix:/run/x/br.mgmt", UnixEndpoint("/run/x/br.mgmt")),
        ("unix:/" + "x" * 106, UnixEndpoint("/" + "x" * 106)),
        ("tcp:10.0.0.1:1", TcpEndpoint("10.0.0.1", 1)),
        ("tcp:[2001:DB8::1]:65535", TcpEndpoint("2001:db8::1", 65535)),
        ("tcp:[fe80::1%eth0]:6653", TcpEndpoint("fe80::1%eth0", 6653)),
        ("tcp:node-1.example.org:6653", TcpEndpoint("node-1.example.org", 6653)),
    ],
)
def test_connect_text_gives_endpoint(text: str, expected: UnixEndpoint | TcpEndpoint) -> None:
    assert expected == parse_clean(bridge(f'name: b, connect: "{text}"')).bridges[0].endpoint


def test_listen_may_say_how_much_those_may_take_up_who_connect() -> None:
    settings = parse_clean(
        "listen: {address: '[::1]:6653', connections: 7, bridges: 8, forget: 2m}"
    )
    assert (TcpEndpoint("::1", 6653), Arrivals(7, 8, 120.0)) == (settings.listen, settings.arrivals)
    assert Arrivals(64, 64, 600.0) == parse_clean("listen: {address: 6653}").arrivals


def test_names_that_begin_alike_are_good_where_only_one_waits_for_a_connection() -> None:
    text = (
        "listen: 6653\nbridges: [{name: br-of-fifteen-b1, connect: listen},"
        " {name: br-of-fifteen-b2}]"
    )
    assert 2 == len(parse_clean(text).bridges)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("127.0.0.1:6653", TcpEndpoint("127.0.0.1", 6653)),
        ("0.0.0.0:6653", TcpEndpoint("0.0.0.0", 6653)),
        ('"[::1]:6653"', TcpEndpoint("::1", 6653)),
        ('"6653"', TcpEndpoint("127.0.0.1", 6653)),
        ("6653", TcpEndpoint("127.0.0.1", 6653)),
        ("null", None),
    ],
)
def test_listen_text_gives_address(text: str, expected: TcpEndpoint | None) -> None:
    assert expected == parse_clean(f"listen: {text}").listen


@pytest.mark.parametrize(
    "endpoint", ["unix:/a/b", "tcp:127.0.0.1:6653", "tcp:[::1]:6653", "listen"]
)
def test_endpoint_as_text_is_what_was_written(endpoint: str) -> None:
    text = bridge(f'name: b, connect: "{endpoint}"', "listen: 6653")
    assert endpoint == str(parse_clean(text).bridges[0].endpoint)


@pytest.mark.parametrize("name", ["b", "br-ex.100", "b" * 63, "brücke", "..", "br:0"])
def test_bridge_name_of_open_vswitch_is_kept(name: str) -> None:
    expected = Bridge(name, None, "auto", UnixEndpoint(f"/var/run/openvswitch/{name}.mgmt"))
    assert (expected,) == parse_clean(bridge(f'name: "{name}"')).bridges


@pytest.mark.parametrize("text", ['""', "null", "~", ""])
def test_empty_redirect_means_standard_output(text: str) -> None:
    settings = parse_clean(f"drop_log_config:\n  opflex_redirect_drop_logs: {text}\n")
    assert settings.output is None


def test_redirect_to_a_name_is_a_file_in_log_directory() -> None:
    settings = parse_clean(
        "log_directory: /srv/log\ndrop_log_config: {opflex_redirect_drop_logs: a b.log}"
    )
    assert settings.output == "/srv/log/a b.log"


def test_merge_key_may_be_overridden() -> None:
    """An anchor further up, merged (`<<`) twice over: no key stands twice in the file."""
    text = (
        "bridges:\n"
        "- &a {name: br0, prefix: A-}\n"
        "- &b {<<: *a, name: br1}\n"
        "- {<<: *b, name: br2, prefix: C-}\n"
    )
    expected = [("br0", "A-"), ("br1", "A-"), ("br2", "C-")]
    assert expected == [(b.name, b.prefix) for b in parse_clean(text).bridges]


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, "/var/run/openvswitch"),
        ({"OVS_RUNDIR": ""}, "/var/run/openvswitch"),
        ({"OVS_RUNDIR": "/tmp/ovs"}, "/tmp/ovs"),
    ],
)
def test_rundir_comes_from_environment(environ: dict[str, str], expected: str) -> None:
    assert expected == ovs_rundir(environ)
    (only,) = parse("", "f.yaml", environ).bridges
    assert UnixEndpoint(f"{expected}/br-int.mgmt") == only.endpoint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("meter: {rate: 1000000, burst: 1000}", Meter(1_000_000, 1000, True)),
        ("meter: {rate: 100000}", Meter(100_000, 100, True)),
        ("meter: {rate: 1, burst: 2}", Meter(1, 2, True)),
        ("storm: {enable: false, per_table: 1}", Storm(False, 1, 256)),
        ("storm: {per_table: 1024, per_bridge: 65536}", Storm(True, 1024, 65536)),
        ("lease: {duration: 65535, renew: 32767}", Lease(65535, 32767)),
        ("lease: {duration: 40}", Lease(40, 20)),
        ("lease: {duration: 30}", Lease(30, 15)),
        ("lease: {duration: 3}", Lease(3, 1)),
        ("lease: {duration: 65535}", Lease(65535, 20)),
        ("lease: {renew: 31}", Lease(93, 31)),
        ("lease: {renew: 1}", Lease(60, 1)),
        ("lease: {renew: 32767}", Lease(65535, 32767)),
        ("meter: {rate: 100001}", Meter(100_001, 101, True)),
        ("meter: {rate: 1000000}", Meter(1_000_000, 1000, True)),
    ],
)
def test_number_at_its_limit_is_accepted(text: str, expected: Meter | Lease | Storm) -> None:
    settings = parse_clean(text)
    assert expected in (settings.meter, settings.lease, settings.storm)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        DEFAULTS.enable = False  # type: ignore[misc]


# What is refused


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The file as a whole.
        ("[]", f"got a list; expected a mapping with the keys {TOP}"),
        ("a", f'got "a"; expected a mapping with the keys {TOP}'),
        ("false", f"got false; expected a mapping with the keys {TOP}"),
        # Keys.
        ("metre: {}", f"metre: unknown key, nearest is meter; expected one of {TOP}"),
        ("x: 1", f"x: unknown key; expected one of {TOP}"),
        ('"a b": 1', f'"a b": unknown key; expected one of {TOP}'),
        ("1: 1", f"1: unknown key; expected one of {TOP}"),
        ("null: 1", f"null: unknown key; expected one of {TOP}"),
        ('"a` - at `$.meter": 1', f'"a` - at `$.meter": unknown key; expected one of {TOP}'),
        (
            "drop_log_config: {enabel: true}",
            "drop_log_config.enabel: unknown key, nearest is enable; "
            "expected one of enable, disable_events, opflex_redirect_drop_logs",
        ),
        (
            "meter: {brust: 1}",
            "meter.brust: unknown key, nearest is burst; expected one of rate, burst, required",
        ),
        ("meter: {2: 1}", "meter.2: unknown key; expected one of rate, burst, required"),
        (
            "lease: {seconds: 1}",
            "lease.seconds: unknown key; expected one of duration, renew",
        ),
        (
            "bridges: [{name: a}, {nam: b}]",
            "bridges[1].nam: unknown key, nearest is name; "
            "expected one of name, prefix, pipeline, connect, explicit_drops",
        ),
        # Booleans are booleans.
        ("drop_log_config: {enable: 1}", "drop_log_config.enable: got 1; expected true or false"),
        (
            'drop_log_config: {enable: "true"}',
            'drop_log_config.enable: got "true"; expected true or false',
        ),
        (
            "drop_log_config: {enable: null}",
            "drop_log_config.enable: got null; expected true or false",
        ),
        (
            "drop_log_config: {disable_events: 0}",
            "drop_log_config.disable_events: got 0; expected true or false",
        ),
        ('meter: {required: "no"}', 'meter.required: got "no"; expected true or false'),
        # Numbers are integers in their range.
        ('meter: {rate: "1000"}', 'meter.rate: got "1000"; expected an integer from 1 to 1000000'),
        ("meter: {rate: 0}", "meter.rate: got 0; expected an integer from 1 to 1000000"),
        (
            "meter: {rate: 1000001}",
            "meter.rate: got 1000001; expected an integer from 1 to 1000000",
        ),
        ("meter: {rate: 1.0}", "meter.rate: got 1.0; expected an integer from 1 to 1000000"),
        ("meter: {rate: true}", "meter.rate: got true; expected an integer from 1 to 1000000"),
        ("meter: {rate: .nan}", "meter.rate: got nan; expected an integer from 1 to 1000000"),
        (
            f"meter: {{rate: 0x{'f' * 4000}}}",
            "meter.rate: got an integer of 16000 bits; expected an integer from 1 to 1000000",
        ),
        ("meter: {burst: 0}", "meter.burst: got 0; expected an integer from 1 to 4294967295"),
        (
            "meter: {burst: 4294967296}",
            "meter.burst: got 4294967296; expected an integer from 1 to 4294967295",
        ),
        ("storm: {per_table: 0}", "storm.per_table: got 0; expected an integer from 1 to 1024"),
        (
            "storm: {per_bridge: 65537}",
            "storm.per_bridge: got 65537; expected an integer from 1 to 65536",
        ),
        ("lease: {duration: 2}", "lease.duration: got 2; expected an integer from 3 to 65535"),
        (
            "lease: {duration: 65536}",
            "lease.duration: got 65536; expected an integer from 3 to 65535",
        ),
        ("lease: {renew: 0}", "lease.renew: got 0; expected an integer from 1 to 32767"),
        (
            "lease: {duration: 60, renew: 31}",
            "lease.renew: got 31; expected at most half of lease.duration, which is 60",
        ),
        (
            "meter: {rate: 100001, burst: 100}",
            "meter.burst: got 100; expected at least a thousandth of meter.rate, which is 100001",
        ),
        (
            "meter: {rate: 1001, burst: 1}",
            "meter.burst: got 1; expected at least a thousandth of meter.rate, which is 1001",
        ),
        # Sections.
        (
            "meter: 5",
            "meter: got 5; expected a mapping with the keys rate, burst, required or null",
        ),
        (
            "lease: []",
            "lease: got a list; expected a mapping with the keys duration, renew or null",
        ),
        (
            "drop_log_config: drop.log",
            'drop_log_config: got "drop.log"; expected a mapping with the keys '
            "enable, disable_events, opflex_redirect_drop_logs or null",
        ),
        # Where lines go.
        *(
            (
                f"drop_log_config: {{opflex_redirect_drop_logs: {value}}}",
                f"drop_log_config.opflex_redirect_drop_logs: got {shown}; {REDIRECT}",
            )
            for value, shown in [
                ("/etc/passwd", '"/etc/passwd"'),
                ("a/b", '"a/b"'),
                ("..", '".."'),
                ("a..b", '"a..b"'),
                (".", '"."'),
                ('" "', '" "'),
                ('"a\\0b"', '"a\\u0000b"'),
                ('"a\\nb"', '"a\\nb"'),
                ('"a\\x7fb"', '"a\\u007fb"'),
            ]
        ),
        (
            "drop_log_config: {opflex_redirect_drop_logs: 7}",
            "drop_log_config.opflex_redirect_drop_logs: got 7; expected a string or null",
        ),
        # Directories.
        ("log_directory: log", 'log_directory: got "log"; expected an absolute path'),
        ("log_directory: null", "log_directory: got null; expected an absolute path"),
        ('run_directory: "/a\\nb"', 'run_directory: got "/a\\nb"; expected an absolute path'),
        ("run_directory: 1", "run_directory: got 1; expected an absolute path"),
        (
            "run_directory: 2024-02-20",
            "run_directory: got 2024-02-20; expected an absolute path",
        ),
        (
            f"log_directory: /{'x' * 4095}",
            f'log_directory: got "/{"x" * 58}…; expected an absolute path',
        ),
        (
            "pipeline_directory: ~/flows",
            'pipeline_directory: got "~/flows"; expected an absolute path or null',
        ),
        # Bridges.
        ("bridges: []", "bridges: got a list; expected a list of at least one bridge"),
        ("bridges: null", "bridges: got null; expected a list of at least one bridge"),
        ("bridges: {name: a}", "bridges: got a mapping; expected a list of at least one bridge"),
        (
            "bridges: [br-int]",
            'bridges[0]: got "br-int"; '
            "expected a mapping with the keys name, prefix, pipeline, connect, explicit_drops",
        ),
        ("bridges: [{prefix: A}]", "bridges[0].name: missing; expected a string"),
        (bridge("name: 5"), "bridges[0].name: got 5; expected a string"),
        (bridge('name: ""'), f'bridges[0].name: got ""; {NAME}'),
        (bridge("name: a/b"), f'bridges[0].name: got "a/b"; {NAME}'),
        (bridge("name: a b"), f'bridges[0].name: got "a b"; {NAME}'),
        (bridge("name: br-*"), f'bridges[0].name: got "br-*"; {NAME}'),
        (bridge('name: "a\\tb"'), f'bridges[0].name: got "a\\tb"; {NAME}'),
        (bridge('name: "a\\u00a0b"'), f'bridges[0].name: got "a\\u00a0b"; {NAME}'),
        (bridge(f"name: {'b' * 64}"), f'bridges[0].name: got "{"b" * 59}…; {NAME}'),
        (
            "bridges: [{name: a}, {name: b}, {name: a}]",
            'bridges[2].name: "a" is the name of bridges[0] already; '
            "expected a name for each bridge",
        ),
        (bridge('name: b, prefix: "a b"'), f'bridges[0].prefix: got "a b"; {PREFIX}'),
        (bridge('name: b, prefix: "a\\n"'), f'bridges[0].prefix: got "a\\n"; {PREFIX}'),
        (bridge("name: b, prefix: é"), f'bridges[0].prefix: got "é"; {PREFIX}'),
        (bridge("name: b, prefix: 1"), f"bridges[0].prefix: got 1; {PREFIX}"),
        (
            bridge(f"name: b, prefix: {'p' * 33}"),
            f'bridges[0].prefix: got "{"p" * 33}"; {PREFIX}',
        ),
        (bridge("name: b, pipeline: null"), f"bridges[0].pipeline: got null; {PIPELINE}"),
        (bridge("name: b, pipeline: ../a"), f'bridges[0].pipeline: got "../a"; {PIPELINE}'),
        (bridge("name: b, pipeline: .a"), f'bridges[0].pipeline: got ".a"; {PIPELINE}'),
        # Where a bridge is reached.
        *(
            (
                bridge(f'name: b, connect: "{value}"'),
                f'bridges[0].connect: got "{value}"; {expected}',
            )
            for value, expected in [
                ("", CONNECT),
                ("ssl:127.0.0.1:6653", CONNECT),
                ("127.0.0.1:6653", CONNECT),
                ("Listen", CONNECT),
                ("unix:b.mgmt", "expected the absolute path of a socket"),
                ("unix:", "expected the absolute path of a socket"),
                ("tcp:127.0.0.1", TCP),
                ("tcp:127.0.0.1:0", TCP),
                ("tcp:127.0.0.1:65536", TCP),
                ("tcp:127.0.0.1:+1", TCP),
                ("tcp:127.0.0.1:٣", TCP),
                ("tcp:::1:6653", TCP),
                ("tcp:[::1:6653", TCP),
                ("tcp:[::g]:6653", "expected an IPv6 address"),
                ("tcp:[]:6653", "expected an IPv6 address"),
                ("tcp:[127.0.0.1]:6653", "expected an IPv6 address"),
                ("tcp:127.0.0.256:6653", "expected an IPv4 address"),
                ("tcp:127.1:6653", "expected an IPv4 address"),
                ("tcp::6653", "expected a host name or an address"),
                ("tcp:a..b:6653", "expected a host name or an address"),
                ("tcp:a b:6653", "expected a host name or an address"),
            ]
        ),
        (
            bridge("name: b, connect: 6653"),
            "bridges[0].connect: got 6653; expected a string or null",
        ),
        (
            bridge(f'name: b, connect: "unix:/{"x" * 107}"'),
            f'bridges[0].connect: got "unix:/{"x" * 53}…; '
            "expected the path of a socket in at most 107 bytes (unix(7))",
        ),
        (
            bridge("name: b, connect: listen"),
            'bridges[0]: "b" waits for a connection, but listen is null; '
            "expected listen with an address or a port",
        ),
        (
            bridge('name: "*"'),
            'bridges[0]: "*" waits for a connection, but listen is null; '
            "expected listen with an address or a port",
        ),
        (
            bridge('name: "*", connect: "unix:/a"', "listen: 6653"),
            'bridges[0].connect: got "unix:/a"; expected "listen" for the bridge "*"',
        ),
        (
            'bridges: [{name: a}, {name: b, connect: "unix:/var/run/openvswitch/a.mgmt"}]',
            "bridges[1].connect: unix:/var/run/openvswitch/a.mgmt is where bridges[0] connects "
            "already; expected an endpoint for each bridge",
        ),
        # Where switches connect.
        *(
            (f"listen: {value}", f"listen: got {shown}; {expected}")
            for value, shown, expected in [
                ("0", "0", LISTEN),
                ("65536", "65536", LISTEN),
                ("-1", "-1", LISTEN),
                ('""', '""', LISTEN),
                ("eth0", '"eth0"', LISTEN),
                ('":6653"', '":6653"', "expected an IPv4 address"),
                ("localhost:6653", '"localhost:6653"', "expected an IPv4 address"),
                ('"::1:6653"', '"::1:6653"', LISTEN),
                ("6653.5", "6653.5", LISTEN_FORMS),
                ("true", "true", LISTEN_FORMS),
                ("[6653]", "a list", LISTEN_FORMS),
            ]
        ),
        *(
            (f"listen: {{{value}}}", f"listen.{mistake}")
            for value, mistake in [
                ("connections: 5", "address: missing; expected ADDRESS:PORT or a port"),
                ("address: eth0", f'address: got "eth0"; {LISTEN}'),
                ("address: true", "address: got true; expected ADDRESS:PORT or a port"),
                (
                    "address: 1, connections: 0",
                    "connections: got 0; expected an integer from 1 to 4096",
                ),
                (
                    "address: 1, bridges: 4097",
                    "bridges: got 4097; expected an integer from 1 to 4096",
                ),
                ("address: 1, forget: 0", 'forget: got 0; expected a time from "1s" to "24h"'),
                (
                    "address: 1, forget: 25h",
                    'forget: got "25h"; expected a time from "1s" to "24h"',
                ),
                (
                    "address: 1, bridge: 5",
                    "bridge: unknown key, nearest is bridges; expected one of address,"
                    " connections, bridges, forget",
                ),
            ]
        ),
        # OpenFlow tells 15 bytes of a name.
        (
            "listen: 6653\nbridges: [{name: br-of-fifteen-b1, connect: listen},"
            " {name: br-of-fifteen-b2, connect: listen}]",
            'bridges[1].name: "br-of-fifteen-b2" begins as bridges[0] does, which waits for a'
            " connection, too; expected names that differ in their first 15 bytes: OpenFlow tells"
            " no more",
        ),
    ],
)
def test_mistake_is_named_with_key_value_and_expectation(text: str, expected: str) -> None:
    assert f"f.yaml: {expected}" == without_line(mistake_in(text))


@pytest.mark.parametrize(
    ("rundir", "expected"),
    [
        (
            "run",
            'the management socket is "run/br-int.mgmt", from OVS_RUNDIR; '
            "expected the absolute path of a socket",
        ),
        (
            "/" + "r" * 95,
            f'the management socket is "/{"r" * 58}…, from OVS_RUNDIR; '
            "expected the path of a socket in at most 107 bytes (unix(7))",
        ),
    ],
)
def test_unusable_rundir_is_refused(rundir: str, expected: str) -> None:
    assert f"f.yaml: bridges[0].connect: {expected}" == mistake_in("", {"OVS_RUNDIR": rundir})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("meter: {rate: 1}\nmeter: {rate: 2}\n", '2: duplicate key "meter"'),
        ("meter:\n  rate: 1\n  'rate': 2\n", '3: duplicate key "rate"'),
        ("1: a\n0x1: b\n", "2: duplicate key 1"),
        ('format: "\\ud800"\n', r'1: "\ud800" has half of a surrogate pair'),
        ('format: json\n"a\\udc00": 1\n', r'2: "a\udc00" has half of a surrogate pair'),
        (
            "\n\nmeter: {rate: 1",
            "3: while parsing a flow mapping: expected ',' or '}', but got '<stream end>'",
        ),
        (
            "a: !!python/name:os.system\n",
            "1: could not determine a constructor for the tag "
            "'tag:yaml.org,2002:python/name:os.system'",
        ),
        (
            "--- {}\n--- {}\n",
            "2: expected a single document in the stream: but found another document",
        ),
        ("log_directory: 2024-99-99\n", '1: "2024-99-99" is no timestamp'),
        ("? [a]\n: 1\n", "1: while constructing a mapping: found unhashable key"),
        ("a: 1\nb: \x01\n", "2: character U+0001; expected printable characters"),
    ],
)
def test_broken_yaml_is_named_with_line(text: str, expected: str) -> None:
    assert f"f.yaml:{expected}" == mistake_in(text)


def test_deep_nesting_is_refused() -> None:
    assert mistake_in("[" * 20000) == "f.yaml: nested too deeply; expected a few levels"


def test_aliases_that_multiply_are_not_written_out() -> None:
    """Nine aliases to nine aliases and so on: the message stays one short line."""
    lists = "".join(f"- &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]\n" for n in range(30))
    text = "x:\n- &l0 [a]\n" + lists
    assert f"f.yaml:1: x: unknown key; expected one of {TOP}" == mistake_in(text)


@given(st.text(alphabet=st.sampled_from("{}[]:,-&*!?|>%@`'\"# \n\tab1<=.~\0é"), max_size=60))
def test_any_text_is_settings_or_a_config_error(text: str) -> None:
    try:
        outcome: object = parse_clean(text)
    except ConfigError as error:
        outcome = str(error)
    if isinstance(outcome, str):
        assert re.fullmatch(r"f\.yaml:(\d+: .+|.*; expected .+)", outcome)
    else:
        assert isinstance(outcome, Settings)


def test_file_is_read_from_disk(tmp_path: Path) -> None:
    file = tmp_path / "droplog.yaml"
    file.write_text(EXAMPLE, encoding="utf-8")
    assert load(file, {}) == load(str(file), {})
    assert load(file, {}).source == str(file)
    assert load(file, {}).bridges == parse_clean(EXAMPLE).bridges


def test_missing_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "no.yaml"
    with pytest.raises(ConfigError) as caught:
        load(file)
    expected = f"{file}: cannot be read: No such file or directory"
    assert expected == str(caught.value)


def test_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"a: \xe9\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    expected = f"{file}: byte 0xe9 at offset 3 is not UTF-8; expected a file in UTF-8"
    assert expected == str(caught.value)


# Pipelines of the bridges, and what check-config prints


def test_unknown_pipeline_is_refused_with_the_nearest() -> None:
    settings = parse_clean("bridges: [{name: a}, {name: b, pipeline: opflex-acces}]")
    expected = (
        'f.yaml:1: bridges[1].pipeline: got "opflex-acces", nearest is opflex-access; '
        "expected one of auto, neutron, opflex-access, opflex-int, ovn"
    )
    for check in (check_pipelines, describe):
        with pytest.raises(ConfigError) as caught:
            check(settings, load_pipelines(None))
        assert expected == str(caught.value)


def test_description_of_defaults_says_what_holds() -> None:
    expected = """\
configuration:    f.yaml
drop log:         on
drop lines go to: standard output
format:           opflex
packet events:    off
filtered:         lldp, igmp, icmpv6-multicast, ipv6-hop-by-hop-multicast, mdns-ipv6, mdns
log directory:    /var/log/ryu-droplog
run directory:    /run/ryu-droplog
pipelines:        auto, neutron, opflex-access, opflex-int, ovn; own files: none
listens on:       nothing
receives at:      nothing
identity from:    southbound, libvirt /run/libvirt/qemu, ovsdb
opflex:           no control files; names of policies in /var/lib/opflex-agent-ovs/ids
socket room:      8388608 bytes
meter:            1000 packets per second and table, burst of 100 packets
without meters:   no flow is added
in a storm:       the loudest flows of packets step aside, 16 a table and 256 a bridge at most
lease:            60 s, renewed every 20 s
repeats:          each has its own line
books:            reported every 60 s
ring:             the last 4096 drops of each bridge, 8000000 bytes of memory at most; 256 bytes \
of each frame, observers get its headers alone
may observe:      root and the user of the program
baseline:         none

bridge br-int
  reached at:     unix:/var/run/openvswitch/br-int.mgmt
  prefix:         none
  pipeline:       auto, 0 named tables, the tables that the bridge's flows use
  explicit drops: counted"""
    assert expected == describe(parse_clean(""), load_pipelines(None))


def test_description_shows_what_the_file_changed() -> None:
    text = (
        "drop_log_config: {enable: false, disable_events: false,"
        " opflex_redirect_drop_logs: d.log}\n"
        'bridges: [{name: b, pipeline: opflex-int}, {name: "*", pipeline: opflex-access,'
        ' prefix: "X-"}]\n'
        "listen: 6653\nmeter: {required: false}\nreceive: {geneve: 50000}\n"
        "events: {socket: /run/e.sock}\n"
        "prune: {defaults: false, filters: [{name: dns, dport: 53}]}\n"
        "opflex: {droplog_directory: /d, print_tenant: true, tenants: {1: common}}\n"
        "ring: {drops: 100, bytes: 1M, snaplen: 128, payload: full}\nsocket_group: droplog\n"
        "baseline: /b.yaml\n"
    )
    page = describe(parse_clean(text), load_pipelines(None)).splitlines()
    for line in (
        "drop log:         off, nothing is added to the switch",
        "ring:             the last 100 drops of each bridge, 1000000 bytes of memory at most;"
        " 128 bytes of each frame, observers get all of these",
        "may observe:      root and the user of the program, and the group droplog",
        "baseline:         /b.yaml",
        "drop lines go to: the file /var/log/ryu-droplog/d.log",
        "packet events:    to unix:/run/e.sock; there, within 600 s, one in 120 s for a pair",
        "filtered:         dns",
        "receives at:      geneve 127.0.0.1:50000",
        "opflex:           control files in /d; names of policies in /var/lib/opflex-agent-ovs/ids;"
        " tenants in the line, 1 known",
        "listens on:       tcp:127.0.0.1:6653; 64 connections in the handshake, 64 bridges of"
        ' "*", forgotten 600 s after their last connection',
        "without meters:   flows are added all the same",
        '  prefix:         "Int-"',
        "  pipeline:       opflex-int, 16 named tables, drop table 15",
        "any bridge that connects",
        "  reached at:     listens for it",
        '  prefix:         "X-"',
        "  pipeline:       opflex-access, 10 named tables, drop table 9",
    ):
        assert line in page


def test_description_names_syslog() -> None:
    text = "drop_log_config: {opflex_redirect_drop_logs: syslog}"
    page = describe(parse_clean(text), load_pipelines(None))
    assert "drop lines go to: syslog" in page.splitlines()


def test_environment_is_the_process_own_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "OVS_RUNDIR", "/tmp/own")
    expected = UnixEndpoint("/tmp/own/br-int.mgmt")
    assert [expected, expected] == [
        settings.bridges[0].endpoint for settings in (load(None), parse("", "f.yaml"))
    ]


@pytest.mark.parametrize(("tag", "kind"), [("int", "int"), ("float", "float")])
def test_number_in_the_base_of_60_is_none_however_long_it_is(tag: str, kind: str) -> None:
    """Not even where a tag asks for one: the time would grow with the square of its length."""
    parts = ":1" * 150_000
    assert f" is no {kind}" in mistake_in(f"meter: {{rate: !!{tag} 1{parts}}}")
    assert 'rate: got "1:1:1:' in mistake_in(f"meter: {{rate: 1{parts}}}")


@pytest.mark.parametrize("text", ["10:20:30:40:50:10", "1:30", "190:20:30.15", "-1:30"])
def test_number_in_the_base_of_60_is_text(text: str) -> None:
    assert text == Document(f"a: {text}", "f.yaml").data["a"]
