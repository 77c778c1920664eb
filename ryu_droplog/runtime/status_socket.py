"""`ryu-droplog status`: a Unix socket on which the running program tells its books.

Whoever connects gets one JSON object and the end of the connection. The socket is
`<run directory>/<process id>.sock`, mode 0600.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from ryu_droplog.locks.run_directory import check, is_socket_of_ours, prepare
from ryu_droplog.model.errors import DropLogError, why
from ryu_droplog.text.printable import plain_data

SOCKET_MODE = 0o600
PATIENCE = 5.0
"""Seconds that either side waits for the other."""
POLL = 0.5
ANSWER_SIZE = 256 * 1024 * 1024
"""Bytes of an answer at most."""


class StatusError(DropLogError):
    """The running program cannot be asked."""


class StatusServer:
    """Answers one visitor after the other."""

    def __init__(self, run_directory: str, tell: Callable[[], dict[str, Any]]) -> None:
        """Open the socket; raises OSError, and RunDirectoryError when others may write there.

        `tell` gives what is to be answered.
        """
        directory = prepare(run_directory)
        for path in _sockets(directory):
            if is_socket_of_ours(path) and _is_stale(path):
                path.unlink(missing_ok=True)
        self._path = directory / f"{os.getpid()}.sock"
        self._path.unlink(missing_ok=True)
        self._tell = tell
        self._stopping = False
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            self._socket.bind(os.fspath(self._path))
        finally:
            os.umask(before)
        os.chmod(self._path, SOCKET_MODE)
        self._socket.listen(4)
        self._socket.settimeout(POLL)

    def run(self) -> None:
        """Answer until `stop`."""
        while not self._stopping:
            try:
                visitor = self._socket.accept()[0]
            except TimeoutError:  # nobody came
                continue
            except OSError:  # no descriptor is left for him, say
                time.sleep(POLL)
                continue
            with visitor, contextlib.suppress(OSError):  # the visitor went away
                visitor.settimeout(PATIENCE)
                visitor.sendall(json.dumps(self._tell()).encode())
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def stop(self) -> None:
        """Make `run` return soon."""
        self._stopping = True

    def discard(self) -> None:
        """Remove the socket's file, whatever `run` does."""
        self._path.unlink(missing_ok=True)


def ask(run_directory: str) -> Iterator[dict[str, Any]]:
    """What each running program says.

    Raises StatusError when there is none, and when one does not answer, or not in full: after
    those that do. RunDirectoryError when others than its owner may write to the directory.
    """
    found = False
    trouble: StatusError | None = None
    for path in _present(run_directory):
        try:
            answer = _ask(path)
            told = plain_data(json.loads(answer))
            if not isinstance(told, dict):
                raise TypeError
        except ConnectionRefusedError:
            continue  # it was killed, and left its socket
        except OSError as error:
            trouble = StatusError(f"{path}: {why(error)}")
        except (ValueError, TypeError, RecursionError):
            trouble = StatusError(f"{path}: the answer is cut, after {len(answer)} bytes")
        else:
            found = True
            yield told
    if trouble is not None:
        raise trouble
    if not found:
        raise StatusError(f"no running ryu_droplog has its socket in {run_directory}")


def _ask(path: Path) -> bytes:
    deadline = time.monotonic() + 2 * PATIENCE
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(2 * PATIENCE)
        while True:
            try:
                sock.connect(os.fspath(path))
                break
            except BlockingIOError:  # too many visitors are waiting
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL / 10)
        answer = bytearray()
        while chunk := sock.recv(65536):
            answer += chunk
            if len(answer) > ANSWER_SIZE:
                raise OSError(errno.EMSGSIZE, os.strerror(errno.EMSGSIZE))
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return bytes(answer)


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(POLL)
        try:
            sock.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _present(run_directory: str) -> list[Path]:
    """The sockets of a directory to which nobody but its owner may write; none where it is not."""
    try:
        directory = check(run_directory, reading=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StatusError(f"{run_directory}: {why(error)}") from error
    return [path for path in _sockets(directory) if path.is_socket() and not path.is_symlink()]


def _sockets(directory: Path) -> list[Path]:
    return sorted(path for path in directory.glob("*.sock") if path.stem.isdigit())
