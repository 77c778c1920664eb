"""The dropped packets themselves, for Wireshark: each with its port, and whose it was."""

from __future__ import annotations

import os
import posix
import stat
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import Field

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.packet.deep.ethernet import decode
from ryu_droplog.packet.packet_in import context as switch_context
from ryu_droplog.plugins.sink_options import LogPath, SinkOptions
from ryu_droplog.records.keys import Keys
from ryu_droplog.sinks import pcapng_blocks as blocks
from ryu_droplog.sinks.base import LINGER, BatchSink
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.formats import additions
from ryu_droplog.sinks.line import DROP_REASON_TEXT
from ryu_droplog.sinks.rotation import RotatedFile, RotateKeys, Target

APPLICATION = "ryu_droplog"


class Interface(NamedTuple):
    """A port of a bridge, or a bridge where the port is not known."""

    name: str
    description: str


class Item(NamedTuple):
    """A packet, all but the number of its interface in the file."""

    interface: Interface
    nanoseconds: int
    captured: int
    length: int
    rest: bytes


class _Written(NamedTuple):
    """What is in the file with a packet."""

    end: int
    """Where the packet's block ends in what is written at once."""
    interfaces: int
    """Interfaces that the file has then."""


class Pcapng(BatchSink):
    """One section a file, whole blocks in each write.

    A file that is begun has one writer. What is at the path already is put aside as by rotation.
    """

    BATCH = 2_000

    class Options(SinkOptions):
        """The keys of such a sink."""

        path: LogPath = Field(
            description="the file, absolute or inside `log_directory`; what it has already is put"
            " aside as by `rotate`",
            examples=["drops.pcapng"],
        )
        snaplen: Annotated[int, Field(ge=14, le=262_144)] = Field(
            default=262_144, description="bytes of a packet that are kept at most", examples=[256]
        )
        payload: Literal["headers", "full"] = Field(
            default="full", description="`headers`: a packet is kept up to the end of its headers"
        )
        rotate: RotateKeys = Field(
            default=RotateKeys(bytes=100_000_000), description="when the next file is begun"
        )

        def file(self) -> str:
            return self.path

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options = spec.options
        self._snaplen: int = options.snaplen
        self._headers_only = options.payload == "headers"
        self._bridges = context.bridges
        self._keys = Keys()
        self._head = blocks.section(f"{APPLICATION} {metadata.version('ryu-droplog')}")
        self._file = RotatedFile(
            Path(options.path), options.rotate, self.tell, context.threads, self._head
        )
        self._begun = 0
        self._interfaces: dict[Interface, int] = {}
        """Those that the file has, by their numbers in it."""

    def start(self) -> None:
        """Open the file, so that a mistake shows at once, then begin to write."""
        self._file.start()
        try:
            self._ready(0)
        except _CutError as cut:
            self.note(why(cut.error))
        super().start()

    def tell(self, notice: str) -> None:
        """What the user should know of the file."""
        self.notices.append(f"{self.name}: {notice}")

    def encode(self, drop: Drop) -> Item:
        frame, location = drop.frame, drop.location
        walk, headers_end = decode(frame)
        signature, _problem = self._keys.signature_and_problem(location, walk)
        repeated = f" REPEATED={drop.repeated}" if drop.repeated else ""
        comment = (
            f"{DROP_REASON_TEXT[location]}{additions(drop, self.explain, self.identify)}"
            f" SIGNATURE={signature}{repeated}"
        )
        kept = frame[: min(self._snaplen, headers_end) if self._headers_only else self._snaplen]
        return Item(
            self._interface(drop),
            blocks.nanoseconds_of(drop.time),
            len(kept),
            len(frame),
            blocks.rest_of_packet(kept, comment),
        )

    def write(self, items: Sequence[Item]) -> int:
        done = 0
        try:
            while done < len(items):
                done += self._write_some(items[done:] if done else items)
        except _CutError as cut:
            done += cut.packets
            self.note(why(cut.error))
        except OSError as error:
            self.note(why(error))
        else:
            self.note(None)
        return done

    def _interface(self, drop: Drop) -> Interface:
        location = drop.location
        port = switch_context(drop.metadata).in_port
        if not port:
            return Interface(location.bridge, f"bridge {location.bridge}")
        name = self._bridges.port_name(location.key[0], port)
        return Interface(
            name or f"{location.bridge}:{port}", f"bridge {location.bridge}, port {port}"
        )

    def _write_some(self, items: Sequence[Item]) -> int:
        """Write as many packets as the file has room for, at least one; returns their number."""
        descriptor, room = self._ready(self._size(items[0]))
        data = bytearray()
        written = [_Written(0, len(self._interfaces))]
        for item in items:
            head = b""
            number = self._interfaces.get(item.interface)
            if number is None:
                number = len(self._interfaces)
                head = blocks.interface(*item.interface, self._snaplen)
            block = blocks.packet(number, item.nanoseconds, item.captured, item.length, item.rest)
            if data and room is not None and len(data) + len(head) + len(block) > room:
                break
            self._interfaces[item.interface] = number
            data += head
            data += block
            written.append(_Written(len(data), len(self._interfaces)))
        self._write_blocks(descriptor, data, written)
        return len(written) - 1

    def _size(self, item: Item) -> int:
        """Bytes that a packet needs in a new file at most."""
        interface = blocks.interface(*item.interface, self._snaplen)
        return len(interface) + len(blocks.packet(0, 0, 0, 0, item.rest))

    def _ready(self, coming: int) -> Target:
        """Where to write now, with the head of the file in it; raises OSError."""
        target = self._file.target(coming)
        if self._file.begun == self._begun:
            return target
        self._begun = 0
        self._interfaces.clear()
        self._write_blocks(target.descriptor, self._head, [_Written(0, 0)])
        self._begun = self._file.begun
        return self._file.target(coming)

    def _write_blocks(
        self, descriptor: int, data: bytes | bytearray, packets: Sequence[_Written]
    ) -> None:
        """Write all; raises _CutError where that is not possible, and leaves no block half.

        `packets` begins with what is there before.
        """
        done = 0
        rest = memoryview(data)
        try:
            while done < len(data):
                try:
                    done += posix.write(descriptor, rest[done:])
                except BlockingIOError:
                    if self.abandoned.wait(LINGER):
                        raise
        except OSError as error:
            whole = [packet for packet in packets if packet.end <= done]
            self._end_behind(descriptor, done - whole[-1].end, whole[-1].interfaces)
            raise _CutError(error, len(whole) - 1) from error

    def _end_behind(self, descriptor: int, surplus: int, interfaces: int) -> None:
        """Take away what was written behind the last whole packet.

        From a FIFO nothing can be taken: whoever reads it next has a section of its own.
        """
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            posix.ftruncate(descriptor, status.st_size - surplus)
            for interface in list(self._interfaces)[interfaces:]:
                del self._interfaces[interface]
        else:
            self._file.close()

    def finish(self) -> None:
        self._file.finish()


class _CutError(Exception):
    """What could not be written whole."""

    def __init__(self, error: OSError, packets: int) -> None:
        super().__init__(str(error))
        self.error = error
        self.packets = packets
        """Packets that are whole in the file."""
