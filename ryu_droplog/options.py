"""The application's own options of `osken-manager`."""

from __future__ import annotations

from oslo_config import cfg

CONFIG_VARIABLE = "RYU_DROPLOG_CONFIG"
"""Environment variable with the path of droplog.yaml, where no option says it."""

_OPTIONS = [
    cfg.StrOpt(
        "config",
        metavar="FILE",
        help=f"droplog.yaml; default: what {CONFIG_VARIABLE} names, else attach to br-int",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make `--droplog-config FILE` known, or where it is too late for that, `[droplog] config`."""
    try:
        conf.register_cli_opts(_OPTIONS, group="droplog")
    except cfg.ArgsAlreadyParsedError:
        conf.register_opts(_OPTIONS, group="droplog")
