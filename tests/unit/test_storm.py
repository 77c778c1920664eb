"""What is done about a storm: the loudest step aside, where and while that harms nobody."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pytest
from drops import GENERATION, location
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace

from ryu_droplog.config.loader import parse
from ryu_droplog.config.settings import Lease, Settings, Storm
from ryu_droplog.model import cookie
from ryu_droplog.openflow.flow_stats import Count, Event, Update
from ryu_droplog.openflow.note import NOTE_ACTION, NOTE_INSTRUCTIONS
from ryu_droplog.openflow.oxm_match import overlap, with_free_bit
from ryu_droplog.openflow.requests import first_meter
from ryu_droplog.openflow.summary_match import narrowed
from ryu_droplog.packet.signature import Signature
from ryu_droplog.processing.loud_flows import LoudFlow, Loudness
from ryu_droplog.processing.summaries import Sample
from ryu_droplog.reconcile.commands import (
    AddFlows,
    DeleteFlows,
    FlowEntry,
    ReadMeters,
    WakeAt,
)
from ryu_droplog.reconcile.desired_state import FlowKey
from ryu_droplog.reconcile.events import (
    Answered,
    CountsRead,
    FlowEnded,
    FlowsChanged,
    MetersRead,
)
from ryu_droplog.reconcile.loudest import SCATTERED
from ryu_droplog.reconcile.storm import (
    COUNTS,
    LINGER,
    LOOK,
    LOOK_IN_STORM,
    QUIET,
    StormControl,
)
from ryu_droplog.reconcile.storm_pauses import CALM, FIRST_PAUSE
from ryu_droplog.reconcile.storm_types import (
    Figures,
    Finished,
    FlowsLeft,
    Looked,
    ReadCountsOf,
    RoomWanted,
    SessionEnded,
    StormCommand,
    StormEvent,
    Tell,
    Watch,
)

SETTINGS = parse("", "droplog.yaml", {})
RATE = SETTINGS.meter.rate
TABLE = 4
KEY = FlowKey(TABLE, 0)
METER = first_meter(GENERATION) + TABLE
SAMPLE = Sample(location(), b"", b"")
IP = bytes.fromhex("80000a02 0800")
DROP = b""
NORMAL = bytes.fromhex("0004001800000000 00000010fffffffa0000000000000000")


def below(
    key: FlowKey = KEY,
    priority: int = 0,
    match: bytes = b"",
    actions: bytes = b"",
    addition: int = 1,
) -> FlowEntry:
    """A flow of ours that sends what it drops."""
    number = cookie.Cookie(True, GENERATION | addition, *key).pack()
    return FlowEntry(key.table_id, priority, match, number, 60, METER, actions)


def signature(number: int, port: int = 80) -> Signature:
    return Signature(1, 0x0800, bytes([10, 0, 0, number]), bytes([10, 0, 1, 1]), 6, port)


def loud(counts: dict[int, int], total: int = 0, flow: FlowEntry | None = None) -> Loudness:
    """What was seen: by the number of the loud flow; `total` of all."""
    sender = (flow or below()).cookie
    flows = [
        (LoudFlow(sender, signature(number)), count, SAMPLE) for number, count in counts.items()
    ]
    return Loudness(total or sum(counts.values()), flows)


class Driver:
    """A control with a clock and one flow of ours, whose commands are kept."""

    def __init__(self, settings: Settings = SETTINGS, flow: FlowEntry | None = None) -> None:
        self.control = StormControl(GENERATION, settings)
        self.now = 100.0
        self.flows = {KEY: flow or below()}
        self.arrived = 0
        self.metered = 0
        self.figures = {TABLE: Figures(0, 0)}
        self.look()

    def step(self, event: StormEvent) -> list[StormCommand]:
        return self.control.step(event, self.now)

    def look(self, loudness: Loudness | None = None, arrived: int = 0) -> list[StormCommand]:
        self.arrived += arrived
        seen = {} if loudness is None else {TABLE: loudness}
        return self.step(Looked(self.arrived, seen, self.flows, self.figures))

    def meter(self, more: int) -> list[StormCommand]:
        self.metered += more
        return self.step(MetersRead("", {METER: self.metered}))

    def storm(self, loudness: Loudness, rounds: int = 2) -> list[StormCommand]:
        """So many looks during a flood; gives back what the meters' readings led to."""
        commands: list[StormCommand] = []
        for _ in range(rounds):
            self.now += LOOK_IN_STORM
            self.look(loudness, arrived=RATE)
            commands += self.meter(5000)
        return commands

    def read(self, **counts: int) -> list[StormCommand]:
        """The counters of the summary flows of those tables' signatures, all alike."""
        packets = counts.get("packets", 0)
        read = [Count(TABLE, 1, b"", e.cookie, packets, False) for e in self.control.held]
        return self.step(CountsRead(COUNTS, read))


