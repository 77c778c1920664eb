"""The terminal view of `ryu-droplog top`, drawn by Textual."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import DataTable, Footer, Input, Static

from ryu_droplog.cli.observing import Observation, records
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.observe import client, top_page
from ryu_droplog.observe.query import QueryError
from ryu_droplog.observe.tallies import SORTS, VIEWS, Row, Tallies
from ryu_droplog.records.json_text import to_json
from ryu_droplog.records.record import Record
from ryu_droplog.text.printable import plain

REFRESH = 1.0
"""Seconds between two drawings, and between two looks at the books."""
EXPLAIN_TIME = 60.0
"""Seconds that `explain` has."""
SHOWN = 200
"""Rows that are drawn at most."""


class Explained(ModalScreen[None]):
    """What `explain` says of one drop."""

    CSS = "Explained { align: center middle; } VerticalScroll { width: 95%; height: 90%; }"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "app.pop_screen", "Back"),
    ]

    def __init__(self, record: Record, config: str | None) -> None:
        super().__init__()
        self._record, self._config = record, config

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(Text("asking ryu-droplog explain ..."), id="said")

    def on_mount(self) -> None:
        """Ask in a thread: the view goes on."""
        self.run_worker(self._ask, thread=True, exit_on_error=False)

    def _ask(self) -> None:
        command = [sys.executable, "-m", "ryu_droplog", "explain", "-"]
        command += ["--config", self._config] if self._config else []
        try:
            done = subprocess.run(
                command,
                input=to_json(self._record) + b"\n",
                capture_output=True,
                timeout=EXPLAIN_TIME,
                check=False,
            )
            said = plain((done.stdout + done.stderr).decode(errors="replace"))
        except (OSError, subprocess.TimeoutExpired) as error:
            said = plain(f"explain: {error}")
        if not self.app.is_running:
            return
        self.app.call_from_thread(self._show, said)

    def _show(self, said: str) -> None:
        if self.is_attached:
            self.query_one("#said", Static).update(Text(said))


class TopView(App[None]):
    """Counts the records of an observation, and shows what was counted."""

    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #head, #books { height: auto; max-height: 4; padding: 0 1; }
    DataTable { height: 1fr; }
    Input { display: none; height: 3; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("v", "view", "View"),
        Binding("s", "sort", "Sort"),
        Binding("slash", "filter", "Filter", key_display="/"),
        Binding("p", "pause", "Pause"),
        Binding("e", "explain", "Explain"),
        Binding("q", "quit", "Quit"),
        Binding("escape", "unfilter", "All rows", show=False),
    ]

    def __init__(self, asked: Observation, sort: str, config: str | None) -> None:
        super().__init__()
        self.failure: QueryError | None = None
        """Why there are no records any more."""
        self._asked, self._config = asked, config
        self._tallies, self._lock = Tallies(), threading.Lock()
        self._books: dict[str, Mapping[str, int]] = {}
        self._view, self._sort, self._text = next(iter(VIEWS)), sort, ""
        self._paused = self._stopping = False
        self._rows: list[Row] = []

    def compose(self) -> ComposeResult:
        yield Static(id="head")
        table: DataTable[Text] = DataTable(cursor_type="row", zebra_stripes=True)
        yield table
        yield Input(placeholder="rows with this text; Enter shows them, Escape shows all")
        yield Static(id="books")
        yield Footer()

    def on_mount(self) -> None:
        """Begin to read."""
        table = self.query_one(DataTable)
        table.add_column("packets", width=9)
        table.add_column("rate/s", width=7)
        table.add_column("last minute", width=12)
        table.add_column("what")
        table.focus()
        threading.Thread(target=self._read, daemon=True).start()
        if self._asked.place == "program":
            threading.Thread(target=self._read_books, daemon=True).start()
        self.set_interval(REFRESH, self._refresh)
        self._draw()

    def on_unmount(self) -> None:
        """Let the threads end."""
        self._stopping = True

    def _read(self) -> None:
        try:
            for said in records(self._asked):
                if self._stopping:
                    return
                with self._lock:
                    self._tallies.take(said)
        except QueryError as error:
            self.failure = error
            if self.is_running:
                self.call_from_thread(self.exit)

    def _read_books(self) -> None:
        while not self._stopping:
            try:
                answers = list(client.status(self._asked.run_directory))
            except DropLogError:
                answers = []  # that it ended is said by whoever reads its records
            with self._lock:
                self._books = top_page.take_books(self._tallies, answers)
            time.sleep(REFRESH)

    def _refresh(self) -> None:
        if not self._paused:
            self._draw()

    def _draw(self) -> None:
        with self._lock:
            now = time.time() if self._asked.follow else self._tallies.latest
            found = self._tallies.views[self._view].rows(self._sort, now, self._text)
            drawn = [
                (f"{row.packets:>9,}", f"{row.rate(now):>7.1f}", row.curve(now, 12), row.label)
                for row in found[:SHOWN]
            ]
            head = top_page.summary(self._tallies, now)
            impact = self._tallies.impacts.at(now).in_words()
            books = top_page.books_lines(self._books)
        self._rows = found[:SHOWN]
        head += f"   by {VIEWS[self._view].title}, sorted by {self._sort}"
        head += f', rows with "{plain(self._text)}"' if self._text else ""
        head += "   PAUSED" if self._paused else ""
        head += f"\nimpact (inferred): {impact}" if impact else ""
        self.query_one("#head", Static).update(Text(head))
        self.query_one("#books", Static).update(Text("\n".join(books[:4])))
        table = self.query_one(DataTable)
        at, scroll = table.cursor_row, table.scroll_y
        table.clear()
        for cells in drawn:
            table.add_row(*(Text(cell) for cell in cells))
        if drawn:
            table.move_cursor(row=min(at, len(drawn) - 1), scroll=False)
            table.scroll_to(y=scroll, animate=False)

    def action_view(self) -> None:
        """The next view."""
        names = list(VIEWS)
        self._view = names[(names.index(self._view) + 1) % len(names)]
        self._draw()

    def action_sort(self) -> None:
        """The next order."""
        names = list(SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self._draw()

    def action_pause(self) -> None:
        """Keep what is drawn, or go on; counting goes on."""
        self._paused = not self._paused
        self._draw()

    def action_filter(self) -> None:
        """Ask for a text."""
        asked = self.query_one(Input)
        asked.display = True
        asked.focus()

    def action_unfilter(self) -> None:
        """All rows again."""
        self._take("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Take the text."""
        self._take(event.value)

    def _take(self, text: str) -> None:
        self._text = text
        asked = self.query_one(Input)
        asked.value, asked.display = text, False
        self.query_one(DataTable).focus()
        self._draw()

    def on_data_table_row_selected(self) -> None:
        """Enter is `explain`, too."""
        self.action_explain()

    def action_explain(self) -> None:
        """Open the last drop of the row."""
        at = self.query_one(DataTable).cursor_row
        record = self._rows[at].record if 0 <= at < len(self._rows) else None
        if record is not None:
            self.push_screen(Explained(record, self._config))
