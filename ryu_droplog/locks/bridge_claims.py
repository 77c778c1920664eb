"""Which connection has which bridge: one of this process, and none of another process.

Two runs on one bridge would take each other's flows for leftovers; lock files keep them apart.

A switch that connects to us says itself what it is called and which datapath id it has, and anybody
can say so. A bridge that we reach is therefore never refused because of one that came to us: it
takes the claim over at once. Bridges that came to us have lock files of their own, which keep
nobody out who reaches the bridge, in another process either.
"""

from __future__ import annotations

import enum
import logging
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ryu_droplog.locks import known_runs, lock_file
from ryu_droplog.locks.lock_file import Holder
from ryu_droplog.locks.run_directory import RunDirectoryError, check, prepare
from ryu_droplog.model.bridge_name import PORT_NAME_LENGTH, may_be_cut
from ryu_droplog.model.errors import SwitchError, why

LOG = logging.getLogger(__name__)

TRIES = 5
TRY_AGAIN = 0.02
"""How often a lock is tried, and the seconds between: `doctor` has it while it looks at it."""


class Trust(enum.IntEnum):
    """How sure it is that a connection leads to the bridge that it names."""

    ANYONE = 1
    """It came to us, and no entry of the configuration names it."""
    ACCEPTED = 2
    """It came to us, and calls itself what an entry names."""
    OUTWARD = 3
    """We connected to it, over a network."""
    LOCAL = 4
    """It is on this host: the management socket, or a service connection."""

    @property
    def came_to_us(self) -> bool:
        """Whether all that is known of it is what it says of itself."""
        return self <= Trust.ACCEPTED


class Claim:
    """That a connection has a bridge."""

    def __init__(
        self,
        bridge: str,
        datapath_id: int,
        peer: str,
        trust: Trust,
        yield_bridge: Callable[[str], None],
    ) -> None:
        self.bridge = bridge
        self.datapath_id = datapath_id
        self.peer = peer
        self.trust = trust
        self.yield_bridge = yield_bridge
        self.lock: int | None = None
        """Descriptor of the locked file; None: there is none."""

    def contends_with(self, other: Claim) -> bool:
        """Whether they cannot both be had: one name, or one datapath id."""
        return self.bridge == other.bridge or self.datapath_id == other.datapath_id


