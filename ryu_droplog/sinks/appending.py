"""Opens what lines are appended to: a regular file, a FIFO or a character device.

Whatever stands at the path, nothing here waits, and where others may write to its directory, they
do not choose which file is written: docs/formats.md says what is done about what.
"""

from __future__ import annotations

import errno
import os
import posix
import stat
from pathlib import Path

FILE_MODE = 0o640
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_ROOT = 0
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}
_WRITTEN = (stat.S_IFREG, stat.S_IFIFO, stat.S_IFCHR)


def open_to_append(path: Path) -> int:
    """A descriptor for appending, which does not block; a file that is not there is made.

    Raises OSError, also for a FIFO that nobody reads, a symbolic link of somebody else's, and what
    is none of the three.
    """
    try:
        descriptor = _open(path)
        try:
            _check(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    except OSError as error:
        if error.errno == errno.ENXIO:  # open(2): a FIFO, a socket, or a device that is not there
            kind = stat.S_IFMT(os.stat(path).st_mode)
            reason = " that nobody reads" if kind == stat.S_IFIFO else ", expected a file"
            raise OSError(f"it is {_KINDS.get(kind, 'no file')}{reason}") from error
        raise


def ends_in_mid_line(descriptor: int) -> bool:
    """Whether a file ends without a newline; False for what is no regular file, or unreadable."""
    size = os.fstat(descriptor).st_size
    if not size:
        return False
    try:
        reading = posix.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.pread(reading, 1, size - 1) not in (b"\n", b"")
    except OSError:
        return False
    finally:
        os.close(reading)


def _open(path: Path) -> int:
    try:
        descriptor = posix.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, FILE_MODE)
    except FileExistsError:
        pass
    else:
        try:
            os.fchmod(descriptor, FILE_MODE)  # whatever the umask
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor
    try:
        return posix.open(path, _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    return posix.open(_target(path), _FLAGS | os.O_CREAT, FILE_MODE)


def _target(path: Path) -> Path:
    """Where a symbolic link leads, if root or the program's user made it; raises OSError.

    Whatever is put in its place meanwhile, it is this link's owner and this link's target.
    """
    link = posix.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        owner = os.fstat(link).st_uid
        if owner not in (_ROOT, os.geteuid()):
            raise OSError(
                f"it is a symbolic link of the user with the id {owner}, expected one of root or"
                " of the user who runs this program"
            )
        return path.parent / os.readlink("", dir_fd=link)
    finally:
        os.close(link)


def _check(descriptor: int) -> None:
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind not in _WRITTEN:
        raise OSError(f"it is {_KINDS.get(kind, 'no file')}, expected a file")
