"""RabbitMQ (Debian `rabbitmq-server`), with a listener for notifications of `oslo.messaging`.

The node has its own name, home, ports, cookie and Erlang port mapper, all on the loopback, and
takes AMQP from `guest`, password `guest`.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import oslo_messaging
from oslo_config import cfg

from .certificates import Certificates, make_certificates
from .service import HOST, PATIENCE, Service, end_group, eventually, free_port, spawn, takes_tcp

_PROGRAMS = Path("/usr/lib/rabbitmq/bin")


class RabbitMq(Service):
    """A broker; `url` is a transport URL of oslo.messaging's.

    With `tls` it speaks nothing else, and asks for a certificate of the client's.
    """

    name = "rabbitmq"

    def __init__(self, tls: bool = False) -> None:
        super().__init__()
        self.certificates: Certificates | None = None
        if tls:
            self.certificates = make_certificates(self.folder / "certificates")
        self.port = free_port()
        self.url = f"rabbit://guest:guest@{HOST}:{self.port}/"
        self._mapper_port, self._node_port = free_port(), free_port()
        self._mapper: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        (self.folder / "rabbitmq.conf").write_text(
            f"{self._listeners()}\nloopback_users.guest = true\n"
        )
        (self.folder / "enabled_plugins").write_text("[].\n")
        # Its own, ended with it: the node would start one that stays.
        command = ("epmd", "-address", HOST, "-port", str(self._mapper_port))
        self._mapper = spawn(command, {}, self.log_path, self.folder)
        eventually(lambda: takes_tcp(self._mapper_port), "Erlang's port mapper listens")

    def _listeners(self) -> str:
        files = self.certificates
        if files is None:
            return f"listeners.tcp.default = {HOST}:{self.port}"
        return f"""
listeners.tcp = none
listeners.ssl.default = {HOST}:{self.port}
ssl_options.cacertfile = {files.ca}
ssl_options.certfile = {files.certificate}
ssl_options.keyfile = {files.key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true"""

    def clear(self) -> None:
        if self._mapper is not None:
            end_group(self._mapper)
            self._mapper = None

    def command(self) -> Sequence[str | Path]:
        return [_PROGRAMS / "rabbitmq-server"]

    def environment(self) -> Mapping[str, str]:
        loopback = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "HOME": str(self.folder),
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(self._mapper_port),
            "RABBITMQ_NODENAME": f"test{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": loopback,
            "RABBITMQ_CONFIG_FILE": str(self.folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(self.folder / "mnesia"),
            "RABBITMQ_LOG_BASE": str(self.folder / "log"),
            "RABBITMQ_PID_FILE": str(self.folder / "pid"),
            "RABBITMQ_LOGS": "-",
        }

    def is_ready(self) -> bool:
        return self.has_said("Server startup complete") and takes_tcp(self.port)


@dataclass(frozen=True)
class Notification:
    """A notification as the listener got it."""

    priority: str
    publisher_id: str
    event_type: str
    payload: Any
    metadata: dict[str, Any]
    """`message_id`, `timestamp`."""


class NotificationListener:
    """Takes the notifications of a topic from any transport of oslo.messaging's, in a `with` block.

    It comes back after a restart of the broker, as the library does. With a transport `kafka://` it
    takes what is sent after it has joined its group, up to half a minute after the start.
    """

    def __init__(self, url: str, topic: str = "notifications") -> None:
        self._lock = threading.Lock()
        self._taken: list[Notification] = []
        transport = oslo_messaging.get_notification_transport(cfg.ConfigOpts(), url=url)
        self._listener = oslo_messaging.get_notification_listener(
            transport,
            [oslo_messaging.Target(topic=topic)],
            [_Endpoint(self._take)],
            executor="threading",
        )

    def __enter__(self) -> NotificationListener:
        self._listener.start()
        return self

    def __exit__(self, *of: object) -> None:
        self._listener.stop()
        self._listener.wait()

    def _take(self, notification: Notification) -> None:
        with self._lock:
            self._taken.append(notification)

    def read(self, count: int, patience: float = PATIENCE) -> list[Notification]:
        """All notifications, once there are `count` of them."""
        eventually(lambda: len(self._taken) >= count, f"{count} notifications", patience)
        with self._lock:
            return list(self._taken)


class _Endpoint:
    """One method for each priority, as oslo.messaging looks them up."""

    def __init__(self, take: Any) -> None:
        for priority in ("audit", "debug", "info", "warn", "error", "critical", "sample"):
            setattr(self, priority, self._method(take, priority))

    @staticmethod
    def _method(take: Any, priority: str) -> Any:
        def method(
            context: Any, publisher_id: str, event_type: str, payload: Any, metadata: dict[str, Any]
        ) -> None:
            take(Notification(priority, publisher_id, event_type, payload, metadata))

        return method
