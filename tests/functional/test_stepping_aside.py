"""A flood steps aside: others are logged, the books are exact, and nobody's flow is in danger."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from private_ovs import CommandError, PrivateSwitch, run, send_frame

from . import books
from .books import File, load, state, total
from .packets import ARP, IPV4, arp, ethernet, ipv4, tcp, udp
from .program import BIN, OURS, Program, add_flows, eventually, foreign_flows, watched

pytestmark = pytest.mark.ovs

BRIDGE = "br-aside"
CONFIG = f"bridges: [{{name: {BRIDGE}}}]"
LOW_METER = "meter: {rate: 200, burst: 100}"
SHORT_LEASE = "lease: {duration: 3, renew: 1}"
LEADS_ON = "priority=5 actions=goto_table:1"
"""The owner's flow in table 0: it counts all packets that are then dropped in table 1."""
RATE = 20_000
FLOOD = [
    ethernet(IPV4, ipv4("10.2.0.229", "10.2.0.195", 6, tcp(1024 + number, 80)))
    for number in range(64)
]
"""One loud flow, from many ports of a client to one of a server."""
RARE = [
    ethernet(IPV4, ipv4("10.9.0.1", "10.9.0.2", 6, tcp(3000, 5000 + number)))
    for number in range(50)
]
NOTE = "note:d4.07.64.72.6f.70"
_PACKETS = re.compile(r"n_packets=(\d+)")
_NOTED = re.compile(rf"table=(\d+),.*? priority=(\d+),(\S+) actions={re.escape(NOTE)}")


@pytest.fixture(scope="module", autouse=True)
def guests(switch: PrivateSwitch) -> None:
    """Two guests; each test's bridge takes their ports."""
    switch.add_bridge("br-first")
    for name in ("one", "two"):
        switch.guest(name, "br-first")
    switch.vsctl("del-br", "br-first")


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with two guests, whose table 1 drops all that comes."""
    switch.add_bridge(BRIDGE)
    for name in ("one", "two"):
        switch.vsctl("add-port", BRIDGE, name)
    add_flows(switch, BRIDGE, LEADS_ON.replace(" actions", ",actions"))
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)


@pytest.fixture
def file(switch: PrivateSwitch) -> File:
    return File(switch)


def ready(switch: PrivateSwitch) -> bool:
    return [1] == eventually([1], lambda: watched(switch, BRIDGE))


def aside(switch: PrivateSwitch) -> list[tuple[int, int, str]]:
    """Table, priority and match of the flows of ours that hold our note."""
    found = _NOTED.findall(switch.ofctl("--no-stats", "dump-flows", BRIDGE, OURS))
    return [(int(table), int(priority), match) for table, priority, match in found]


def steps_aside(switch: PrivateSwitch, number: int = 1) -> bool:
    return number == eventually(number, lambda: len(aside(switch)))


def led_on(switch: PrivateSwitch) -> int:
    """Packets that the owner's flow in table 0 has counted, when it does not count any more."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 1.5:
        now = sum(map(int, _PACKETS.findall(switch.ofctl("dump-flows", BRIDGE, "table=0"))))
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.1)
    return last


def book_of(program: Program, dropped: int, waits: bool = False) -> dict[str, Any]:
    """The book of all tables once it has so many drops, and none of them waits."""
    if not waits:
        return books.all_in(program, BRIDGE, dropped)
    eventually(dropped, lambda: total(program, BRIDGE)["dropped"])
    return total(program, BRIDGE)


def told(file: File) -> int:
    """Packets that lines with REPEATED tell of."""
    return sum(map(int, re.findall(r" REPEATED=(\d+)$", file.path.read_text(), re.MULTILINE)))


@contextmanager
def flooded(switch: PrivateSwitch, seconds: float = 8.0, rate: int = RATE) -> Iterator[None]:
    """A flood from the first guest during the block, which ends with it if it is longer."""
    process = switch.start(None, *books.sending(switch, int(seconds * rate), rate, "one", FLOOD))
    try:
        yield
    finally:
        process.terminate()
        process.wait(10)


