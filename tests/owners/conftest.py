"""The beds of real owners, one for each module."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest
from private_ovs import PrivateSwitch

from .neutron_bed import PYTHON, NeutronBed
from .ovn_bed import OvnBed


@pytest.fixture(scope="module")
def neutron(switch: PrivateSwitch) -> Iterator[NeutronBed]:
    """Neutron's agent at work on the module's switch."""
    if not PYTHON.exists():
        pytest.fail(f"{PYTHON}: no such file: run tools/test", pytrace=False)
    with NeutronBed(switch) as bed:
        yield bed


@pytest.fixture(scope="module")
def ovn(switch: PrivateSwitch) -> Iterator[OvnBed]:
    """OVN at work on the module's switch."""
    missing = [one for one in ("ovn-northd", "ovn-controller") if shutil.which(one) is None]
    if missing:
        pytest.fail(f"needs {', '.join(missing)}: run sudo tools/test", pytrace=False)
    with OvnBed(switch) as bed:
        yield bed
