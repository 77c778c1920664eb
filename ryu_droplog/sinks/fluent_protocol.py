"""Fluentd's forward protocol, version 1, as bytes: what is sent, and what an answer means. Pure.

Specification: "Fluentd Forward Protocol Specification (v1)", in the wiki of the project Fluentd.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import hmac
import json
import os
from collections.abc import Sequence
from functools import lru_cache
from struct import Struct as Layout
from typing import Any, NamedTuple

import msgpack
import msgspec

from ryu_droplog.text.printable import MESSAGE, printable

ANSWER_LIMIT = 1_000_000
"""Bytes of an answer at most: a receiver has no reason to say more."""
GZIP_LEVEL = 1
"""Records are alike: the highest level gains a tenth, for five times the work."""

_EVENT_TIME = Layout("!BBII").pack
_FIXEXT8, _TYPE = 0xD7, 0
_BINARY, _BIN32 = Layout("!BI").pack, 0xC6
_NANOSECONDS = 1_000_000_000  # in a second
_pack = msgspec.msgpack.encode
_from_json = msgspec.json.decode


class WrongAnswer(Exception):
    """The receiver said what the protocol has no place for; the text says what."""


class Greeting(NamedTuple):
    """HELO, by which a receiver asks for the shared key."""

    nonce: bytes
    auth: bytes
    """Salt for the password; empty: the receiver wants none."""
    keepalive: bool
    """Whether the connection may be used for more than one message."""


@lru_cache(maxsize=16)  # drops that are read at once have one time
def entry_head(seconds: float) -> bytes:
    """What stands before the record of an event: an array of two, and its first, an EventTime.

    That is an extension of type 0, of seconds since the epoch.

    What is before 1970, as the header of a capture may claim, is moved there; the second has 32
    bits, which end in 2106.
    """
    seconds = max(seconds, 0.0)
    second = int(seconds)
    nanoseconds = min(round((seconds - second) * _NANOSECONDS), _NANOSECONDS - 1)
    return b"\x92" + _EVENT_TIME(_FIXEXT8, _TYPE, second & 0xFFFFFFFF, nanoseconds)


def entry(seconds: float, record: bytes) -> bytes:
    """An event: its time, and its record, a map in msgpack."""
    return entry_head(seconds) + record


def record_of(line: bytes) -> bytes:
    """The map that a line is as a JSON object; any other line is its only key, `message`."""
    if line[:1] == b"{":
        try:
            return _pack(_from_json(line))
        except msgspec.DecodeError:  # half a surrogate pair, which the format `json` has
            text = json.dumps(json.loads(line), ensure_ascii=False)
            return _pack(_from_json(text.encode("utf-8", "replace")))
    return _pack({"message": line.decode("utf-8", "replace")})


def chunk_name(id: str) -> str:
    """The id of a chunk as the protocol has it: 128 bits in base64. `id` is 32 hex digits."""
    return base64.b64encode(bytes.fromhex(id)).decode("ascii")


def packed_forward(tag: str, entries: Sequence[bytes], chunk: str | None, compress: bool) -> bytes:
    """A message of the mode PackedForward, or CompressedPackedForward.

    With a `chunk` (`chunk_name`) the receiver is asked to acknowledge it.
    """
    option: dict[str, object] = {"size": len(entries)}
    if compress:
        entries = [gzip.compress(b"".join(entries), GZIP_LEVEL, mtime=0)]
        option["compressed"] = "gzip"
    if chunk is not None:
        option["chunk"] = chunk
    # Joined once, for these are megabytes: an array of three, the second of which is binary.
    head = b"\x93" + _pack(tag) + _BINARY(_BIN32, sum(map(len, entries)))
    return b"".join((head, *entries, _pack(option)))


class Answers:
    """What a receiver sends, taken apart as it comes."""

    def __init__(self) -> None:
        # Older receivers write bytes as text, and any bytes are good for a nonce: all are bytes.
        self._unpacker = msgpack.Unpacker(
            raw=True, strict_map_key=False, max_buffer_size=ANSWER_LIMIT
        )

    def feed(self, data: bytes) -> None:
        """More bytes of the connection. Raises WrongAnswer."""
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise WrongAnswer(f"an answer of more than {ANSWER_LIMIT} bytes") from None

    def next(self) -> Any:
        """The next answer; None: it is not whole yet. Raises WrongAnswer."""
        try:
            answer = self._unpacker.unpack()
        except msgpack.OutOfData:
            return None
        except Exception:  # the unpacker has a dozen, and a key that is a list is a TypeError
            raise WrongAnswer("what is no msgpack") from None
        if not isinstance(answer, (list, dict)):
            raise WrongAnswer(_shown(answer))
        return answer


def acknowledged(answer: Any) -> str:
    """The chunk that an answer acknowledges. Raises WrongAnswer where it is none."""
    if isinstance(answer, list) and answer[:1] == [b"HELO"]:
        raise WrongAnswer("HELO, with which it asks for a shared key; none is configured")
    name = answer.get(b"ack") if isinstance(answer, dict) else None
    if not isinstance(name, bytes):
        raise WrongAnswer(_shown(answer))
    return name.decode("ascii", "replace")


def greeting(answer: Any) -> Greeting:
    """What HELO says. Raises WrongAnswer."""
    match answer:
        case [b"HELO", dict() as option]:
            nonce, auth = option.get(b"nonce", b""), option.get(b"auth", b"")
            if isinstance(nonce, bytes) and isinstance(auth, bytes):
                return Greeting(nonce, auth, option.get(b"keepalive", True) is not False)
    raise WrongAnswer(f"{_shown(answer)} in place of HELO")


class Handshake:
    """Our side of the handshake, after HELO."""

    def __init__(self, hello: Greeting, hostname: str, shared_key: str) -> None:
        self._hello = hello
        self._hostname = hostname
        self._shared_key = shared_key.encode()
        self._salt = os.urandom(16)

    def ping(self, user: str, password: str) -> bytes:
        """PING, with the password's digest where the receiver asks for one."""
        name = digest = ""
        if self._hello.auth:
            name = user
            digest = _digest(self._hello.auth, user.encode(), password.encode())
        own = _digest(self._salt, self._hostname.encode(), self._hello.nonce, self._shared_key)
        return _pack(["PING", self._hostname, self._salt, own, name, digest])

    def refusal(self, answer: Any) -> str | None:
        """Why PONG says that this is the end, or why we say so; None: the receiver is the right
        one. Raises WrongAnswer where it is no PONG."""
        match answer:
            case [b"PONG", bool() as is_open, reason, bytes() as name, digest]:
                if not is_open:
                    return f"it refuses the connection: {_text(reason)}"
                if name == self._hostname.encode():
                    return f"it calls itself {_text(name)}, as we do: that is this program"
                right = _digest(self._salt, name, self._hello.nonce, self._shared_key)
                if not isinstance(digest, bytes) or not hmac.compare_digest(right.encode(), digest):
                    return "it does not know the shared key"
                return None
        raise WrongAnswer(f"{_shown(answer)} in place of PONG")


def _digest(*parts: bytes) -> str:
    return hashlib.sha512(b"".join(parts)).hexdigest()


def _text(value: object) -> str:
    return printable(value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))


def _shown(answer: object) -> str:
    return printable(repr(answer)[:MESSAGE])
