"""The key `events`."""

from __future__ import annotations

import pytest

from ryu_droplog.config.loader import parse
from ryu_droplog.config.settings import Events
from ryu_droplog.model.errors import ConfigError

FIELD = "/usr/local/var/run/aci-containers-packet-event-notification.sock"
NODE = "expected the name of a node as `kubectl get nodes` shows it or null"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Events(FIELD, 600.0, 120.0, None, None)),
        ("events: null", Events()),
        ("events: {}", Events()),
        ("events: {max_age: 1h, interval: 0s}", Events(max_age=3600.0, interval=0.0)),
        ("events: {max_age: 1, interval: 1.5}", Events(max_age=1.0, interval=1.5)),
        (
            "events: {socket: /run/x.sock, node: n1.example}",
            Events("/run/x.sock", node="n1.example"),
        ),
        ("events: {kubeconfig: /etc/k}", Events(kubeconfig="/etc/k")),
    ],
)
def test_wish_is_understood(text: str, expected: Events) -> None:
    assert expected == parse(text, "f.yaml").events


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{socket: run.sock}", 'socket: got "run.sock"; expected the absolute path of a socket'),
        (f"{{socket: /{'x' * 107}}}", "in at most 107 bytes (unix(7))"),
        ("{max_age: 0s}", 'max_age: got "0s"; expected a time from "1s" to "24h"'),
        ("{max_age: soon}", 'max_age: got "soon"; expected a time from "1s" to "24h"'),
        ("{max_age: null}", 'max_age: got null; expected a time such as "500ms", "1s" or "2m", or'),
        (f"{{max_age: 1{'0' * 400}}}", 'bits; expected a time from "1s" to "24h"'),
        ("{interval: -1}", 'interval: got -1; expected a time from "0s" to "24h"'),
        ("{interval: .nan}", 'interval: got nan; expected a time from "0s" to "24h"'),
        ("{interval: 25h}", 'interval: got "25h"; expected a time from "0s" to "24h"'),
        ("{node: N1}", f'node: got "N1"; {NODE}'),
        ("{node: 'a,b=c'}", f'node: got "a,b=c"; {NODE}'),
        ("{kubeconfig: k}", 'kubeconfig: got "k"; expected an absolute path or null'),
        ("{sockets: /x}", "sockets: unknown key, nearest is socket; expected one of socket, "),
    ],
)
def test_mistake_is_named(text: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"events: {text}", "f.yaml")
    assert str(caught.value).startswith("f.yaml:1: events.")
    assert expected in str(caught.value)
