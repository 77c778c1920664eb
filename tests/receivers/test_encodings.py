"""What the encoders write, by the published schemas whole."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit"))

from record_drops import context
from test_encoders import drops

from ryu_droplog.plugins.parts import ENCODERS

from .schemas import ecs, hubble, ocsf


@pytest.mark.parametrize(("name", "published"), [("ecs", ecs), ("ocsf", ocsf)])
def test_document_meets_its_published_schema(name: str, published: object) -> None:
    encode = ENCODERS.get(name)(context())
    for drop in drops():
        document = json.loads(encode(drop))
        assert not published.problems(document), document  # type: ignore[attr-defined]


def test_flow_is_read_by_hubbles_own_message() -> None:
    encode = ENCODERS.get("hubble")(context())
    for drop in drops():
        assert "node-1" == hubble.read_line(encode(drop).decode())["node_name"]
