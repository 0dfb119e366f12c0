"""What messages are sent to in these tests: a mail server and a receiver of JSON, both real and on loopback."""

from __future__ import annotations

import email
import json
import socket
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port that nothing listens to."""
    with closing(socket.socket()) as found:
        found.bind((HOST, 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class MailServer:
    """Keeps the mails that it took, in order; `port` is where it listens, `refused` an address that has no mailbox there."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refused: str = ""

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:  # noqa: N802 - called by aiosmtpd
        del server, session, options
        if address == self.refused:
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - called by aiosmtpd
        del server, session
        assert envelope.content is not None
        content = envelope.content if isinstance(envelope.content, bytes) else envelope.content.encode()
        message = email.message_from_bytes(content, policy=default)
        assert isinstance(message, EmailMessage)
        assert envelope.rcpt_tos == [address.strip() for address in str(message["To"]).split(",")]
        self.mails.append(message)
        return "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Yield a mail server for the time of the block."""
    server = MailServer(free_port())
    controller = Controller(server, hostname=HOST, port=server.port)
    controller.start()
    try:
        yield server
    finally:
        controller.stop()


@contextmanager
def datagram_receiver() -> Iterator[tuple[int, list[str]]]:
    """Yield a port that takes datagrams, as StatsD does, and the list of those that came, for the time of the block."""
    received: list[str] = []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_000_000)
        listening.bind((HOST, 0))
        listening.settimeout(0.5)
        has_ended = Event()

        def take() -> None:
            while not has_ended.is_set():
                with suppress(TimeoutError):
                    received.append(listening.recv(65_536).decode())

        taking = Thread(target=take, daemon=True)
        taking.start()
        try:
            yield listening.getsockname()[1], received
        finally:
            has_ended.set()
            taking.join()


@contextmanager
def otlp_receiver() -> Iterator[tuple[int, dict[tuple[str, ...], float]]]:
    """Yield a port that takes metrics as OpenTelemetry sends them over HTTP, and the newest value of each gauge, for the time of the block.

    The key of a gauge is its name, then the values of its attributes.
    """
    gauges: dict[tuple[str, ...], float] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = ExportMetricsServiceRequest.FromString(self.rfile.read(int(self.headers["Content-Length"])))
            scopes = [scope for resource in request.resource_metrics for scope in resource.scope_metrics]
            for metric in (each for scope in scopes for each in scope.metrics):
                for point in metric.gauge.data_points:
                    key = (metric.name, *(attribute.value.string_value for attribute in point.attributes))
                    gauges[key] = point.as_int if point.HasField("as_int") else point.as_double
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the server names it
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_port, gauges
        finally:
            server.shutdown()


@dataclass
class JsonReceiver:
    """Keeps what was posted to it, in order, as path, headers and content; answers 200, or what the path asks for: `/status/404`."""

    port: int = 0
    posted: list[tuple[str, dict[str, str], dict[str, Any]]] = field(default_factory=list)


@contextmanager
def json_receiver() -> Iterator[JsonReceiver]:
    """Yield a receiver of JSON for the time of the block."""
    receiver = JsonReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            _, _, status = self.path.partition("/status/")
            if not status:
                receiver.posted.append((self.path, dict(self.headers), content))
            self.send_response(int(status or 200))
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - as the server names it
            """Say nothing."""

    with ThreadingHTTPServer((HOST, 0), Handler) as server:
        receiver.port = server.server_port
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield receiver
        finally:
            server.shutdown()
