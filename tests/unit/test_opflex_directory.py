"""The agent's control files: what they say, and what becomes of it when they change."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from ryu_droplog.config.capture_spec import FlowSpec
from ryu_droplog.config.opflex_directory import (
    MAX_FILES,
    MAX_NOTICES,
    MAX_SIZE,
    Control,
    ControlDirectory,
)
from ryu_droplog.config.opflex_file import MAX_FILTERS

FilterSpec = tuple[tuple[str, object], ...]
ON = {"drop-log-enable": True}


class WrongFilter(ValueError):
    """What a reader of filters raises."""

    key, wrong, expected = "sip", 'got "x"', "an IPv4 or IPv6 network"


def parse(fields: Mapping[str, object]) -> FilterSpec:
    """A filter is its fields here."""
    if fields.get("sip") == "x":
        raise WrongFilter
    return tuple(fields.items())


@pytest.fixture
def directory(tmp_path: Path) -> ControlDirectory[FilterSpec]:
    return ControlDirectory(str(tmp_path), parse)


def write(folder: Path, name: str, content: object) -> None:
    """Whole at once, as a writer should; bytes as they are, all else as JSON."""
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    (folder / ".new").write_bytes(data)
    (folder / ".new").replace(folder / name)


def told(directory: ControlDirectory[FilterSpec]) -> list[str]:
    """The notices since the last time, without the directory's name."""
    found = [notice.replace(f"{directory.path}/", "") for notice in directory.notices]
    directory.notices.clear()
    return found


def test_directory_without_files_logs_nothing(directory: ControlDirectory[FilterSpec]) -> None:
    assert not directory.poll()
    assert (Control(), []) == (directory.state, told(directory))


def test_directory_that_is_not_there_is_told_once_and_found_later(tmp_path: Path) -> None:
    path = tmp_path / "droplog"
    directory = ControlDirectory(str(path), parse)
    assert [False, False] == [directory.poll(), directory.poll()]
    expected = f"{path}: cannot be read (No such file or directory); no control files count"
    assert [expected] == told(directory)
    path.mkdir()
    write(path, "a.droplogcfg", ON)
    assert directory.poll()
    assert directory.state.enable
    (path / "a.droplogcfg").unlink()
    path.rmdir()
    assert directory.poll()
    assert (Control(), [expected]) == (directory.state, told(directory))


def test_directory_that_cannot_be_read_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "droplog"
    path.mkdir()
    write(path, "a.droplogcfg", ON)
    directory = ControlDirectory(str(path), parse)
    assert directory.poll()
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(path)
    assert [False, False] == [directory.poll(), directory.poll()]
    expected = f"{path}: cannot be read (Too many levels of symbolic links); all stays as it was"
    assert (True, [expected]) == (directory.state.enable, told(directory))


@pytest.mark.parametrize(
    ("kind", "content"), [("droplogcfg", ON), ("dropflowcfg", {"uuid": "one"})]
)
def test_file_that_cannot_be_read_keeps_its_last_good_state(
    tmp_path: Path, directory: ControlDirectory[FilterSpec], kind: str, content: object
) -> None:
    path = tmp_path / f"a.{kind}"
    write(tmp_path, path.name, content)
    assert directory.poll()
    before = directory.state
    path.unlink()
    path.symlink_to(path)
    assert [False, False] == [directory.poll(), directory.poll()]
    expected = f"{path.name}: refused: cannot be read (Too many levels of symbolic links)"
    assert (before, [expected]) == (directory.state, told(directory))
    path.unlink()
    write(tmp_path, path.name, content)
    assert not directory.poll()
    assert before == directory.state


