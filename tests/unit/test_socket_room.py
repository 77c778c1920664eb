"""What enlarging the room of a management socket takes, and what is said of it."""

from __future__ import annotations

from typing import Any

import pytest

from ryu_droplog.connections.socket_room import (
    ENLARGED,
    FAILED,
    MISSING,
    NOT_HERE,
    OFF,
    Facts,
    Identity,
    Requirement,
    Room,
    choose,
    difference,
    from_json,
    missing,
)

ALL = Facts(pid=5, has_getfd=True, getfd_refused=False, may_look=True, may_force=True)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, []),
        ({"has_getfd": False, "getfd_refused": True, "may_look": None}, [Requirement.LINUX]),
        ({"getfd_refused": True, "may_look": None}, [Requirement.SYSTEM_CALL]),
        ({"pid": 0, "may_look": None}, [Requirement.PID_NAMESPACE]),
        ({"may_look": False}, [Requirement.PTRACE]),
        ({"may_force": False}, [Requirement.NET_ADMIN]),
        (
            {"may_look": False, "may_force": False},
            [Requirement.PTRACE, Requirement.NET_ADMIN],
        ),
        (
            {"pid": 0, "may_look": None, "may_force": False},
            [Requirement.PID_NAMESPACE, Requirement.NET_ADMIN],
        ),
    ],
)
def test_all_that_is_missing_is_told(change: dict[str, Any], expected: list[Requirement]) -> None:
    assert expected == list(missing(ALL._replace(**change)))


LINKS = [(0, "/dev/null"), (3, "socket:[71]"), (9, "socket:[7]"), (12, "anon_inode:[eventpoll]")]


@pytest.mark.parametrize(("inode", "expected"), [(7, 9), (71, 3), (1, None), (0, None)])
def test_descriptor_is_chosen_by_its_inode(inode: int, expected: int | None) -> None:
    assert expected == choose(iter(LINKS), inode)


RIGHT = Identity(8, 7, 99, 1, 1, False, "/run/br-int.mgmt", "")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, ""),
        ({"device": 9}, "its device is 9, not 8"),
        ({"inode": 6}, "its inode is 6, not 7"),
        ({"cookie": 98}, "its cookie is 98, not 99"),
        ({"family": 2}, "its family is 2, not 1"),
        ({"kind": 2}, "its kind is 2, not 1"),
        ({"listens": True}, "its listens is True, not False"),
        ({"name": "/run/b.mgmt"}, "its name is '/run/b.mgmt', not '/run/br-int.mgmt'"),
        ({"peer_name": b"\0x"}, "its peer name is b'\\x00x', not ''"),
    ],
)
def test_copy_that_differs_in_anything_is_another_socket(
    change: dict[str, Any], expected: str
) -> None:
    assert expected == difference(RIGHT._replace(**change), RIGHT)


COST = (
    "it holds some hundred packets, and a longer burst loses some, which are counted (connect:"
    " service takes bursts whole)"
)
ROOMS = [
    (
        Room(ENLARGED, 16_777_216),
        "the room of the management socket is enlarged to 16777216 bytes, some 21845 short packets",
    ),
    (
        Room(OFF),
        f"the room of the management socket is as it is, because socket_room is 0; {COST}",
    ),
    (Room(NOT_HERE), ""),
    (
        Room(MISSING, lacks=(Requirement.PTRACE, Requirement.NET_ADMIN)),
        "the room of the management socket is not enlarged, for want of CAP_SYS_PTRACE over"
        f" ovs-vswitchd and CAP_NET_ADMIN in the first user namespace; {COST}",
    ),
    (
        Room(FAILED, why="No such process"),
        "the room of the management socket is not enlarged, because of this: No such process;"
        f" {COST}",
    ),
]


@pytest.mark.parametrize(("room", "expected"), ROOMS)
def test_room_is_told_in_words(room: Room, expected: str) -> None:
    assert expected == room.in_words()
    assert expected.replace(" is enlarged", " would be enlarged").replace(
        " is not enlarged", " would not be enlarged"
    ) == room.in_words(would=True)


@pytest.mark.parametrize("room", [room for room, _ in ROOMS])
def test_room_is_the_same_behind_json(room: Room) -> None:
    assert room == from_json(room.as_json())


@pytest.mark.parametrize(
    "data",
    [None, 7, {}, {"state": "x"}, {**Room(OFF).as_json(), "missing": ["a horse"]}],
)
def test_what_is_not_understood_is_no_room(data: object) -> None:
    assert from_json(data) is None
