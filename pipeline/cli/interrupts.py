"""Ctrl-C ends a command even within a long statement.

Python raises KeyboardInterrupt between two of its own instructions, so not before an engine returns, and an engine within one long task
may not return for hours. What is written appears whole or not at all, so a process that is ended at any moment leaves nothing to mend.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from pipeline.reporting.output import write_message

GRACE_SECONDS: Final = 5.0  # for KeyboardInterrupt to be raised and to close what is open
INTERRUPTED: Final = 130  # what shells report of a command that Ctrl-C ended


@contextmanager
def ending_when_interrupted() -> Iterator[None]:
    """Within the block, end the process where an interrupt has not ended the block by itself after GRACE_SECONDS."""
    # Signals reach this pair of sockets at once, whatever the main thread is doing.
    reader, writer = socket.socketpair()
    writer.settimeout(0)
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    has_ended = Event()
    watcher = Thread(target=_end_after_interrupt, args=(reader, has_ended), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        has_ended.set()
        signal.set_wakeup_fd(previous)
        writer.close()
        watcher.join()
        reader.close()


def _end_after_interrupt(reader: socket.socket, has_ended: Event) -> None:
    while numbers := reader.recv(16):
        if signal.SIGINT in numbers and not has_ended.wait(GRACE_SECONDS):
            write_message("Aborted.")
            sys.stderr.flush()
            os._exit(INTERRUPTED)
