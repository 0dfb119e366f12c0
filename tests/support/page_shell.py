"""A shell for the commands of a page, in which `segments` and `python` start at once.

Both are forked from a process that has loaded what nights load, with the folder, the environment and the terminal of whoever calls: to
the shell they are programs as any other, without the second that loading takes.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from support.killing import load_night

CALL = f"""#!{sys.executable} -IS
import json, os, socket, sys
caller = socket.socket(socket.AF_UNIX)
caller.connect(os.environ["PAGE_PROGRAMS"])
words = json.dumps([os.path.basename(sys.argv[0]), *sys.argv[1:]])
call = json.dumps([words, os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(caller, [len(call).to_bytes(8, "big")], [0, 1, 2])
caller.sendall(call)
sys.exit(caller.recv(1)[0])
"""
ACTIVATE = 'PATH="$PWD/.venv/bin:$PATH"\n'
PROGRAMS = ("segments", "python")
MOST_SECONDS = 500


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: its exit code, and all that it wrote, errors too."""

    code: int
    output: str


class PageShell:
    """One reader's terminal in a folder: what is exported, and the folder that was changed to, hold for the commands that follow."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.folder = folder
        self._state = folder.parent / f"{folder.name}.state"
        binaries = folder / ".venv" / "bin"
        binaries.mkdir(parents=True)
        for name in PROGRAMS:
            (binaries / name).write_text(CALL, "utf-8")
            (binaries / name).chmod(0o755)
        (binaries / "activate").write_text(ACTIVATE, "utf-8")
        self._environment = {
            "PATH": f"{binaries}:/usr/bin:/bin",
            "HOME": str(folder),
            "LANG": "C.UTF-8",
            "BROWSER": "/bin/true",
            "PAGE_PROGRAMS": str(programs),
        }

    def run(self, command: str, *, answers: str = "") -> Ended:
        """Type a command, at a terminal where it asks; each line of `answers` is one."""
        before = f". '{self._state}'\n" if self._state.exists() else ""
        after = f"\nended=$?; {{ export -p; printf 'cd %q\\n' \"$PWD\"; }} > '{self._state}'; exit $ended"
        words = ["/bin/bash", "--noprofile", "--norc", "-c", f"{before}{command}{after}"]
        ended = subprocess.run(
            ["/usr/bin/script", "--quiet", "--return", "--command", shlex.join(words), "/dev/null"] if answers else words,
            cwd=self.folder,
            env=self._environment,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=MOST_SECONDS,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout)


@contextmanager
def page_programs(folder: Path) -> Iterator[Path]:
    """Yield the socket of the process that `segments` and `python` are forked from."""
    place = folder / "programs"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place))
        listener.listen()
        process = multiprocessing.get_context("spawn").Process(target=_serve, args=(listener,), daemon=True)
        process.start()
    try:
        yield place
    finally:
        process.terminate()
        process.join()
        shutil.rmtree(folder, ignore_errors=True)


def _serve(listener: socket.socket) -> None:
    load_night()
    import pipeline.cli  # noqa: F401 - what children need

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # whoever answered a call is nobody's to wait for
    while True:
        caller, _ = listener.accept()
        if os.fork():
            caller.close()
        else:
            listener.close()
            _answer(caller)


def _answer(caller: socket.socket) -> NoReturn:
    """Run the program that is called in a child, tell the caller its exit code, and end."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    head, streams, _, _ = socket.recv_fds(caller, 8, 3)
    content = b""
    while len(content) < int.from_bytes(head, "big"):
        content += caller.recv(1 << 16)
    words, folder, environment = json.loads(content)
    child = os.fork() or _run(json.loads(words), folder, environment, streams)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    caller.sendall(bytes([code if code >= 0 else 128 - code]))
    os._exit(0)


def _run(words: Sequence[str], folder: str, environment: Mapping[str, str], streams: Sequence[int]) -> NoReturn:
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.stdin = os.fdopen(0, encoding="utf-8")  # what multiprocessing put there reads nothing
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = list(words)
    sys.path[:0] = [str(Path(place).resolve()) for place in environment.get("PYTHONPATH", "").split(":") if place]
    try:
        if words[0] == "segments":
            from pipeline.cli import main

            main()
        exec(compile(words[2], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102 - `python -c`
    except SystemExit as ended:
        sys.stdout.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    sys.stdout.flush()
    os._exit(0)
