"""The OS-Ken application: `osken-manager ryu_droplog.app`, or `ryu-droplog run`.

Lifecycle and wiring, nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType, ModuleType
from typing import Any

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3

from ryu_droplog import cookie, plainlog
from ryu_droplog.errors import DropLogError, why
from ryu_droplog.obey import Configuration
from ryu_droplog.openflow.threads import start
from ryu_droplog.options import CONFIG_VARIABLE, register
from ryu_droplog.settings import Settings
from ryu_droplog.status import StatusServer
from ryu_droplog.works import Works

LOG = logging.getLogger(__name__)

TICK = 0.2
"""Seconds between looks at whether to stop and at what the sinks have to say."""
LOOK_TIME = 0.5
"""Seconds between two looks at the files of the configuration."""
TRY_AGAIN = 5.0
"""Seconds until a configuration that was refused is tried again."""
READING_TIME = 2.0
"""Seconds that a switch has for its counters before a report goes on without."""

register(cfg.CONF)


class DropLog(app_manager.OSKenApp):  # type: ignore[misc]
    """Attaches to the configured bridges and logs what they drop."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  os-ken's way of saying so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        plainlog.guard(logging.getLogger().handlers, plainlog.OURS)
        path = cfg.CONF.droplog.config or os.environ.get(CONFIG_VARIABLE) or None
        try:
            self.configuration = Configuration(path)
        except DropLogError as error:
            sys.exit(f"ryu_droplog: {error}")
        self._works = Works(self.settings.run_directory, cookie.new_run(), real_threading())
        self._status: StatusServer | None = None
        self._threads: list[Any] = []
        self._trouble: str | None = None
        """Why the configuration that was read last is not the one that holds."""
        self._next_try = math.inf
        """When it is read again although nothing has changed: a port may be free by then."""
        self._reload = False
        self._stopping = False
        self._stopped = False
        self._previous: dict[int, Any] = {}

    @property
    def settings(self) -> Settings:
        """What holds now."""
        return self.configuration.settings

    def start(self) -> Any:
        """Called by os-ken; the program lives as long as the thread that is returned."""
        super().start()
        self._catch_signals()
        try:
            self._works.change(self.settings, self.configuration.pipelines)
        except DropLogError as error:
            sys.exit(f"ryu_droplog: {error}")
        self._say_enabled()
        try:
            self._status = StatusServer(self.settings.run_directory, self._tell)
        except OSError as error:
            where = self.settings.run_directory
            LOG.warning("%s: status cannot be asked: %s", where, why(error))
        else:
            self._threads.append(start(self._status.run))
        return start(self._live)

    def stop(self) -> None:
        """Called by os-ken: take everything back, write what waits, end all threads."""
        self._stopping = True
        self._take_back()
        super().stop()

    def _live(self) -> None:
        last_report = last_look = time.monotonic()
        while not self._stopping:
            hub.sleep(TICK)
            self._log_notices()
            now = time.monotonic()
            if now >= last_look + LOOK_TIME or self._reload:
                last_look = now
                self._look()
            interval = self.settings.report_interval
            if interval and now >= last_report + interval:
                last_report = now
                self._report()
        self._take_back()
        if any(name != self.name for name in app_manager.SERVICE_BRICKS):
            # Others share the process: it is for os-ken's manager to end it.
            os.kill(os.getpid(), signal.SIGINT)

    def _look(self) -> None:
        """Go over to another configuration if there is one: as a whole, or not at all."""
        asked, self._reload = self._reload, False
        changed = self.configuration.poll()
        self._works.learn_words()
        if not changed and not asked and time.monotonic() < self._next_try:
            return
        try:
            settings, pipelines = self.configuration.read()
            was_enabled = self.settings.enable
            self._works.change(settings, pipelines)
        except DropLogError as error:
            if changed or asked or str(error) != self._trouble:
                LOG.error("%s: the configuration stays as it was", error)
            self._trouble = str(error)
            self._next_try = time.monotonic() + TRY_AGAIN
            return
        self._trouble, self._next_try = None, math.inf
        self.configuration.accept()
        LOG.info("%s: read again", settings.source)
        if settings.enable != was_enabled:
            self._say_enabled()

    def _say_enabled(self) -> None:
        if not self.settings.enable:
            LOG.info("%s: nothing is added to any switch", self.configuration.switched_off)

    def _log_notices(self) -> None:
        for text in self.configuration.notices():
            LOG.warning("%s", text)
        for level, text in self._works.notices():
            LOG.log(level, "%s", text)
        for sink in self._works.sinks.values():
            if sink.broken and not self._stopping:
                LOG.warning("%s: nobody reads it any more: stopping", sink.name)
                self._stopping = True

    def _report(self, *, read: bool = True) -> None:
        for source in self._works.sources():
            if read:
                source.read_counters(READING_TIME)
            line = source.report()
            if line:
                LOG.info("%s", line)

    def _take_back(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        if self._status is not None:
            self._status.stop()
        self._works.stop()
        hub.joinall(self._threads)
        self._log_notices()
        self._report(read=False)
        self._restore_signals()

    def _tell(self) -> dict[str, Any]:
        works = self._works
        for source in works.sources():
            source.read_counters(READING_TIME)
        reception = works.reception
        return {
            "pid": os.getpid(),
            "configuration": {
                "source": self.settings.source,
                "enable": self.settings.enable,
                "refused": self._trouble,
            },
            "bridges": {name: watch.state() for name, watch in list(works.watches.items())},
            "receive": {reception.name: reception.state()} if reception is not None else {},
            "sinks": {
                sink.name: {
                    "written": sink.written,
                    "failed": sink.failed,
                    "refused": sink.refused,
                    "waiting": sink.waiting,
                }
                for sink in works.sinks.values()
            },
        }

    # Signals

    def _catch_signals(self) -> None:
        with suppress(ValueError):  # not in the main thread: they are for somebody else to catch
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._on_signal)
            self._previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, self._on_hangup)

    def _on_hangup(self, number: int, frame: FrameType | None) -> None:
        self._reload = True

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
