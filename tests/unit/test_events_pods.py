"""Whose an address is, while pods come, change and go."""

from __future__ import annotations

import pytest
from packet_events import pod

from ryu_droplog.k8s_events.pods import Pod, PodMap

A, B = "10.2.0.1", "fd00::1"
EARLY, LATE = "2024-02-20T07:00:00Z", "2024-02-20T08:00:00Z"


def owner(known: PodMap, address: str = A) -> str | None:
    """Name of the pod at the address."""
    end = known.at(address)
    assert end is not None
    return end.pod.name if end.pod else None


def test_all_addresses_of_a_pod_lead_to_it_in_any_notation() -> None:
    known = PodMap()
    known.put(pod("a", A, B))
    texts = (A, B, "FD00:0:0::1", "::ffff:10.2.0.1", "fd00::1%eth0", "10.2.0.2", "fd00::2")
    assert ["a", "a", "a", "a", "a", None, None] == [owner(known, text) for text in texts]


@pytest.mark.parametrize("text", ["", "web", "10.2.0", "10.2.0.1/24", "010.2.0.1", "fd00::1::1"])
def test_text_that_is_no_address_leads_nowhere(text: str) -> None:
    assert PodMap().at(text) is None


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_address_used_again_is_the_newer_pods(order: tuple[int, int]) -> None:
    pods = pod("old", A, created=EARLY), pod("new", A, created=LATE)
    known = PodMap()
    for index in order:
        known.put(pods[index])
    assert "new" == owner(known)
    listed = PodMap()
    listed.replace(pods[index] for index in order)
    assert "new" == owner(listed)


def test_of_two_of_the_same_second_the_later_seen_is_newer() -> None:
    known = PodMap()
    known.put(pod("old", A))
    known.put(pod("new", A))
    known.put(pod("old", A))
    assert "new" == owner(known)
    known.replace([pod("new", A), pod("old", A)])
    assert "new" == owner(known)


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_pod_that_ended_gives_up_its_address_and_takes_none_away(phase: str) -> None:
    known = PodMap()
    known.put(pod("a", A))
    known.put(pod("a", A, phase=phase))
    assert owner(known) is None
    known.put(pod("b", A))
    known.put(pod("a", A, phase=phase))
    known.remove("uid-of-a")
    assert "b" == owner(known)
    assert 1 == len(known)


def test_pod_that_is_deleted_late_takes_no_address_from_another() -> None:
    known = PodMap()
    known.put(pod("old", A, B, created=EARLY))
    known.put(pod("new", A, created=LATE))
    known.remove("uid-of-old")
    assert ("new", None) == (owner(known), owner(known, B))
    known.remove("uid-of-old")
    known.remove("uid-of-new")
    assert (None, 0) == (owner(known), len(known))


def test_address_returns_to_the_older_pod_that_still_has_it() -> None:
    known = PodMap()
    known.put(pod("old", A, created=EARLY))
    known.put(pod("new", A, created=LATE))
    known.remove("uid-of-new")
    assert "old" == owner(known)


def test_pod_that_changes_its_address_leaves_the_former() -> None:
    known = PodMap()
    known.put(pod("a", A))
    known.put(pod("a", B))
    assert (None, "a") == (owner(known), owner(known, B))


def test_pod_of_the_same_name_is_another() -> None:
    known = PodMap()
    known.put(pod("web-0", A, uid="1", created=EARLY))
    known.put(pod("web-0", B, uid="2", created=LATE))
    known.remove("1")
    assert (None, "web-0") == (owner(known), owner(known, B))


def test_nodes_address_is_named_only_where_one_pod_has_it() -> None:
    known = PodMap()
    known.put(pod("agent", A, host_network=True))
    assert "agent" == owner(known)
    known.put(pod("proxy", A, host_network=True))
    assert owner(known) is None
    known.put(pod("web", A, created="2024-02-20T06:00:00Z"))
    assert "web" == owner(known)


def test_list_leaves_nothing_of_what_was_known_before() -> None:
    known = PodMap()
    known.put(pod("a", A))
    known.replace([pod("b", B), pod("c", "10.2.0.3", phase="Failed")])
    assert (None, "b", None) == (owner(known), owner(known, B), owner(known, "10.2.0.3"))
    assert 1 == len(known)


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (pod(), True),
        (pod(phase="Pending"), False),
        (pod(phase="Unknown"), False),
        (pod(host_network=True), False),
    ],
)
def test_only_a_running_pod_with_its_own_network_takes_events(one: Pod, expected: bool) -> None:
    assert expected == one.takes_events
