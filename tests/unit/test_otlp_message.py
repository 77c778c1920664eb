"""Log records of OpenTelemetry, read back with the published classes."""

from __future__ import annotations

from typing import Any

from frames import ARP, IPV4, QTAG, arp, ethernet, icmp, ipv4, vlan
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, SeverityNumber
from record_drops import FLOW, HOSTILE, context, dropped, place

from ryu_droplog import __version__
from ryu_droplog.model.drop import Drop
from ryu_droplog.sinks.encoders import opflex
from ryu_droplog.sinks.otlp_message import PAIR_CACHE_SIZE, LogRecords, request, resource


def plain(value: AnyValue) -> Any:
    """A value without its wrapping."""
    if value.WhichOneof("value") == "array_value":
        return [plain(item) for item in value.array_value.values]
    return getattr(value, value.WhichOneof("value") or "string_value")


def attributes(record: LogRecord) -> dict[str, Any]:
    """Attributes by their keys, which must be different."""
    pairs = {pair.key: plain(pair.value) for pair in record.attributes}
    assert len(pairs) == len(record.attributes)
    return pairs


def written(drop: Drop, **told: str | int) -> LogRecord:
    """The record of a drop."""
    made = context(explain=lambda drop: told, line_style="bare")
    return LogRecord.FromString(LogRecords(made, opflex(made)).record(drop))


def test_record_has_time_severity_body_and_attributes() -> None:
    drop = dropped(location=place("DENY", FLOW, "no-http"))
    record = written(drop, direction="ingress", port="vm-1")
    assert record.time_unix_nano == 1_764_000_000_250_000_000
    assert record.observed_time_unix_nano == 1_764_000_001_500_000_000
    assert record.severity_number == SeverityNumber.SEVERITY_NUMBER_WARN
    assert (record.severity_text, record.event_name) == ("WARN", "ovs.drop")
    assert record.body.string_value == opflex(context(line_style="bare"))(drop).decode()
    pairs = attributes(record)
    for key in ("ovs.signature", "ovs.problem", "ovs.community_id"):
        assert pairs.pop(key).startswith("1:")
    assert pairs == {
        "network.type": "ipv4",
        "network.transport": "tcp",
        "network.io.direction": "receive",
        "network.interface.name": "tap3",
        "source.address": "10.2.0.229",
        "source.port": 42934,
        "destination.address": "10.2.0.195",
        "destination.port": 80,
        "security_rule.name": "no-http",
        "security_rule.uuid": "0xda8bef6a",
        "security_rule.ruleset.name": "SEC_GROUP_IN_TABLE",
        "ovs.bridge": "br-int",
        "ovs.datapath_id": "000000000000cafe",
        "ovs.table.id": 4,
        "ovs.table.name": "SEC_GROUP_IN_TABLE",
        "ovs.pipeline": "opflex-access",
        "ovs.in_port": 3,
        "ovs.reason": "DENY",
        "ovs.drop_reason": "Acc-SEC_GROUP_IN_TABLE DENY no-http",
        "ovs.cause": "no rule allows it",
        "ovs.rule.priority": 2000,
        "ovs.rule.match": "tcp,tp_dst=80",
        "ovs.rule.stage": "ls_out_acl",
        "ovs.rule.acl": "no-http",
        "ovs.frame.length": 74,
        "ovs.ethertype": 0x0800,
        "ovs.protocol": 6,
        "ovs.source.mac": "00:22:bd:f8:19:ff",
        "ovs.destination.mac": "0a:58:0a:02:00:c3",
        "ovs.tcp.flags": ["SYN"],
        "ovs.conntrack.state": ["new", "trk"],
        "ovs.conntrack.zone": 9,
        "ovs.tunnel.id": "0x2a",
        "ovs.owner.direction": "ingress",
        "ovs.owner.port": "vm-1",
    }


def test_permitted_packet_is_information() -> None:
    record = written(dropped(location=place("PERMIT")))
    assert record.severity_number == SeverityNumber.SEVERITY_NUMBER_INFO
    assert record.severity_text == "INFO"


def test_other_packets_have_what_they_have() -> None:
    pairs = attributes(written(dropped(ethernet(ARP, arp("10.9.9.1", "10.9.9.2")))))
    assert (pairs["source.address"], pairs["network.type"]) == ("10.9.9.1", "arp")
    assert "network.transport" not in pairs
    ping = ethernet(QTAG, vlan(7, IPV4), ipv4("10.0.0.1", "10.0.0.2", 1, icmp(8, 0)))
    pairs = attributes(written(dropped(ping)))
    assert (pairs["ovs.icmp.type"], pairs["ovs.icmp.code"], pairs["ovs.vlan.id"]) == (8, 0, 7)
    pairs = attributes(written(dropped(ethernet(0x88B5))))
    assert pairs["source.address"] == "00:22:bd:f8:19:ff"


def test_repeats_are_told() -> None:
    drop = dropped()
    drop.repeated = 7
    pairs = attributes(written(drop))
    assert pairs["ovs.repeated"] == 7
    assert pairs["ovs.last_time"] == "2025-11-24T16:00:00.250000000Z"


def test_hostile_names_and_numbers_are_attributes_like_any_other() -> None:
    location = place(table=HOSTILE, bridge=HOSTILE, policy=HOSTILE)
    pairs = attributes(written(dropped(location=location), **{HOSTILE: HOSTILE, "big": 2**64}))
    assert pairs["ovs.bridge"] == '\\x1b[2J\\u202e"}\\n\\u2028\u732b\U0001f408\\ud800\\\\x7f'
    assert pairs["ovs.owner.big"] == str(2**64)
    assert any(key.startswith("ovs.owner.\\x1b[2J") for key in pairs)


def test_frame_that_is_cut_is_a_record_at_any_length() -> None:
    frame = dropped().frame
    for length in range(len(frame)):
        assert attributes(written(dropped(frame[:length])))["ovs.frame.length"] == length


def test_time_before_the_epoch_is_the_epoch() -> None:
    drop = dropped()
    drop.time = -1.0
    assert written(drop).time_unix_nano == 0


def test_records_stay_right_when_the_cache_is_emptied() -> None:
    made = context()
    records = LogRecords(made, lambda drop: b"")
    location = place()
    for number in range(PAIR_CACHE_SIZE // 2):  # each has a key of its own or two
        source = f"10.1.{number >> 8}.{number & 255}"
        frame = ethernet(IPV4, ipv4(source, "10.0.0.2", 200))
        record = LogRecord.FromString(records.record(dropped(frame, location)))
        assert attributes(record)["source.address"] == source


def test_request_has_resource_scope_and_records() -> None:
    records = [LogRecord(time_unix_nano=number).SerializeToString() for number in range(3)]
    records.append(LogRecord(body=AnyValue(string_value="x" * 100_000)).SerializeToString())
    more = {"k8s.cluster.name": "east", "host.name": "other"}
    made = ExportLogsServiceRequest.FromString(request(resource("node-1", more), records))
    [of_resource] = made.resource_logs
    assert {pair.key: plain(pair.value) for pair in of_resource.resource.attributes} == {
        "service.name": "ryu_droplog",
        "service.version": __version__,
        "host.name": "other",
        "k8s.cluster.name": "east",
    }
    [of_scope] = of_resource.scope_logs
    assert (of_scope.scope.name, of_scope.scope.version) == ("ryu_droplog", __version__)
    assert [record.SerializeToString() for record in of_scope.log_records] == records
