"""The observers' socket in the run directory: who may open it, and whose are left of dead runs."""

from __future__ import annotations

import grp
import os
import socket
import stat
from _socket import socket as Socket
from pathlib import Path

from ryu_droplog.locks.run_directory import check, is_socket_of_ours, prepare
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.observe.protocol import SUFFIX

ALONE, WITH_GROUP = 0o600, 0o660
BACKLOG = 1024
_PROBE = 0.5
"""Seconds that a socket has to show that somebody listens there."""


class ObserversPath:
    """The file of the socket."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._group: str | None = None

    def admit(self, group: str | None) -> None:
        """Let the members of a group connect, beside root and the user of this process.

        None: nobody else. Raises ConfigError where it cannot be let in; then nobody else is.
        """
        if group == self._group:
            return
        os.chmod(self.path, ALONE)
        self._group = None
        if group is None:
            return
        try:
            number = grp.getgrnam(group).gr_gid
        except KeyError:
            raise ConfigError(
                f'socket_group: got "{group}"; expected a group of this host'
            ) from None
        try:
            os.chown(self.path, -1, number)
            os.chmod(self.path, WITH_GROUP)
        except OSError as error:
            raise ConfigError(
                f"socket_group: {group} cannot be given {self.path}: {why(error)}; the user of the"
                " program has to be root or a member"
            ) from error
        self._group = group

    def remove(self) -> None:
        """Remove it."""
        self.path.unlink(missing_ok=True)


def listen_for_observers(run_directory: str) -> tuple[Socket, ObserversPath]:
    """Open the socket, for root and our own user alone.

    Raises OSError, and RunDirectoryError when others may write there.
    """
    directory = prepare(run_directory)
    for path in sockets(directory):
        if is_socket_of_ours(path) and _is_stale(path):
            path.unlink(missing_ok=True)
    path = directory / f"{os.getpid()}{SUFFIX}"
    path.unlink(missing_ok=True)
    listening = Socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)
        try:
            listening.bind(os.fspath(path))
        finally:
            os.umask(before)
        listening.listen(BACKLOG)
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening, ObserversPath(path)


def present(run_directory: str) -> list[Path]:
    """The sockets of a directory to which nobody but its owner may write; none where it is not.

    Raises OSError, and RunDirectoryError.
    """
    try:
        directory = check(run_directory, reading=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [path for path in sockets(directory) if stat.S_ISSOCK(path.lstat().st_mode)]


def sockets(directory: Path) -> list[Path]:
    """Where programs have their observers' sockets, or had them."""
    return sorted(path for path in directory.glob(f"*{SUFFIX}") if path.stem.isdigit())


def _is_stale(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_PROBE)
        try:
            sock.connect(os.fspath(path))
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False
