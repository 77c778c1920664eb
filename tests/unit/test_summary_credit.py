"""What of the packets that summary flows counted may be told: never more than there were."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ryu_droplog.reconcile.storm_types import Figures
from ryu_droplog.reconcile.summary_credit import TableCredit


def test_packets_that_the_flow_below_had_taken_are_not_told() -> None:
    """The switch credits the summary flow with 500 packets that the meter had dropped."""
    credit = TableCredit()
    credit.rest(Figures(counted=1000, seen=1000))
    credit.count(700)
    assert 200 == credit.tell(700, Figures(counted=1000, seen=1500))
    credit.count(300)
    assert 300 == credit.tell(800, Figures(counted=1000, seen=1500))
    assert 0 == credit.tell(500, Figures(counted=1000, seen=1500))


def test_packets_lost_before_are_no_summary_flows() -> None:
    credit = TableCredit()
    credit.rest(Figures(counted=1000, seen=900))
    credit.count(50)
    assert 0 == credit.tell(50, Figures(counted=1000, seen=950))
    assert 0 == credit.tell(50, Figures(counted=1000, seen=950))


@given(
    st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50)), max_size=20),
    st.integers(0, 100),
)
def test_all_that_was_dropped_unseen_is_told_once_all_counters_are_up_to_date(
    steps: list[tuple[int, int, int]], credited: int
) -> None:
    """Each step: packets that were sent, packets at the summary flow, how far counters lag."""
    credit = TableCredit()
    sent = dropped = told = summed = 0
    credited = min(credited, steps[0][0]) if steps else 0
    for number, (more_sent, more_dropped, lag) in enumerate(steps):
        sent += more_sent
        dropped += more_dropped
        more = more_dropped + (credited if number == 0 else 0)
        summed += more
        credit.count(more)
        told += credit.tell(summed - told, Figures(max(0, sent - credited - lag), sent))
        assert told <= dropped
    told += credit.tell(summed - told, Figures(sent - credited, sent))
    assert dropped == told
