"""Whose bridge it is, by its flows; beside the real owners, tests/owners looks at the same."""

from __future__ import annotations

import pytest

from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Effect, Flow, Step
from ryu_droplog.owners.detection import recognise

METADATA = bytes.fromhex("800004080000000000000001")
IP = bytes.fromhex("80000a020800")


def flow(
    table: int, priority: int = 0, match: bytes = b"", number: int = 7, leads: int | None = None
) -> Flow:
    steps = [] if leads is None else [Step(leads, final=True)]
    effect = Effect(acts=bool(steps), leaves=bool(steps), steps=steps)
    return Flow(table, priority, number, match, 0, 0, effect)


CANARY = flow(23)
FIREWALL = [flow(table, 1, IP, leads=60) for table in (60, 71, 72, 81, 82, 91, 92, 93, 94)]
OVN = [flow(0, 100, IP, 5, 8), flow(8, 50, METADATA, 6, 9), flow(9, 0, METADATA, 8, 10)]
AGENT = [flow(t, 0, b"", cookie.TABLE_DROP, 15) for t in (1, 2)]
BRIDGES = {
    "Neutron with its firewall": ([CANARY, *FIREWALL], ("neutron", "certain")),
    "Neutron without": ([CANARY, flow(60, 3, leads=94)], ("neutron", "likely")),
    "OVN": (OVN, ("ovn", "certain")),
    "something like OVN": (
        [flow(8, 50, METADATA, 1 << 40, 9), flow(9, 0, METADATA, 1 << 40, 10)],
        ("ovn", "likely"),
    ),
    "the OpFlex agent, integration": (AGENT, ("opflex-int", "certain")),
    "the OpFlex agent, access": (
        [flow(t, 0, b"", cookie.TABLE_DROP, 9) for t in (1, 2)],
        ("opflex-access", "certain"),
    ),
    "nobody's": ([], ("auto", "unknown")),
    "a learning switch": ([flow(0, 0, leads=1), flow(1, 5, IP)], ("auto", "unknown")),
    "tables of the agent without its flows": (
        [flow(table, 0) for table in range(10)],
        ("auto", "unknown"),
    ),
    "a table 23 that is used": ([CANARY, *FIREWALL, flow(0, 1, leads=23)], ("auto", "unknown")),
    "tables 8 and 9 without datapaths": (
        [flow(8, 1, IP, leads=9), flow(9, 1, IP)],
        ("auto", "unknown"),
    ),
}


@pytest.mark.parametrize("whose", BRIDGES)
def test_owner_is_recognised_by_what_only_it_does(whose: str) -> None:
    flows, expected = BRIDGES[whose]
    found = recognise(flows)
    assert expected == (found.pipeline, found.sureness)
    assert bool(found.evidence) == (found.sureness != "unknown")


def test_flows_of_this_program_do_not_count() -> None:
    ours = Flow(
        23,
        0,
        cookie.Cookie(True, 0x100, 23).pack(),
        b"",
        0,
        0,
        Effect(acts=True, controller_ids=[cookie.SIGNATURE]),
    )
    assert "neutron" == recognise([CANARY, *FIREWALL, ours]).pipeline
