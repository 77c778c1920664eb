"""How many ends each source of identities knows: the running program says it, or a look now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ryu_droplog.concurrency.hubs import real_threading
from ryu_droplog.config.settings import Bridge, Settings
from ryu_droplog.identity.knowledge import Knowledge
from ryu_droplog.model.errors import DropLogError
from ryu_droplog.ovsdb.southbound_rows import LogicalPort
from ryu_droplog.owners.base import Database
from ryu_droplog.runtime import status_socket
from ryu_droplog.runtime.identifying import context_of, new_source
from ryu_droplog.text.phrases import count


def known_ends(
    settings: Settings, bridge: Bridge, names: Database, at_work: str
) -> Mapping[str, Any]:
    """What `status` has as `identity`: ends and trouble of each source.

    `names` is the database of the bridge's owner; `at_work` is the process that has the bridge.
    """
    if at_work:
        return _of_program(settings.run_directory, at_work)
    return _now(settings, bridge, names)


def in_words(identity: Mapping[str, Any]) -> str:
    """One line: who knows how many ends, and who knows none and why."""
    parts = []
    for name, state in identity.items():
        trouble = f" ({state['trouble']})" if state["trouble"] else ""
        parts.append(f"{name} {count(state['ends'], 'end')}{trouble}")
    return ", ".join(parts) or "looked up nowhere"


def _of_program(run_directory: str, process: str) -> Mapping[str, Any]:
    try:
        for answer in status_socket.ask(run_directory):
            if str(answer["pid"]) == process:
                told: dict[str, Any] = answer.get("identity", {})
                return told
    except (DropLogError, LookupError, TypeError, AttributeError):
        pass  # it does not answer, or not in our way
    return {}


def _now(settings: Settings, bridge: Bridge, names: Database) -> Mapping[str, Any]:
    threads = real_threading()
    ports: Sequence[LogicalPort] = getattr(names, "logical_ports", tuple)()
    context = context_of(settings, Knowledge(threads), threads, lambda: {bridge.name: ports})
    found = {}
    for name, place in settings.identity.items():
        source = new_source(name, place, context) if place else None
        if source is not None:
            source.attempt()
            found[name] = source.state()
            source.close()
    return found
