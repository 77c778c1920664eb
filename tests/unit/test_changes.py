"""What a reload tells: every key that has another value, and what is off now first."""

from __future__ import annotations

import pytest

from ryu_droplog.config import loader
from ryu_droplog.config.changes import changes
from ryu_droplog.config.settings import Settings
from ryu_droplog.pipelines.loader import load_pipelines

PIPELINES = load_pipelines(None)


def settings(text: str) -> Settings:
    return loader.parse(text, "f.yaml", {})


def told(old: str, new: str) -> list[tuple[str, bool]]:
    """Each change as text, and whether something is off by it."""
    found = changes(settings(old), settings(new), PIPELINES, PIPELINES)
    return [(str(change), change.off) for change in found]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("", ""),
        ("", "meter: {rate: 1000}\n# a remark\n"),
        ("throttle: {window: 1s}", "throttle: {window: 1000ms}"),
        ("bridges: [{name: br-int}]", "bridges: [{name: br-int, pipeline: auto}]"),
    ],
)
def test_same_configuration_in_other_words_is_no_change(old: str, new: str) -> None:
    assert [] == told(old, new)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("", "meter: {rate: 500}", "meter.rate: 1000 -> 500"),
        ("", "socket_room: 16M", "socket_room: 8388608 bytes -> 16000000 bytes"),
        ("", "meter: {required: false}", "meter.required: true -> false"),
        ("", "lease: {duration: 90}", "lease.duration: 60 -> 90"),
        ("", "format: json", "format: opflex -> json"),
        ("", "throttle: {window: 2s}", "throttle: null -> 2 s, 65536 entries"),
        ("throttle: {window: 2s}", "", "throttle: 2 s, 65536 entries -> null"),
        ("", "listen: 6653", "listen: null -> tcp:127.0.0.1:6653"),
        ("", "log_directory: /l", "log_directory: /var/log/ryu-droplog -> /l"),
        ("", "opflex: {tenants: {7: common}}", 'opflex.tenants.7: absent -> "common"'),
        ("", "events: {interval: 5}", "events.interval: 120.0 -> 5.0"),
        (
            "",
            "prune: {filters: [{name: web, dport: [80, 443]}]}",
            "prune.web: absent -> dport [80, 443]",
        ),
        ("", "prune: {filters: [{name: 'a b', dport: 80}]}", 'prune."a b": absent -> dport 80'),
        (
            "bridges: [{name: br-int}]",
            "bridges: [{name: br-int, prefix: X-}]",
            'bridges["br-int"].prefix: null -> "X-"',
        ),
        (
            "bridges: [{name: br-int}]",
            "bridges: [{name: br-int}, {name: br-ex, prefix: X-}]",
            'bridges["br-ex"]: absent -> present',
        ),
        ("", "explicit_drops: log", 'bridges["br-int"].explicit_drops: count -> log all'),
    ],
)
def test_key_is_told_with_its_old_and_its_new_value(old: str, new: str, expected: str) -> None:
    assert [(expected, False)] == told(old, new)


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (
            "drop_log_config: {disable_events: false}",
            "drop_log_config.disable_events: false -> true",
        ),
        (
            "drop_log_config: {opflex_redirect_drop_logs: d.log}",
            "drop_log_config.opflex_redirect_drop_logs: /var/log/ryu-droplog/d.log -> null",
        ),
        ("listen: 6653", "listen: tcp:127.0.0.1:6653 -> null"),
        ("receive: {geneve: 50000}", "receive.geneve: 127.0.0.1:50000 -> null"),
        ("explicit_drops: log", 'bridges["br-int"].explicit_drops: log all -> count'),
        ("opflex: {droplog_directory: /d}", "opflex.droplog_directory: /d -> null"),
        ("opflex: {print_tenant: true}", "opflex.print_tenant: true -> false"),
        ("bridges: [{name: br-int}, {name: br-ex}]", 'bridges["br-ex"]: present -> absent'),
    ],
)
def test_what_a_file_that_was_cut_switches_off_is_told_as_that(old: str, expected: str) -> None:
    assert [(expected, True)] == told(old, "")


def test_drop_log_that_is_switched_off_comes_first() -> None:
    found = told("", "format: json\ndrop_log_config: {enable: false}\nmeter: {rate: 5}")
    assert [
        ("drop_log_config.enable: true -> false", True),
        ("format: opflex -> json", False),
        ("meter.rate: 1000 -> 5", False),
    ] == found


@pytest.mark.parametrize(
    ("old", "new", "off"),
    [
        ("{log: [1, 2]}", "{log: [1]}", True),
        ("{log: [1]}", "{log: [1, 2]}", False),
        ("log", "{log: [1]}", True),
        ("{log: all, modify: true}", "{log: all}", True),
    ],
)
def test_fewer_explicit_drops_are_less_than_before(old: str, new: str, off: bool) -> None:
    [(_, found)] = told(f"explicit_drops: {old}", f"explicit_drops: {new}")
    assert off == found


def test_text_of_the_file_is_told_on_one_line() -> None:
    [(text, _)] = told("", 'prune: {filters: [{name: "x", sip: 1.2.3.4}]}\n')
    assert text.isprintable()
    long = "a" * 4000
    [(text, _)] = told("", f"pipeline_directory: /{long}\n")
    assert text.isprintable()


def test_pipelines_that_come_change_and_go_are_told() -> None:
    same = settings("")
    fewer = {name: one for name, one in PIPELINES.items() if name != "ovn"}
    changed = {**PIPELINES, "auto": PIPELINES["neutron"]}
    assert [
        ["pipeline ovn: absent -> present"],
        ["pipeline ovn: present -> absent"],
        ["pipeline auto: as it was -> as its file has it now"],
    ] == [
        [str(change) for change in changes(same, same, old, new)]
        for old, new in ((fewer, PIPELINES), (PIPELINES, fewer), (PIPELINES, changed))
    ]
