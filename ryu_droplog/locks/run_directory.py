"""The run directory of this program, with its locks and sockets: nobody else may write there.

Whoever may write to a directory can put a link, a pipe or a file of his own in the place of a lock
or a socket. So a directory that others may write to is not used, and none below a directory in
which others may rename it. The sticky bit does not help for the directory itself: a name that is
not taken yet is anybody's. It helps for those above, where only the owner of a name may rename it.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from pathlib import Path

from ryu_droplog.model.errors import DropLogError

DIRECTORY_MODE = 0o755
FILE_MODE = 0o600

_OTHERS = stat.S_IWGRP | stat.S_IWOTH
"""An access control list that lets others write shows here, too: in the group's bits (acl(5))."""
_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFDIR: "a directory",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class RunDirectoryError(DropLogError):
    """The run directory, or a file in it, is not only ours."""


def prepare(path: str) -> Path:
    """Make the directory where it is not there, and see that nobody else may write to it.

    Gives back where it really is. Raises OSError when it cannot be made, RunDirectoryError when it
    is not to be trusted.
    """
    for directory in (*reversed(Path(path).parents), Path(path)):
        with contextlib.suppress(FileExistsError):
            directory.mkdir(DIRECTORY_MODE)
    return check(path)


def check(path: str, *, reading: bool = False) -> Path:
    """See that only root and the user who runs this process may write to a directory.

    With `reading` it may be another user's alone: of the program that is to be asked there.
    Gives back where it really is, without symbolic links. Raises FileNotFoundError (or another
    OSError) when it is not there, RunDirectoryError when it is not to be trusted.
    """
    directory = Path(os.path.realpath(path, strict=True))
    status = directory.stat()
    owners = {0, os.geteuid(), status.st_uid} if reading else {0, os.geteuid()}
    if not stat.S_ISDIR(status.st_mode):
        raise RunDirectoryError(f"{path}: {_kind(status)} is there; expected the run directory")
    if status.st_uid not in owners:
        raise RunDirectoryError(
            f"{path}: the run directory belongs to {user(status.st_uid)}; expected one of"
            f" {_we()}, as whom this program runs"
        )
    if status.st_mode & _OTHERS:
        raise RunDirectoryError(
            f"{path}: others may write to the run directory, its mode is {_mode(status)}; expected"
            f" one to which only its owner may write (chmod go-w {path})"
        )
    for above in directory.parents:
        outer = above.stat()
        open_to_others = outer.st_mode & _OTHERS and not outer.st_mode & stat.S_ISVTX
        if open_to_others or outer.st_uid not in owners:
            raise RunDirectoryError(
                f"{path}: others may put another run directory in its place: {above} belongs to"
                f" {user(outer.st_uid)} and has the mode {_mode(outer)}; expected a directory to"
                " which only root or its owner may write, or one with the sticky bit"
            )
    for link in (Path(path), *Path(path).parents):
        if link.is_symlink() and link.lstat().st_uid not in owners:
            raise RunDirectoryError(
                f"{path}: {link} is a symbolic link of {user(link.lstat().st_uid)}; expected one"
                f" of {_we()}, or a directory"
            )
    return directory


def open_file(path: Path) -> int:
    """Open a file of ours for reading and writing, and make it where it is not there.

    Raises OSError when that cannot be done, RunDirectoryError when something else is there.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags, FILE_MODE)
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            _refuse_odd(path, path.lstat())  # a link gives ELOOP, a socket ENXIO (open(2))
        raise
    try:
        _refuse_odd(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_socket_of_ours(path: Path) -> bool:
    """Whether a socket of the user who runs this process is there, and no link to one."""
    try:
        status = path.lstat()
    except OSError:
        return False
    return stat.S_ISSOCK(status.st_mode) and status.st_uid == os.geteuid()


def user(uid: int) -> str:
    """`root`, or `user 1000` where the number has no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def _refuse_odd(path: Path, status: os.stat_result) -> None:
    kind = "" if stat.S_ISREG(status.st_mode) else _kind(status)
    if not kind and status.st_uid != os.geteuid():
        kind = f"a file of {user(status.st_uid)}"
    if not kind and status.st_nlink > 1:
        kind = "a file with another name besides"
    if kind:
        expected = f"a file of {user(os.geteuid())} alone, or none"
        raise RunDirectoryError(f"{path}: {kind} is there; expected {expected}")


def _kind(status: os.stat_result) -> str:
    return _KINDS[stat.S_IFMT(status.st_mode)]


def _we() -> str:
    us = user(os.geteuid())
    return us if us == "root" else f"root or {us}"


def _mode(status: os.stat_result) -> str:
    return f"{stat.S_IMODE(status.st_mode):04o}"
