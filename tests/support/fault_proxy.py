"""Bad weather before an object store: a proxy that throttles, drops requests, and drops answers of requests that were carried out.

What happens to which request follows from a seed and the number of the request.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock, Thread
from urllib.parse import urlsplit

from pipeline.lake.bucket.bucket_store import BucketStore
from support.object_store import CREDENTIALS, ObjectStore

SLOW_DOWN = b'<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>'
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


@dataclass
class Weather:
    """The shares of requests that are throttled, dropped before they arrive, and carried out without an answer."""

    seed: int = 1
    throttled: float = 0.12
    dropped: float = 0.04
    unanswered: float = 0.04
    counts: dict[str, int] = field(default_factory=lambda: {"fine": 0, "throttled": 0, "dropped": 0, "unanswered": 0})
    number: int = 0
    sent_bytes: int = 0  # of answers
    lock: Lock = field(default_factory=Lock)
    on_request: Callable[[int, str, str], str | None] = lambda *_: None  # may decide otherwise

    @classmethod
    def fine(cls) -> Weather:
        """Return weather in which requests are counted, and nothing happens to them."""
        return cls(throttled=0, dropped=0, unanswered=0)

    def next_fate(self, method: str, path: str) -> str:
        with self.lock:
            self.number += 1
            drawn = random.Random(f"{self.seed} {self.number}").random()
            limits = {"throttled": self.throttled, "dropped": self.throttled + self.dropped}
            limits["unanswered"] = limits["dropped"] + self.unanswered
            fate = next((name for name, limit in limits.items() if drawn < limit), "fine")
            number = self.number
        fate = self.on_request(number, method, path) or fate
        with self.lock:
            self.counts[fate] += 1
        return fate


class ProxyHandler(BaseHTTPRequestHandler):
    """Hands requests on to the server behind, as the weather lets it."""

    protocol_version = "HTTP/1.1"
    target: str
    weather: Weather

    def forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        fate = self.weather.next_fate(self.command, self.path)
        if fate == "throttled":
            self.answer(503, {}, SLOW_DOWN)
        elif fate != "dropped":
            server = HTTPConnection(self.target, timeout=60)
            server.request(self.command, self.path, body, dict(self.headers.items()))
            answer = server.getresponse()
            content = answer.read()
            server.close()
            if fate == "fine":
                with self.weather.lock:
                    self.weather.sent_bytes += len(content)
                self.answer(answer.status, dict(answer.getheaders()), content)
        self.close_connection = fate in ("dropped", "unanswered")

    def answer(self, status: int, headers: dict[str, str], content: bytes) -> None:
        is_head = self.command == "HEAD"
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in HOP_BY_HOP or (is_head and name.lower() == "content-length"):
                self.send_header(name, value)
        if not is_head:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if not is_head:
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = forward  # noqa: N815 - as the base class looks for them

    def log_message(self, *_: object) -> None:
        pass


class ProxyServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Pass over it: clients that were killed have closed their ends."""


@contextmanager
def proxied(endpoint: str, weather: Weather) -> Iterator[str]:
    """Yield the address of a proxy before the server at `endpoint`."""
    handler = type("Handler", (ProxyHandler,), {"target": urlsplit(endpoint).netloc, "weather": weather})
    server = ProxyServer(("127.0.0.1", 0), handler)
    Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def store_in_weather(server: ObjectStore, weather: Weather, cache: Path) -> Iterator[BucketStore]:
    """Yield a store in a new bucket of the server, whose requests pass through the weather."""
    with proxied(server.endpoint, weather) as endpoint:
        yield BucketStore(replace(server.settings(server.new_bucket(), cache), endpoint=endpoint), CREDENTIALS)
