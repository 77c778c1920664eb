"""Drops to Fluentd, Fluent Bit and whatever else takes Fluentd's forward protocol."""

from __future__ import annotations

import socket
import time
from collections import deque
from typing import Annotated, Any

from pydantic import Field, model_validator

from ryu_droplog.config.sink_spec import SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import why
from ryu_droplog.schema.expected import Expected
from ryu_droplog.schema.fields import TIME, Directory, checked_by
from ryu_droplog.schema.units import Duration
from ryu_droplog.sinks.context import SinkContext
from ryu_droplog.sinks.delivery import Chunk, NotAcknowledged, NotSent
from ryu_droplog.sinks.fluent_protocol import (
    Answers,
    Handshake,
    WrongAnswer,
    acknowledged,
    chunk_name,
    entry,
    greeting,
    packed_forward,
    record_of,
)
from ryu_droplog.sinks.forwarding import ForwardingSink
from ryu_droplog.sinks.forwarding_options import DeliveryOptions
from ryu_droplog.sinks.receiver_address import ReceiverAddress, address_check, parse_address
from ryu_droplog.sinks.secrets import PasswordOptions, Secret, Variable, read_secret
from ryu_droplog.sinks.stream import Stream
from ryu_droplog.sinks.tls import TlsOptions, client_context

HANDSHAKE_TIME = 10.0
"""Seconds that a receiver has for each answer of the handshake."""
GREETING_TIME = 0.5
"""Seconds in which a receiver that wants a shared key says so. Waited for at each connection where
neither a key is configured nor acknowledgements are asked for: nobody else would say that what is
sent is thrown away."""
REMEMBERED = 64
"""Chunks of a connection whose second acknowledgement is known as one."""
SCHEMES = ("tcp", "tls", "unix")

_Server = Annotated[str, checked_by(address_check(*SCHEMES))]
_Name = Annotated[
    str, Field(pattern=r"^[!-~]+$", max_length=255), Expected("1 to 255 characters without spaces")
]


class FluentOptions(DeliveryOptions, PasswordOptions):
    """The keys of such a sink."""

    servers: Annotated[
        tuple[_Server, ...],
        Field(strict=False, min_length=1, max_length=64),
        Expected("a list of tcp:HOST:PORT, tls:HOST:PORT or unix:/absolute/path"),
    ] = Field(
        description="where receivers are: when one fails, the next one of the list has its turn",
        examples=[["tcp:127.0.0.1:24224"]],
    )
    tag: _Name = Field(default="ovs.drop", description="by which receivers route the events")
    require_ack: bool = Field(
        default=False,
        description="`true`: the receiver is to acknowledge each chunk, and what it does not"
        " acknowledge is not written",
    )
    ack_timeout: Annotated[float, Duration("100ms", "1h"), TIME] = Field(
        default=30.0, description="how long an acknowledgement is waited for"
    )
    gzip: bool = Field(default=False, description="`true`: chunks are compressed")
    tls: TlsOptions | None = Field(default=None, description="for servers with `tls:`")
    shared_key_file: Directory | None = Field(
        default=None,
        description="a file with the shared key, without the line's end; read at each connection",
    )
    shared_key_env: Variable | None = Field(
        default=None, description="the environment variable that holds the shared key"
    )
    user: _Name | None = Field(
        default=None, description="who we are, where the receiver asks for a user's password"
    )
    hostname: _Name | None = Field(
        default=None, description="what we call ourselves to the receiver; null: the node's name"
    )

    @model_validator(mode="after")
    def _keys_fit_together(self) -> FluentOptions:
        if self.delivery == "at_least_once" and not self.require_ack:
            raise ValueError("require_ack: true beside delivery: at_least_once")
        if self.tls is not None and not any(each.startswith("tls:") for each in self.servers):
            raise ValueError("a server with tls: beside the key tls")
        if self.shared_key_file is not None and self.shared_key_env is not None:
            raise ValueError("either shared_key_file or shared_key_env")
        has_key = self.shared_key_file is not None or self.shared_key_env is not None
        has_password = self.password_file is not None or self.password_env is not None
        if self.user is not None and not (has_key and has_password):
            raise ValueError("a shared key and a password beside user")
        if has_password and self.user is None:
            raise ValueError("user beside its password")
        return self

    def shared_key(self) -> Secret | None:
        """The shared key, read now; None: there is no handshake. Raises ConfigError."""
        return read_secret("shared_key", self.shared_key_file, self.shared_key_env)


class Connection:
    """A connection to one receiver, after the handshake."""

    def __init__(self, stream: Stream, address: ReceiverAddress) -> None:
        self.stream = stream
        self.address = address
        self.keepalive = True
        self._answers = Answers()
        self._acknowledged: deque[str] = deque(maxlen=REMEMBERED)

    def answer(self, deadline: float) -> Any:
        """The next answer. Raises OSError and WrongAnswer."""
        while (answer := self._answers.next()) is None:
            self._answers.feed(self.stream.receive(deadline))
        return answer

    def expect_nothing(self) -> None:
        """Look at what has come unasked. Raises WrongAnswer where that is no acknowledgement."""
        self._answers.feed(self.stream.take_early())
        while (answer := self._answers.next()) is not None:
            acknowledged(answer)

    def wait_for(self, chunk: str, deadline: float) -> None:
        """Wait until the chunk is acknowledged; a second acknowledgement of another is nothing."""
        while True:
            name = acknowledged(self.answer(deadline))
            if name == chunk:
                self._acknowledged.append(name)
                return
            if name not in self._acknowledged:
                raise WrongAnswer("an acknowledgement of a chunk that was not sent")


