"""A bridge whose owner nobody knows: nothing is explained, and no database is asked."""

from __future__ import annotations

from ryu_droplog.owners.base import Owner


class Unknown(Owner):
    """Stands for whoever is not recognised, and for pipelines that name no owner."""

    name = "unknown"
