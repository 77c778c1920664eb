"""The OS-Ken application: `osken-manager ryu_droplog.app`, or `ryu-droplog run`.

Lifecycle and wiring, nothing else.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

from os_ken import cfg
from os_ken.base import app_manager
from os_ken.lib import hub
from os_ken.ofproto import ofproto_v1_3

from ryu_droplog.concurrency.hubs import real_threading
from ryu_droplog.concurrency.threads import join, start
from ryu_droplog.config.changes import changes
from ryu_droplog.config.effective import Configuration
from ryu_droplog.config.options import choose, register
from ryu_droplog.config.settings import ANY_BRIDGE, Settings
from ryu_droplog.model import cookie
from ryu_droplog.model.errors import DropLogError, why
from ryu_droplog.pipelines.loader import Pipeline
from ryu_droplog.runtime.sd_notify import ServiceManager
from ryu_droplog.runtime.status_socket import StatusServer
from ryu_droplog.runtime.supervisor import Supervisor
from ryu_droplog.text import plain_log
from ryu_droplog.text.phrases import count
from ryu_droplog.text.standard_files import SAY_TIME, standard_error

LOG = logging.getLogger(__name__)

TICK = 0.2
"""Seconds between looks at whether to stop and at what the sinks have to say."""
LOOK_TIME = 0.5
"""Seconds between two looks at the files of the configuration."""
TRY_AGAIN = 5.0
"""Seconds until a configuration that was refused is tried again."""
CHANGES = 50
"""Changes of a configuration that are told one by one, at most."""
SAME = "nothing has changed"
READING_TIME = 2.0
"""Seconds that a switch has for its counters before a report goes on without."""

STOP_TIME = 25.0
"""Seconds after which a stop that does not come to its end is cut short."""
SAME_SIGNAL = 1.0
"""Seconds within which signals are one: timeout(1) sends two, to the process and to its group."""
LEFT = 1
"""Exit status where something of ours may be left on a switch."""

_OTHER_CLEANS = "the clean-up process removes what is on the switches"

register(cfg.CONF)


class DropLog(app_manager.OSKenApp):  # type: ignore[misc]
    """Attaches to the configured bridges and logs what they drop."""

    OFP_VERSIONS = [ofproto_v1_3.OFP_VERSION]  # noqa: RUF012  os-ken's way of saying so

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        handlers = logging.getLogger().handlers
        plain_log.guard(handlers, plain_log.OURS)
        self._errors = standard_error(real_threading())
        self._errors.take_over(handlers)
        try:
            self.configuration = Configuration(choose(cfg.CONF.droplog.config))
        except DropLogError as error:
            self._refuse(error)
        self._supervisor = Supervisor(
            self.settings.run_directory, cookie.new_run(), real_threading()
        )
        self._status: StatusServer | None = None
        self._threads: list[Any] = []
        self._trouble: str | None = None
        """Why the configuration that was read last is not the one that holds."""
        self._next_try = math.inf
        """When it is read again although nothing has changed: a port may be free by then."""
        self._reload = False
        self._stopping = False
        self._stopped = False
        self._clean = True
        """Whether nothing of ours may be left on a switch."""
        self._ended = False
        """Whether all of this application has come to its end."""
        self._signalled: float | None = None
        """When the first signal to end came."""
        self._stop_by = math.inf
        """When a stop has to have come to its end."""
        self._previous: dict[int, Any] = {}
        self._manager = ServiceManager()

    def _refuse(self, error: DropLogError) -> NoReturn:
        """End, with the reason behind all that was said so far."""
        self._errors.drain(SAY_TIME)
        sys.exit(f"ryu_droplog: {error}")

    @property
    def settings(self) -> Settings:
        """What holds now."""
        return self.configuration.settings

    def start(self) -> Any:
        """Called by os-ken; the program lives as long as the thread that is returned."""
        super().start()
        self._catch_signals()
        threads = real_threading()
        threads.Thread(target=self._cut_short, args=(threads.Event(),), daemon=True).start()
        LOG.info("configuration: %s", self.settings.source)
        try:
            self._supervisor.change(self.settings, self.configuration.pipelines)
        except DropLogError as error:
            self._refuse(error)
        self._say_enabled()
        try:
            self._status = StatusServer(self.settings.run_directory, self._tell)
        except (OSError, DropLogError) as error:
            where = self.settings.run_directory
            reason = why(error) if isinstance(error, OSError) else error
            LOG.warning("%s: status cannot be asked: %s", where, reason)
        else:
            self._threads.append(start(self._status.run))
        self._manager.ready(self._in_short())
        return start(self._live)

    def stop(self) -> None:
        """Called by os-ken: take everything back, write what waits, end all threads.

        Raises SystemExit where something may be left on a switch and nobody shares the process.
        """
        self._stopping = True
        self._take_back()
        super().stop()
        if not self._clean and not self._shares():
            sys.exit(LEFT)

    def _live(self) -> None:
        last_report = last_look = time.monotonic()
        while not self._stopping:
            hub.sleep(TICK)
            self._supervisor.tend()
            self._log_notices()
            self._manager.alive(self._in_short())
            now = time.monotonic()
            if now >= last_look + LOOK_TIME or self._reload:
                last_look = now
                asked = self._reload
                if asked:
                    self._manager.reloading()
                self._look()
                if asked:
                    self._manager.ready(self._in_short())
            interval = self.settings.report_interval
            if interval and now >= last_report + interval:
                last_report = now
                self._report()
        self._take_back()
        if self._shares():
            # Others share the process: it is for os-ken's manager to end it.
            os.kill(os.getpid(), signal.SIGINT)

    def _look(self) -> None:
        """Go over to another configuration if there is one: as a whole, or not at all."""
        asked, self._reload = self._reload, False
        changed = self.configuration.poll()
        self._supervisor.learn_opflex_names()
        self._supervisor.tidy()
        if not changed and not asked and time.monotonic() < self._next_try:
            return
        try:
            settings, pipelines = self.configuration.read()
            before = self.settings, self.configuration.pipelines
            self._supervisor.change(settings, pipelines)
        except DropLogError as error:
            if changed or asked or str(error) != self._trouble:
                LOG.error("%s: the configuration stays as it was", error)
            self._trouble = str(error)
            self._next_try = time.monotonic() + TRY_AGAIN
            return
        self._trouble, self._next_try = None, math.inf
        self.configuration.accept()
        self._say_changes(*before)
        if settings.enable != before[0].enable:
            self._say_enabled()

    def _in_short(self) -> str:
        """How things stand, in one line for the service manager."""
        if self._trouble is not None:
            return f"configuration not taken: {self._trouble}"
        if not self.settings.enable:
            return f"{self.configuration.switched_off}: nothing is added to any switch"
        bridge_sources = list(self._supervisor.bridge_sources.values())
        named = {bridge.name for bridge in self.settings.bridges} - {ANY_BRIDGE}
        total = len(named | {bridge_source.name for bridge_source in bridge_sources})
        connected = sum(bridge_source.connected for bridge_source in bridge_sources)
        return f"connected to {connected} of {count(total, 'bridge')}"

    def _say_changes(self, old: Settings, pipelines: Mapping[str, Pipeline]) -> None:
        """What holds now, and did not before: key by key, what is off now at WARNING."""
        source = self.settings.source
        found = changes(old, self.settings, pipelines, self.configuration.pipelines)
        LOG.info("%s: read again: %s", source, f"{count(len(found), 'change')}" if found else SAME)
        for change in found[:CHANGES]:
            LOG.log(logging.WARNING if change.off else logging.INFO, "%s: %s", source, change)
        if len(found) > CHANGES:
            LOG.info("%s: and %s more", source, count(len(found) - CHANGES, "change"))

    def _say_enabled(self) -> None:
        if not self.settings.enable:
            LOG.info("%s: nothing is added to any switch", self.configuration.switched_off)

    def _log_notices(self) -> None:
        for text in self.configuration.notices():
            LOG.warning("%s", text)
        for level, text in self._supervisor.notices():
            LOG.log(level, "%s", text)
        for sink in self._supervisor.sinks.values():
            if sink.broken and not self._stopping:
                LOG.warning("%s: nobody reads it any more: stopping", sink.name)
                self._stopping = True

    def _report(self, *, read: bool = True) -> None:
        for source in self._supervisor.sources():
            if read:
                source.read_counters(READING_TIME)
                self._manager.alive(self._in_short())
            line = source.report()
            if line:
                LOG.info("%s", line)
        for line in self._supervisor.switch_losses.reports():
            LOG.info("%s", line)

    def _take_back(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._manager.stopping()
        self._stop_by = min(self._stop_by, time.monotonic() + STOP_TIME)
        if self._status is not None:
            self._status.stop()
        self._clean = self._supervisor.stop()
        join(self._threads, READING_TIME)
        if self._status is not None:
            self._status.discard()
        self._log_notices()
        self._report(read=False)
        if self._shares():
            self._restore_signals()
        self._ended = True

    def _shares(self) -> bool:
        """Whether other applications run in this process: it is theirs, too, to end it."""
        return any(name != self.name for name in app_manager.SERVICE_BRICKS)

    def _cut_short(self, pause: Any) -> None:
        """End a process that does not end by itself; in a real thread, whatever the hub does."""
        while time.monotonic() < self._stop_by:
            pause.wait(TICK * 5)
        if not (self._ended and self._shares()):
            self._end_at_once(f"not stopped within {STOP_TIME:g} s")
            os._exit(LEFT)

    def _end_at_once(self, why_now: str) -> None:
        """What is still done when the process ends now; logging may be what hangs."""
        with suppress(OSError):
            if self._status is not None:
                self._status.discard()
            self._errors.write(f"ryu_droplog: {why_now}: ending at once; {_OTHER_CLEANS}\n")
            self._errors.drain(SAY_TIME)

    def _tell(self) -> dict[str, Any]:
        supervisor = self._supervisor
        for source in supervisor.sources():
            source.read_counters(READING_TIME)
        return {
            "pid": os.getpid(),
            "configuration": {
                "source": self.settings.source,
                "enable": self.settings.enable,
                "refused": self._trouble,
            },
            "clean_up": supervisor.clean_up_state(),
            "listen": supervisor.listening(),
            "bridges": supervisor.bridges(),
            "switches": supervisor.switch_losses.state(),
            "receive": supervisor.receiving(),
            "sinks": {sink.name: sink.state() for sink in supervisor.sinks.values()},
            "unexplained": supervisor.unexplained(),
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
        if self._ended and self._shares():
            self._restore_signals()
            signal.raise_signal(number)
            return
        now = time.monotonic()
        if self._signalled is None:
            self._signalled = now
            self._stop_by = min(self._stop_by, now + STOP_TIME)
        elif now >= self._signalled + SAME_SIGNAL:
            self._end_at_once(f"{signal.Signals(number).name} once more")
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._stopping = True

    def _restore_signals(self) -> None:
        with suppress(ValueError):
            for number, handler in self._previous.items():
                signal.signal(number, handler)
