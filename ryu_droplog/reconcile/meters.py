"""The meters of one run on one bridge: one for each table that has a flow of ours."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ryu_droplog.config.settings import Meter
from ryu_droplog.model.errors import SwitchRefusal
from ryu_droplog.openflow import messages
from ryu_droplog.openflow.connection import ANSWER_TIME, Answer, Connection, error_text
from ryu_droplog.openflow.messages import Message
from ryu_droplog.openflow.requests import exchange_many, first_meter, meter_drops, meter_ids
from ryu_droplog.reconcile.counters import Counters


class Meters:
    """Makes meters where they are needed, reads them, and takes them back."""

    def __init__(
        self,
        connection: Connection,
        settings: Meter,
        generation: int,
        counters: Counters,
        name: Callable[[int], str],
    ) -> None:
        """`generation` is the run's; `name` gives the name of a table."""
        self._connection = connection
        self._settings = settings
        self._base = first_meter(generation)
        self._counters = counters
        self._name = name
        self._held: set[int] = set()
        self.available = False
        """Whether the switch has meters at all."""

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._held)

    def provide(self, table_id: int) -> int | None:
        """The table's meter, made if need be; None: it may go without, and the switch has none.

        Raises SwitchRefusal when it may not, or when the switch refuses.
        """
        if not self.available:
            if self._settings.required:
                raise SwitchRefusal("the switch has no meters, and meter.required is true")
            return None
        meter_id = self._base + table_id
        if meter_id not in self._held:
            add = messages.add_meter(
                self._connection, meter_id, self._settings.rate, self._settings.burst
            )
            [answer] = self._connection.exchange([add])
            if answer.error:
                raise SwitchRefusal(f"the switch refuses the meter: {error_text(answer.error)}")
            self._held.add(meter_id)
            self._counters.forget_meters([table_id])
        return meter_id

    def change(self, settings: Meter) -> None:
        """Give those that are there another rate; they go on counting."""
        if (settings.rate, settings.burst) != (self._settings.rate, self._settings.burst):
            modify = [
                messages.modify_meter(self._connection, meter_id, settings.rate, settings.burst)
                for meter_id in sorted(self._held)
            ]
            exchange_many(self._connection, modify)
        self._settings = settings

    def forget_lost(self) -> set[int]:
        """Note which of them somebody has deleted; returns their tables, which need new ones."""
        lost = self._held - set(meter_ids(self._connection)) if self._held else set()
        self._held -= lost
        tables = {meter_id - self._base for meter_id in lost}
        self._counters.forget_meters(tables)
        return tables

    def read(self, answer_time: float = ANSWER_TIME) -> dict[int, int]:
        """Bring the books up to date; the switch has `answer_time` seconds.

        Returns what each meter, by its id, has dropped since it was made.
        """
        drops = meter_drops(self._connection, sorted(self._held), answer_time)
        for meter_id, packets in drops.items():
            table_id = meter_id - self._base
            self._counters.meter(table_id, self._name(table_id), packets)
        return drops

    def on_switch(self) -> list[int]:
        """The meters of this program that are on the switch, of whatever run."""
        return meter_ids(self._connection) if self.available else []

    def read_former(self, meters: Collection[int]) -> None:
        """Read those among these that this run has left on an earlier connection.

        They have counted on meanwhile.
        """
        self._held = {meter for meter in meters if 0 <= meter - self._base < 256}
        self.read()
        self._held.clear()

    def removals(self, tables: Collection[int]) -> list[Message]:
        """Messages that delete all that are there, and those that these tables may get."""
        meters = self._held | {self._base + table_id for table_id in tables}
        return [messages.delete_meter(self._connection, meter) for meter in sorted(meters)]

    def remove(self, answer_time: float) -> list[Answer]:
        """Delete them; an exchange has `answer_time` seconds."""
        return exchange_many(self._connection, self.removals(()), answer_time)