def test_others_are_logged_beside_a_flood_and_the_books_are_exact(
    switch: PrivateSwitch, bridge: str, file: File
) -> None:
    with Program(switch, f"{CONFIG}\n{file.config}") as program:
        assert ready(switch)
        with load(switch, 8 * RATE, RATE, "one", FLOOD):
            time.sleep(2)  # this long the flood may hide others
            with load(switch, 100, 24, "two", RARE):
                assert steps_aside(switch)
        [(table, priority, match)] = aside(switch)
        assert (1, 1) == (table, priority)
        for part in ("tcp", "in_port=", "nw_src=10.2.0.229", "nw_dst=10.2.0.195", "tp_dst=80"):
            assert part in match
        assert "tp_src" not in match
        dropped = led_on(switch)
        book = book_of(program, dropped)
        assert (dropped, 0) == (book["dropped"], book["lost_in_switch"])
        assert dropped == file.lines() - 1 + book["metered"] + book["summarised"]
        assert book["summarised"] == told(file) > dropped / 2
        assert 98 <= file.path.read_text().count("SRC=10.9.0.1 "), "of 100 after two seconds"
        assert [] == file.odd()
        assert {} == {n: p for n, p in books.status(program)["unexplained"].items() if p}
        assert steps_aside(switch, 0), "it is quiet"
        lines = file.lines()
        send_frame("one", "eth0", FLOOD[0])
        assert lines + 1 == eventually(lines + 1, file.lines)
        assert 0 == program.end()
        assert f"{book['summarised']} summarised" in program.said()
    assert [LEADS_ON] == switch.flows(bridge)


def test_burst_is_no_storm(switch: PrivateSwitch, bridge: str, file: File) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}\n{file.config}") as program:
        assert ready(switch)
        books.send(switch, 2000)
        dropped = led_on(switch)
        book = book_of(program, dropped)
        assert 0 < book["metered"]
        assert ([], 0) == (aside(switch), book["unsent"])
        assert 0 == program.end()


def test_stop_in_the_middle_of_a_flood_leaves_nothing_and_balances(
    switch: PrivateSwitch, bridge: str, file: File
) -> None:
    with Program(switch, f"{CONFIG}\n{file.config}") as program, flooded(switch):
        assert ready(switch)
        assert steps_aside(switch)
        assert 0 < eventually(True, lambda: total(program, bridge)["unsent"] > RATE)
        assert 0 == program.end(patience=10)
        assert [LEADS_ON] == switch.flows(bridge)
        assert "do not balance" not in program.said()
        assert 0 < told(file)


