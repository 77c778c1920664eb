"""Questions to the switch that more than one module asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import ANSWER_TIME, Answer, Connection, error_text
from ryu_droplog.openflow.flow_stats import (
    Count,
    Flow,
    actions_of,
    parse_counts,
    parse_flow_stats,
    without_controller,
)
from ryu_droplog.openflow.messages import Message, OurFlow, RewrittenFlow
from ryu_droplog.openflow.replies import max_meter_of, meter_configs_of, meter_drops_of
from ryu_droplog.text.printable import printable

METER_BASE = 4_000_000_000
METER_END = METER_BASE + (1 << 16) * 256
"""Our meters: above what other programs pick, which is 1 to max_meter. Each run has 256 of its own,
so that the meters of a run that was killed can be deleted while the next one has begun."""


def first_meter(generation: int) -> int:
    """The id of this run's meter of table 0; the meters of the other tables follow."""
    return METER_BASE + (generation >> 8) * 256


def run_of_meter(meter_id: int) -> int:
    """The generation, without additions, of the run that has made one of our meters."""
    return (meter_id - METER_BASE) // 256 << 8


MESSAGES_AT_ONCE = 200
"""Messages in one exchange: the answer to a barrier behind thousands would take too long."""


def exchange_many(
    connection: Connection, requests: Sequence[Message], answer_time: float | None = None
) -> list[Answer]:
    """`Connection.exchange` for any number of messages; an exchange has `answer_time` seconds."""
    answers = []
    for start in range(0, len(requests), MESSAGES_AT_ONCE):
        part = requests[start : start + MESSAGES_AT_ONCE]
        answers += connection.exchange(part, ANSWER_TIME if answer_time is None else answer_time)
    return answers


def dump(
    connection: Connection,
    flow_cookie: int = 0,
    mask: int = 0,
    *,
    table_id: int | None = None,
    answer_time: float = ANSWER_TIME,
) -> list[Flow]:
    """All flows of the bridge or of one table, or those of them whose cookie fits under the mask.

    The switch has `answer_time` seconds. Raises SwitchError when it refuses or its answer makes no
    sense.
    """
    bodies = _dump(connection, flow_cookie, mask, table_id, answer_time)
    return [flow for body in bodies for flow in parse_flow_stats(body)]


def dump_counts(
    connection: Connection, is_counted: Callable[[int], bool], answer_time: float = ANSWER_TIME
) -> list[Count]:
    """What plain drops of the bridge have counted, and flows whose cookie `is_counted` takes.

    The switch has `answer_time` seconds. Raises SwitchError as `dump` does.
    """
    bodies = _dump(connection, answer_time=answer_time)
    return [count for body in bodies for count in parse_counts(body, is_counted)]


def _dump(
    connection: Connection,
    flow_cookie: int = 0,
    mask: int = 0,
    table_id: int | None = None,
    answer_time: float = ANSWER_TIME,
) -> list[bytes]:
    request = messages.dump_flows(connection, table_id, flow_cookie, mask)
    [answer] = connection.exchange([request], answer_time)
    if answer.error:
        raise SwitchError(f"the switch does not tell its flows: {error_text(answer.error)}")
    return answer.bodies


def counts_of(connection: Connection, flows: Iterable[tuple[int, int]]) -> list[Count]:
    """What flows have counted that are named by table and whole cookie; absent: not there.

    Open vSwitch finds a whole cookie by its index: this costs it the same on a bridge of any size.
    """
    requests = [
        messages.dump_flows(connection, table_id, flow_cookie, cookie.ALL_BITS)
        for table_id, flow_cookie in flows
    ]
    answers = exchange_many(connection, requests)
    return [
        count
        for answer in answers
        for body in answer.bodies
        for count in parse_counts(body, lambda _: True)
    ]


def leftover(flow: Flow) -> OurFlow:
    """A flow of ours as it is on the switch, ready to be deleted."""
    return OurFlow(
        table_id=flow.table_id,
        priority=flow.priority,
        match=flow.match,
        flow_cookie=flow.cookie,
        meter_id=None,
        lease=0,
    )


def telling(flow: Flow, meter_id: int | None = None) -> RewrittenFlow:
    """An owner's drop flow as it is on the switch, ready to be changed or restored."""
    return RewrittenFlow(
        table_id=flow.table_id,
        priority=flow.priority,
        match=flow.match,
        flow_cookie=flow.cookie,
        actions=without_controller(actions_of(flow.instructions), cookie.SIGNATURE),
        meter_id=meter_id,
    )


def meter_ids(connection: Connection) -> list[int]:
    """Meters of this program that are on the switch, from this run or an earlier one."""
    ofproto = connection.ofproto
    request = connection.ofproto_parser.OFPMeterConfigStatsRequest(connection, 0, ofproto.OFPM_ALL)
    [answer] = connection.exchange([request])
    ours = ofproto.OFPMF_PKTPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    return [
        meter.meter_id
        for body in answer.bodies
        for meter in meter_configs_of(body)
        if METER_BASE <= meter.meter_id < METER_END
        and meter.flags == ours
        and meter.bands == (ofproto.OFPMBT_DROP,)
    ]


def meter_drops(
    connection: Connection, meters: Iterable[int], answer_time: float = ANSWER_TIME
) -> dict[int, int]:
    """How many packets each of these meters has dropped; one that is not there is absent."""
    parser = connection.ofproto_parser
    answers = connection.exchange(
        [parser.OFPMeterStatsRequest(connection, 0, meter_id) for meter_id in meters], answer_time
    )
    return dict(
        drops for answer in answers for body in answer.bodies for drops in meter_drops_of(body)
    )


def port_names(connection: Connection) -> dict[int, str]:
    """The names of the bridge's ports by OpenFlow port number, as last reported."""
    return {number: printable(name) for number, name in dict(connection.ports).items()}


def max_meter(features: Answer) -> int:
    """max_meter of OFPMP_METER_FEATURES; 0 when the switch has none or does not know meters."""
    return max(map(max_meter_of, features.bodies), default=0)
