"""Servers that speak TLS with a certificate of the test's choice: for PostgreSQL as well, which is here built without it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

# What a client of PostgreSQL says first, in plain.
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
CHUNK = 65_536


@dataclass(slots=True)
class TlsServer:
    """Where it listens, how it speaks TLS (None: not at all), and the Unix socket that what it is sent goes on to, where there is one.

    Whoever renews its certificate sets `context`.
    """

    port: int
    context: ssl.SSLContext | None
    behind: str = ""

    def serve(self, client: socket.socket) -> None:
        """Serve one connection; who does not accept the certificate hangs up."""
        is_postgresql = client.recv(len(SSL_REQUEST), socket.MSG_PEEK | socket.MSG_WAITALL) == SSL_REQUEST
        if is_postgresql:
            client.recv(len(SSL_REQUEST))
            client.sendall(b"S" if self.context else b"N")
        if self.context is None:
            client.sendall(b"" if is_postgresql else b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
            return
        with self.context.wrap_socket(client, server_side=True) as encrypted:
            if self.behind:
                _relay(encrypted, self.behind)


@contextmanager
def running_tls_server(context: ssl.SSLContext | None, *, behind: str = "") -> Iterator[TlsServer]:
    """Yield a server on loopback that lives as long as the block."""

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                server.serve(self.request)

    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.daemon_threads = True
        server = TlsServer(listening.server_address[1], context, behind)
        Thread(target=listening.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()


def _relay(client: ssl.SSLSocket, behind: str) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(behind)
        back = Thread(target=_copy, args=(server, client), daemon=True)
        back.start()
        _copy(client, server)
        back.join()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK):
            sink.sendall(chunk)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