def test_link_that_is_turned_to_another_file_is_followed(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    """As Kubernetes changes the files of a mounted ConfigMap."""
    for name, content in (("one", ON), ("two", {})):
        write(tmp_path, name, content)
    (tmp_path / "a.droplogcfg").symlink_to(tmp_path / "one")
    assert directory.poll()
    (tmp_path / ".link").symlink_to(tmp_path / "two")
    (tmp_path / ".link").replace(tmp_path / "a.droplogcfg")
    assert directory.poll()
    assert Control(source="a.droplogcfg") == directory.state


def test_filter_whose_name_stands_twice_is_the_last_of_that_name(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    filters = [{"name": "one", "dport": 1}, {"name": "two"}, {"name": "one", "dport": 2}]
    write(tmp_path, "a.droplogcfg", {"drop-log-pruning": filters})
    assert directory.poll()
    expected = ((("name", "one"), ("dport", 2)), (("name", "two"),))
    assert expected == directory.state.filters


def test_whole_file_says_all(tmp_path: Path, directory: ControlDirectory[FilterSpec]) -> None:
    content = {
        "drop-log-enable": "true",
        "drop-log-mode": "flow-based",
        "drop-log-print-tenant": "1",
        "drop-log-pruning": {
            "dns": {"dport": "53", "ip_proto": 17, "sip": "", "log-sgs": 1},
            "x": {"name": "mine", "smac": "0a:00:00:00:00:00/ff:00:00:00:00:00"},
        },
        "something-else": [],
    }
    write(tmp_path, "a.droplogcfg", content)
    assert directory.poll()
    expected = Control[FilterSpec](
        enable=True,
        flow_based=True,
        print_tenant=True,
        filters=(
            (("ip_proto", 17), ("dport", 53), ("name", "dns")),
            (("name", "mine"), ("smac", "0a:00:00:00:00:00/ff:00:00:00:00:00")),
        ),
        source="a.droplogcfg",
    )
    assert (expected, []) == (directory.state, told(directory))
    assert not directory.poll()


def test_list_of_filters_under_other_names_is_read(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    names = ["src-ip", "dest-ip", "src-mac", "dest-mac", "ip-proto", "src-port", "dest-port"]
    written = {"name": "all", **{name: str(place) for place, name in enumerate(names)}}
    write(tmp_path, "a.droplogcfg", {"drop-log-disable": False, "drop-log-pruning": [written]})
    assert directory.poll()
    expected = {"name": "all", "sip": "0", "dip": "1", "smac": "2", "dmac": "3"}
    expected |= {"ip_proto": 4, "sport": 5, "dport": 6}  # type: ignore[dict-item]
    assert [expected] == [dict(each) for each in directory.state.filters]
    assert directory.state.enable


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({}, False),
        ({"drop-log-enable": False}, False),
        ({"drop-log-enable": 1}, True),
        ({"drop-log-disable": False}, True),
        ({"drop-log-disable": "true"}, False),
        ({"drop-log-enable": True, "drop-log-disable": True}, True),
        ({"drop-log-enable": "false", "drop-log-disable": False}, False),
    ],
)
def test_enable_wins_over_disable_and_nothing_is_off(
    tmp_path: Path, directory: ControlDirectory[FilterSpec], content: object, expected: bool
) -> None:
    write(tmp_path, "a.droplogcfg", content)
    assert directory.poll()
    assert expected == directory.state.enable


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "not JSON (Input data was truncated); expected a JSON object"),
        (b"[1]", "got a list; expected a JSON object"),
        ({"drop-log-enable": 2}, "drop-log-enable: got 2; expected true or false"),
        ({"drop-log-enable": None}, "drop-log-enable: got null; expected true or false"),
        ({"drop-log-disable": []}, "drop-log-disable: got a list; expected true or false"),
        (
            {"drop-log-mode": "flow"},
            'drop-log-mode: got "flow"; expected unfiltered or flow-based',
        ),
        (
            {"drop-log-pruning": 1},
            "drop-log-pruning: got 1; expected a mapping or a list of filters",
        ),
        (
            {"drop-log-pruning": [{"sip": "10.0.0.1"}]},
            'drop-log-pruning[0].name: got ""; expected a name',
        ),
        ({"drop-log-pruning": {"a": 1}}, "drop-log-pruning.a: got 1; expected a mapping"),
        (
            {"drop-log-pruning": {"a": {"src-ip": "x"}}},
            'drop-log-pruning.a.sip: got "x"; expected an IPv4 or IPv6 network',
        ),
        (
            {"drop-log-pruning": [{}] * (MAX_FILTERS + 1)},
            "drop-log-pruning: 1001 filters; expected at most 1000",
        ),
        (b" " * MAX_SIZE + b"{}", f"more than {MAX_SIZE} bytes; expected a control file"),
    ],
)
def test_wrong_file_is_refused_once_and_its_last_good_state_stays(
    tmp_path: Path, directory: ControlDirectory[FilterSpec], content: object, expected: str
) -> None:
    write(tmp_path, "a.droplogcfg", ON)
    assert directory.poll()
    before = directory.state
    write(tmp_path, "a.droplogcfg", content)
    assert [False, False] == [directory.poll(), directory.poll()]
    assert (before, [f"a.droplogcfg: refused: {expected}"]) == (directory.state, told(directory))
    (tmp_path / "a.droplogcfg").touch()
    assert not directory.poll()
    assert [] == told(directory)
    write(tmp_path, "a.droplogcfg", {})
    assert directory.poll()
    assert not directory.state.enable
    write(tmp_path, "a.droplogcfg", content)
    assert not directory.poll()
    assert 1 == len(told(directory))


@pytest.mark.parametrize("content", [b"[" * 100_000, b'{"drop-log-enable": 1' + b"0" * 5000 + b"}"])
def test_file_that_asks_for_too_much_is_refused(
    tmp_path: Path, directory: ControlDirectory[FilterSpec], content: bytes
) -> None:
    write(tmp_path, "a.droplogcfg", content)
    assert not directory.poll()
    assert 1 == len(told(directory))


