"""What `ryu-droplog status` prints of one program's answer, and what of it is not well. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ryu_droplog.connections import socket_room
from ryu_droplog.connections.reach import (
    CONNECTED,
    CONNECTING,
    GONE,
    OFF,
    REFUSED,
    UNREACHABLE,
    WAITING,
)
from ryu_droplog.processing import report
from ryu_droplog.runtime import switch_losses
from ryu_droplog.text.phrases import count, duration

GRACE = 15.0
"""Seconds for which a bridge may be on its way to a connection, as it is after a start."""

SETTLING = 5.0
"""Seconds for which a table may be without a flow of ours, as after a change by its owner."""

Answer = Mapping[str, Any]


def problems(answer: Answer) -> list[str]:
    """What is not well, each on one line; an answer of an older program may lack some of it."""
    return [
        *_of_configuration(answer),
        *_of_bridges(answer),
        *_of_sinks(answer),
        *_of_clean_up(answer),
        *_of_books(answer),
    ]


def as_text(answer: Answer) -> str:
    """The answer for people, without a final newline: what is wrong (`!`), states (`-`), books."""
    found = problems(answer)
    lines = [f"ryu_droplog, process {answer['pid']}"]
    lines += [f"configuration: {answer['configuration']['source']}"]
    lines += [f"  ! {text}" for text in found]
    lines += [f"  - {text}" for text in _well(answer)]
    sources = {**answer["bridges"], **answer["receive"]}
    if sources:
        lines += ["", report.as_table(sources)]
    if "unexplained" in answer and not any(unexplained(answer).values()):
        lines.append("unexplained: 0")
    lines += switch_losses.as_lines(answer.get("switches", {}))
    for name, state in sources.items():
        if state["pruned_by"]:
            rules = ", ".join(f"{n} by {rule}" for rule, n in state["pruned_by"].items())
            lines.append(f"{name}: filtered: {rules}")
        if state.get("acknowledged"):
            known = count(state["acknowledged"], "packet")
            lines.append(f"{name}: acknowledged by the baseline: {known}")
    for name, state in answer["bridges"].items():
        if not state["connected"] and any(book["counted"] for book in state["books"].values()):
            lines.append(f"{name} is not connected: its counters are of an earlier time")
    return "\n".join(lines)


def _of_configuration(answer: Answer) -> Iterator[str]:
    refused = answer["configuration"]["refused"]
    if refused:
        yield f"configuration not taken: {refused}"


def _of_bridges(answer: Answer) -> Iterator[str]:
    for name, state in answer["bridges"].items():
        kind, seconds = state.get("state", ""), state.get("seconds") or 0.0
        is_late = kind in (CONNECTING, WAITING) and seconds >= GRACE
        if kind in (UNREACHABLE, REFUSED) or is_late:
            why = f": {state['error']}" if state["error"] else ""
            yield f"{name}: {_WORDS[kind]}, not connected for {duration(seconds)}{why}"
        for text in report.attention(state, SETTLING):
            yield f"{name}: {text}"


def _of_sinks(answer: Answer) -> Iterator[str]:
    for name, sink in answer["sinks"].items():
        failure = sink.get("failure")
        if failure:
            lost = f"; {count(failure['lost'], 'drop')} not written" if failure["lost"] else ""
            yield f"{name}: cannot write for {_span(failure)}: {failure['error']}{lost}"


def _of_clean_up(answer: Answer) -> Iterator[str]:
    clean_up = answer.get("clean_up", {})
    if clean_up.get("needed") and clean_up["pid"] is None:
        yield "the clean-up process does not run: a program that is killed would leave its meters"


def unexplained(answer: Answer) -> dict[str, int]:
    """Packets that are missing in the books, by source or sink."""
    return dict(answer.get("unexplained", {}))


def _of_books(answer: Answer) -> Iterator[str]:
    for name, packets in unexplained(answer).items():
        if packets:
            yield f"{name}: the books do not balance, unexplained: {count(abs(packets), 'packet')}"


def _well(answer: Answer) -> Iterator[str]:
    for name, state in answer["bridges"].items():
        kind, seconds = state.get("state", ""), state.get("seconds")
        if kind == CONNECTED:
            span = f" for {duration(seconds)}, since {state['since']}" if state["since"] else ""
            yield f"{name}: connected{span}"
            room = socket_room.from_json(state.get("socket_room"))
            if room is not None and (text := room.in_words()):
                yield f"{name}: {text}"
        elif (kind in (CONNECTING, WAITING) and (seconds or 0.0) < GRACE) or kind in (GONE, OFF):
            yield f"{name}: {_WORDS[kind]}"
        lasting = report.attention(state, SETTLING)
        yield from (f"{name}: {text}" for text in report.attention(state) if text not in lasting)
    known = {name: state["ends"] for name, state in (answer.get("identity") or {}).items()}
    if any(known.values()):
        ends = ", ".join(f"{count(n, 'end')} by {name}" for name, n in known.items() if n)
        yield f"identity: {ends}"
    for address, state in (answer.get("listen") or {}).items():
        here = count(state["connections"], "connection")
        yield f"switches may connect to {address}: {here}, {state['refused']} refused"


def _span(failure: Mapping[str, Any]) -> str:
    return f"{duration(failure['seconds'])}, since {failure['since']}"


_WORDS = {
    CONNECTING: "connecting",
    WAITING: "waiting for it to connect",
    UNREACHABLE: "unreachable",
    REFUSED: "refused",
    GONE: "not connected any more",
    OFF: "not connected: the drop log is switched off",
}
