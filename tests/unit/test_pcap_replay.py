"""`ryu-droplog replay`: what it writes of a capture, what it says of it, and its exit status."""

from __future__ import annotations

import gzip
import json
import os
import signal
import struct
import subprocess
from pathlib import Path
from typing import IO, Any

import pytest
from captures import MICROSECONDS, enhanced, interface, packet, pcap, section
from datagrams import INT, drop_log, header, number, record
from frames import ARP, IPV4, arp, ethernet, ipv4, syn, udp
from test_cli import COMMAND, PATIENCE, environment, write

POLICY = 0x4000000000000007
ACC_LABEL = "Acc-SEC_GROUP_IN_TABLE MISS"
STAMP = "[2024-Feb-20 07:59:16.845663]"
SYN_TEXT = (
    " SMAC=00:22:bd:f8:19:ff DMAC=0a:58:0a:02:00:c3 ETYP=IPv4 SRC=10.2.0.229 DST=10.2.0.195"
    " LEN=60 DSCP=0 TTL=62 ID=58352 FLAGS=2 FRAG=0 PROTO=TCP SPT=42934 DPT=80 SEQ=2794802783"
    " ACK=0 LEN=10 WINDOWS=62020 SYN  URGP=0"
)
SYN_LINE = f"{STAMP} [info] [ryu_droplog] {ACC_LABEL} {SYN_TEXT}"
LLDP = ethernet(0x88CC, bytes(46), dmac="01:80:c2:00:00:0e")
QUERY = ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.53", 17, udp(5000, 53)))
GROUPS = number(0, 10) + number(2, 11) + number(7, 5)


def capture(*datagrams: bytes, port: int = 6081) -> bytes:
    """A pcap whose first packet has the time of the worked line."""
    return pcap(*(packet(datagram, port) for datagram in datagrams), part=845_663)


def replay(
    *arguments: str, data: bytes = b"", zone: str = "UTC", **streams: int | IO[bytes]
) -> tuple[int, list[str], str]:
    """Exit status, the lines, and what was said."""
    done = subprocess.run(
        [*COMMAND, "replay", *arguments],
        env={**environment(Path("/nonexistent")), "TZ": zone},
        input=data, timeout=PATIENCE, stderr=subprocess.PIPE,
        stdout=streams.get("stdout", subprocess.PIPE),
    )  # fmt: skip
    return done.returncode, (done.stdout or b"").decode().splitlines(), done.stderr.decode()


@pytest.fixture
def drops(tmp_path: Path) -> str:
    """A capture with one of each that is told apart."""
    path = tmp_path / "drops.pcap"
    path.write_bytes(
        pcap(
            packet(drop_log()),
            packet(drop_log(LLDP), port=50000),
            packet(header(record(12, 1, POLICY), GROUPS, vni=INT) + QUERY),
            packet(drop_log(syn(), 4, 2)),
            packet(drop_log(), port=53),
            ethernet(ARP, arp("10.0.0.1", "10.0.0.2")),
            packet(header(number(0, 1)) + syn()),
            packet(drop_log(table_id=256)),
            part=845_663,
        )
    )
    return str(path)


LEFT = (
    "1 datagrams that contradict themselves, 1 geneve datagrams without a drop log,"
    " 2 other packets\n"
)


def test_drops_of_a_file_are_lines_and_the_rest_is_counted(drops: str) -> None:
    status, lines, said = replay(drops)
    assert 0 == status
    assert SYN_LINE == lines[0]
    labels = [ACC_LABEL, "Int-POL_TABLE DENY", "Acc-SEC_GROUP_IN_TABLE PERMIT"]
    assert labels == [line.partition("  ")[0].partition("[ryu_droplog] ")[2] for line in lines]
    complaint, summary = said.splitlines(keepends=True)
    assert f"8 packets: 3 drops written, 1 filtered by lldp, {LEFT}" == summary
    assert complaint.startswith(
        f"{drops}: packet 8: drop log names table 256, expected 0 to 255; it begins with 07006558"
    )


def test_without_pruning_all_drops_are_lines(drops: str) -> None:
    status, lines, said = replay("--no-prune", drops)
    assert (0, 4) == (status, len(lines))
    assert said.endswith(f"8 packets: 4 drops written, {LEFT}")