def test_file_that_never_was_good_counts_as_absent(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    write(tmp_path, "a.droplogcfg", b"{")
    write(tmp_path, "b.droplogcfg", ON)
    assert directory.poll()
    assert "b.droplogcfg" == directory.state.source


def test_half_written_file_is_looked_at_again_when_it_is_whole(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    with (tmp_path / "a.droplogcfg").open("w") as file:
        file.write('{"drop-log-enable"')
        file.flush()
        assert not directory.poll()
        file.write(": true}")
    assert directory.poll()
    assert directory.state.enable


def test_change_of_equal_size_within_one_time_stamp_is_seen(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    path = tmp_path / "a.droplogcfg"
    for value in (b"1", b"0") * 20:
        path.write_bytes(b'{"drop-log-enable":' + value + b"}")
        os.utime(path, ns=(0, 0))
        assert directory.poll()
        assert (value == b"1") == directory.state.enable


def test_first_good_file_counts_until_it_is_removed(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    write(tmp_path, "b.droplogcfg", ON)
    write(tmp_path, "c.droplogcfg", {"drop-log-mode": "flow-based"})
    assert directory.poll()
    write(tmp_path, "a.droplogcfg", {})
    assert [False, False] == [directory.poll(), directory.poll()]
    assert "b.droplogcfg" == directory.state.source
    reason = "refused: b.droplogcfg counts until it is removed"
    assert [f"c.droplogcfg: {reason}", f"a.droplogcfg: {reason}"] == told(directory)
    (tmp_path / "b.droplogcfg").unlink()
    assert directory.poll()
    assert "a.droplogcfg" == directory.state.source
    (tmp_path / "a.droplogcfg").unlink()
    assert directory.poll()
    assert Control(flow_based=True, source="c.droplogcfg") == directory.state
    (tmp_path / "c.droplogcfg").unlink()
    assert directory.poll()
    assert Control() == directory.state


def test_other_names_and_directories_are_ignored(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    for name in (".a.droplogcfg", ".droplogcfg", "a.droplogcfg.tmp", "droplogcfg"):
        write(tmp_path, name, ON)
    (tmp_path / "d.droplogcfg").mkdir()
    (tmp_path / "e.droplogcfg").symlink_to(tmp_path / "d.droplogcfg")
    assert not directory.poll()
    assert [] == told(directory)


@pytest.mark.parametrize("kind", ["droplogcfg", "dropflowcfg"])
def test_what_is_no_regular_file_is_refused_and_not_opened(
    tmp_path: Path, directory: ControlDirectory[FilterSpec], kind: str
) -> None:
    os.mkfifo(tmp_path / f"a.{kind}")
    (tmp_path / f"b.{kind}").symlink_to("/dev/zero")
    (tmp_path / f"c.{kind}").symlink_to(tmp_path / "nowhere")
    assert [False, False] == [directory.poll(), directory.poll()]
    expected = [
        f"a.{kind}: refused: not a regular file; expected one",
        f"b.{kind}: refused: not a regular file; expected one",
        f"c.{kind}: refused: cannot be read (No such file or directory)",
    ]
    assert expected == told(directory)


def test_name_that_cannot_be_printed_is_told_in_plain_characters(tmp_path: Path) -> None:
    directory = ControlDirectory(str(tmp_path), parse)
    with open(os.fsencode(tmp_path) + b"/\xff\n.droplogcfg", "wb") as file:
        file.write(b"?")
    assert not directory.poll()
    (notice,) = directory.notices
    assert notice.isprintable()
    assert notice.isascii()


FLOW = {
    "uuid": "83f18f0b",
    "outer-src-ip-address": "192.168.0.1",
    "outer-dst-ip-address": "192.168.0.2",
    "inner-src-ip-address": "fe80::1",
    "inner-dst-ip-address": "fe80::2",
    "inner-src-mac": "A:58:0a:02:00:c3",
    "inner-dst-mac": "00:22:bd:f8:19:ff",
    "inner-eth-type": "0x86dd",
    "inner-ip-proto": 6,
    "inner-src-port": "42934",
    "inner-dst-port": 80,
    "tunnel-id": 0xFFFFFF,
}


def test_flow_file_says_all(tmp_path: Path, directory: ControlDirectory[FilterSpec]) -> None:
    write(tmp_path, "a.dropflowcfg", FLOW)
    assert directory.poll()
    expected = FlowSpec(
        uuid="83f18f0b",
        outer_src=bytes((192, 168, 0, 1)),
        outer_dst=bytes((192, 168, 0, 2)),
        inner_src=bytes.fromhex("fe80" + "00" * 13 + "01"),
        inner_dst=bytes.fromhex("fe80" + "00" * 13 + "02"),
        src_mac=bytes.fromhex("0a580a0200c3"),
        dst_mac=bytes.fromhex("0022bdf819ff"),
        eth_type=0x86DD,
        ip_proto=6,
        src_port=42934,
        dst_port=80,
        tunnel_id=0xFFFFFF,
    )
    assert (expected,) == directory.state.flows
    assert ([], "") == (told(directory), directory.state.source)
    (tmp_path / "a.dropflowcfg").unlink()
    assert directory.poll()
    assert Control() == directory.state


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"uuid": ""}, 'uuid: got ""; expected a string of 1 to 255 characters'),
        (
            {"uuid": "u" * 256},
            f'uuid: got "{"u" * 59}…; expected a string of 1 to 255 characters',
        ),
        (
            {"outer-src-ip-address": "::1"},
            'outer-src-ip-address: got "::1"; expected an IPv4 address',
        ),
        (
            {"inner-src-ip-address": "fe80::1%eth0"},
            'inner-src-ip-address: got "fe80::1%eth0"; expected an IPv4 or IPv6 address',
        ),
        (
            {"inner-dst-ip-address": "10.0.0.1"},
            'inner-dst-ip-address: got "10.0.0.1"; '
            "expected an address of the family of inner-src-ip-address",
        ),
        (
            {"inner-src-mac": "0a:58"},
            'inner-src-mac: got "0a:58"; expected a MAC such as 0a:58:0a:02:00:c3',
        ),
        (
            {"inner-eth-type": 65536},
            "inner-eth-type: got 65536; expected an integer from 0 to 65535",
        ),
        ({"inner-ip-proto": "0x6"}, 'inner-ip-proto: got "0x6"; expected an integer from 0 to 255'),
        ({"inner-src-port": True}, "inner-src-port: got true; expected an integer from 0 to 65535"),
        ({"inner-dst-port": -1}, "inner-dst-port: got -1; expected an integer from 0 to 65535"),
        ({"tunnel-id": 1.5}, "tunnel-id: got 1.5; expected an integer from 0 to 16777215"),
    ],
)
def test_wrong_flow_file_is_refused_and_its_last_good_state_stays(
    tmp_path: Path,
    directory: ControlDirectory[FilterSpec],
    change: dict[str, object],
    expected: str,
) -> None:
    write(tmp_path, "a.dropflowcfg", FLOW)
    assert directory.poll()
    before = directory.state
    write(tmp_path, "a.dropflowcfg", FLOW | change)
    assert [False, False] == [directory.poll(), directory.poll()]
    assert (before, [f"a.dropflowcfg: refused: {expected}"]) == (directory.state, told(directory))


def test_uuid_that_stands_twice_is_that_of_the_first_file_by_name(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    write(tmp_path, "b.dropflowcfg", {"uuid": "two"})
    write(tmp_path, "a.dropflowcfg", {"uuid": "one", "tunnel-id": 1})
    assert directory.poll()
    assert ["one", "two"] == [flow.uuid for flow in directory.state.flows]
    write(tmp_path, "b.dropflowcfg", {"uuid": "one", "tunnel-id": 2})
    assert [False, False] == [directory.poll(), directory.poll()]
    refusal = "b.dropflowcfg: refused: uuid: that of a.dropflowcfg; expected another"
    assert [refusal] == told(directory)
    assert ["one", "two"] == [flow.uuid for flow in directory.state.flows]
    (tmp_path / "a.dropflowcfg").unlink()
    assert directory.poll()
    assert (FlowSpec("one", tunnel_id=2),) == directory.state.flows


def test_no_more_flow_files_count_than_allowed(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    for number in range(MAX_FILES + 2):
        (tmp_path / f"{number:04}.dropflowcfg").write_text(json.dumps({"uuid": f"{number:04}"}))
    assert directory.poll()
    assert not directory.poll()
    expected = "2 files were refused, from 1000.dropflowcfg on; expected at most 1000 *.dropflowcfg"
    assert [f"{directory.path}: {expected}"] == told(directory)
    assert MAX_FILES == len(directory.state.flows)
    (tmp_path / "0000.dropflowcfg").unlink()
    assert directory.poll()
    assert "1000" == directory.state.flows[-1].uuid


def test_notices_that_nobody_takes_are_bounded_and_counted(
    tmp_path: Path, directory: ControlDirectory[FilterSpec]
) -> None:
    for round_ in range(2):
        for number in range(600):
            (tmp_path / f"{number}.dropflowcfg").write_bytes(b"?" * (round_ + 1))
        assert not directory.poll()
    assert (MAX_NOTICES, 200) == (len(directory.notices), directory.notices_lost)
