"""Receives the datagrams in which the OpFlex agent's switch reports its drops.

A thread of its own reads, in batches, and nothing else: on a busy machine the socket's buffer is
all the time there is.
"""

from __future__ import annotations

import socket
import time
from _socket import socket as Socket
from collections.abc import Mapping
from contextlib import suppress
from struct import Struct
from types import ModuleType
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ryu_droplog.config.endpoint import UdpEndpoint, parse_receive
from ryu_droplog.config.settings import Settings
from ryu_droplog.connections.shared_port import port_shared
from ryu_droplog.model.accounting import SourceBooks
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.owners.explanations import Explanations
from ryu_droplog.owners.opflex_names import OpflexNames
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.schema.expected import Expected
from ryu_droplog.sources.base import Route
from ryu_droplog.sources.geneve_log import GeneveLogReader, Sender, senders
from ryu_droplog.sources.receiver import Receiver, ReceiverContext

BUFFER = 128 * 1024 * 1024
"""Bytes of the receive buffer that are asked for; net.core.rmem_max is the limit without root."""
BATCH = 512
"""Datagrams that are handed on at once, at most."""
LONGEST = 65_535
"""Bytes that a datagram can have."""
WAKE = 0.2
"""Seconds without a datagram after which the thread looks whether to stop."""

_SO_RCVBUFFORCE = 33  # asm-generic/socket.h
_SO_MEMINFO = 55
_TIMEVAL = Struct("@ll")
_MEMINFO = Struct("=9I")  # linux/sock_diag.h: SK_MEMINFO_*, the last one: SK_MEMINFO_DROPS


class GeneveSocket(Receiver):
    """Drop logs of the OpFlex agent's switch, in Geneve datagrams.

    One socket, and its books: a book for each bridge and table that it tells of.
    """

    KEY = Annotated[
        Annotated[int | str, AfterValidator(parse_receive)] | None,
        Expected("ADDRESS:PORT, a port, or null"),
        Field(
            description="where the drop logs of the OpFlex agent's switch are received;"
            " null: nowhere",
            examples=["127.0.0.1:50000"],
        ),
    ]

    def __init__(
        self,
        endpoint: UdpEndpoint,
        senders: Mapping[int, Sender],
        route: Route,
        threads: ModuleType,
        explanations: Explanations | None = None,
        beside: GeneveSocket | None = None,
    ) -> None:
        """Open the socket; raises ConfigError where that is not possible.

        `explanations` is told who explains the drops; None: they are of its own. `beside` may hold
        the same port at another address, and is to be closed soon: until then each datagram comes
        to the one whose address is more specific. `threads` is `threading` as it was before
        eventlet changed it.
        """
        self.place = endpoint
        name, books = f"geneve {endpoint}", SourceBooks()
        self._logs = GeneveLogReader(name, senders, books, explanations)
        self._stopping = False
        shared = beside is not None and beside.place.port == endpoint.port
        self._socket: Socket = _open(endpoint, beside._socket if beside and shared else None)
        try:
            super().__init__(name, self._logs, books, route, threads)
        except BaseException:  # a thread that cannot be started, say
            self._socket.close()
            if hasattr(self, "ingress_queue"):
                self.ingress_queue.close(0.0)
            raise
        self._thread = threads.Thread(target=self._run, name=f"receive-{endpoint}", daemon=True)

    @classmethod
    def prepare(
        cls, place: UdpEndpoint, context: ReceiverContext, beside: GeneveSocket | None
    ) -> GeneveSocket:
        names = senders(context.pipelines, context.settings.by_pipeline)
        return cls(place, names, context.route, context.threads, context.explanations, beside)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def change(self, settings: Settings, pipelines: Mapping[str, Pipeline]) -> None:
        """Take other names of the bridges that report drops."""
        self._logs.change(senders(pipelines, settings.by_pipeline))

    def learn_opflex_names(self, names: OpflexNames) -> None:
        """Take what the OpFlex agent calls its policies and groups."""
        self._logs.learn_opflex_names(names)

    def how(self) -> str:
        return f"receiving, with a buffer of {self.buffer} bytes"

    @property
    def buffer(self) -> int:
        """Bytes that the socket's buffer has, 0 once it is closed.

        The kernel doubles what it is asked for.
        """
        try:
            return self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        except OSError:
            return 0

    def read_counters(self, seconds: float) -> bool:
        """Bring the books up to date; False when that took too long."""
        self._count_missed()
        return super().read_counters(seconds)

    def close(self, seconds: float) -> None:
        """Read what is in the buffer, for so many seconds at most, and send it to the sinks."""
        with suppress(OSError):  # from now on nothing comes but from itself (connect(2))
            self._socket.connect((self.place.host, self.place.port))
        self._stopping = True
        if self._thread.ident is not None:
            self._thread.join(seconds)
        else:
            self._run()  # to the end of what has come
        self._count_missed()
        self._socket.close()
        super().close(seconds)

    def state(self) -> dict[str, Any]:
        """The books, for `status`."""
        return {"connected": not self._stopping, "buffer": self.buffer, **super().state()}

    def _run(self) -> None:
        receive, put = self._socket.recv, self.ingress_queue.put
        while True:
            stopping = self._stopping  # then what came before is still read
            try:
                batch = [receive(LONGEST, socket.MSG_DONTWAIT if stopping else 0)]
            except OSError:  # nobody sent anything for a while, or the socket is closed
                if stopping:
                    return
                continue
            read_at = time.time()
            try:
                while len(batch) < BATCH:
                    batch.append(receive(LONGEST, socket.MSG_DONTWAIT))
            except OSError:  # that was all
                pass
            put(batch, read_at)

    def _count_missed(self) -> None:
        """What SO_RXQ_OVFL would tell with the next datagram, if there ever is one."""
        try:
            info = self._socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:  # it is closed, and was counted then
            return
        self._books.missed = _MEMINFO.unpack(info)[-1]


def _open(endpoint: UdpEndpoint, beside: Socket | None) -> Socket:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    sock = Socket(family, socket.SOCK_DGRAM)
    try:
        try:
            sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, BUFFER)
        except PermissionError:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        timeout = _TIMEVAL.pack(0, round(WAKE * 1_000_000))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, timeout)
        with port_shared(*((sock, beside) if beside is not None else ())):
            sock.bind((endpoint.host, endpoint.port))
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            where = f"receive.geneve: cannot listen at {endpoint}"
            raise ConfigError(f"{where}: {why(error)}") from error
        raise
    return sock
