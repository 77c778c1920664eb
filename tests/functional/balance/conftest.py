"""A bridge with a guest, for tests of what the books say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from .bed import BRIDGE


@pytest.fixture(scope="module", autouse=True)
def guest(switch: PrivateSwitch) -> None:
    """A guest `one`; each test's bridge takes its port."""
    switch.add_bridge("br-first")
    switch.guest("one", "br-first")
    switch.vsctl("del-br", "br-first")


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """A bridge with a guest and without flows."""
    switch.add_bridge(BRIDGE)
    switch.vsctl("add-port", BRIDGE, "one")
    yield BRIDGE
    switch.vsctl("--if-exists", "del-br", BRIDGE)
