"""RabbitMQ under oslo.messaging: a notification arrives, after a crash of the broker, too."""

from __future__ import annotations

import oslo_messaging
from oslo_config import cfg

from .rabbitmq import NotificationListener, RabbitMq


def notify(url: str, number: int) -> None:
    """Send one notification."""
    transport = oslo_messaging.get_notification_transport(cfg.ConfigOpts(), url=url)
    notifier = oslo_messaging.Notifier(
        transport, "ryu-droplog.node", driver="messagingv2", topics=["notifications"]
    )
    notifier.warn({}, "ryu_droplog.drop", {"number": number})
    transport.cleanup()


def test_a_notification_arrives_after_a_crash_too() -> None:
    with RabbitMq() as broker, NotificationListener(broker.url) as listener:
        notify(broker.url, 1)
        first = listener.read(1)[0]
        assert (first.priority, first.publisher_id, first.event_type, first.payload) == (
            "warn",
            "ryu-droplog.node",
            "ryu_droplog.drop",
            {"number": 1},
        )
        broker.restart()
        notify(broker.url, 2)
        assert [taken.payload for taken in listener.read(2)] == [{"number": 1}, {"number": 2}]
