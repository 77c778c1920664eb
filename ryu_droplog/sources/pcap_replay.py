"""`ryu-droplog replay`: the drops whose logs are in a capture, as if they came now."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import BinaryIO, cast

import click

from ryu_droplog.config.settings import Settings
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import DropLogError, MalformedMessage, why
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames, PolicyNames
from ryu_droplog.packet import geneve, headers
from ryu_droplog.packet.encapsulated_udp import Datagram, datagram
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.processing.chain import Chain
from ryu_droplog.processing.filter import FilterSet
from ryu_droplog.processing.shares import Share
from ryu_droplog.sinks.formats import Encoding, text_format
from ryu_droplog.sinks.packet_events import packet_event
from ryu_droplog.sources.geneve_log import GeneveLogReader, senders
from ryu_droplog.sources.pcap_file import CaptureError, Packet, packets
from ryu_droplog.text.phrases import count

PORTS = (headers.GENEVE_PORT, headers.DROP_LOG_PORT)
"""UDP ports whose datagrams are looked at."""
_PORTS = "port " + " or ".join(map(str, PORTS))
SOURCE = "capture"
"""Name of the source of all drops."""
EVENT = "event"
"""The format of packet events, beside those of the log."""
STEP = 1000
"""Packets between two looks at how far the file is read."""
CHUNK = 64 * 1024
"""Characters that are written at once, where nobody waits for them."""


class _Unwritable(DropLogError):
    """Standard output takes no more lines."""


class Replay:
    """Sends what is in captures down the chain, and writes what comes out."""

    def __init__(
        self,
        settings: Settings,
        pipelines: Mapping[str, Pipeline],
        form: str,
        *,
        prune: bool,
        live: bool,
    ) -> None:
        """`form` is a format's name; `live`: every line is written at once."""
        self.books = SourceBooks()
        self.packets = 0
        self.others = 0
        """Packets that are no datagrams to one of `PORTS`."""
        self.snapped = 0
        """Packets of which not all was captured."""
        self.cut = 0
        """Datagrams of which less was captured than what tells the table."""
        self.written = 0
        self.permitted = 0
        self.complaints: list[str] = []
        """The first of what was wrong with datagrams."""
        explanations = Explanations()
        names = senders(pipelines, settings.by_pipeline)
        logs = GeneveLogReader(SOURCE, names, self.books, explanations)
        opflex = settings.opflex
        policies = PolicyNames(opflex.ids_directory)
        policies.poll()
        logs.learn_opflex_names(OpflexNames(policies.names, opflex.shown_tenants))
        filters = [FilterSet(settings.prune)] if prune and settings.prune else []
        self._chain = Chain(logs, self.books, None, [self], filters)
        self._events = form == EVENT
        self._spell = (
            (lambda drop: packet_event(drop).decode())
            if self._events
            else text_format(cast(Encoding, form), explanations.explain).full
        )
        self._live = live
        self._waiting: list[str] = []
        self._size = 0

    def run(self, packets: Iterable[Packet]) -> None:
        """Replay them all.

        Raises CaptureError where the capture is damaged, OSError where it cannot be read,
        BrokenPipeError where nobody reads the lines.
        """
        try:
            for packet in packets:
                self.packets += 1
                self.snapped += packet.cut
                found = datagram(packet.link_type, packet.data)
                if found is None or found.port not in PORTS:
                    self.others += 1
                    continue
                message = _captured(found) if found.cut and packet.cut else found.payload
                if message is None:
                    self.cut += 1
                    continue
                self._chain.take([message], packet.time, packet.time)
                if self._chain.complaints and len(self.complaints) < 10:
                    complaint = self._chain.complaints.popleft()
                    self.complaints.append(f"packet {self.packets}: {complaint}")
        finally:
            self._flush()

    def put(self, drops: Sequence[Drop], by_table: Sequence[Share]) -> None:
        """The chain's sink."""
        for drop in drops:
            if self._events and drop.location.reason == "PERMIT":
                self.permitted += 1
                continue
            text = self._spell(drop)
            self._waiting.append(text)
            self._size += len(text)
        if self._live or self._size >= CHUNK:
            self._flush()

    def summary(self) -> str:
        """What became of all packets, in a line."""
        books = self.books
        told = [(n, f"filtered by {name}") for name, n in books.filtered_by.most_common()]
        told += [
            (self.permitted, "permitted packets, which are no events"),
            (books.malformed, "datagrams that contradict themselves"),
            (self.cut, "datagrams whose capture ends before it tells the table of a drop"),
            (books.unrecognised, "geneve datagrams without a drop log"),
            (self.others, "other packets"),
        ]
        rest = "".join(f", {number} {words}" for number, words in told if number)
        packets, drops = count(self.packets, "packet"), count(self.written, "drop")
        return f"{packets}: {drops} written{rest}"

    @property
    def nothing(self) -> str | None:
        """What to say when no drop log was among all packets; None when there was one."""
        if self.packets > self.others + self.books.unrecognised:
            return None
        cut = f"; {self.snapped} of them were cut by the capture" if self.snapped else ""
        where = f"Geneve in UDP to {_PORTS}"
        return f"no drop log found in {count(self.packets, 'packet')}: looked for {where}{cut}"

    def _flush(self) -> None:
        if self._waiting:
            data = "".join(f"{text}\n" for text in self._waiting)
            count = len(self._waiting)
            self._waiting, self._size = [], 0
            self.written += count  # before a signal can come between
            try:
                sys.stdout.buffer.write(data.encode("ascii", "backslashreplace"))
                sys.stdout.buffer.flush()
            except OSError as error:
                self.written -= count
                if isinstance(error, BrokenPipeError):
                    raise
                raise _Unwritable(why(error)) from error


