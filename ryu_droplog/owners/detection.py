"""Who owns a bridge, as far as its flows tell, and which pipeline that makes.

What each owner does was seen beside the real programs; see docs/owners.md.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from functools import cache

from ryu_droplog.openflow.flow_stats import Flow, is_ours
from ryu_droplog.owners.base import UNRECOGNISED, FlowsByTable, Owner, Recognition
from ryu_droplog.pipelines.loader import AUTO, Pipeline
from ryu_droplog.plugins.parts import OWNERS

LOG = logging.getLogger(__name__)

_UNKNOWN = "unknown"
"""Name of the owner that stands for none."""


@cache
def owner_named(name: str) -> Owner:
    """The owner of this name.

    One that cannot be loaded is said once, and stands for nobody: drops are logged without its
    words.
    """
    try:
        owner: Owner = OWNERS.get(name)()
    except Exception:
        if name == _UNKNOWN:
            raise
        LOG.exception("owner %s cannot be loaded: its bridges are nobody's", name)
        return owner_named(_UNKNOWN)
    return owner


def owner_of(pipeline: Pipeline) -> Owner:
    """Who explains the drops of a pipeline."""
    return owner_named(pipeline.explain or _UNKNOWN)


@cache
def registered_owners() -> tuple[Owner, ...]:
    """All owners, in the order of the registry; looked up once."""
    return tuple(owner_named(name) for name in OWNERS.names())


def owned_pipelines() -> frozenset[str]:
    """Names of all pipelines whose owner can be recognised."""
    return frozenset(name for owner in registered_owners() for name in owner.pipelines)


def by_table(flows: Sequence[Flow]) -> FlowsByTable:
    """The flows of others than this program, by table."""
    tables: dict[int, list[Flow]] = {}
    for flow in flows:
        if not is_ours(flow):
            tables.setdefault(flow.table_id, []).append(flow)
    return tables


def recognise(flows: Sequence[Flow]) -> Recognition:
    """Ask all owners whether a bridge with these flows is theirs; the surest one counts.

    Flows of this program do not count.
    """
    tables = by_table(flows)
    answers = [_ask(owner, tables) for owner in registered_owners()]
    recognitions = [answer for answer in answers if answer is not None]
    recognitions.sort(key=lambda recognition: recognition.sureness != "certain")
    return recognitions[0] if recognitions else UNRECOGNISED


def choose_pipeline(
    configured: str, recognition: Recognition, pipelines: Mapping[str, Pipeline]
) -> Pipeline:
    """The configured pipeline; where that is `auto`, the recognised owner's, if there is one."""
    if configured == AUTO and recognition.sureness != "unknown":
        return pipelines.get(recognition.pipeline, pipelines[AUTO])
    return pipelines[configured]


def owners_warnings(flows: Sequence[Flow]) -> list[str]:
    """What all owners warn of on a bridge with these flows, whoever it is recognised as."""
    tables = by_table(flows)
    return [text for owner in registered_owners() for text in _warnings(owner, tables)]


_mistaken: set[str] = set()
"""Names of owners whose mistake was said."""


def _ask(owner: Owner, tables: FlowsByTable) -> Recognition | None:
    try:
        return owner.recognise(tables)
    except Exception:
        _say_once(owner, "its bridges cannot be recognised")
        return None


def _warnings(owner: Owner, tables: FlowsByTable) -> list[str]:
    try:
        return list(owner.warnings(tables))
    except Exception:
        _say_once(owner, "it cannot be asked what keeps drops from being seen")
        return []


def _say_once(owner: Owner, text: str) -> None:
    if owner.name not in _mistaken:
        _mistaken.add(owner.name)
        LOG.exception("owner %s: %s", owner.name, text)
