"""TLS before a receiver that speaks none: what is said to its port is passed on in the clear."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading

from .certificates import Certificates
from .service import HOST


class TlsFront:
    """Listens on `port` with the server's certificate, and passes all on to `behind`."""

    def __init__(self, port: int, behind: int, certificates: Certificates) -> None:
        self._behind = behind
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.certificate, certificates.key)
        self._listener = socket.create_server((HOST, port))
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            secret = self._context.wrap_socket(client, server_side=True)
            with secret, socket.create_connection((HOST, self._behind)) as server:
                # One thread has the TLS connection: it is read and written by turns.
                secret.settimeout(0.02)
                server.setblocking(False)
                while self._pass_once(secret, server):
                    pass

    @staticmethod
    def _pass_once(secret: ssl.SSLSocket, server: socket.socket) -> bool:
        with contextlib.suppress(TimeoutError):
            said = secret.recv(1 << 16)
            if not said:
                return False
            server.setblocking(True)
            server.sendall(said)
            server.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            answer = server.recv(1 << 16)
            if not answer:
                return False
            secret.settimeout(None)
            secret.sendall(answer)
            secret.settimeout(0.02)
        return True
