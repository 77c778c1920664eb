"""The story that tools/demo tells: a drop, made and explained on a private Open vSwitch.

Every sentence is checked against the switch before it counts as told: the exit status is 0 only
when all of it happened; 1 when something did not, with the program's log; 130 after Ctrl-C.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn, TypeVar

from access_bridge import (
    ADMIT_WEB,
    ADMIT_WEB_MATCH,
    BRIDGE,
    CLIENT,
    CONFIG,
    DROP_LINE,
    SERVER,
    TABLE_DROP,
    build,
)
from private_ovs import (
    SLOWNESS,
    CommandError,
    PrivateSwitch,
    enter_private_namespaces,
    in_netns,
    run,
    stop_process,
)

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = ROOT / ".venv" / "bin" / "ryu-droplog"
REQUEST_TIMEOUT = int(3 * SLOWNESS)
"""Seconds after which a request has failed: time for a SYN and its first repeat (RFC 6298)."""
PATIENCE = 20.0 * SLOWNESS
"""Seconds in which the program must have done what a step waits for."""
LINE_PATIENCE = 5.0 * SLOWNESS
"""Seconds in which a drop must have become a line, from the end of the request on."""
LINES_SHOWN = 3
"""Drop lines that are shown; a SYN is repeated, and each repeat is a drop."""

_CURL_TIMED_OUT = 28  # curl(1), exit codes
_BOLD, _DIM, _GREEN, _RED = "1", "2", "32", "31"
_T = TypeVar("_T")


class NotAsTold(Exception):
    """Something did not happen the way the story says."""


def say(text: str, colour: str = "") -> None:
    """Print a line; in colour (an SGR parameter, ECMA-48 section 8.3.117) on a terminal only."""
    if colour and sys.stdout.isatty():
        text = f"\033[{colour}m{text}\033[0m"
    print(text, flush=True)


def until(
    look: Callable[[], _T],
    what: str,
    alive: subprocess.Popen[bytes] | None = None,
    patience: float = PATIENCE,
) -> _T:
    """Look until something true comes back, which is the result.

    Raises NotAsTold after `patience` seconds, or at once when the process `alive` has ended.
    """
    deadline = time.monotonic() + patience
    while not (found := look()):
        if alive is not None and alive.poll() is not None:
            status = alive.returncode
            raise NotAsTold(f"the program ended by itself (status {status}) before {what}")
        if time.monotonic() > deadline:
            raise NotAsTold(f"not within {patience:g} s: {what}")
        time.sleep(0.05)
    return found


class Story:
    """The walk-through, step by step, on a running private switch."""

    def __init__(self, switch: PrivateSwitch, command: Sequence[str]) -> None:
        self.switch = switch
        self.command = command
        self.log = switch.folder / "ryu-droplog.log"
        self.config = switch.folder / "droplog.yaml"
        self.program: subprocess.Popen[bytes] | None = None
        self.flows_before: list[str] = []

    # What a reader sees, and what they could type themselves

    def shell(self, *command: str) -> str:
        """Show a command, run it against the private switch, and give back what it printed."""
        say(f"  $ {shlex.join(command)}", _DIM)
        return run(*command, env=self.switch.env)

    def ours(self) -> list[str]:
        """The flows on the bridge that carry the table-drop cookie: those of the program."""
        return self.switch.flows(BRIDGE, TABLE_DROP)

    def request(self) -> str | None:
        """What a web request from the client brings; None when nothing came back in time."""
        url = f"http://{SERVER.ip}/"
        curl = ("curl", "--silent", "--show-error", "--max-time", str(REQUEST_TIMEOUT), url)
        try:
            answer = self.shell(*in_netns(CLIENT.name, *curl)).strip()
        except CommandError as error:
            if error.status != _CURL_TIMED_OUT:
                raise
            say(f"  (no answer in {REQUEST_TIMEOUT} s)")
            return None
        say(f"  {answer}")
        return answer

    def expect_answer(self) -> None:
        """A request that must work. Raises NotAsTold when it does not."""
        if self.request() != SERVER.page:
            raise NotAsTold(f"the request brought no answer, expected {SERVER.page!r}")

    # The steps

    def set_up(self) -> None:
        """The bridge, the guests and the web server."""
        say("Two guests on an Open vSwitch of their own", _BOLD)
        say(f"  {CLIENT.name} ({CLIENT.ip}) asks, {SERVER.name} ({SERVER.ip}) has a web server.")
        say(f"  Their bridge, {BRIDGE}, has the tables of the OpFlex agent's access bridge: what")
        say(f"  may go to {SERVER.name} is said in table 4, SEC_GROUP_IN_TABLE. What no flow")
        say("  matches, Open vSwitch drops without a word.")
        build(self.switch)
        self.flows_before = self.switch.flows(BRIDGE)
        sockets = in_netns(SERVER.name, "cat", "/proc/net/tcp")
        listening = re.compile(r":0050 00000000:0000 0A ")  # port 80, TCP_LISTEN (proc_net_tcp)
        until(lambda: listening.search(run(*sockets)), "the web server listens")

    def start_program(self) -> None:
        """Step 1: the program adds its flows."""
        say("\nStep 1: start ryu-droplog; it adds a flow wherever a packet can miss", _BOLD)
        self.config.write_text(CONFIG.format(run_directory=self.switch.folder / "program"))
        say("".join(f"  | {line}\n" for line in self.config.read_text().splitlines()).rstrip())
        command = (*self.command, "run", "--config", str(self.config))
        say(f"  $ {shlex.join(command)} &", _DIM)
        with self.log.open("wb") as log:
            self.program = self.switch.start(None, *command, output=log.fileno())
        looks: list[list[str]] = [[]]

        def settled() -> bool:
            looks.append(self.ours())
            in_table_4 = any(re.search(r"\btable=4\b", flow) for flow in looks[-1])
            return in_table_4 and looks[-1] == looks[-2]

        until(settled, "its flows are on the bridge, one of them in table 4", self.program)
        dump = ("ovs-ofctl", "-O", "OpenFlow13", "--no-stats", "dump-flows", BRIDGE, TABLE_DROP)
        for line in self.shell(*dump).splitlines():
            if "actions=" in line:
                say(f"  {line.strip()}")

    def allowed_request(self) -> None:
        """Step 2: what worked before still works."""
        say(f"\nStep 2: a request from {CLIENT.name} to {SERVER.name} works as ever", _BOLD)
        self.expect_answer()

    def dropped_request(self) -> None:
        """Step 3: the flow is taken away, and the drop explains itself."""
        say("\nStep 3: take away the flow that lets the request in", _BOLD)
        delete = ("del-flows", "--strict", BRIDGE, ADMIT_WEB_MATCH)
        self.shell("ovs-ofctl", "-O", "OpenFlow13", *delete)
        seen = self.log.stat().st_size
        if self.request() is not None:
            raise NotAsTold("the request was answered although its flow is gone")

        def lines() -> list[str]:
            written = self.log.read_bytes()[seen:].decode(errors="replace")
            return [line for line in written.splitlines() if DROP_LINE.search(line)]

        found = until(lines, "a line tells of the dropped SYN", self.program, LINE_PATIENCE)
        say("\n  and ryu-droplog wrote:")
        for line in found[:LINES_SHOWN]:
            say(f"  {line}", _GREEN)
        say("\n  That is: on the access bridge, no flow of SEC_GROUP_IN_TABLE matched this SYN.")
        self.observe()

    def observe(self) -> None:
        """Still step 3: the running program is asked for the drop."""
        say("\n  The running program remembers it, for whoever asks:")
        config = ("--config", str(self.config))
        last = ("--last", "1", "--to-port", "80")
        source = f"{BRIDGE}: {CLIENT.name} ({CLIENT.ip}"  # the port tells whose it was
        counted = rf"(?s)^\d+ drops?, .*by signature\n.* -> {SERVER.ip}:80 SYN .*\nbooks\n"
        for words, expected in (
            (
                ("observe", *last),
                rf"{re.escape(source)}:\d+\) -> {SERVER.ip}:80 table 4 .* \(TCP Flags: SYN\)",
            ),
            (
                ("observe", "--aggregate-by", "to-ip,to-port,reason"),
                rf"(?m)^{SERVER.ip} +80 +MISS +\d",
            ),
            (("top", "--once", "--to-port", "80"), rf"{counted}  {BRIDGE}: \d"),
        ):
            said = self.shell(*self.command, *words, *config)
            if not re.search(expected, said):
                raise NotAsTold(f"{words[0]} says otherwise: {said or 'nothing'}")
            for line in said.splitlines():
                say(f"  {line}", _GREEN)

    def mended_request(self) -> None:
        """Step 4: the flow is put back."""
        say("\nStep 4: put the flow back, and the request works again", _BOLD)
        self.shell("ovs-ofctl", "-O", "OpenFlow13", "add-flow", BRIDGE, ADMIT_WEB)
        self.expect_answer()

    def stay(self) -> None:
        """Keep it all running until Ctrl-C, or until the program ends."""
        assert self.program is not None
        enter = ("sudo", "nsenter", "-t", str(os.getpid()), "-n", "-m")
        ofctl = ("sudo", f"OVS_RUNDIR={self.switch.rundir}", "ovs-ofctl", "-O", "OpenFlow13")
        observe = (*self.command, "observe", "--config", str(self.config))
        request = ("curl", "--max-time", str(REQUEST_TIMEOUT), f"http://{SERVER.ip}/")
        refused = ("curl", "--max-time", str(REQUEST_TIMEOUT), f"http://{SERVER.ip}:8080/")
        say("\nIt stays until you press Ctrl-C. From another terminal:", _BOLD)
        for what, command in (
            ("the drop lines, as they come", ("sudo", "tail", "-f", str(self.log))),
            ("drops as observers see them", ("sudo", *observe, "--follow")),
            ("a request that is let in", (*enter, *in_netns(CLIENT.name, *request))),
            ("one to a port that is not", (*enter, *in_netns(CLIENT.name, *refused))),
            ("all flows and their counters", (*ofctl, "dump-flows", BRIDGE)),
            ("take the flow away", (*ofctl, "del-flows", "--strict", BRIDGE, ADMIT_WEB_MATCH)),
            ("put it back", (*ofctl, "add-flow", BRIDGE, ADMIT_WEB)),
        ):
            say(f"  # {what}")
            say(f"  {shlex.join(command)}", _DIM)
        with contextlib.suppress(KeyboardInterrupt):
            self.program.wait()
            raise NotAsTold(f"the program ended by itself (status {self.program.returncode})")
        ours = set(self.ours())
        self.flows_before = [flow for flow in self.switch.flows(BRIDGE) if flow not in ours]

    def stop_program(self) -> None:
        """Step 5: the program goes, and so do its flows."""
        assert self.program is not None
        say("\nStep 5: stop ryu-droplog; its flows go with it", _BOLD)
        say(f"  $ kill {self.program.pid}", _DIM)
        status = stop_process(self.program, PATIENCE)
        if status != 0:
            raise NotAsTold(f"the program ended with status {status}, expected 0")
        if left := self.ours():
            raise NotAsTold("\n".join(["flows of the program are still there:", *left]))
        if (flows := self.switch.flows(BRIDGE)) != self.flows_before:
            raise NotAsTold("\n".join(["the bridge's own flows have changed:", *flows]))
        say(f"  None of its flows is left. The bridge's own, {len(flows)}, are as they were.")

    def tell(self, stay: bool) -> None:
        """All of it. Raises NotAsTold, or CommandError, at the first thing that is not as told."""
        self.set_up()
        self.start_program()
        self.allowed_request()
        self.dropped_request()
        self.mended_request()
        if stay:
            self.stay()
        self.stop_program()


def _terminated(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def main() -> int:
    """Tell the story; the exit status as the module says."""
    parser = argparse.ArgumentParser(description="The story that tools/demo tells.")
    parser.add_argument("--stay", action="store_true", help="keep all running until Ctrl-C")
    parser.add_argument(
        "--program", default=str(PROGRAM), help="the ryu-droplog command (default: %(default)s)"
    )
    arguments = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    try:
        enter_private_namespaces()
        with PrivateSwitch() as switch:
            story = Story(switch, shlex.split(arguments.program))
            try:
                story.tell(arguments.stay)
            except (NotAsTold, CommandError) as error:
                say(f"\nnot as told: {error}", _RED)
                if story.log.exists():
                    say("\nthe program's log:")
                    say(story.log.read_text(errors="replace") or "(empty)")
                return 1
    except (PermissionError, CommandError) as error:
        say(f"error: {error}", _RED)
        return 1
    except KeyboardInterrupt:
        say("\ninterrupted; everything is cleaned up")
        return 130
    say("\nAll of it happened as told, and everything is cleaned up.", _BOLD)
    return 0


if __name__ == "__main__":
    sys.exit(main())
