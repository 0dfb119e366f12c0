"""How a process ends: Ctrl-C ends a command even within a long statement, and a command that is done does not tidy up.

Python raises KeyboardInterrupt between two of its own instructions, so not before an engine returns, and an engine within one long task
may not return for hours. What is written appears whole or not at all, so a process that is ended at any moment leaves nothing to mend.
"""

from __future__ import annotations

import atexit
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread, main_thread
from types import FrameType
from typing import Final, NoReturn

from pipeline.reporting.output import write_message

GRACE_SECONDS: Final = 5.0  # for KeyboardInterrupt to be raised and to close what is open
WAKING_SECONDS: Final = 0.2
_WAKING: Final = signal.SIGURG  # without a handler it is ignored
FIRST_OF_SIGNALS: Final = 128  # what shells report of a command that a signal ended: this and its number
_ENDING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
INTERRUPTED: Final = FIRST_OF_SIGNALS + signal.SIGINT
_OUTPUTS: Final = (1, 2)
READER_GONE: Final = FIRST_OF_SIGNALS + signal.SIGPIPE


@contextmanager
def ending_when_interrupted() -> Iterator[None]:
    """Within the block, end the process where an interrupt has not ended the block by itself after GRACE_SECONDS."""
    # Signals reach this pair of sockets at once, whatever the main thread is doing.
    reader, writer = socket.socketpair()
    # Python writes to it from within the signal handler, and must never wait there.
    writer.settimeout(0)
    previous = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    # What has a handler ends a wait of the system for as long as Python needs to look for other signals.
    handler = signal.signal(_WAKING, lambda *_: None)
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
        signal.signal(_WAKING, handler)


@contextmanager
def exiting_when_terminated() -> Iterator[None]:
    """Within the block, let what ends a process from outside, a closed terminal too, raise SystemExit, so that what is unfinished goes.

    Ctrl-C raises KeyboardInterrupt as ever. Whatever comes after the first of them is ignored until the block has ended.
    """
    # `nohup` has one of them ignored, and that stays.
    heard = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, _exit) for number in heard}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _exit(number: int, _frame: FrameType | None) -> NoReturn:
    # People press Ctrl-C again, and a closed terminal may say so twice: what is removed is removed to the end.
    for each in _ENDING:
        signal.signal(each, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(FIRST_OF_SIGNALS + number)


@contextmanager
def watching_readers() -> Iterator[Callable[[], bool]]:
    """Yield what tells whether whatever read standard output or standard error at the start of the block has ended."""
    poll, copies = select.poll(), []
    # Rich puts another file in the place of one whose reader has ended.
    for descriptor in _OUTPUTS:
        with suppress(OSError):  # it is closed
            copies.append(os.dup(descriptor))
            poll.register(copies[-1], 0)
    try:
        yield lambda: any(event & select.POLLERR for _, event in poll.poll(0))
    finally:
        for copy in copies:
            os.close(copy)


def end_process(exit_code: int | str | None = 0) -> NoReturn:
    """End this process as `sys.exit` does, but leave its memory to the operating system.

    Python would free every object of every library one by one, a third of a second after each night.
    """
    if isinstance(exit_code, str):
        sys.exit(exit_code)
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public name for what each normal end does
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # a full device was told of already; then the stream is closed
            stream.flush()
    os._exit(exit_code or 0)


def _end_after_interrupt(reader: socket.socket, has_ended: Event) -> None:
    main = main_thread().ident
    while main and (numbers := reader.recv(16)):
        if not {*_ENDING} & {*numbers}:
            continue
        # One that came just before the main thread began to wait, such as for an answer, would be noticed after the wait.
        until = time.monotonic() + GRACE_SECONDS
        while not has_ended.wait(WAKING_SECONDS) and time.monotonic() < until:
            signal.pthread_kill(main, _WAKING)
        if signal.SIGINT in numbers and not has_ended.is_set():
            write_message("Aborted.")
            sys.stderr.flush()
            os._exit(INTERRUPTED)
