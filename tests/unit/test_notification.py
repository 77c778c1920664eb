"""The sink `notification` without a bus: its keys, its messages, and what it counts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from living import ends
from record_drops import context, dropped, place
from sinks import context as sink_context

from ryu_droplog.config import loader
from ryu_droplog.config.sink_spec import QueueSpec, SinkSpec
from ryu_droplog.model.drop import Drop
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.plugins import extras
from ryu_droplog.plugins.parts import ENCODERS
from ryu_droplog.processing.shares import Share, shares
from ryu_droplog.sinks import notification_window
from ryu_droplog.sinks.delivery import Chunk, NotAcknowledged
from ryu_droplog.sinks.notification import Notification
from ryu_droplog.sinks.notification_options import NotificationOptions
from ryu_droplog.sinks.notification_window import Window

PASSWORD = "p@ss:word/"
SPELL = ENCODERS.get("native")(context())
PATIENCE = 20.0


def options(keys: str) -> NotificationOptions:
    text = f"sinks: [{{name: bus, type: notification, {keys}}}]"
    made = loader.parse(text, "f.yaml", {}).sinks[0].options
    assert isinstance(made, NotificationOptions)
    return made


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("topic: t", "either transport_url or url_file"),
        ('transport_url: "rabbit://u@h/", url_file: /f', "either transport_url or url_file"),
        ('transport_url: "rabbit://u:secret@h/"', "expected a URL without a password"),
        ('transport_url: "kafka://h/?sasl_password=x"', "expected a URL without a password"),
        ('transport_url: "http://h/"', "expected rabbit://USER@HOST:PORT/VHOST"),
        ('transport_url: "rabbit:///"', "expected rabbit://USER@HOST:PORT/VHOST"),
        ("url_file: /f, password_env: X", "no password beside url_file"),
        ('transport_url: "rabbit://u@h/", tls: {verify: false}', "expected tls.verify: true"),
        ('transport_url: "rabbit://u@h/", window: 0s', "expected a time"),
        ('transport_url: "rabbit://u@h/", signatures: 0', "expected an integer from 1 to 1000"),
    ],
)
def test_wrong_keys_are_refused_with_what_was_expected(keys: str, expected: str) -> None:
    with pytest.raises(ConfigError) as caught:
        options(keys)
    assert expected in str(caught.value)


def test_missing_package_is_refused_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    with pytest.raises(ConfigError) as caught:
        options('transport_url: "rabbit://u@h/"')
    assert "pip install 'ryu-droplog[notification]'" in str(caught.value)


def test_password_goes_into_the_url_of_each_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUS", PASSWORD)
    made = options('transport_url: "rabbit://u@a:1,v@b:2/host", password_env: BUS')
    assert "rabbit://u:p%40ss%3Aword%2F@a:1,v:p%40ss%3Aword%2F@b:2/host" == made.url().reveal()
    assert PASSWORD not in repr(made) + str(made.url())


def test_url_of_a_file_is_taken_whole(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"rabbit://u:{PASSWORD}@h:1/\n")
    assert f"rabbit://u:{PASSWORD}@h:1/" == options(f"url_file: {tmp_path}/url").url().reveal()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("rabbit://u@h:1/", "rabbit://u@h:1/?ssl=true&ssl_ca_file=%2Fca.pem"),
        ("kafka://h:1/", "kafka://h:1/?security_protocol=SSL&ssl_cafile=%2Fca.pem"),
        ("kafka://u@h:1/", "kafka://u@h:1/?security_protocol=SASL_SSL&ssl_cafile=%2Fca.pem"),
    ],
)
def test_tls_is_told_in_the_drivers_words(url: str, expected: str) -> None:
    made = options(f'transport_url: "{url}", tls: {{ca: /ca.pem}}')
    assert expected == made.url().reveal()


# The message


def window(*drops: tuple[bytes, Drop]) -> Window:
    made = Window()
    for signature, drop in drops:
        made.add(signature, drop)
        made.count(shares([drop]))
    return made


def at(time: float, repeated: int = 0, first: float = 0.0) -> Drop:
    drop = dropped()
    drop.time, drop.repeated, drop.first_time = time, repeated, first
    return drop


def message(made: Window, listed: int = 50) -> Any:
    return json.loads(made.message("node-1", listed, SPELL))


def test_message_lists_those_with_the_most_packets_and_counts_the_others() -> None:
    made = window(
        (b"1:a", at(10)),
        (b"1:b", at(11)),
        (b"1:b", at(12)),
        (b"1:c", at(13, 7, 9)),
        (b"1:d", at(14)),
    )
    told = message(made, listed=2)
    assert [("1:c", 7), ("1:b", 2)] == [(k["signature"], k["packets"]) for k in told["drops"]]
    assert {"packets": 2, "signatures": 2, "more_signatures": False} == told["others"]
    assert 11 == told["packets"]
    assert ("1970-01-01T00:00:09.000000000Z", "1970-01-01T00:00:14.000000000Z") == (
        told["first_time"],
        told["last_time"],
    )
    b = told["drops"][1]
    assert ("1970-01-01T00:00:11.000000000Z", "1970-01-01T00:00:12.000000000Z") == (
        b["first_time"],
        b["last_time"],
    )


def test_signatures_have_a_bound_and_no_packet_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notification_window, "TRACKED", 3)
    made = window(*((f"1:{number}".encode(), at(number)) for number in range(10)))
    told = message(made, listed=2)
    assert {"packets": 8, "signatures": 1, "more_signatures": True} == told["others"]
    assert 10 == told["packets"]


def test_shares_of_a_window_are_two_for_each_table_at_most() -> None:
    made = window(*((b"1:a", at(number, number % 3 * 2)) for number in range(300)))
    assert [Share(place().key, 100), Share(place().key, 200, 600)] == made.by_table
    assert 300 == made.records


def test_lines_are_texts_in_the_message() -> None:
    spell = ENCODERS.get("opflex")(context())
    told = json.loads(window((b"1:a", at(1))).message("n", 1, spell))
    assert "SEC_GROUP_IN_TABLE MISS" in told["drops"][0]["record"]


# The books


class _Recording(Notification):
    """Keeps messages, or fails."""

    messages: list[bytes]
    error: Exception | None = None

    def send(self, chunk: Chunk) -> None:
        if self.error is not None:
            raise self.error
        self.messages += chunk.items


def sink(**more: Any) -> _Recording:
    keys = {"transport_url": "rabbit://u@h:1/", "window": 3600.0, **more}
    made = NotificationOptions.model_validate(keys)
    spec = SinkSpec("bus", "notification", options=made, queue=QueueSpec(10))
    recording = _Recording(spec, sink_context())
    recording.messages = []
    return recording


def test_end_of_the_sink_ends_the_window() -> None:
    made = sink()
    made.put([dropped() for _ in range(5)])
    made.start()
    assert 0 == made.close(PATIENCE)
    assert [5] == [json.loads(data)["packets"] for data in made.messages]
    assert (5, 0, 0) == (made.written, made.waiting, made.reading().unexplained())


def test_message_that_is_not_acknowledged_has_failed_with_all_its_drops() -> None:
    made = sink()
    made.error = NotAcknowledged("no")
    made.put([at(1), at(2, 6)])
    made.start()
    assert 0 == made.close(PATIENCE)
    total = made.reading().total()
    assert (2, 7, 0) == (made.failed, total.failed, made.reading().unexplained())


def test_drop_that_cannot_be_told_costs_itself_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    made = sink()
    right = made.encode

    def encode(drop: Drop) -> tuple[bytes, Drop]:
        if drop.time == 2:
            raise ValueError("odd")
        return right(drop)

    monkeypatch.setattr(made, "encode", encode)
    made.put([at(1), at(2), at(3)])
    made.start()
    assert 0 == made.close(PATIENCE)
    assert (2, 1, 0) == (made.written, made.failed, made.reading().unexplained())


def test_message_that_cannot_be_made_costs_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*of: object) -> bytes:
        raise ValueError("odd")

    monkeypatch.setattr(Window, "message", wrong)
    made = sink()
    made.put([at(1), at(2)])
    made.start()
    assert 0 == made.close(PATIENCE)
    assert (0, 2, 0) == (made.written, made.failed, made.reading().unexplained())
    assert ends("sink-bus", PATIENCE)