class Claims:
    """The bridges that this process has."""

    def __init__(self, run_directory: str, generation: int | None = None) -> None:
        """`run_directory` is made when the first lock is; where that fails, there are no locks.

        `generation` is this run's; None: it adds no flows.
        """
        self._directory = run_directory
        self._generation = generation
        self._held: set[Claim] = set()
        self._changing = threading.Lock()
        """Nothing that waits for another thread of the hub may be done under it."""

    def prepare(self) -> None:
        """Make the run directory, and remove what processes left there that were killed.

        This run is written down there. Raises RunDirectoryError when it is not to be trusted.
        """
        try:
            directory = prepare(self._directory)
            lock_file.sweep(directory)
            if self._generation is not None:
                known_runs.note(directory, self._generation)
        except OSError as error:
            LOG.warning("%s: no lock against a second run: %s", self._directory, why(error))

    def take(
        self,
        bridge: str,
        datapath_id: int,
        peer: str,
        trust: Trust = Trust.LOCAL,
        yield_bridge: Callable[[str], None] = lambda reason: None,
    ) -> Claim:
        """Claim a bridge for the connection to `peer`.

        Raises SwitchError when another process has it, or a connection that is trusted as much.
        `yield_bridge` is called with the reason, in another thread, when a connection that is
        trusted more has taken the bridge over: it has to end the connection, and must not wait.
        """
        claim = Claim(bridge, datapath_id, peer, trust, yield_bridge)
        for _ in range(TRIES):
            try:
                others = self._take(claim)
                break
            except lock_file.LockHeld as error:
                held_by = str(error)
                time.sleep(TRY_AGAIN)
        else:
            raise SwitchError(f"{bridge}: {at_work(held_by)}")
        for other in others:
            other.yield_bridge(
                f"{other.bridge} is disconnected in favour of {bridge}, reached through {peer}"
            )
        return claim

    def dead(self, datapath_id: int) -> frozenset[int]:
        """Generations of runs that are not at work on a bridge, because we have its lock."""
        with self._changing:
            if not any(held.datapath_id == datapath_id and held.lock for held in self._held):
                return frozenset()
        try:
            return known_runs.known(check(self._directory)) - {self._generation}
        except (OSError, RunDirectoryError):
            return frozenset()

    def release(self, claim: Claim) -> None:
        """Give a bridge back; does nothing where somebody else has taken it over."""
        with self._changing:
            self._let_go(claim)

    def review(self) -> None:
        """Give up bridges that came to us and that another process reaches."""
        with self._changing:
            held = [claim for claim in self._held if claim.trust.came_to_us]
        for claim in held:
            process = self._reached_by(claim)
            if process:
                self.release(claim)
                claim.yield_bridge(f"{claim.bridge}: {at_work(process)}")

    def _take(self, claim: Claim) -> Sequence[Claim]:
        """Take what may be taken; gives back who had it."""
        with self._changing:
            others = [held for held in self._held if held.contends_with(claim)]
            for other in others:
                if other.trust >= claim.trust:
                    raise SwitchError(_refusal(claim, other))
            claim.lock = self._lock(claim, others)
            for other in others:
                self._let_go(other)
            self._held.add(claim)
        return others

    def _let_go(self, claim: Claim) -> None:
        self._held.discard(claim)
        lock, claim.lock = claim.lock, None
        if lock is not None:
            lock_file.unlock(self._path(claim), lock)

    def _lock(self, claim: Claim, others: Sequence[Claim]) -> int | None:
        """The lock of a bridge: taken over where one of `others` has it, or taken anew."""
        path = self._path(claim)
        for other in others:
            if other.lock is not None and self._path(other) == path:
                lock, other.lock = other.lock, None
                return lock
        try:
            prepare(self._directory)
            process = self._reached_by(claim) if claim.trust.came_to_us else ""
            if process:
                raise lock_file.LockHeld(process)
            return lock_file.lock(path, self._generation)
        except RunDirectoryError as error:
            raise SwitchError(f"{claim.bridge}: {error}") from None
        except OSError as error:
            if isinstance(error, PermissionError) and path.exists():  # it may be at work there
                raise SwitchError(f"{claim.bridge}: {path}: {why(error)}") from None
            LOG.warning("%s: no lock against a second run: %s: %s", claim.bridge, path, why(error))
            return None

    def _reached_by(self, claim: Claim) -> str:
        """The process, which is not this one, that reaches the bridge; empty: none does."""
        held = lock_file.holder(self._directory, claim.datapath_id, accepted=False)
        return held.process if held is not None else ""

    def _path(self, claim: Claim) -> Path:
        accepted = claim.trust.came_to_us
        return lock_file.path_of(self._directory, claim.datapath_id, accepted=accepted)


def holder(run_directory: str, datapath_id: int) -> Holder | None:
    """The running program that has a bridge; None: none has.

    Raises RunDirectoryError when the directory is not to be trusted.
    """
    try:
        directory = check(run_directory, reading=True)
    except OSError:
        return None  # it is not there, or not for us to see
    holders = (
        lock_file.holder(directory, datapath_id, accepted=accepted) for accepted in (False, True)
    )
    return next(filter(None, holders), None)


def at_work(process: str) -> str:
    """The refusal of a bridge that another process has."""
    return f"another ryu_droplog is at work there (process {process})"


def _refusal(claim: Claim, other: Claim) -> str:
    if claim.bridge == other.bridge:
        refusal = f"{claim.bridge} is connected already, through {other.peer}"
        other_switch = claim.trust.came_to_us and claim.datapath_id != other.datapath_id
        if other_switch and may_be_cut(claim.bridge):
            told = f"a switch tells {PORT_NAME_LENGTH} bytes of a name (OpenFlow 1.3)"
            return f"{refusal}; {told}, and longer names that begin alike cannot be told apart"
        return refusal
    return (
        f"{claim.bridge} has the datapath id {claim.datapath_id:016x} of {other.bridge}, which is"
        f" connected through {other.peer}"
    )
