"""Private network namespaces: how the demonstration and the tests stay out of everyone's way.

Standard library only. Needs root, iproute2 and util-linux.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

NETNS_FOLDER = Path("/run/netns")
"""Where `ip netns` keeps its names (ip-netns(8))."""
SLOWNESS = float(os.environ.get("RYU_DROPLOG_SLOWNESS", "1"))
"""How many times as long as usual this machine may take for everything; an emulated one is slow."""
COMMAND_TIMEOUT = 20.0 * SLOWNESS
"""Seconds that any command here may take."""

# Flags of unshare(2), from linux/sched.h.
_CLONE_NEWNS = 0x0002_0000
_CLONE_NEWNET = 0x4000_0000

# Run by `send_frame` inside the guest's namespace; the frame comes on standard input.
_SENDER = """
import socket, sys, time
interface, count, interval = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
frame = sys.stdin.buffer.read()
with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as packets:
    packets.bind((interface, 0))
    begin = time.monotonic()
    for number in range(count):
        pause = begin + number * interval - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        packets.send(frame)
"""


class CommandError(RuntimeError):
    """A command failed or took too long; the text names it, its status and what it said."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status
        """Its exit status; None when it did not end by itself or did not begin."""


def run(
    *command: str,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    timeout: float = COMMAND_TIMEOUT,
) -> str:
    """Run a command and give back its standard output.

    `timeout` is in seconds. Raises CommandError on a status other than 0, a command that is not
    there, and a timeout.
    """
    shown = " ".join(command)
    try:
        done = subprocess.run(command, env=env, input=stdin, capture_output=True, timeout=timeout)
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]}: no such command, wanted for: {shown}") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"no end after {timeout:g} s: {shown}") from error
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        text = f"exit status {done.returncode}: {shown}: {said}"
        raise CommandError(text, done.returncode)
    return done.stdout.decode(errors="replace")


_entered = False


def enter_private_namespaces() -> None:
    """Move this process into network and mount namespaces of its own; a second call does nothing.

    Threads that already run stay outside, so call it early, from the main thread. Children are
    inside. `/run/netns` is empty there: `ip netns add` neither sees nor leaves a name on the
    machine. The loopback interface is up.

    Raises PermissionError without root (CAP_SYS_ADMIN), CommandError when a mount is refused.
    Source: unshare(2), mount_namespaces(7).
    """
    global _entered
    if _entered:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS) != 0:  # os.unshare came with Python 3.12
        number = ctypes.get_errno()
        raise PermissionError(number, f"cannot unshare namespaces: {os.strerror(number)}")
    _entered = True
    run("mount", "--make-rprivate", "/")
    NETNS_FOLDER.mkdir(parents=True, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(NETNS_FOLDER))
    run("ip", "link", "set", "lo", "up")


def in_private_namespaces() -> bool:
    """Whether this process called `enter_private_namespaces`."""
    return _entered


def in_netns(netns: str | None, *command: str) -> tuple[str, ...]:
    """The command line that runs a command in a named network namespace (None: in this one)."""
    return command if netns is None else ("ip", "netns", "exec", netns, *command)


def send_frame(
    netns: str | None, interface: str, frame: bytes, count: int = 1, interval: float = 0.0
) -> None:
    """Send an Ethernet frame from an interface, `count` times, one every `interval` seconds.

    `frame` begins with the destination MAC and has no checksum (FCS) at its end. Returns when all
    are handed to the kernel. Raises CommandError when the interface refuses it.
    """
    sender = (sys.executable, "-I", "-S", "-c", _SENDER, interface, str(count), str(interval))
    run(*in_netns(netns, *sender), stdin=frame, timeout=COMMAND_TIMEOUT + count * interval)


def stop_process(process: subprocess.Popen[bytes], patience: float = 5.0 * SLOWNESS) -> int:
    """End a process: SIGTERM, after `patience` seconds SIGKILL. Gives back its return code."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


@contextlib.contextmanager
def signals_held(*numbers: signal.Signals) -> Iterator[None]:
    """Hold signals back until the end of the `with` block, so that a clean-up is done whole."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
