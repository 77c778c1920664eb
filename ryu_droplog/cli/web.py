"""The command `ryu-droplog web`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import click

from ryu_droplog.cli.arguments import config_option
from ryu_droplog.cli.observing import (
    Observation,
    lasts,
    place_option,
    properties_option,
    records,
)
from ryu_droplog.cli.visiting import errors_in_one_line
from ryu_droplog.config import loader
from ryu_droplog.model.errors import ConfigError, why
from ryu_droplog.observe import client
from ryu_droplog.observe.stream import Said
from ryu_droplog.plugins.extras import check_installed
from ryu_droplog.web import admission

HISTORY = 20_000
"""Records that are asked for at the start: those that came last."""


@click.command()
@config_option("path", "droplog.yaml, which says where the running program has its socket")
@click.option(
    "--listen",
    "address",
    metavar="ADDRESS:PORT",
    default=admission.DEFAULT,
    show_default=True,
    help="Where the page is; an address that other hosts reach needs a token or client"
    " certificates.",
)
@place_option
@properties_option
@click.option(
    "--token-file", metavar="FILE", help="Its first line is the token that browsers must know."
)
@click.option("--token", metavar="TEXT", help="The token itself; other users of the host see it.")
@click.option("--host", "names", multiple=True, metavar="NAME", help="A further name of this host.")
@click.option("--tls-certificate", metavar="FILE", help="Speak TLS with this certificate (PEM).")
@click.option("--tls-key", metavar="FILE", help="The key of the certificate (PEM).")
@click.option("--client-ca", metavar="FILE", help="Browsers need a certificate of this CA (PEM).")
def web(**options: Any) -> None:
    """Show drops live in a browser, until SIGTERM or SIGINT. Needs ryu-droplog[web].

    \b
    Examples:
    ryu-droplog web
    ryu-droplog web --from kafka:broker:9092/drops
    ryu-droplog web --listen 192.0.2.7:9111 --token-file /etc/ryu-droplog/web-token

    Exit status: 0 it was ended by a signal, 2 the configuration or the command line is wrong.
    """
    with errors_in_one_line():
        for module in ("starlette", "uvicorn"):
            try:
                check_installed(module, module, "web")
            except ValueError as error:
                raise ConfigError(f"web: needs {error}") from None
        _run(options)


def _run(options: dict[str, Any]) -> None:
    from ryu_droplog.web import routes, server
    from ryu_droplog.web.live import Live
    from ryu_droplog.web.reading import Reader
    from ryu_droplog.web.switch_questions import SwitchQuestions

    address = admission.read_address(options["address"])
    token, tls = _token(options), _tls(options)
    admission.check(address, token, tls)
    place = options["place"]
    from_program = place == "program"
    run_directory = loader.run_directory(options["path"]) if from_program else ""
    follow = lasts(place)
    live = Live(_for_people(place, run_directory))

    def source(back: float | None) -> Iterator[Said]:
        return records(
            Observation(
                place,
                [],
                last=HISTORY if follow and back is None else None,
                everything=not follow,
                follow=follow,
                since=f"{ceil(back)}s" if back is not None else None,
                properties=options["properties"],
                run_directory=run_directory,
            )
        )

    listening = server.listen(address)
    port = listening.getsockname()[1]
    reader = Reader(source, live, lasting=follow)
    switch = SwitchQuestions(options["path"]) if from_program else None
    page = routes.assets()

    def ready() -> None:
        reader.start()
        scheme = "https" if tls else "http"
        where = admission.Address(address.host, port)
        click.echo(f"ryu-droplog: the page is at {scheme}://{where}/", err=True)

    def ask_status() -> list[dict[str, Any]]:
        return list(client.status(run_directory))

    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(0))
    try:
        server.serve(
            routes.application(live, switch, ask_status if from_program else None, page),
            listening,
            admission.Hosts(address, options["names"]),
            admission.Tokens(token, port) if token is not None else None,
            page["login.html"],
            tls,
            ready,
        )
    finally:
        listening.close()


def _for_people(place: str, run_directory: str) -> str:
    if place == "program":
        return f"the running program ({run_directory})"
    return "standard input" if place == "-" else place


def _token(options: dict[str, Any]) -> str | None:
    path, token = options["token_file"], options["token"]
    if path is not None and token is not None:
        raise ConfigError("--token and --token-file: only one of them")
    if path is not None:
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeError) as error:
            reason = why(error) if isinstance(error, OSError) else "not UTF-8"
            raise ConfigError(f"--token-file: {path}: {reason}") from None
        return text.partition("\n")[0].strip()
    return None if token is None else str(token)


def _tls(options: dict[str, Any]) -> admission.Tls | None:
    certificate, key, ca = options["tls_certificate"], options["tls_key"], options["client_ca"]
    if certificate is None and key is None and ca is None:
        return None
    if certificate is None or key is None:
        raise ConfigError("TLS: expected both --tls-certificate and --tls-key")
    return admission.Tls(certificate, key, ca)
