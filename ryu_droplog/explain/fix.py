"""Whether a flow would let a packet through: tried on a copy of the bridge, never on the bridge."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ryu_droplog.config.endpoint import Endpoint, UnixEndpoint, visited
from ryu_droplog.explain.given import Given
from ryu_droplog.explain.trace import Trace
from ryu_droplog.explain.trial_switch import BRIDGE, TrialSwitch
from ryu_droplog.explain.way import Way, find_way, traced_again
from ryu_droplog.model.errors import SwitchError


class Fix(NamedTuple):
    """What a flow would do to drops."""

    flow: str
    before: bool
    """Whether the copy lets the packet through without the flow: then flows have changed since."""
    after: bool
    """Whether it does with the flow."""
    trace: Trace
    """With the flow."""
    others: tuple[tuple[Given, bool], ...]
    """Other drops, and whether they are let through with the flow and were not without it."""
    not_tried: tuple[str, ...] = ()
    """Why other drops could not be tried."""

    @property
    def by_learning(self) -> bool:
        """Whether the packet came to an action NORMAL, which knows no VLANs and MACs in a copy."""
        steps = [step for one in self.trace.passes for step in one.steps]
        return any("NORMAL" in step.actions for step in steps)


def try_fix(
    flow: str,
    way: Way,
    given: Given,
    others: Sequence[Given],
    endpoint: Endpoint,
    ports: Sequence[int],
    first_matches: Sequence[bytes],
) -> Fix:
    """Try it; raises SwitchError where the copy cannot be made, or the flow is none.

    `way` is that of the drop on the bridge, `ports` the bridge's port numbers.
    """
    endpoint = visited(endpoint)
    if not isinstance(endpoint, UnixEndpoint):
        raise SwitchError("the bridge is not on this host: it cannot be copied")
    failures: list[str] = []
    with TrialSwitch() as switch:
        switch.copy(endpoint.path, ports)
        tracer = switch.tracer()
        before = traced_again(way, given.record, tracer, BRIDGE)
        ways: list[tuple[Given, Way]] = []
        for other in others:
            try:
                ways.append((other, find_way(other, tracer, first_matches, BRIDGE)))
            except SwitchError as error:
                failures.append(str(error))
        switch.add(flow)
        after = traced_again(way, given.record, tracer, BRIDGE)
        told = [
            (
                other,
                not its.trace.lets_through
                and traced_again(its, other.record, tracer, BRIDGE).lets_through,
            )
            for other, its in ways
        ]
    return Fix(flow, before.lets_through, after.lets_through, after, tuple(told), tuple(failures))
