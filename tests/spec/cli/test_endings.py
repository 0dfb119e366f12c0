"""How a command ends when it is interrupted or cannot write: one message, an exit code of its own, no traceback."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from support.nights import write_shop

SLOW = "SELECT CAST(sum(a.range * b.range % 7) AS VARCHAR) AS customer_id FROM range(100000000) a, range(1000) b"


def segments(*arguments: str | Path, setting: str = "", **options: object) -> subprocess.Popen[str]:
    # Whatever starts the tests may have told its children to ignore Ctrl-C, or that their terminal closes.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); signal.signal(signal.SIGHUP, signal.SIG_DFL); "
        f"{setting}from pipeline.cli import main; main()"
    )
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, text=True, **{"stderr": subprocess.PIPE, **options})  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("command", [["tables"], ["catalog"], ["catalog", "--json"]])
def test_a_full_device_is_one_message(tmp_path: Path, command: list[str]) -> None:
    options = (
        []
        if command == ["tables"]
        else ["--company", str(write_shop(tmp_path / "shop", [], customers=[])), "--lake", str(tmp_path / "lake")]
    )
    with Path("/dev/full").open("w") as full:
        process = segments(*command, *options, stdout=full)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 7
    assert errors.splitlines() == [
        "TransientError: could not write: no space left on device",
        "  where: standard output",
        "  next:  Free space or mend the disk, then run again.",
    ]


@pytest.mark.parametrize("command", [["tables"], ["--help"], ["plan", "--help"]])
def test_a_reader_that_has_read_enough_ends_the_command_without_a_word(command: list[str]) -> None:
    with segments(*command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.close()
        assert process.stderr
        assert process.stderr.read() == ""
    assert process.returncode == 141


@pytest.mark.parametrize("command", [["tables"], ["bogus"], ["check", "--company", "nowhere"]])
def test_so_does_one_that_has_read_messages_too(command: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = segments(*command, stdout=writer, stderr=writer)
    os.close(writer)
    assert process.wait(60) == 141


BROKEN = """
import os
from pipeline import cli
@cli.app.command()
def broken() -> None:
    raise BrokenPipeError(32, "of a socket")
"""


def test_a_pipe_of_another_kind_that_breaks_is_our_mistake() -> None:
    with segments("broken", setting=f"exec({BROKEN!r}); ", stdout=subprocess.PIPE) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors.rstrip().endswith("BrokenPipeError: [Errno 32] of a socket")


def test_an_interrupted_statement_of_the_source_ends_as_any_other(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=[])
    (shop / "sources" / "customers.sql").write_text(SLOW)
    # Until then all processors are busy with the statement.
    setting = "from pipeline.cli import interrupts; interrupts.GRACE_SECONDS = 0.5; "
    process = segments("run", "--company", shop, "--lake", tmp_path / "lake", "--day", "2024-03-05", setting=setting)
    assert process.stderr
    for line in process.stderr:
        if "reading from the beginning" in line:
            break
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Traceback" not in errors


def test_what_is_to_be_done_at_the_end_is_done(tmp_path: Path) -> None:
    script = "import atexit, sys; from pipeline.cli import main; atexit.register(print, 'put away'); sys.argv[1:] = ['tables']; main()"
    ended = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[0].startswith("#")
    assert ended.stdout.splitlines()[-1] == "put away"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_who_goes_away_from_a_question_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("order,date,customer,net\n1,2024-04-15,a,10.00\n", "utf-8")
    screen, terminal = pty.openpty()
    process = segments("init", tmp_path / "shop", "--from", orders, stdin=terminal, stdout=terminal)
    os.close(terminal)
    shown = b""
    while b"Your answer" not in shown:
        shown += os.read(screen, 4096)
    for _ in range(6):
        # A signal that comes just before a read begins does not end it, and a terminal may send several.
        process.send_signal(number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
            break
    _, errors = process.communicate(timeout=30)
    os.close(screen)
    assert process.returncode == 128 + number
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == [orders]


UNNOTICED = """
import os, signal
from pipeline.cli.interrupts import ending_when_interrupted
signal.signal(signal.SIGINT, signal.default_int_handler)
waiting, _ = os.pipe()
try:
    with ending_when_interrupted():
        # Another thread hears of it, and Python does not, as where it comes just before the read.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        print("waiting", flush=True)
        os.read(waiting, 1)
except KeyboardInterrupt:
    print("noticed")
"""


def test_ctrl_c_just_before_the_program_waits_is_noticed_while_it_waits() -> None:
    with subprocess.Popen([sys.executable, "-c", UNNOTICED], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "noticed\n"
    assert process.returncode == 0


REMOVAL = """
import itertools, signal
from pipeline.cli.interrupts import exiting_when_terminated
ending = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
signal.signal(signal.SIGINT, signal.default_int_handler)
for first, second in itertools.product(ending, ending):
    try:
        with exiting_when_terminated():
            try:
                signal.raise_signal(first)
            finally:
                signal.raise_signal(second)
                removed = True
    except (KeyboardInterrupt, SystemExit) as ended:
        print(first.name, type(ended).__name__, ended, removed)
    removed = False
"""


def test_a_second_signal_does_not_cut_short_what_the_first_one_has_removed() -> None:
    # Whatever starts the tests may have told its children to ignore Ctrl-C, or that their terminal closes.
    ignored = "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL)"
    ended = subprocess.run([sys.executable, "-c", f"{ignored}{REMOVAL}"], capture_output=True, text=True, check=True)
    endings = ("SIGINT KeyboardInterrupt  True", "SIGHUP SystemExit 129 True", "SIGTERM SystemExit 143 True")
    assert ended.stdout.splitlines() == [line for line in endings for _ in range(3)]
