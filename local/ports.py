"""Ports of loopback: what is served from a checkout listens on one of them, and on nothing else."""

from __future__ import annotations

import socket
from contextlib import suppress

from pipeline.errors import ConfigError

LOOPBACK = "127.0.0.1"


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def require_free_port(port: int, *, command: str) -> None:
    """Raise ConfigError where somebody listens on the port; `command` is the one that chooses another."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: a port just left is free
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            raise ConfigError(f"port {port} is taken", where=LOOPBACK, todo=f"Choose another: {command}") from None


def is_answering(port: int) -> bool:
    """Return whether somebody listens on the port."""
    with suppress(OSError), socket.create_connection((LOOPBACK, port), timeout=1):
        return True
    return False
