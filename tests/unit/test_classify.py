"""Which table dropped a packet: from the cookie, or from what the OpFlex agent recorded."""

from __future__ import annotations

import struct
from collections.abc import Mapping

import pytest
from msgspec.structs import asdict

from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.cookie import Cookie
from ryu_droplog.model.location import Location
from ryu_droplog.packet.packet_in import PacketIn
from ryu_droplog.pipelines.loader import parse_pipeline
from ryu_droplog.sources.locations import LOCATIONS
from ryu_droplog.sources.packet_in import PacketInReader

GENERATION = 0xABCDEF
PIPELINE = parse_pipeline(
    """\
pipeline: small
prefix: "Own-"
drop_table: 9
tables:
  0: {name: FIRST}
  4: {name: SECOND}
  9: {name: DROPS}
""",
    "small.yaml",
)


def reader(prefix: str = "Acc-", names: Mapping[int, str] | None = None) -> PacketInReader:
    made = PacketInReader("br-int", prefix, PIPELINE, GENERATION, SourceBooks())
    made.learn_names(names or {})
    return made


def place(table_id: int, name: str, reason: str, *, named: bool = True) -> dict[str, object]:
    """The fields of a location on the bridge."""
    expected = Location(
        ("br-int", table_id),
        "br-int",
        table_id,
        name,
        reason,
        "Acc-",
        named=named,
        pipeline="small",
    )
    return asdict(expected)


def asked(known: PacketInReader, packet: PacketIn) -> dict[str, object]:
    """The fields of the packet's location."""
    location = known.location(packet)
    assert location is not None
    return asdict(location)


def packet_in(
    table: int,
    *,
    table_drop: bool = True,
    generation: int = GENERATION,
    metadata: bytes = b"",
    table_id: int | None = None,
) -> PacketIn:
    cookie = Cookie(table_drop, generation, table).pack()
    return PacketIn(0, table if table_id is None else table_id, cookie, metadata, b"")


def tun_metadata(number: int, value: int) -> bytes:
    return struct.pack("!HBBI", 1, (40 + number) << 1, 4, value)


def test_packet_from_a_named_table_has_its_name() -> None:
    expected = place(4, "SECOND", "MISS")
    assert expected == asked(reader(), packet_in(4))


def test_bridge_without_prefix_has_the_bare_name() -> None:
    location = reader(prefix="").location(packet_in(4))
    assert location is not None
    assert "SECOND MISS" == location.drop_reason


def test_table_without_name_is_called_by_its_number() -> None:
    expected = place(7, "TABLE_7", "MISS", named=False)
    assert expected == asked(reader(), packet_in(7))


def test_name_of_the_switch_is_taken_where_the_pipeline_has_none() -> None:
    known = reader(names={4: "theirs", 7: "acl"})
    assert [
        place(4, "SECOND", "MISS"),
        place(7, "acl", "MISS"),
    ] == [asked(known, packet_in(4)), asked(known, packet_in(7))]


def test_names_learnt_later_replace_earlier_ones() -> None:
    known = reader(names={7: "old"})
    labels = [known.location(packet_in(7))]
    known.learn_names({7: "new"})
    labels.append(known.location(packet_in(7)))
    assert ["Acc-old MISS", "Acc-new MISS"] == [
        location.drop_reason for location in labels if location
    ]


def test_packets_of_one_table_share_one_origin() -> None:
    known = reader()
    assert known.location(packet_in(4)) is known.location(packet_in(4, metadata=b"\0"))


def test_packet_from_a_flow_of_another_run_is_not_ours() -> None:
    assert None is reader().location(packet_in(4, generation=GENERATION - 0x100))


def test_packet_from_another_flow_of_this_run_is_ours() -> None:
    """The low byte of a generation tells how often a flow was added to the table."""
    assert None is not reader().location(packet_in(4, generation=GENERATION - 1))


@pytest.mark.parametrize("cookie", [0, 0x4000000000000000, 0x1234])
def test_packet_from_a_flow_of_others_is_not_ours(cookie: int) -> None:
    assert None is reader().location(PacketIn(1, 4, cookie, b"", b""))


@pytest.mark.parametrize(
    ("code", "reason"), [(0, "MISS"), (1, "DENY"), (2, "PERMIT"), (3, "MISS"), (2**31, "MISS")]
)
def test_recorded_drop_has_the_table_and_reason_of_the_record(code: int, reason: str) -> None:
    metadata = tun_metadata(0, 5) + tun_metadata(12, 4) + tun_metadata(13, code)
    expected = place(4, "SECOND", reason)
    assert expected == asked(reader(), packet_in(9, table_drop=False, metadata=metadata))


def test_recorded_drops_of_different_tables_are_told_apart() -> None:
    """They all come from one flow, so its cookie alone must not decide."""
    known = reader()
    shown = []
    for table in (4, 0, 77, 4):
        record = tun_metadata(12, table)
        location = known.location(packet_in(9, table_drop=False, metadata=record))
        assert location is not None
        shown.append(location.table)
    assert ["SECOND", "FIRST", "TABLE_77", "SECOND"] == shown


@pytest.mark.parametrize("metadata", [b"", tun_metadata(13, 1)[:6], tun_metadata(12, 256)])
def test_drop_without_a_usable_record_is_one_of_the_drop_table(metadata: bytes) -> None:
    expected = place(9, "DROPS", "MISS")
    assert expected == asked(reader(), packet_in(9, table_drop=False, metadata=metadata))


def test_record_on_a_bridge_that_the_agent_does_not_manage_is_ignored() -> None:
    """With bit 62 in our cookie, the flow stands in the table itself."""
    expected = place(0, "FIRST", "MISS")
    assert expected == asked(reader(), packet_in(0, metadata=tun_metadata(12, 4)))


def test_any_records_make_a_bounded_number_of_origins() -> None:
    known = reader()
    for table in range(1000):
        for reason in range(10):
            record = tun_metadata(12, table) + tun_metadata(13, reason)
            assert known.location(packet_in(9, table_drop=False, metadata=record)) is not None
    assert LOCATIONS >= known.locations
