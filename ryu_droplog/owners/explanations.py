"""What explains the drops of each bridge: asked by sinks, told by whoever knows a bridge."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from threading import get_ident
from types import MappingProxyType

from ryu_droplog.model.drop import Drop
from ryu_droplog.ovsdb.southbound_rows import LogicalPort
from ryu_droplog.owners.base import Explanation, Names, Owner
from ryu_droplog.text.printable import MESSAGE, printable

NOTHING: Explanation = MappingProxyType({})


class Explanations:
    """The owner of each bridge, and what things are called there. For any thread.

    A mistake in an owner's code costs the explanation of one drop and nothing else. There is no
    lock: sinks are no threads of the hub, and eventlet's locks are for those alone.
    """

    def __init__(self) -> None:
        self.notices: deque[str] = deque(maxlen=100)
        """What the user should know, each once: the first mistake of each owner."""
        self._mistaken: dict[str, object] = {}
        self._failures: dict[int, int] = {}
        """By thread: each counts its own."""
        self._seen: dict[str, tuple[Owner, Names]] = {}
        self._assumed: dict[str, tuple[Owner, Names]] = {}

    @property
    def failures(self) -> int:
        """Drops that could not be explained, because an owner made a mistake."""
        return sum(list(self._failures.values()))

    def set(self, bridge: str, owner: Owner, names: Names, *, assumed: bool = False) -> None:
        """Have the drops of a bridge explained so from now on.

        `assumed`: the bridge is only supposed to be the owner's (by a tunnel header that named
        it); one that was seen itself goes first.
        """
        (self._assumed if assumed else self._seen)[bridge] = owner, names

    def forget(self, bridge: str, names: Names) -> None:
        """Go back to what was assumed of a bridge, if it still goes by these names."""
        if self._seen.get(bridge, (None, None))[1] is names:
            del self._seen[bridge]

    def ports(self) -> dict[str, Sequence[LogicalPort]]:
        """The ports that the owners' databases know, by the bridge whose database it is."""
        entries = {**self._assumed, **self._seen}
        return {
            # Owners of other packages may be older than this method.
            bridge: getattr(names.database, "logical_ports", tuple)()
            for bridge, (_, names) in entries.items()
        }

    def explain(self, drop: Drop) -> Explanation:
        """What the bridge's owner noted of a drop; nothing where nobody knows. Never raises."""
        bridge = drop.location.bridge
        entry = self._seen.get(bridge) or self._assumed.get(bridge)
        if entry is None:
            return NOTHING
        owner, names = entry
        try:
            explanation = dict(owner.explain(drop, names))
            for key, value in explanation.items():
                if not (isinstance(key, str) and isinstance(value, (str, int))):
                    raise TypeError(f"got {key!r}: {value!r}; expected a string or an integer")
        except Exception as error:
            self._note(owner.name, bridge, error)
            return NOTHING
        return explanation

    def _note(self, owner: str, bridge: str, error: Exception) -> None:
        thread, mine = get_ident(), object()
        self._failures[thread] = self._failures.get(thread, 0) + 1
        if self._mistaken.setdefault(owner, mine) is not mine:
            return
        frames = error.__traceback__
        while frames is not None and frames.tb_next is not None:
            frames = frames.tb_next
        where = f" at {frames.tb_frame.f_code.co_filename}:{frames.tb_lineno}" if frames else ""
        what = printable(f"{type(error).__name__}: {error}", MESSAGE)
        self.notices.append(
            f"{bridge}: owner {owner} cannot explain a drop: {what}{where};"
            " such drops are logged without its words"
        )