def test_json_has_groups_port_and_time(drops: str) -> None:
    status, lines, _ = replay("--format", "json", drops, zone="Europe/Berlin")
    told = [json.loads(line) for line in lines]
    assert (0, 3) == (status, len(told))
    assert "2024-02-20T08:59:16.845663+01:00" == told[0]["time"]
    groups = {"source_group": 10, "destination_group": 11, "out_port": 5}
    assert ("br-int", "DENY", groups) == tuple(told[1][k] for k in ("bridge", "reason", "owner"))


def test_extended_line_is_the_line_and_more(drops: str) -> None:
    status, lines, _ = replay("--format", "extended", drops)
    zoned = SYN_LINE.replace("663]", "663 +0000]")
    assert (0, f"{zoned} BRIDGE=br-access") == (status, lines[0])
    noted = " SOURCE_GROUP=10 DESTINATION_GROUP=11 OUT_PORT=5"
    assert lines[1].endswith(f" LEN=8{noted} BRIDGE=br-int")


def test_events_are_objects_and_none_is_of_a_permit(drops: str) -> None:
    status, lines, said = replay("--format", "event", drops)
    labels = [ACC_LABEL, "Int-POL_TABLE DENY"]
    assert (0, labels) == (status, [json.loads(line)["DropReason"] for line in lines])
    assert json.loads(lines[0])["TimeStamp"] == "Tue Feb 20 07:59:16 UTC 2024"
    permits = "1 permitted packets, which are no events"
    assert said.endswith(f"2 drops written, 1 filtered by lldp, {permits}, {LEFT}")


@pytest.mark.parametrize(
    ("zone", "stamp"),
    [
        ("America/New_York", "[2024-Feb-20 02:59:16.845663]"),
        ("Asia/Kathmandu", "[2024-Feb-20 13:44:16.845663]"),
    ],
)
def test_time_is_local(zone: str, stamp: str) -> None:
    assert (0, [SYN_LINE.replace(STAMP, stamp)]) == replay(
        "-", data=capture(drop_log()), zone=zone
    )[:2]


def test_time_that_cannot_be_is_a_line_all_the_same() -> None:
    data = section() + interface() + enhanced(packet(), 2**64 - 1)
    status, lines, _ = replay("-", data=data)
    assert (0, [SYN_LINE.replace(STAMP, "[1970-Jan-01 00:00:00.000000]")]) == (status, lines)


def test_configuration_gives_names_filters_format_and_tenants(tmp_path: Path) -> None:
    ids = tmp_path / "l24classifierRule.id"
    ids.write_bytes(struct.pack("=8sI", b"opflexid", 1) + struct.pack("=IH", 7, 4) + b"rule")
    path = write(
        tmp_path,
        f"""
format: extended
bridges: [{{name: br-fabric, pipeline: opflex-int, prefix: "F-"}}]
prune: {{filters: [{{name: web, dport: 80, ip_proto: tcp}}]}}
opflex: {{ids_directory: "{tmp_path}", print_tenant: true, tenants: {{10: red}}}}
""",
    )
    deny = header(record(12, 1, POLICY), GROUPS, vni=INT) + QUERY
    status, lines, said = replay("--config", path, "-", data=capture(deny, drop_log()))
    assert (0, 1) == (status, len(lines))
    stamp = STAMP.replace("]", " +0000]")
    assert (
        f"{stamp} [info] [ryu_droplog] F-POL_TABLE DENY rule STID=red DTID=N/A  SMAC=" in lines[0]
    )
    assert lines[0].endswith(" OUT_PORT=5 BRIDGE=br-fabric")
    assert "2 packets: 1 drop written, 1 filtered by web\n" == said
    told = replay("--config", path, "--format=json", "-", data=capture(deny))[1]
    assert ["br-fabric"] == [json.loads(line)["bridge"] for line in told]


