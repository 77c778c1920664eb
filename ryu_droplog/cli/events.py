"""The command `ryu-droplog events`."""

from __future__ import annotations

import logging
import os
import socket
import sys
import threading

import click
import msgspec

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.exits import Exit
from ryu_droplog.config import loader
from ryu_droplog.config.endpoint import unix
from ryu_droplog.model.errors import ConfigError, DropLogError
from ryu_droplog.text import plain_log
from ryu_droplog.text.standard_files import SAY_TIME, standard_error


@click.command()
@config_option(
    "path",
    "droplog.yaml; of it, events and drop_log_config.disable_events apply",
    without="packet events are on",
)
@click.option("--socket", "socket_path", metavar="PATH", help="Where to listen.")
@click.option(
    "--node",
    metavar="NAME",
    help="The node whose pods get events; default: NODE_NAME in the environment, else the host's.",
)
@click.option(
    "--kubeconfig",
    metavar="FILE",
    help="Credentials; default: the cluster's own, then KUBECONFIG, then ~/.kube/config.",
)
@click.option("-v", "--verbose", is_flag=True, help="Log more (level DEBUG).")
def events(
    path: str | None,
    socket_path: str | None,
    node: str | None,
    kubeconfig: str | None,
    verbose: bool,
) -> None:
    """Turn packet events into events of Kubernetes pods, until SIGTERM or SIGINT.

    Listens on a Unix socket for what the exporter of packet events sends, and posts it for the
    pods of this node, so that `kubectl describe pod` shows the packets that were dropped. Options
    override the file. Without a file, packet events are on.

    \b
    Examples:
    ryu-droplog events
    ryu-droplog events --node worker-1 --kubeconfig ~/.kube/config
    """
    plain_log.set_up(verbose=verbose)
    errors = standard_error(threading)
    errors.take_over(logging.getLogger().handlers)
    for name in ("urllib3", "kubernetes"):
        logging.getLogger(name).setLevel(logging.ERROR)
    from ryu_droplog.k8s_events import program
    from ryu_droplog.k8s_events.api import connect

    try:
        settings = loader.load(path)
        if path is not None and settings.disable_events:
            program.idle()
            return
        chosen = settings.events
        if socket_path is not None:
            chosen = msgspec.structs.replace(chosen, socket=_checked(socket_path))
        node = node or chosen.node or os.environ.get("NODE_NAME") or socket.gethostname().lower()
        if not program.run(chosen, node, connect(kubeconfig or chosen.kubeconfig)):
            # Python cannot end in good order beside a thread within a library: it may abort(3).
            errors.drain(SAY_TIME)
            os._exit(0)
    except DropLogError as error:
        click.echo(f"ryu-droplog: {error}", err=True)
        sys.exit(Exit.USAGE if isinstance(error, ConfigError) else Exit.ATTENTION)


def _checked(path: str) -> str:
    try:
        return unix(os.path.abspath(path)).path
    except ValueError as error:
        raise ConfigError(f"--socket: got {path}; expected {error}") from None
