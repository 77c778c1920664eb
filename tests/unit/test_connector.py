"""What keeps a bridge connected, over real sockets and under each hub; see `connected`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HUBS = ["eventlet", "native"][: 2 if version("os-ken") >= "4" else 1]
"""Those that this os-ken has."""
FOLDER = Path(__file__).parent


@pytest.fixture(params=HUBS)
def hub(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def run(hub: str, scenario: str) -> Any:
    """What a scenario tells."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "connected.py", scenario],
        cwd=FOLDER,
        env={**os.environ, "OSKEN_HUB_TYPE": hub},
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert 0 == done.returncode, done.stderr[-5000:]
    return json.loads(done.stdout)


def test_bridge_is_connected_its_packet_ins_are_taken_and_a_stop_gives_it_back(hub: str) -> None:
    told = run(hub, "connects_and_stops")
    assert ["br-a"] == told["begun"]
    assert 1 == len(told["taken"])
    assert (True, True) == (told["stopped"], told["ended"])
    assert 1 == len([line for line in told["said"] if line.startswith("br-a: connected to unix:/")])


def test_switch_that_is_not_there_is_tried_again_and_so_is_one_that_hangs_up(hub: str) -> None:
    told = run(hub, "waits_until_the_switch_is_there")
    assert ("unreachable", True, True, True) == (
        told["state"],
        told["came"],
        told["returned"],
        told["ended"],
    )
    assert 1 == len([line for line in told["said"] if "cannot connect to unix:/" in line])


def test_bridge_of_another_name_is_refused_with_both(hub: str) -> None:
    told = run(hub, "other_name_is_refused")
    reason = "the bridge there is called 'br-b', and is not asked for"
    assert (["refused", reason], [], True) == (told["trouble"], told["begun"], told["ended"])


def test_bridge_with_a_long_name_has_the_whole_of_it(hub: str) -> None:
    name = "br-with-a-name-of-its-own"
    assert {"cut": [name], "none": [name]} == run(hub, "long_names")


def test_bridge_that_tells_no_name_is_refused_where_nothing_else_does(hub: str) -> None:
    told = run(hub, "nameless_elsewhere_is_refused")
    reason = "the bridge there has no LOCAL port, which would tell its name"
    assert (["refused", reason], [], True) == (told["trouble"], told["begun"], told["ended"])


def test_message_that_contradicts_itself_ends_one_connection(hub: str) -> None:
    told = run(hub, "garbage_ends_its_own_connection")
    assert (True, True) == (told["returned"], told["ended"])
    assert any("of type 3" in line for line in told["said"])


def test_peer_that_says_nothing_has_so_long_for_the_handshake(hub: str) -> None:
    assert {
        "failure": "no OpenFlow handshake within 0.2 s",
        "ended": True,
        "begun": [],
    } == run(hub, "silence_ends_a_handshake")


def test_bridge_that_is_connected_here_is_refused_to_who_is_trusted_less(hub: str) -> None:
    told = run(hub, "less_trusted_is_refused")
    assert f"br-a is connected already, through unix:{told['path']}" == told["refused"]
    assert told["ended"]