def of_kind(commands: Iterable[StormCommand], kind: type) -> list[StormCommand]:
    return [command for command in commands if isinstance(command, kind)]


def deleted(commands: Iterable[StormCommand]) -> list[FlowEntry]:
    return [flow for c in commands if isinstance(c, DeleteFlows) for flow in c.flows]


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def storming(driver: Driver) -> Driver:
    """One loud flow has stepped aside."""
    [added] = of_kind(driver.storm(loud({1: 250})), AddFlows)
    assert isinstance(added, AddFlows)
    driver.step(Answered(added.tag, {}))
    assert 1 == len(driver.control.held)
    return driver


# Who steps aside, and when


def test_few_packets_lead_to_nothing_but_the_next_look(driver: Driver) -> None:
    driver.now += LOOK
    assert [WakeAt(driver.now + LOOK)] == driver.look(arrived=RATE // 5)


def test_many_packets_are_looked_at_and_the_meters_are_read(driver: Driver) -> None:
    driver.now += LOOK
    commands = driver.look(arrived=RATE // 2)
    assert [Watch(True)] == of_kind(commands, Watch)
    assert [METER] == [m for c in commands if isinstance(c, ReadMeters) for m in c.meter_ids]
    driver.now += LOOK_IN_STORM
    assert [Watch(False)] == of_kind(driver.look(), Watch)


def test_loud_flow_steps_aside_just_above_the_flow_that_sends_it(driver: Driver) -> None:
    assert [] == driver.storm(loud({1: 250}), 1), "a burst is no storm"
    [added] = driver.storm(loud({1: 250}), 1)
    assert isinstance(added, AddFlows)
    [entry] = added.flows
    assert (TABLE, 1, narrowed(b"", signature(1))) == (entry.table_id, entry.priority, entry.match)
    assert (NOTE_ACTION, False, 60) == (entry.actions, entry.tells, entry.lease)
    assert cookie.is_summary(entry.cookie)
    assert cookie.of_run(entry.cookie, GENERATION)
    assert [entry] == driver.control.held


def test_meter_that_drops_nothing_makes_nothing_step_aside(driver: Driver) -> None:
    for _ in range(4):
        driver.now += LOOK_IN_STORM
        driver.look(loud({1: 250}), arrived=RATE)
        assert [] == driver.meter(0)


@pytest.mark.parametrize(
    ("flow", "settings"),
    [
        (below(actions=NORMAL[8:]), SETTINGS),
        (below(priority=65535, match=with_free_bit(b"", 15)), SETTINGS),
        (below(match=with_free_bit(bytes.fromhex("80000a02 86dd"), 15)), SETTINGS),
        (below(), replace(SETTINGS, storm=Storm(enable=False))),
    ],
    ids=["its owner does something", "nothing is above", "another family", "switched off"],
)
def test_flow_that_may_not_or_cannot_step_aside_does_not(
    flow: FlowEntry, settings: Settings
) -> None:
    driver = Driver(settings, flow)
    assert [] == of_kind(driver.storm(loud({1: 250}, flow=flow), 4), AddFlows)


def test_scan_makes_nothing_step_aside(driver: Driver) -> None:
    seen = loud(dict.fromkeys(range(1, 60), 1), 250)
    assert [] == driver.storm(seen, 8)
    assert [] == driver.storm(loud({1: 100}, 250), 8), "less than half of all"


def test_table_and_bridge_have_their_most() -> None:
    seen = loud(dict.fromkeys(range(1, 9), 100))
    for storm, most in ((Storm(per_table=5), 5), (Storm(per_bridge=6), 6), (Storm(), 8)):
        driver = Driver(replace(SETTINGS, storm=storm))
        driver.storm(seen)
        assert most == len(driver.control.held)


def test_much_louder_flow_takes_the_room_of_the_quietest() -> None:
    driver = Driver(replace(SETTINGS, storm=Storm(per_table=2)))
    driver.storm(loud({1: 100, 2: 100}))
    driver.now += 3
    driver.read(packets=300)
    commands = driver.storm(loud({3: 250}), 3)
    assert 1 == len(deleted(commands))
    driver.storm(loud({3: 250}))
    sources = [e.match for e in driver.control.held if e.match == narrowed(b"", signature(3))]
    assert 1 == len(sources)


def by_mac(number: int, in_port: int = 1) -> Signature:
    return Signature(in_port, 0x0806, bytes([2, 0, 0, 0, 0, number]), b"\xff" * 6)


def looked_at(signatures: dict[Signature, int]) -> Loudness:
    flows = [(LoudFlow(below().cookie, one), n, SAMPLE) for one, n in signatures.items()]
    return Loudness(sum(signatures.values()), flows)


def test_flow_without_ip_steps_aside_unless_many_macs_come_with_it(driver: Driver) -> None:
    many = {by_mac(number): 1 for number in range(2, 2 + SCATTERED)}
    assert [] == of_kind(driver.storm(looked_at({by_mac(1): 500, **many}), 4), AddFlows)
    elsewhere = {by_mac(number, in_port=2): 1 for number in range(2, 2 + SCATTERED)}
    driver.storm(looked_at({by_mac(1): 500, **elsewhere}), 4)
    driver.storm(looked_at({by_mac(1): 500, **elsewhere}), 4)
    [entry] = driver.control.held
    assert narrowed(b"", by_mac(1)) == entry.match


def test_flow_without_ip_comes_back_when_many_macs_come(driver: Driver) -> None:
    """They are looked for as long as it is aside, however few packets come."""
    driver.storm(looked_at({by_mac(1): 500}))
    held = driver.control.held
    assert 1 == len(held)
    driver.now += 1
    driver.read(packets=1000)
    assert [] == of_kind(driver.look(), Watch)
    many = {by_mac(number): 1 for number in range(1, 2 + SCATTERED)}
    assert held == deleted(driver.look(looked_at(many)))
    assert [] == of_kind(driver.storm(looked_at({by_mac(1): 500}), 3), AddFlows)


# What makes a summary flow go


def test_quiet_flow_comes_back(storming: Driver) -> None:
    packets = 0
    for _ in range(10):
        storming.now += 1
        packets += 1000
        storming.read(packets=packets)
        assert [] == deleted(storming.look())
    gone_after = 0
    while storming.control.held:
        storming.now += 1
        gone_after += 1
        storming.read(packets=packets)
        storming.look()
    assert QUIET == gone_after


def test_flow_that_counts_nothing_is_not_tried_again_at_once(storming: Driver) -> None:
    storming.now += QUIET + 1
    storming.read(packets=0)
    assert 1 == len(deleted(storming.look()))
    assert [] == of_kind(storming.storm(loud({1: 250}), 3), AddFlows)
    storming.now += FIRST_PAUSE
    assert 1 == len(of_kind(storming.storm(loud({1: 250})), AddFlows))


def update(
    priority: int, match: bytes = b"", event: int = Event.ADDED, number: int = 0
) -> FlowsChanged:
    return FlowsChanged([Update(event, TABLE, priority, number, NORMAL, match)])


@pytest.mark.parametrize(
    ("change", "goes"),
    [
        (update(1), True),
        (update(1, IP), True),
        (update(1, event=Event.MODIFIED), True),
        (update(1, event=Event.DELETED), False),
        (update(1, bytes.fromhex("80000a02 86dd")), False),
        (update(2), False),
    ],
)
def test_change_at_its_priority_that_overlaps_makes_it_go_at_once(
    storming: Driver, change: FlowsChanged, goes: bool
) -> None:
    held = storming.control.held
    assert (held if goes else []) == deleted(storming.step(change))
    assert ([] if goes else held) == storming.control.held


def test_pause_grows_where_its_place_is_taken_again_and_again(storming: Driver) -> None:
    pause = FIRST_PAUSE
    for _ in range(4):
        storming.step(update(1))
        storming.now += pause - 3 * LOOK_IN_STORM
        assert [] == of_kind(storming.storm(loud({1: 250})), AddFlows)
        storming.now += LOOK_IN_STORM
        assert 1 == len(of_kind(storming.storm(loud({1: 250})), AddFlows))
        pause *= 2
    storming.now += CALM + 1
    storming.read(packets=10**6)
    storming.step(update(1))
    storming.now += FIRST_PAUSE
    assert 1 == len(of_kind(storming.storm(loud({1: 250})), AddFlows))


def test_refused_place_is_tried_later(driver: Driver) -> None:
    [added] = driver.storm(loud({1: 250, 2: 250}))
    assert isinstance(added, AddFlows)
    assert [] == driver.step(Answered(added.tag, {0: "overlap"}))
    assert [added.flows[1]] == driver.control.held
    assert [] == of_kind(driver.storm(loud({1: 250}), 3), AddFlows)


def test_it_goes_before_the_flow_below_goes_or_changes(storming: Driver) -> None:
    held = storming.control.held
    assert held == deleted(storming.step(FlowsLeft([KEY])))
    assert [] == deleted(storming.step(FlowsLeft([KEY])))
    assert [] == storming.control.held


@pytest.mark.parametrize(
    "flow",
    [None, below(priority=7), below(match=with_free_bit(IP, 15)), below(actions=NORMAL[8:])],
)
def test_it_goes_where_the_flow_below_is_not_what_it_was(
    storming: Driver, flow: FlowEntry | None
) -> None:
    held = storming.control.held
    storming.flows = {} if flow is None else {KEY: flow}
    assert held == deleted(storming.look())


def test_it_makes_room_for_a_flow_of_ours_that_overlaps(storming: Driver) -> None:
    key = FlowKey(TABLE, 1)
    away = below(key, 1, with_free_bit(bytes.fromhex("80000a02 86dd"), 15))
    assert [] == deleted(storming.step(RoomWanted(away)))
    held = storming.control.held
    assert held == deleted(storming.step(RoomWanted(below(key, 1, with_free_bit(IP, 15)))))


def test_other_settings_make_it_go(storming: Driver) -> None:
    storming.control.change(replace(SETTINGS, storm=Storm(per_table=3)))
    assert [] == deleted(storming.look())
    held = storming.control.held
    storming.control.change(replace(SETTINGS, lease=Lease(30, 10)))
    assert held == deleted(storming.look())


def test_end_of_the_session_forgets_what_is_there_but_not_its_last_count(
    storming: Driver,
) -> None:
    [entry] = storming.control.held
    storming.read(packets=500)
    storming.step(SessionEnded())
    assert [] == storming.control.held
    storming.figures = {TABLE: Figures(0, 0)}
    told = of_kind(storming.look(), Tell)
    storming.step(FlowEnded(entry.cookie, TABLE, 800))
    told += of_kind(storming.look(), Tell)
    assert [500, 300] == [t.summary.packets for t in told if isinstance(t, Tell)]


# The books


def test_counts_are_read_once_a_second_and_told_at_the_next_look(storming: Driver) -> None:
    storming.now += 1
    commands = storming.look()
    [reading] = of_kind(commands, ReadCountsOf)
    assert isinstance(reading, ReadCountsOf)
    assert [*storming.control.held, storming.flows[KEY]] == list(reading.flows)
    storming.read(packets=700)
    storming.now += LOOK_IN_STORM
    [told] = of_kind(storming.look(), Tell)
    assert isinstance(told, Tell)
    assert (700, 0, SAMPLE) == (told.summary.packets, told.summary.credited, told.summary.sample)
    assert [] == of_kind(storming.look(), Tell)


def test_packets_of_the_flow_below_are_credited_and_not_told(storming: Driver) -> None:
    """Of 700 that it is credited with, the meter had dropped 300 before it was added."""
    storming.read(packets=700)
    storming.figures = {TABLE: Figures(counted=1000, seen=1300)}
    [told] = of_kind(storming.look(), Tell)
    assert isinstance(told, Tell)
    assert (400, 300) == (told.summary.packets, told.summary.credited)


def test_last_count_is_told_and_then_it_is_forgotten(storming: Driver) -> None:
    [entry] = storming.control.held
    storming.step(FlowsLeft([KEY]))
    storming.step(FlowEnded(entry.cookie, TABLE, 900))
    [told] = of_kind(storming.step(Finished(storming.figures)), Tell)
    assert isinstance(told, Tell)
    assert 900 == told.summary.packets
    assert set() == storming.control.tables


def test_it_is_forgotten_some_time_after_its_end(storming: Driver) -> None:
    [entry] = storming.control.held
    storming.step(FlowEnded(entry.cookie, TABLE, 900))
    assert [] == storming.control.held
    storming.now += LINGER
    storming.look()
    assert set() == storming.control.tables


def test_status_tells_who_has_stepped_aside(storming: Driver) -> None:
    storming.now += 2
    storming.read(packets=700)
    [row] = storming.control.describe(storming.now)
    assert (TABLE, 700, 2.0) == (row["table"], row["packets"], row["seconds"])
    assert "nw_src=10.0.0.1" in row["match"]


# Any history

MATCHES = [b"", IP, bytes.fromhex("80000a02 86dd"), IP + bytes.fromhex("80001604 0a000001")]


class AnyHistory(RuleBasedStateMachine):
    """A switch with an owner who does what he likes; what is told of him is told at once.

    The flow below is a table-miss flow, or above a catch-all drop of the owner's.
    """

    @initialize(priority=st.sampled_from([0, 1]))
    def begin(self, priority: int) -> None:
        storm = Storm(per_table=3, per_bridge=3)
        self.settings = replace(SETTINGS, storm=storm)
        match = with_free_bit(b"", 15) if priority else b""
        self.driver = Driver(self.settings, below(priority=priority, match=match))
        self.ours: dict[int, FlowEntry] = {}
        self.counts: dict[int, int] = {}
        self.owner: list[tuple[int, bytes]] = []
        self.dropped = self.told = self.credited = 0

    def carry_out(self, commands: Sequence[StormCommand]) -> None:
        for command in commands:
            if isinstance(command, AddFlows):
                refused = {}
                for position, entry in enumerate(command.flows):
                    if self.refuses(entry):
                        refused[position] = "overlap"
                    else:
                        self.ours[entry.cookie] = entry
                        self.counts[entry.cookie] = 0
                self.carry_out(self.driver.step(Answered(command.tag, refused)))
            elif isinstance(command, DeleteFlows):
                for entry in command.flows:
                    self.end(entry.cookie)
            elif isinstance(command, Tell):
                self.told += command.summary.packets
                self.credited += command.summary.credited

    def refuses(self, entry: FlowEntry) -> bool:
        """CHECK_OVERLAP: anyone's flow of the same priority that overlaps."""
        return any(p == entry.priority and overlap(m, entry.match) for p, m in self.owner) or any(
            e.priority == entry.priority and overlap(e.match, entry.match)
            for e in self.ours.values()
        )

    def end(self, number: int) -> None:
        if self.ours.pop(number, None) is not None:
            self.carry_out(self.driver.step(FlowEnded(number, TABLE, self.counts[number])))

    @rule(
        seen=st.dictionaries(st.integers(1, 5), st.integers(20, 200), max_size=5),
        metered=st.sampled_from([0, 5000]),
        seconds=st.sampled_from([LOOK_IN_STORM, 1.0, 6.0]),
    )
    def time_passes(self, seen: dict[int, int], metered: int, seconds: float) -> None:
        self.driver.now += seconds
        flow = self.driver.flows.get(KEY)
        loudness = loud(seen, flow=flow) if seen and flow else None
        self.carry_out(self.driver.look(loudness, arrived=RATE if metered else 0))
        self.carry_out(self.driver.meter(metered))

    @rule(seen=st.sets(st.integers(1, 5), min_size=1, max_size=3))
    def flood(self, seen: set[int]) -> None:
        for _ in range(3):
            self.time_passes(dict.fromkeys(seen, 200), 5000, LOOK_IN_STORM)

    @rule(packets=st.integers(0, 10_000))
    def packets_come(self, packets: int) -> None:
        for number in self.ours:
            self.counts[number] += packets
            self.dropped += packets

    @rule()
    def counters_are_read(self) -> None:
        counts = [Count(TABLE, 1, b"", n, self.counts[n], False) for n in self.ours]
        self.carry_out(self.driver.step(CountsRead(COUNTS, counts)))

    @rule(above=st.sampled_from([0, 1, 2]), match=st.sampled_from(MATCHES))
    def owner_adds(self, above: int, match: bytes) -> None:
        """At the priority of the flow below it goes, with all above it, as the reconciler does."""
        priority = self.below_priority() + above
        self.owner.append((priority, match))
        self.carry_out(self.driver.step(update(priority, match)))
        if above == 0:
            self.carry_out(self.driver.step(FlowsLeft([KEY])))
            self.driver.flows = {}

    @precondition(lambda self: self.owner)
    @rule(data=st.data())
    def owner_deletes(self, data: st.DataObject) -> None:
        priority, match = gone = data.draw(st.sampled_from(self.owner))
        self.owner.remove(gone)
        self.carry_out(self.driver.step(update(priority, match, Event.DELETED)))

    @rule()
    def owner_deletes_ours(self) -> None:
        for number, entry in list(self.ours.items()):
            change = Update(
                Event.DELETED, TABLE, entry.priority, number, NOTE_INSTRUCTIONS, entry.match
            )
            self.carry_out(self.driver.step(FlowsChanged([change])))
            self.end(number)

    @rule()
    def flow_below_is_added_again(self) -> None:
        if not any(p == self.below_priority() for p, _ in self.owner):
            self.driver.flows = {KEY: self.flow_below()}

    @rule()
    def settings_change_and_change_back(self) -> None:
        self.driver.control.change(replace(self.settings, storm=Storm(enable=False)))
        self.carry_out(self.driver.look())
        assert {} == self.ours
        self.driver.control.change(self.settings)

    def below_priority(self) -> int:
        self.kept = getattr(self, "kept", None) or self.driver.flows.get(KEY)
        assert self.kept is not None
        return self.kept.priority

    def flow_below(self) -> FlowEntry:
        self.below_priority()
        assert self.kept is not None
        return self.kept

    @invariant()
    def no_flow_of_the_owners_is_outranked(self) -> None:
        """Nor is one beside ours at the same priority: which of them counts, nobody knows."""
        if not hasattr(self, "driver"):
            return
        for entry in self.ours.values():
            assert KEY in self.driver.flows
            assert self.below_priority() + 1 == entry.priority
            for priority, match in self.owner:
                if priority <= entry.priority:
                    assert not overlap(match, entry.match)

    @invariant()
    def control_knows_what_is_there(self) -> None:
        if hasattr(self, "driver"):
            assert self.ours.keys() == {entry.cookie for entry in self.driver.control.held}
            assert len(self.ours) <= 3

    def teardown(self) -> None:
        """At the end nothing is left, and every packet that was counted is told."""
        if not hasattr(self, "driver"):
            return
        self.carry_out(self.driver.step(FlowsLeft([KEY])))
        assert {} == self.ours
        self.carry_out(self.driver.step(Finished({TABLE: Figures(0, 0)})))
        assert (self.dropped, 0) == (self.told, self.credited)


AnyHistory.TestCase.settings = hypothesis_settings(max_examples=60, stateful_step_count=40)
TestAnyHistory = AnyHistory.TestCase
