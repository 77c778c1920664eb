"""The OS-Ken application: `osken-manager ryu_droplog.app`, or `ryu-droplog run`.

Lifecycle and wiring, nothing else.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3

from ryu_droplog import config, cookie
from ryu_droplog.endpoint import Accepted, ServiceEndpoint
from ryu_droplog.errors import DropLogError, why
from ryu_droplog.openflow.channel import Channel
from ryu_droplog.openflow.claims import Claims
from ryu_droplog.openflow.link import Link, Listener
from ryu_droplog.openflow.programmer import Programmer
from ryu_droplog.openflow.service import ServiceLink
from ryu_droplog.openflow.threads import start
from ryu_droplog.openflow.will import LastWill
from ryu_droplog.options import CONFIG_VARIABLE, register
from ryu_droplog.pipelines import load_pipelines
from ryu_droplog.settings import SYSLOG, Bridge
from ryu_droplog.sinks.base import Sink
from ryu_droplog.sinks.formats import FORMATS
from ryu_droplog.sinks.syslog import Syslog
from ryu_droplog.sinks.text import File, StandardOutput
from ryu_droplog.status import StatusServer
from ryu_droplog.watch import Watch

LOG = logging.getLogger(__name__)

TICK = 0.2
"""Seconds between looks at whether to stop and at what the sinks have to say."""
CLOSE_TIME = 5.0
"""Seconds that a sink has to write what still waits when the program stops."""

register(cfg.CONF)


class DropLog(app_manager.OSKenApp):  # type: ignore[misc]
    """Attaches to the configured bridges and logs what they drop."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  os-ken's way of saying so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        path = cfg.CONF.droplog.config or os.environ.get(CONFIG_VARIABLE) or None
        try:
            self.settings = config.load(path)
            self.pipelines = load_pipelines(self.settings.pipeline_directory)
            config.check_pipelines(self.settings, self.pipelines)
        except DropLogError as error:
            sys.exit(f"ryu_droplog: {error}")
        self.generation = cookie.new_run()
        self.watches: dict[str, Watch] = {}
        self.sinks: list[Sink] = []
        self._claims = Claims(self.settings.run_directory)
        self._will = LastWill()
        self._links: list[Link | Listener] = []
        self._status: StatusServer | None = None
        self._threads: list[Any] = []
        self._stopping = False
        self._stopped = False
        self._previous: dict[int, Any] = {}

    def start(self) -> Any:
        """Called by os-ken; the program lives as long as the thread that is returned."""
        super().start()
        self._catch_signals()
        if self.settings.enable:
            try:
                self._attach()
            except DropLogError as error:
                sys.exit(f"ryu_droplog: {error}")
        else:
            LOG.info("drop_log_config.enable is false: nothing is added to any switch")
        return start(self._live)

    def stop(self) -> None:
        """Called by os-ken: take everything back, write what waits, end all threads."""
        self._stopping = True
        self._take_back()
        super().stop()

    def _live(self) -> None:
        interval = self.settings.report_interval
        next_report = time.monotonic() + interval
        while not self._stopping:
            hub.sleep(TICK)
            self._listen_to_sinks()
            if interval and time.monotonic() >= next_report:
                next_report += interval
                self._report()
        self._take_back()
        if any(name != self.name for name in app_manager.SERVICE_BRICKS):
            # Others share the process: it is for os-ken's manager to end it.
            os.kill(os.getpid(), signal.SIGINT)

    def _listen_to_sinks(self) -> None:
        for watch in list(self.watches.values()):
            while watch.intake.notices:
                LOG.error("%s: %s", watch.name, watch.intake.notices.popleft())
        for sink in self.sinks:
            while sink.notices:
                LOG.warning("%s", sink.notices.popleft())
            if sink.broken and not self._stopping:
                LOG.warning("%s: nobody reads it any more: stopping", sink.name)
                self._stopping = True

    def _report(self) -> None:
        for watch in list(self.watches.values()):
            watch.read_counters()
            line = watch.report()
            if line:
                LOG.info("%s", line)

    def _take_back(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        for link in self._links:
            link.stop()
        if self._status is not None:
            self._status.stop()
        hub.joinall(self._threads)
        self._will.close()
        for watch in self.watches.values():
            watch.close(CLOSE_TIME)
        for sink in self.sinks:
            left = sink.close(CLOSE_TIME)
            if left:
                LOG.warning("%s: %d drops were not written in time", sink.name, left)
        self._listen_to_sinks()
        for watch in self.watches.values():
            line = watch.report()
            if line:
                LOG.info("%s", line)
        self._restore_signals()

    # Wiring

    def _attach(self) -> None:
        self.sinks.append(self._new_sink())
        for sink in self.sinks:
            sink.start()
        self._links += self._new_links()
        self._threads += [start(link.run) for link in self._links]
        try:
            self._status = StatusServer(self.settings.run_directory, self._tell)
        except OSError as error:
            where = self.settings.run_directory
            LOG.warning("%s: status cannot be asked: %s", where, why(error))
        else:
            self._threads.append(start(self._status.run))

    def _new_sink(self) -> Sink:
        threads = real_threading()
        output = self.settings.output
        form = FORMATS[self.settings.format]
        if output is None:
            return StandardOutput(threads, form.full)
        if output == SYSLOG:
            return Syslog(threads, form=form.bare)
        return File(Path(output), threads, form.redirected)

    def _new_links(self) -> list[Link | Listener]:
        links: list[Link | Listener] = []
        for bridge in self.settings.bridges:
            endpoint = bridge.endpoint
            if isinstance(endpoint, ServiceEndpoint):
                links.append(ServiceLink(bridge, endpoint, self._begin, self._claims, self._will))
            elif not isinstance(endpoint, Accepted):
                links.append(Link(bridge, endpoint, self._begin, self._claims))
        listen = self.settings.listen
        if listen is not None:
            links.append(Listener(listen, self.settings.bridges, self._begin, self._claims))
        return links

    def _begin(
        self, channel: Channel, bridge: Bridge, name: str
    ) -> tuple[Programmer, Callable[..., None]]:
        """What a bridge needs when it has connected."""
        watch = self.watches.get(name)
        if watch is None:
            watch = self.watches[name] = Watch(
                name,
                bridge,
                self.pipelines,
                self.settings,
                self.generation,
                self.sinks,
                self._will,
                real_threading(),
            )
        return watch.begin(channel), watch.intake.put

    def _tell(self) -> dict[str, Any]:
        for watch in list(self.watches.values()):
            watch.read_counters()
        return {
            "pid": os.getpid(),
            "bridges": {name: watch.state() for name, watch in list(self.watches.items())},
            "sinks": {
                sink.name: {
                    "written": sink.written,
                    "failed": sink.failed,
                    "refused": sink.refused,
                    "waiting": sink.waiting,
                }
                for sink in self.sinks
            },
        }

    # Signals

    def _catch_signals(self) -> None:
        with suppress(ValueError):  # not in the main thread: they are for somebody else to catch
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                self._previous[number] = signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping:  # the second time: at once
            self._restore_signals()
            signal.raise_signal(number)
        self._stopping = True

    def _restore_signals(self) -> None:
        with suppress(ValueError):
            for number, handler in self._previous.items():
                signal.signal(number, handler)


def real_threading() -> ModuleType:
    """The `threading` module as it was before eventlet changed it, if it did."""
    if hub.HUB_TYPE == "eventlet":
        from eventlet import patcher

        original: ModuleType = patcher.original("threading")
        return original
    return threading
