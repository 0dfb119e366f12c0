"""A proxy for HTTPS as companies have one: the only way out of a network that has none."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Thread

CHUNK = 1 << 16
SECONDS = 120


@dataclass(slots=True)
class ForwardProxy:
    """A running proxy: where it listens, and which hosts were asked for through it."""

    listening: socket.socket
    hosts: set[str] = field(default_factory=set)

    @property
    def port(self) -> int:
        return int(self.listening.getsockname()[1])

    def serve(self) -> None:
        """Answer each connection in a thread of its own, until nobody can connect any more."""
        with suppress(OSError):
            while True:
                client, _ = self.listening.accept()
                Thread(target=self._answer, args=(client,), daemon=True).start()

    def _answer(self, client: socket.socket) -> None:
        with client, suppress(OSError, ValueError):
            client.settimeout(SECONDS)
            head = b""
            while b"\r\n\r\n" not in head:
                if not (more := client.recv(CHUNK)):
                    return
                head += more
            method, target, _ = head.split(b"\r\n", 1)[0].decode("ascii").split()
            host, _, port = target.rpartition(":")
            if method != "CONNECT":
                client.sendall(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            self.hosts.add(host)
            with socket.create_connection((host, int(port)), timeout=SECONDS) as server:
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = Thread(target=_relay, args=(server, client), daemon=True)
                back.start()
                _relay(client, server)
                back.join()


@contextmanager
def running_forward_proxy(listening: socket.socket) -> Iterator[ForwardProxy]:
    """Run a proxy on a socket that listens in one network, while its connections outwards are of this process's."""
    proxy = ForwardProxy(listening)
    thread = Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join()


def _relay(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while content := source.recv(CHUNK):
            sink.sendall(content)
        sink.shutdown(socket.SHUT_WR)