@pytest.mark.parametrize("form", ["pcap", "pcapng"])
def test_line_comes_out_while_standard_input_stays_open(form: str) -> None:
    head = pcap() if form == "pcap" else section() + interface()
    one = capture(drop_log())[24:] if form == "pcap" else enhanced(packet(), MICROSECONDS)
    with subprocess.Popen(
        [*COMMAND, "replay", "-"],
        env={**environment(Path("/nonexistent")), "TZ": "UTC"},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        process.stdin.write(head)
        for _ in range(3):
            process.stdin.write(one)
            process.stdin.flush()
            assert SYN_LINE == process.stdout.readline().decode().rstrip("\n")
        process.send_signal(signal.SIGINT)
        assert 0 == process.wait(PATIENCE)
        assert b"3 packets: 3 drops written\n" == process.stderr.read()


def test_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    path = tmp_path / "drops.pcap"
    path.write_bytes(capture(*[drop_log()] * 3000))
    reading, writing = os.pipe()
    os.close(reading)
    try:
        status, _, said = replay(str(path), stdout=writing)
    finally:
        os.close(writing)
    assert (0, 1) == (status, len(said.splitlines()))
    assert ": 0 drops written" in said


def test_output_that_takes_nothing_is_an_error_of_the_output(drops: str) -> None:
    with open("/dev/full", "wb") as full:
        status, _, said = replay(drops, stdout=full)
    assert 1 == status
    assert said.startswith("ryu-droplog: standard output: No space left on device\n")
    assert "8 packets: 0 drops written" in said
    assert "Traceback" not in said


def test_closed_output_is_an_error(drops: str) -> None:
    command = ("sh", "-c", 'exec "$@" >&-', "sh", *COMMAND, "replay", drops)
    env = environment(Path("/nonexistent"))
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=PATIENCE)
    assert (1, "ryu-droplog: standard output is closed\n") == (done.returncode, done.stderr)


def test_cut_capture_gives_its_lines_and_an_error(tmp_path: Path) -> None:
    path = tmp_path / "drops.pcap"
    path.write_bytes(capture(drop_log(), drop_log())[:-1])
    status, lines, said = replay(str(path))
    assert (1, [SYN_LINE]) == (status, lines)
    assert said.startswith(f"ryu-droplog: {path}: it is cut, in the middle of a record at byte ")
    assert said.endswith("\n1 packet: 1 drop written\n")


# The snap length


def snapped(size: int, *packets: bytes) -> bytes:
    """A capture of these, with a snap length."""
    lengths = [len(whole) for whole in packets]
    return pcap(*[whole[:size] for whole in packets], lengths=lengths, part=845_663)


def test_snapped_drop_log_is_a_line_as_far_as_it_goes() -> None:
    """`editcap -s 60`: of the options, only the table is whole."""
    status, lines, said = replay("-", data=snapped(60, packet(drop_log())))
    expected = f"{STAMP} [info] [ryu_droplog] {ACC_LABEL}  TRUNCATED"
    assert (0, [expected]) == (status, lines)
    assert "1 packet: 1 drop written\n" == said


def test_drop_log_that_is_snapped_anywhere_is_told_and_never_called_wrong() -> None:
    """A packet for each length from the end of its UDP header on; the lines in this order."""
    whole = packet(drop_log())
    sizes = range(14 + 20 + 8, len(whole))
    data = pcap(*[whole[:size] for size in sizes], lengths=[len(whole)] * len(sizes))
    status, lines, said = replay("-", data=data)
    table = sizes[0] + 8 + 8  # the header, and the option that tells the table
    tcp = len(whole) - len(syn()) + 14 + 20 + 20  # what is printed of the segment
    told = [size for size in sizes if size >= table]
    assert (0, len(told)) == (status, len(lines))
    for size, line in zip(told, lines, strict=True):
        assert f" [info] [ryu_droplog] {ACC_LABEL} " in line
        assert (size, size < tcp) == (size, line.endswith(" TRUNCATED"))
        assert size < tcp or line.endswith(SYN_TEXT)
    untold = f"{table - sizes[0]} datagrams whose capture ends before it tells the table of a drop"
    assert said.endswith(f" {len(told)} drops written, {untold}\n")
    assert 1 == len(said.splitlines())


