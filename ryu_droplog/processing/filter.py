"""Which drops are left out, and by whose rule: by default control chatter that nobody routes.

Pure: filters and a Drop in, a name out. What a drop costs here hardly depends on how many filters
there are: each key looks up which of them accept what the drop has of it, and the answer is what
all keys have in common. No key is asked that no filter wants anything of.
"""

from __future__ import annotations

from collections.abc import Sequence

from ryu_droplog.config.filter_spec import FilterSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.plugins.filter_key import FilterKey
from ryu_droplog.plugins.parts import FILTERS


class FilterSet:
    """Tells by which of its filters a drop is left out; it never changes, any thread may ask."""

    def __init__(self, filters: Sequence[FilterSpec]) -> None:
        """`filters` in the order in which they are asked."""
        self.names = tuple(filter.name for filter in filters)
        """Of all filters, in their order."""
        keys = _most_selective_first([[*filter.values] for filter in filters])
        self._all = (1 << len(filters)) - 1
        self._tests = [
            key.test({name: [f.values.get(name) for f in filters] for name in key.tested})
            for key in keys
        ]

    def match(self, drop: Drop) -> str | None:
        """Name of the first filter that leaves the drop out; None: it is kept."""
        left = self._all
        for test in self._tests:
            left = test(left, drop)
            if not left:
                return None
        # The lowest bit that is set is the first filter.
        return self.names[(left & -left).bit_length() - 1] if left else None


def _most_selective_first(asked: Sequence[Sequence[str]]) -> list[FilterKey]:
    """The keys to ask, one of each that are tested together, in a good order for what fits nothing.

    `asked` are the names of the keys of each filter. Next is always the key that is expected to
    rule out the most filters for what it costs.
    """
    used = {name: FILTERS.get(name) for names in asked for name in names}
    keys = {key.tested: key for key in used.values()}
    left = [1.0] * len(asked)  # how likely each filter still holds
    order: list[FilterKey] = []
    while keys:
        after = {
            tested: [
                chance * key.chance ** sum(name in names for name in tested)
                for chance, names in zip(left, asked, strict=True)
            ]
            for tested, key in keys.items()
        }
        gains = {
            tested: (sum(left) - sum(chances)) / keys[tested].cost
            for tested, chances in after.items()
        }
        best = max(gains, key=gains.__getitem__)
        left = after[best]
        order.append(keys.pop(best))
    return order
