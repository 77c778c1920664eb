"""What the sink `kafka` makes of answers that no broker of the test bed gives.

Tansu and librdkafka's own broker make a topic that is asked for, and refuse nobody: the client
library is replaced here by one that answers as it would.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from confluent_kafka import KafkaError

from ryu_droplog.sinks.delivery import NotSent
from ryu_droplog.sinks.kafka_options import KafkaOptions
from ryu_droplog.sinks.kafka_producer import Delivery, KafkaProducer


def producer() -> KafkaProducer:
    options = KafkaOptions(brokers=("127.0.0.1:1",), topic="drops")
    return KafkaProducer(options, None, lambda: False)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (KafkaError.UNKNOWN_TOPIC_OR_PART, "topic drops: Broker: Unknown topic or partition"),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, "topic drops: Broker: Topic authorization failed"),
    ],
)
def test_topic_that_cannot_be_written_is_named(code: int, said: str) -> None:
    made = producer()
    topic = SimpleNamespace(error=KafkaError(code))
    answer = SimpleNamespace(topics={"drops": topic})
    library: Any = SimpleNamespace(list_topics=lambda *of, **more: answer)
    made._producer = library
    with pytest.raises(NotSent) as caught:
        made.find_topic()
    assert said == str(caught.value)


@pytest.mark.parametrize(
    ("code", "broken"),
    [
        (KafkaError._AUTHENTICATION, True),
        (KafkaError._SSL, True),
        (KafkaError._TRANSPORT, False),
        (KafkaError._ALL_BROKERS_DOWN, False),
    ],
)
def test_refused_password_or_certificate_is_tried_anew(code: int, broken: bool) -> None:
    made = producer()
    made._error(KafkaError(code))
    assert (broken, KafkaError(code).str()) == (made.is_broken, made.trouble)


def test_what_a_broker_said_is_not_hidden_by_what_is_vague() -> None:
    made = producer()
    made._error(KafkaError(KafkaError._AUTHENTICATION, "wrong password"))
    made._error(KafkaError(KafkaError._ALL_BROKERS_DOWN))
    assert "wrong password" == made.trouble


def test_records_are_settled_where_nothing_can_be_sent_again() -> None:
    delivery = Delivery(3)
    delivery.pending = 3
    delivery.report(0, None, None)
    delivery.report(1, KafkaError(KafkaError.MSG_SIZE_TOO_LARGE), None)
    assert not delivery.is_settled
    delivery.report(2, KafkaError(KafkaError._MSG_TIMED_OUT), None)
    assert not delivery.is_settled
    assert ({0}, {1}, 0) == (delivery.acknowledged, delivery.rejected, delivery.pending)
    delivery.report(2, None, None)
    assert delivery.is_settled
