"""The Kafka brokers: written to and read by librdkafka."""

from __future__ import annotations

from confluent_kafka import Consumer, KafkaError, Message, Producer

from .kafka import MockBroker, TansuBroker
from .service import eventually

RECORDS = 2000
KEYS = 7


def produce(settings: dict[str, str | int | float | bool | None], topic: str) -> None:
    """Write the records as a sink would: idempotent, compressed, keyed."""
    errors: list[KafkaError] = []

    def delivered(error: KafkaError | None, record: Message) -> None:
        if error is not None:
            errors.append(error)

    producer = Producer({**settings, "enable.idempotence": True, "compression.type": "lz4"})
    for number in range(RECORDS):
        key = str(number % KEYS).encode()
        producer.produce(topic, str(number).encode(), key, on_delivery=delivered)
        producer.poll(0)
    assert (producer.flush(60), errors) == (0, [])


def numbers(records: list[Message]) -> list[int]:
    """What was written, in the order of reading."""
    return [int(record.value() or b"-1") for record in records]


def test_a_broker_keeps_the_order_of_a_key() -> None:
    with TansuBroker() as broker:
        broker.make_topic("drops", partitions=3)
        produce(broker.client, "drops")
        records = broker.read("drops", RECORDS, partitions=3)
    assert sorted(numbers(records)) == list(range(RECORDS))
    for key in range(KEYS):
        of_key = [record for record in records if record.key() == str(key).encode()]
        assert numbers(of_key) == list(range(key, RECORDS, KEYS))
        assert len({record.partition() for record in of_key}) == 1


def test_a_lasting_broker_has_its_records_after_a_crash() -> None:
    with TansuBroker(lasting=True) as broker:
        broker.make_topic("drops")
        produce(broker.client, "drops")
        broker.restart()
        assert numbers(broker.read("drops", RECORDS)) == list(range(RECORDS))


def test_a_broker_speaks_tls() -> None:
    with TansuBroker(tls=True) as broker:
        broker.make_topic("drops")
        produce(broker.client, "drops")
        assert numbers(broker.read("drops", RECORDS)) == list(range(RECORDS))


def test_a_broker_serves_a_consumer_group() -> None:
    with TansuBroker() as broker:
        broker.make_topic("drops")
        produce(broker.client, "drops")
        consumer = Consumer(
            {
                **broker.client,
                "group.id": "group",
                "auto.offset.reset": "earliest",
                "session.timeout.ms": 6000,
            }
        )
        consumer.subscribe(["drops"])
        records: list[Message] = []

        def has_all() -> bool:
            records.extend(consumer.consume(1000, timeout=0.5))
            return len(records) >= RECORDS

        eventually(has_all, "a consumer of a group reads all records")
        consumer.close()
    assert numbers(records) == list(range(RECORDS))


def test_the_mock_broker_takes_what_is_produced() -> None:
    with MockBroker() as broker:
        produce(broker.client, "drops")
        assert sorted(numbers(broker.read("drops", RECORDS, partitions=4))) == list(range(RECORDS))
