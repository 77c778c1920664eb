"""What is deduplicated is in the books, and comes out as a number of repeats."""

from __future__ import annotations

import pytest
from private_ovs import PrivateSwitch, send_frame

from .. import books
from ..books import OPEN_METER, total
from ..packets import syn
from ..program import Program, eventually
from .bed import CONFIG, ready

pytestmark = pytest.mark.ovs


def test_repeated_syn_becomes_two_lines(switch: PrivateSwitch, bridge: str) -> None:
    config = f"{CONFIG}\n{OPEN_METER}\nthrottle: {{window: 2s}}"
    with Program(switch, config) as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=20)
        assert 20 == eventually(20, lambda: total(program, bridge)["received"])
        book = total(program, bridge)
        assert (1, 19, 0) == (book["logged"], book["waiting"], book["folded"])
        first, last = eventually(2, lambda: len(program.lines())) and program.lines()
        assert "REPEATED" not in first
        assert f"{first} REPEATED=19" == last
        book = books.all_in(program, bridge, 20)
        assert (20, 1, 19, 0) == (
            book["dropped"], book["logged"], book["folded"], book["waiting"],
        )  # fmt: skip
        assert 0 == program.end()


def test_window_still_open_at_the_end_has_its_line(switch: PrivateSwitch, bridge: str) -> None:
    config = f"{CONFIG}\n{OPEN_METER}\nthrottle: {{window: 1h}}"
    with Program(switch, config) as program:
        assert ready(switch, bridge)
        send_frame("one", "eth0", syn(), count=20)
        assert 20 == eventually(20, lambda: total(program, bridge)["received"])
        assert 1 == len(program.lines())
        assert 0 == program.end()
        assert [False, True] == [line.endswith(" REPEATED=19") for line in program.lines()]
        assert f"{bridge}: 20 drops: 20 in TABLE_0; 1 logged, 19 deduplicated" in (program.said())