def test_packet_that_is_cut_by_no_snap_length_contradicts_itself() -> None:
    status, lines, said = replay("-", data=pcap(packet(drop_log())[:60]))
    assert (0, []) == (status, lines)
    assert "1 datagrams that contradict themselves" in said


def test_snapped_drop_log_of_a_wrong_table_contradicts_itself() -> None:
    status, lines, said = replay("-", data=snapped(60, packet(drop_log(table_id=256))))
    assert (0, []) == (status, lines)
    assert "drop log names table 256, expected 0 to 255" in said


# A capture without a drop log


def test_capture_without_a_drop_log_says_what_was_looked_for() -> None:
    others = [packet(drop_log(), port=53), packet(header(number(0, 1)) + syn()), LLDP]
    status, lines, said = replay("-", data=pcap(*others))
    assert (0, []) == (status, lines)
    assert [
        "standard input: no drop log found in 3 packets: looked for Geneve in UDP to port 6081 or"
        " 50000",
        "3 packets: 0 drops written, 1 geneve datagrams without a drop log, 2 other packets",
    ] == said.splitlines()


def test_capture_that_was_cut_too_short_says_so() -> None:
    said = replay("-", data=snapped(40, packet(drop_log()), packet(drop_log())))[2]
    assert "6081 or 50000; 2 of them were cut by the capture\n" in said


@pytest.mark.parametrize("what", [{"frame": LLDP}, {"table_id": 256}], ids=["pruned", "malformed"])
def test_capture_with_a_drop_log_of_any_kind_does_not_say_so(what: dict[str, Any]) -> None:
    assert "no drop log found" not in replay("-", data=capture(drop_log(**what)))[2]


# gzip


def test_capture_compressed_by_gzip_is_replayed(drops: str, tmp_path: Path) -> None:
    expected = replay(drops)
    data = gzip.compress(Path(drops).read_bytes())
    path = tmp_path / "drops.of.any.name"
    path.write_bytes(data)
    assert expected == tuple(
        said.replace(str(path), drops) if isinstance(said, str) else said
        for said in replay(str(path))
    )
    assert expected[:2] == replay("-", data=data)[:2]


def test_gzip_that_is_cut_gives_its_lines_and_an_error() -> None:
    data = gzip.compress(capture(drop_log()))
    status, lines, said = replay("-", data=data[:-1])
    assert (1, [SYN_LINE]) == (status, lines)
    expected = "ryu-droplog: standard input: it is cut: the compressed data has no end\n"
    assert f"{expected}1 packet: 1 drop written\n" == said


def test_what_is_no_capture_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("[2024-Feb-20 07:59:16.845663]")
    said = f"ryu-droplog: {path}: it begins with 5b323032; expected pcap or pcapng\n"
    assert (1, [], f"{said}0 packets: 0 drops written\n") == replay(str(path))
    said = "ryu-droplog: standard input: it is empty; expected pcap or pcapng\n"
    assert (1, [], f"{said}0 packets: 0 drops written\n") == replay("-")


@pytest.mark.parametrize(
    ("name", "text"), [("none", "No such file or directory"), (".", "Is a directory")]
)
def test_what_cannot_be_read_is_an_error(tmp_path: Path, name: str, text: str) -> None:
    path = f"{tmp_path}/{name}"
    said = f"ryu-droplog: {path}: {text}\n0 packets: 0 drops written\n"
    assert (1, [], said) == replay(path)


@pytest.mark.parametrize("arguments", [[], ["--format", "xml", "-"], ["--config", "/none", "-"]])
def test_wrong_command_line_or_configuration_is_status_2(arguments: list[str]) -> None:
    assert (2, []) == replay(*arguments)[:2]


def test_complaints_are_the_first_ten_a_minute_apart(tmp_path: Path) -> None:
    bad = packet(drop_log(table_id=256))
    status, lines, said = replay("--format=json", "-", data=pcap(*[bad] * 1000))
    assert (0, []) == (status, lines)
    *complaints, summary = said.splitlines()
    expected = [f"standard input: packet {1 + 60 * n}: " for n in range(10)]
    assert expected == [text.partition("drop log")[0] for text in complaints]
    assert "1000 packets: 0 drops written, 1000 datagrams that contradict themselves" == summary