def replay(
    path: str, settings: Settings, pipelines: Mapping[str, Pipeline], form: str, prune: bool
) -> int:
    """Replay a file, or standard input for `-`, and tell of it; returns the exit status."""
    if sys.stdout is None:
        click.echo("ryu-droplog: standard output is closed", err=True)
        return 1
    live = path == "-"
    name = "standard input" if live else path
    play = Replay(settings, pipelines, form, prune=prune, live=live)
    status = 0
    try:
        with _opened(path) as file, _progress(file, live) as seen:
            play.run(seen(packets(file)))
    except KeyboardInterrupt:
        pass  # the end of what is live
    except BrokenPipeError:
        _leave_output()  # nobody reads any more
    except _Unwritable as error:
        click.echo(f"ryu-droplog: standard output: {error}", err=True)
        _leave_output()
        status = 1
    except OSError as error:
        click.echo(f"ryu-droplog: {name}: {why(error)}", err=True)
        status = 1
    except CaptureError as error:
        click.echo(f"ryu-droplog: {name}: {error}", err=True)
        status = 1
    for complaint in play.complaints:
        click.echo(f"{name}: {complaint}", err=True)
    if not status and play.nothing:
        click.echo(f"{name}: {play.nothing}", err=True)
    click.echo(play.summary(), err=True)
    return status


def _captured(found: Datagram) -> bytes | None:
    """As much of a drop log as was captured; None where that does not tell its table."""
    message = geneve.without_cut(found.payload)
    if message is None or message is found.payload:
        return message
    try:
        return message if geneve.parse(message) is not None else None
    except MalformedMessage:
        return message  # the chain says so


def _leave_output() -> None:
    """Python flushes standard output at its end: let that have none."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _opened(path: str) -> BinaryIO:
    return os.fdopen(os.dup(0), "rb") if path == "-" else open(path, "rb")


@contextmanager
def _progress(
    file: BinaryIO, live: bool
) -> Iterator[Callable[[Iterable[Packet]], Iterator[Packet]]]:
    """Shows how far a file is read, on a terminal that shows nothing else."""
    if live or sys.stdout.isatty() or not sys.stderr.isatty():
        yield iter
        return
    size = os.fstat(file.fileno()).st_size
    with click.progressbar(length=size, label="replaying", file=sys.stderr) as bar:

        def seen(found: Iterable[Packet]) -> Iterator[Packet]:
            for number, packet in enumerate(found):
                if number % STEP == 0:
                    bar.update(file.tell() - bar.pos)
                yield packet
            bar.update(size - bar.pos)

        yield seen
