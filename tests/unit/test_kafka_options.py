"""The keys of the sink `kafka`, and what librdkafka is told.

No broker here asks for SASL: what the client library is configured with is looked at, and that it
takes it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from ryu_droplog.config import loader
from ryu_droplog.config.describe import describe
from ryu_droplog.model.errors import ConfigError
from ryu_droplog.pipelines.loader import load_pipelines
from ryu_droplog.plugins import extras
from ryu_droplog.sinks.kafka_options import KafkaOptions
from ryu_droplog.sinks.kafka_producer import configuration
from ryu_droplog.sinks.secrets import Secret

PASSWORD = "tell-nobody"


def sink(keys: str) -> KafkaOptions:
    text = f"sinks: [{{name: bus, type: kafka, {keys}}}]"
    options = loader.parse(text, "f.yaml", {}).sinks[0].options
    assert isinstance(options, KafkaOptions)
    return options


def refusal(keys: str) -> str:
    with pytest.raises(ConfigError) as caught:
        sink(keys)
    return str(caught.value)


def told(keys: str, password: str | None = None) -> dict[str, Any]:
    options = sink(f'brokers: ["127.0.0.1:9092"], topic: drops, {keys}')
    return configuration(options, None if password is None else Secret(password))


def test_keys_have_defaults_for_a_cluster_without_anything() -> None:
    options = sink('brokers: ["127.0.0.1:9092", "[::1]:9093"], topic: ryu_droplog.drops')
    assert ("127.0.0.1:9092", "[::1]:9093") == options.brokers
    assert ("ecs", "lz4", "at_most_once") == (options.encode, options.compression, options.delivery)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("topic: t", "brokers"),
        ('brokers: [], topic: "t"', "expected a list of HOST:PORT"),
        ('brokers: ["host"], topic: t', 'got "host"'),
        ('brokers: ["tcp:host:1"], topic: t', "expected HOST:PORT"),
        ('brokers: ["h:1"], topic: "a b"', "expected 1 to 249 letters, digits and ._-"),
        ('brokers: ["h:1"], topic: ".."', "expected 1 to 249 letters, digits and ._-"),
        (
            'brokers: ["h:1"], topic: t, compression: rar',
            "expected none, gzip, snappy, lz4 or zstd",
        ),
        (
            'brokers: ["h:1"], topic: t, sasl: {mechanism: PLAIN, user: u}',
            "expected password_file or password_env",
        ),
        (
            'brokers: ["h:1"], topic: t, sasl: {mechanism: PLAIN, user: u, password: x}',
            "password",
        ),
        ('brokers: ["h:1"], topic: t, spool: {directory: /s}', "expected delivery: at_least_once"),
    ],
)
def test_wrong_keys_are_refused_with_what_was_expected(keys: str, expected: str) -> None:
    assert expected in refusal(keys)


def test_missing_package_is_refused_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda module: None)
    said = refusal('brokers: ["h:1"], topic: t')
    assert "expected the package confluent-kafka: pip install 'ryu-droplog[kafka]'" in said


def test_records_are_produced_in_order_and_once_by_each_producer() -> None:
    made = told("compression: zstd, timeout: 5s")
    assert made["enable.idempotence"] is True
    assert ("plaintext", "zstd", 5000, "murmur2_random") == (
        made["security.protocol"],
        made["compression.type"],
        made["message.timeout.ms"],
        made["partitioner"],
    )


def test_certificate_and_name_are_verified_unless_the_user_says_otherwise() -> None:
    made = told("tls: {ca: /etc/ca.pem, certificate: /etc/c.pem, key: /etc/k.pem}")
    expected = {
        "security.protocol": "ssl",
        "enable.ssl.certificate.verification": True,
        "ssl.endpoint.identification.algorithm": "https",
        "ssl.ca.location": "/etc/ca.pem",
        "ssl.certificate.location": "/etc/c.pem",
        "ssl.key.location": "/etc/k.pem",
    }
    assert expected == {key: made[key] for key in expected}
    trusting = told("tls: {verify: false}")
    assert trusting["enable.ssl.certificate.verification"] is False
    assert "none" == trusting["ssl.endpoint.identification.algorithm"]
    assert "ssl.ca.location" not in trusting, "the system's own"


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize(("tls", "protocol"), [("", "sasl_plaintext"), ("tls: {}, ", "sasl_ssl")])
def test_sasl_is_what_the_library_is_told_and_takes(
    mechanism: str, tls: str, protocol: str
) -> None:
    keys = f"{tls}sasl: {{mechanism: {mechanism}, user: me, password_env: X}}"
    made = told(keys, PASSWORD)
    expected = {
        "security.protocol": protocol,
        "sasl.mechanism": mechanism,
        "sasl.username": "me",
        "sasl.password": PASSWORD,
    }
    assert expected == {key: made[key] for key in expected}
    Producer(made)


def test_password_is_read_when_it_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "password"
    options = sink(
        'brokers: ["h:1"], topic: t,'
        f" sasl: {{mechanism: SCRAM-SHA-512, user: me, password_file: {path}}}"
    )
    assert options.sasl is not None
    path.write_text(f"{PASSWORD}\n")
    password = options.sasl.password()
    assert password is not None
    assert PASSWORD == password.reveal()


def test_check_config_connects_to_nothing_and_shows_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BUS_PASSWORD", PASSWORD)
    text = (
        'sinks: [{name: bus, type: kafka, brokers: ["127.0.0.1:1"], topic: t,'
        " sasl: {mechanism: PLAIN, user: me, password_env: BUS_PASSWORD}}]"
    )
    settings = loader.parse(text, "f.yaml")
    shown = describe(settings, load_pipelines(None))
    assert "bus" in shown
    assert PASSWORD not in shown + repr(settings)
