"""Questions to the switch that more than one module asks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from ryu_droplog import cookie
from ryu_droplog.errors import SwitchError
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.channel import ANSWER_TIME, Answer, Channel, error_text
from ryu_droplog.openflow.flows import (
    Count,
    Flow,
    actions_of,
    parse_counts,
    parse_flow_stats,
    without_controller,
)
from ryu_droplog.openflow.messages import Message, OurFlow, TellingFlow
from ryu_droplog.printable import printable

METER_BASE = 4_000_000_000
METER_END = METER_BASE + (1 << 16) * 256
"""Our meters: above what other programs pick, which is 1 to max_meter. Each run has 256 of its own,
so that the meters of a run that was killed can be deleted while the next one has begun."""


def first_meter(generation: int) -> int:
    """The id of this run's meter of table 0; the meters of the other tables follow."""
    return METER_BASE + (generation >> 8) * 256


MESSAGES_AT_ONCE = 200
"""Messages in one exchange: the answer to a barrier behind thousands would take too long."""


def exchange_many(
    channel: Channel, requests: Sequence[Message], answer_time: float | None = None
) -> list[Answer]:
    """`Channel.exchange` for any number of messages; an exchange has `answer_time` seconds."""
    answers = []
    for start in range(0, len(requests), MESSAGES_AT_ONCE):
        part = requests[start : start + MESSAGES_AT_ONCE]
        answers += channel.exchange(part, ANSWER_TIME if answer_time is None else answer_time)
    return answers


def dump(channel: Channel, flow_cookie: int = 0, mask: int = 0) -> list[Flow]:
    """All flows of the bridge, or those whose cookie fits under the mask.

    Raises SwitchError when the switch refuses or its answer makes no sense.
    """
    bodies = _dump(channel, flow_cookie, mask)
    return [flow for body in bodies for flow in parse_flow_stats(body)]


def dump_counts(channel: Channel, wanted: Callable[[int], bool]) -> list[Count]:
    """What the plain drops of the bridge have counted, and the flows with a cookie `wanted`.

    Raises SwitchError as `dump` does.
    """
    return [count for body in _dump(channel) for count in parse_counts(body, wanted)]


def _dump(channel: Channel, flow_cookie: int = 0, mask: int = 0) -> list[bytes]:
    [answer] = channel.exchange([messages.dump_flows(channel, None, flow_cookie, mask)])
    if answer.error:
        raise SwitchError(f"the switch does not tell its flows: {error_text(answer.error)}")
    return answer.bodies


def leftover(flow: Flow) -> OurFlow:
    """A flow of ours as it stands on the switch, ready to be deleted."""
    return OurFlow(
        table_id=flow.table_id,
        priority=flow.priority,
        match=flow.match,
        flow_cookie=flow.cookie,
        meter_id=None,
        lease=0,
    )


def telling(flow: Flow, meter_id: int | None = None) -> TellingFlow:
    """An owner's drop flow as it stands on the switch, ready to be changed or restored."""
    return TellingFlow(
        table_id=flow.table_id,
        priority=flow.priority,
        match=flow.match,
        flow_cookie=flow.cookie,
        actions=without_controller(actions_of(flow.instructions), cookie.SIGNATURE),
        meter_id=meter_id,
    )


def meter_ids(channel: Channel) -> list[int]:
    """Meters of this program that are on the switch, from this run or an earlier one."""
    ofproto = channel.ofproto
    request = channel.ofproto_parser.OFPMeterConfigStatsRequest(channel, 0, ofproto.OFPM_ALL)
    [answer] = channel.exchange([request])
    ours = ofproto.OFPMF_PKTPS | ofproto.OFPMF_BURST | ofproto.OFPMF_STATS
    return [
        config.meter_id
        for message in answer.messages
        for config in message.body
        if METER_BASE <= config.meter_id < METER_END
        and config.flags == ours
        and [band.type for band in config.bands] == [ofproto.OFPMBT_DROP]
    ]


def meter_drops(channel: Channel, meters: Iterable[int]) -> dict[int, int]:
    """How many packets each of these meters has held back; one that is not there is left out."""
    parser = channel.ofproto_parser
    answers = channel.exchange(
        [parser.OFPMeterStatsRequest(channel, 0, meter_id) for meter_id in meters]
    )
    return {
        stats.meter_id: sum(band.packet_band_count for band in stats.band_stats)
        for answer in answers
        for message in answer.messages
        for stats in message.body
    }


def port_names(channel: Channel) -> dict[int, str]:
    """The names of the bridge's ports by OpenFlow port number, as they were last told."""
    ports = dict(channel.ports)
    return {
        number: printable(port.name.rstrip(b"\0").decode(errors="backslashreplace"))
        for number, port in ports.items()
    }


def max_meter(features: Answer) -> int:
    """max_meter of OFPMP_METER_FEATURES; 0 when the switch has none or does not know meters."""
    return max((body.max_meter for m in features.messages for body in m.body), default=0)
