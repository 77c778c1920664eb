"""`ofproto/trace` (ovs-vswitchd(8)): what a switch would do with a packet; only asked, never sent.

Its answer is text for people. What is read of it is the same in Open vSwitch 3.1, 3.5 and 4.0, as
tests on each hold: sections of `recirc(…)`, within them `bridge("…")`, the lines of tables, and
what is at the beginning of the other lines. What is not understood stays in `text`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from ryu_droplog.model import cookie
from ryu_droplog.model.errors import SwitchError
from ryu_droplog.ovsdb.control_socket import find
from ryu_droplog.ovsdb.jsonrpc import call, until
from ryu_droplog.text.printable import plain

TRACE_TIME = 10.0
"""Seconds that a trace has: a large pipeline takes some."""
DEEPEST = 8
"""Times that a packet comes back from connection tracking with the state that is given."""

_BRIDGE = re.compile(r'\s*bridge\("(.*)"\)')
_TABLE = re.compile(r"( *)(\d+)\. (.*)")
_PRIORITY = re.compile(
    r"(?P<match>.*?)(?:, )?priority (?P<priority>\d+)(?:, cookie (?P<cookie>0x[0-9a-f]+))?"
)
_OURS = re.compile(rf"\bid={cookie.SIGNATURE}\b")
_NESTING = re.compile(r"(?:clone|sample|check_pkt_len|actions|gt|le)\((.*)\)")


@dataclass
class Step:
    """One table that the packet came to."""

    bridge: str
    table_id: int
    match: str
    """Of the flow that took it, as ovs-ofctl shows it; empty: it matches everything."""
    priority: int | None
    """None: no flow matched."""
    cookie: int = 0
    actions: list[str] = field(default_factory=list)

    @property
    def ours(self) -> bool:
        """Whether it is a flow of this program."""
        if cookie.unpack(self.cookie) is None:
            return False
        return any(_OURS.search(action) for action in self.actions)


@dataclass
class Pass:
    """From the beginning, or from where the packet came back, to the next of that."""

    resumed: str = ""
    """Why it came back, as Open vSwitch says it; empty: it is the first."""
    flow: str = ""
    steps: list[Step] = field(default_factory=list)
    final: str = ""
    """The flow at the end."""
    datapath: str = ""
    """Datapath actions."""


@dataclass
class Trace:
    """All that the packet went through."""

    text: str
    """The whole answer, fit for a terminal."""
    passes: list[Pass] = field(default_factory=list)

    def pass_with(self, bridge: str, table_id: int) -> Pass | None:
        """The last pass that came to this table."""
        for one in reversed(self.passes):
            if any(step.bridge == bridge and step.table_id == table_id for step in one.steps):
                return one
        return None

    @property
    def lets_through(self) -> bool:
        """Whether the datapath sends the packet, or a copy, out of some port."""
        return any(sends(one.datapath) for one in self.passes)


def sends(actions: str) -> bool:
    """Whether datapath actions have an output among them (ovs-actions(7), odp-util.c)."""
    for action in _top_level(actions):
        if action.isdigit() or action.startswith(("tnl_push(", "lb_output(")):
            return True
        nested = _NESTING.fullmatch(action)
        if nested and sends(nested[1]):
            return True
    return False


def _top_level(actions: str) -> list[str]:
    parts, depth, start = [], 0, 0
    for position, char in enumerate(actions):
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append(actions[start:position].strip())
            start = position + 1
    return [*parts, actions[start:].strip()]


def parse_trace(text: str) -> Trace:
    """Read an answer; raises SwitchError where it is none."""
    trace = Trace(plain(text))
    bridge, current = "", Pass()
    step: Step | None = None
    for line in text.splitlines():
        if line.startswith("recirc("):
            current = Pass(resumed=line.partition(" - ")[2])
            trace.passes.append(current)
            step = None
        elif line.startswith("Flow: "):
            if not trace.passes:
                trace.passes.append(current)
            current.flow = line.removeprefix("Flow: ")
        elif line.startswith("Final flow: "):
            final = line.removeprefix("Final flow: ")
            current.final = current.flow if final == "unchanged" else final
            step = None
        elif line.startswith("Datapath actions: "):
            current.datapath = line.removeprefix("Datapath actions: ")
        elif found := _BRIDGE.fullmatch(line):
            bridge, step = found[1], None
        elif found := _TABLE.fullmatch(line):
            step = _step(bridge, int(found[2]), found[3])
            current.steps.append(step)
        elif step is not None and line.strip():
            step.actions.append(line.strip())
    if not trace.passes or not any(one.datapath for one in trace.passes):
        raise SwitchError("ofproto/trace answers something that is not understood")
    return trace


def _step(bridge: str, table_id: int, text: str) -> Step:
    found = _PRIORITY.fullmatch(text)
    if found is None:
        return Step(bridge, table_id, "", None, actions=[text])
    number = int(found["cookie"], 16) if found["cookie"] else 0
    return Step(bridge, table_id, found["match"], int(found["priority"]), number)


class Tracer:
    """Asks one ovs-vswitchd."""

    def __init__(self, rundir: str) -> None:
        """`rundir` is its run directory. Raises SwitchError where none runs there."""
        self._control = find(rundir).socket

    def trace(self, bridge: str, flow: str, frame: bytes, ct_state: str = "") -> Trace:
        """What happens to the frame from table 0 on.

        `flow` is what it comes with, as ovs-ofctl writes it (`in_port=1`); `ct_state` what
        connection tracking says of it each time, as `new|trk`, empty: as of a new connection.
        Raises SwitchError.
        """
        options = ["--ct-next", ct_state.replace("|", ",")] * DEEPEST if ct_state else []
        return self._ask("ofproto/trace", [bridge, flow, *options, frame.hex()])

    def trace_actions(self, bridge: str, flow: str, frame: bytes, actions: Sequence[str]) -> Trace:
        """The same, from these actions on instead of table 0. Raises SwitchError."""
        words = [bridge, flow, frame.hex(), ",".join(actions)]
        return self._ask("ofproto/trace-packet-out", words)

    def _ask(self, command: str, words: list[str]) -> Trace:
        answer = call(self._control, command, words, deadline=until(TRACE_TIME))
        return parse_trace(str(answer))