@pytest.mark.parametrize("owner", ["priority=1,tcp actions=drop", "priority=1 actions=NORMAL"])
def test_owner_who_takes_the_place_has_it_at_once(
    switch: PrivateSwitch, bridge: str, owner: str
) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program, flooded(switch, 20, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        add_flows(switch, bridge, f"table=1,{owner.replace(' actions', ',actions')}")
        assert [] == eventually([], lambda: aside(switch), 1.0)
        assert [LEADS_ON, f"table=1, {owner}"] == foreign_flows(switch, bridge)
        time.sleep(1)  # nor does it come back at once
        assert [] == aside(switch)
        assert 0 == program.end()
    assert [LEADS_ON, f"table=1, {owner}"] == switch.flows(bridge)


def test_owner_who_fills_the_bottom_of_the_table_is_above_all_of_ours_at_once(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program, flooded(switch, 20, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        add_flows(switch, bridge, "table=1,priority=0,actions=NORMAL")
        ours = lambda: switch.flows(bridge, OURS)  # noqa: E731
        assert [] == eventually([], ours, 1.0)
        assert 0 == program.end()
    assert [LEADS_ON, "table=1, priority=0 actions=NORMAL"] == switch.flows(bridge)


def test_place_that_is_taken_is_left_and_nothing_steps_aside(
    switch: PrivateSwitch, bridge: str
) -> None:
    owner = "table=1, priority=1,ip,nw_tos=32 actions=NORMAL"
    add_flows(switch, bridge, owner.replace(" actions", ",actions").replace(", ", ","))
    before = foreign_flows(switch, bridge)
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program:
        assert ready(switch)
        with load(switch, 15_000, 5000, "one", FLOOD):
            pass
        dropped = led_on(switch)
        book = book_of(program, dropped)
        assert ([], 0) == (aside(switch), book["unsent"])
        assert 10_000 < book["metered"]
        assert before == foreign_flows(switch, bridge)
        assert 0 == program.end()
    assert before == switch.flows(bridge)


def test_flows_above_drops_step_aside_just_above_them(switch: PrivateSwitch, bridge: str) -> None:
    """Above a catch-all drop, and above an explicit drop, each within its match."""
    owner = [
        "table=1, priority=0 actions=drop",
        "table=1, priority=100,udp actions=drop",
        "table=1, priority=200,udp,tp_dst=9 actions=NORMAL",
    ]
    add_flows(
        switch, bridge, *(f.replace(" actions", ",actions").replace(", ", ",") for f in owner)
    )
    before = foreign_flows(switch, bridge)
    datagrams = [ethernet(IPV4, ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 53)))]
    config = f"bridges: [{{name: {BRIDGE}, explicit_drops: log}}]\n{LOW_METER}"
    with Program(switch, config) as program:
        assert [1, 1] == eventually([1, 1], lambda: watched(switch, bridge))
        with load(switch, 25_000, 5000, "one", FLOOD), load(switch, 25_000, 5000, "two", datagrams):
            assert steps_aside(switch, 2)
            by_priority = {priority: match for _, priority, match in aside(switch)}
            assert {2, 102} == by_priority.keys()
            assert "tp_dst=53" in by_priority[102]
            assert "tp_dst=80" in by_priority[2]
        dropped = led_on(switch)
        book = book_of(program, dropped, waits=True)
        assert (dropped, 0) == (book["dropped"], book["lost_in_switch"])
        assert before == foreign_flows(switch, bridge)
        assert 0 == program.end()
    assert before == switch.flows(bridge)


def test_flood_without_ip_steps_aside_by_its_macs(switch: PrivateSwitch, bridge: str) -> None:
    frames = [ethernet(ARP, arp("10.0.0.1", f"10.0.0.{number}")) for number in range(2, 66)]
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program:
        assert ready(switch)
        with load(switch, 15_000, 5000, "one", frames):
            assert steps_aside(switch)
            [(_, _, match)] = aside(switch)
            assert "arp" in match
            assert "dl_src=" in match
        dropped = led_on(switch)
        book = book_of(program, dropped, waits=True)
        assert (dropped, 0) == (book["dropped"], book["lost_in_switch"])
        assert 0 == program.end()


def test_later_fragments_step_aside_without_a_port(switch: PrivateSwitch, bridge: str) -> None:
    payload = bytes(64)
    first = ipv4("10.0.0.1", "10.0.0.2", 17, udp(1, 53, 72), payload, flags=1)
    later = ipv4("10.0.0.1", "10.0.0.2", 17, payload, offset=9)
    frames = [ethernet(IPV4, packet) for packet in (first, later, later, later)]
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program:
        assert ready(switch)
        with load(switch, 20_000, 5000, "one", frames):
            assert steps_aside(switch, 2)
            kinds = [
                ("tp_dst=53" in match, "nw_frag=later" in match) for _, _, match in aside(switch)
            ]
            assert [(False, True), (True, False)] == sorted(kinds)
        dropped = led_on(switch)
        book = book_of(program, dropped, waits=True)
        assert (dropped, 0) == (book["dropped"], book["lost_in_switch"])
        assert 0 == program.end()


def test_flood_that_a_filter_leaves_out_is_counted_as_filtered(
    switch: PrivateSwitch, bridge: str, file: File
) -> None:
    wish = "prune: {filters: [{name: web, dport: 80}]}"
    with Program(switch, f"{CONFIG}\n{LOW_METER}\n{wish}\n{file.config}") as program:
        assert ready(switch)
        with load(switch, 20_000, 5000, "one", FLOOD):
            assert steps_aside(switch)
        dropped = led_on(switch)
        book = book_of(program, dropped)
        assert (dropped, 0, 0) == (book["dropped"], book["lost_in_switch"], file.lines())
        assert dropped == book["metered"] + book["pruned"]
        assert book["pruned"] == state(program, bridge)["pruned_by"]["web"]
        assert 0 < book["unsent"]
        assert 0 == program.end()


def test_reload_that_switches_it_off_and_on(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program, flooded(switch, 30, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        written = program.config.read_text()
        program.config.write_text(f"{written}storm: {{enable: false}}\n")
        assert steps_aside(switch, 0)
        assert 1 == program.times("storm.enable: true -> false")
        program.config.write_text(written)
        assert steps_aside(switch)
        assert 0 == program.end(patience=10)
    assert [LEADS_ON] == switch.flows(bridge)


def test_summary_flows_end_with_their_lease_when_all_is_killed(
    switch: PrivateSwitch, bridge: str
) -> None:
    config = f"{CONFIG}\n{LOW_METER}\n{SHORT_LEASE}"
    with Program(switch, config) as program, flooded(switch, 20, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        time.sleep(4)  # longer than a lease
        assert 1 == len(aside(switch))
        program.kill_with_its_will()
        assert 1 == len(aside(switch))
        assert [LEADS_ON] == eventually([LEADS_ON], lambda: switch.flows(bridge), 8)


def test_clean_up_process_removes_summary_flows(switch: PrivateSwitch, bridge: str) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program, flooded(switch, 20, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        program.end(signal.SIGKILL)
        assert [LEADS_ON] == eventually([LEADS_ON], lambda: switch.flows(bridge), 5)


def test_clean_and_the_next_start_remove_what_has_cookie_and_note_of_ours_alone(
    switch: PrivateSwitch, bridge: str
) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program, flooded(switch, 20, 5000):
        assert ready(switch)
        assert steps_aside(switch)
        program.kill_with_its_will()
        dump = switch.ofctl("--no-stats", "dump-flows", bridge, OURS)
        [cookie] = [line.split(",")[0].strip() for line in dump.splitlines() if "note" in line]
    owner = [
        f"table=9,priority=7,{cookie},actions=note:d4.07.00.00.00.00",
        f"table=9,priority=8,actions={NOTE}",
        f"table=9,priority=9,{cookie},actions={NOTE},NORMAL",
    ]
    add_flows(switch, bridge, *owner)
    theirs = [line for line in switch.flows(bridge) if "table=9" in line]
    clean = (str(BIN / "ryu-droplog"), "clean", "--config", str(program.config))
    try:
        run(*clean, timeout=60, env=switch.env)
    except CommandError as error:
        pytest.fail(str(error))
    assert [LEADS_ON, *theirs] == switch.flows(bridge)


def test_restarted_switch_is_watched_again_and_the_flood_steps_aside_again(
    switch: PrivateSwitch, bridge: str, file: File
) -> None:
    with Program(switch, f"{CONFIG}\n{LOW_METER}\n{file.config}") as program:
        with flooded(switch, 60, 5000):
            assert ready(switch)
            assert steps_aside(switch)
            switch.restart_vswitchd()
            add_flows(switch, bridge, LEADS_ON.replace(" actions", ",actions"))
            assert steps_aside(switch)
        assert 0 == eventually(0, lambda: total(program, bridge)["waiting"])
        assert {} == {n: p for n, p in books.status(program)["unexplained"].items() if p}
        assert 0 == program.end()
        assert "do not balance" not in program.said()


def test_random_addresses_make_nothing_step_aside(switch: PrivateSwitch, bridge: str) -> None:
    frames = [
        ethernet(
            IPV4, ipv4(f"10.{n >> 8}.{n & 255}.7", "10.2.0.195", 6, tcp(n, 1 + n * 7 % 50_000))
        )
        for n in range(4096)
    ]
    with Program(switch, f"{CONFIG}\n{LOW_METER}") as program:
        assert ready(switch)
        with load(switch, 20_000, 5000, "one", frames):
            assert eventually(True, lambda: 0 < total(program, bridge)["metered"])
        dropped = led_on(switch)
        book = book_of(program, dropped)
        assert ([], 0) == (aside(switch), book["unsent"])
        assert 10_000 < book["metered"]
        assert 0 == program.end()