class Fluent(ForwardingSink):
    """Drops to Fluentd, Fluent Bit and Vector, in chunks, acknowledged where it is asked for.

    It stays with a receiver until that fails.
    """

    Options = FluentOptions

    def __init__(self, spec: SinkSpec, context: SinkContext) -> None:
        super().__init__(spec, context)
        options: FluentOptions = spec.options
        self._options = options
        self._packer = context.packer(options.encode, options.payload)
        self._servers = [parse_address(each, SCHEMES) for each in options.servers]
        self._hostname = options.hostname or context.node or socket.gethostname()
        self._tls: Any = None
        self._turn = 0
        """Index of the receiver that is tried first."""
        self._connection: Connection | None = None

    def start(self) -> None:
        """Begin to send. Raises ConfigError where a file of a key is of no use."""
        if any(server.scheme == "tls" for server in self._servers):
            self._tls = client_context(self._options.tls)
        self._options.shared_key()
        self._options.password()
        super().start()

    @property
    def acknowledged(self) -> bool:
        return bool(self._options.require_ack)

    def encode(self, drop: Drop) -> bytes:
        if self._packer is not None:
            try:
                return entry(drop.time, self._packer(drop))
            except UnicodeEncodeError:  # half a surrogate pair in a name: JSON replaces it
                pass
        return entry(drop.time, record_of(self._spell(drop)))

    def send(self, chunk: Chunk) -> None:
        """Send a chunk to the receiver whose turn it is."""
        options = self._options
        name = chunk_name(chunk.id) if options.require_ack else None
        message = packed_forward(options.tag, chunk.items, name, options.gzip)
        connection = self._connected()
        address = connection.address
        try:
            if name is None:
                connection.expect_nothing()
            connection.stream.send(message)
        except OSError as error:  # a message that is not whole is none
            self._fail()
            raise NotSent(f"{address}: {why(error)}") from error
        except WrongAnswer as error:
            self._fail()
            raise NotSent(f"{address}: wrong answer: {error}") from error
        if name is not None:
            try:
                connection.wait_for(name, time.monotonic() + options.ack_timeout)
            except OSError as error:
                self._fail()
                raise NotAcknowledged(f"{address}: not acknowledged: {why(error)}") from error
            except WrongAnswer as error:
                self._fail()
                raise NotAcknowledged(f"{address}: wrong answer: {error}") from error
        if not connection.keepalive:
            self.disconnect()

    def disconnect(self) -> None:
        if self._connection is not None:
            self._connection.stream.close()
            self._connection = None

    def _fail(self) -> None:
        """Let the next receiver have its turn."""
        self.disconnect()
        self._turn = (self._turn + 1) % len(self._servers)

    def _connected(self) -> Connection:
        """The connection that there is, or one to the first receiver that can be reached."""
        if self._connection is not None:
            if not self._connection.stream.is_closed():
                return self._connection
            self.disconnect()
        failures = []
        for _ in self._servers:
            address = self._servers[self._turn]
            try:
                self._connection = self._connect(address)
            except OSError as error:
                failures.append(f"{address}: {why(error)}")
            except WrongAnswer as error:
                failures.append(f"{address}: wrong answer: {error}")
            else:
                return self._connection
            if self.gives_up:
                break
            self._turn = (self._turn + 1) % len(self._servers)
        raise NotSent("; ".join(failures))

    def _connect(self, address: ReceiverAddress) -> Connection:
        context = self._tls if address.scheme == "tls" else None
        stream = Stream(address, lambda: self.gives_up, context)
        connection = Connection(stream, address)
        try:
            shared_key = self._options.shared_key()
            if shared_key is not None:
                self._shake_hands(connection, shared_key)
            elif not self._options.require_ack:
                stream.listen(GREETING_TIME)
                connection.expect_nothing()
        except BaseException:
            stream.close()
            raise
        return connection

    def _shake_hands(self, connection: Connection, shared_key: Secret) -> None:
        hello = greeting(connection.answer(time.monotonic() + HANDSHAKE_TIME))
        handshake = Handshake(hello, self._hostname, shared_key.reveal())
        password = self._options.password()
        if hello.auth and password is None:
            raise OSError("it asks for a user's password; none is configured")
        word = password.reveal() if password is not None else ""
        connection.stream.send(handshake.ping(self._options.user or "", word))
        refusal = handshake.refusal(connection.answer(time.monotonic() + HANDSHAKE_TIME))
        if refusal is not None:
            raise OSError(refusal)
        connection.keepalive = hello.keepalive
