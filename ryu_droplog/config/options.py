"""Where droplog.yaml is, and the application's own options of `osken-manager`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from oslo_config import cfg

CONFIG_VARIABLE = "RYU_DROPLOG_CONFIG"
"""Environment variable with the path of droplog.yaml, where no option says it; empty: no file."""
DEFAULT_FILE = "/etc/ryu-droplog/droplog.yaml"
"""What is taken where it exists, and neither an option nor the environment says anything."""
ORDER = f"default: what {CONFIG_VARIABLE} names, else {DEFAULT_FILE} where it exists"
"""How the file is chosen, for `--help`."""


def choose(
    option: str | None,
    environ: Mapping[str, str] = os.environ,
    default: str = DEFAULT_FILE,
) -> str | None:
    """Path of the droplog.yaml to take; None: there is none, and the defaults hold.

    The option comes before the environment, and that before `default`. A variable that is set and
    empty says that no file is wanted, `default` neither. A file that exists and cannot be read is
    still the one.
    """
    if option:
        return option
    if CONFIG_VARIABLE in environ:
        return environ[CONFIG_VARIABLE] or None
    try:
        os.lstat(default)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:  # it cannot even be looked at: whoever reads it will say why
        pass
    return default


def register(conf: cfg.ConfigOpts) -> None:
    """Make `--droplog-config FILE` known, or where it is too late for that, `[droplog] config`."""
    from oslo_config import cfg  # commands that need no os-ken do without, and start sooner

    text = f"droplog.yaml; {ORDER}, else br-int with the defaults"
    options = [cfg.StrOpt("config", metavar="FILE", help=text)]
    try:
        conf.register_cli_opts(options, group="droplog")
    except cfg.ArgsAlreadyParsedError:
        conf.register_opts(options, group="droplog")
