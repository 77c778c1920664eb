"""What the owners of bridges noted of dropped packets, found by the source of the drop."""

from __future__ import annotations

from collections.abc import Mapping

from ryu_droplog.model.drop import Drop, Explain


class Explanations:
    """Who explains the drops of each source; any thread may ask."""

    def __init__(self) -> None:
        self._by_source: dict[str, Explain] = {}

    def set(self, source: str, explain: Explain | None) -> None:
        """From now on the drops of a source are explained so; None: not at all."""
        if explain is None:
            self._by_source.pop(source, None)
        else:
            self._by_source[source] = explain

    def explain(self, drop: Drop) -> Mapping[str, str | int]:
        """Why a packet was dropped and whose it was; empty where nobody knows."""
        explain = self._by_source.get(drop.location.key[0])
        return explain(drop) if explain is not None else {}
