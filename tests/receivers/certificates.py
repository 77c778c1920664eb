"""A private certificate authority, for receivers that speak TLS (PyPI `trustme`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: the authority's certificate, and a server's and a client's with their keys."""

    ca: Path
    certificate: Path
    """The server's, for `localhost` and 127.0.0.1."""
    key: Path
    client_certificate: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Make an authority that nobody else trusts, and what it signed, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server = authority.issue_cert("localhost", "127.0.0.1")
    client = authority.issue_cert("client.test")
    files = Certificates(
        folder / "ca.pem",
        folder / "server.pem",
        folder / "server.key",
        folder / "client.pem",
        folder / "client.key",
    )
    authority.cert_pem.write_to_path(str(files.ca))
    for issued, certificate, key in (
        (server, files.certificate, files.key),
        (client, files.client_certificate, files.client_key),
    ):
        certificate.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(key))
    return files
