"""Runs os-ken's applications: this project's own, or those that `osken-manager` names.

Importing this module loads the hub of os-ken. It raises ConfigError where os-ken has no such hub.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

from ryu_droplog.concurrency import hubs

# Before anything else: under the eventlet hub this changes the standard library.
hubs.ready()

from os_ken import __version__ as os_ken_version  # noqa: E402
from os_ken import cfg, log  # noqa: E402
from os_ken.base.app_manager import AppManager  # noqa: E402
from os_ken.lib import hub  # noqa: E402

from ryu_droplog.config.options import register  # noqa: E402
from ryu_droplog.text.standard_files import standard_error  # noqa: E402

LOG = logging.getLogger(__name__)

WAKE_TIME = 0.5
"""Seconds between two looks whether a signal has come."""

_OPTIONS = [
    cfg.MultiStrOpt("app", positional=True, default=[], help="application module to run"),
    cfg.ListOpt("app-lists", default=[], help="application modules to run, with commas between"),
    cfg.StrOpt("pid-file", help="file for the process id"),
]


def run(args: list[str]) -> None:
    """What `osken-manager` does where os-ken has none: run the applications that `args` names."""
    register(cfg.CONF)
    cfg.CONF.register_cli_opts(_OPTIONS)
    cfg.CONF(
        args=args,
        project="os_ken",
        prog="osken-manager",
        version=f"osken-manager (os-ken {os_ken_version})",
        default_config_files=[],
    )
    log.init_log()
    standard_error(hubs.real_threading()).take_over(logging.getLogger().handlers)
    if cfg.CONF.pid_file:
        Path(cfg.CONF.pid_file).write_text(f"{os.getpid()}\n", encoding="ascii")
    apps = cfg.CONF.app_lists + cfg.CONF.app
    if not apps:
        sys.exit("osken-manager: name an application to run, for example ryu_droplog.app")
    run_apps(apps)


def run_droplog(config: str | None) -> None:
    """Run this project's application alone, without os-ken's command line.

    `config` is the path of droplog.yaml; None: as `options.choose` says. Logging is the caller's to
    set up.
    """
    register(cfg.CONF)
    cfg.CONF(args=[], project="ryu_droplog", default_config_files=[])
    if config is not None:
        cfg.CONF.set_override("config", config, group="droplog")
    run_apps(["ryu_droplog.app"])


def _wait(services: list[Any]) -> None:
    """Until all have ended.

    Looks up now and then: a signal that comes while the process is stopped (SIGSTOP) may go to
    another thread, and Python calls its handler in this one, as soon as it does something.
    """
    if hub.HUB_TYPE == "eventlet":
        hub.joinall(services)
        return
    for service in services:
        while service.is_alive():
            service.join(WAKE_TIME)


def run_apps(apps: list[str]) -> None:
    """Run OS-Ken applications until they end, then close them in order."""
    manager = AppManager.get_instance()
    manager.load_apps(apps)
    contexts = manager.create_contexts()
    try:
        services = manager.instantiate_apps(**contexts)
        _wait(services)
    except KeyboardInterrupt:
        LOG.debug("interrupted")
    finally:
        manager.close()
