"""A process that has loaded Airflow, and forks one for each script that needs it: loading it takes longer than a night does.

Reads one request per line from standard input (JSON: command, environment, output), and writes the exit code of each to standard output.
A command is what follows the name of Python: a script or `-m` and a module, and its arguments.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TextIO

from airflow import configuration, plugins_manager, settings
from airflow.api_fastapi.execution_api.app import InProcessExecutionAPI
from airflow.listeners import listener
from airflow.sdk import configuration as sdk_configuration
from airflow.sdk import listener as sdk_listener
from airflow.sdk import plugins_manager as sdk_plugins_manager
from airflow.sdk.execution_time import supervisor
from airflow.sdk.observability import stats
from airflow.sdk.observability.metrics.stats_utils import get_stats_factory
from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from support.killing import load_night

WARM_DAGS = Path(__file__).with_name("warm_dags")
FRESH_DATABASE = Path(os.environ["AIRFLOW_HOME"]) / "fresh.db"
LONGEST_SECONDS = 300
LOADED: list[object] = []


def warm_up() -> None:
    """Run a DAG once, and end all threads that this has started: a fork has none of them, and would wait for them."""
    initdb()
    settings.dispose_orm()
    shutil.copy(database_of(os.environ), FRESH_DATABASE)
    settings.configure_orm()
    sys.path.insert(0, str(WARM_DAGS))
    run = import_module("first_run").dag.test()
    assert run.state == "success", run
    sys.path.remove(str(WARM_DAGS))
    keep_api()
    forget_plugins()
    load_night()
    gc.collect()
    left = [thread for thread in threading.enumerate() if thread is not threading.main_thread()]
    for thread in left:
        thread.join(10)
        assert not thread.is_alive(), f"{thread} goes on"
    settings.dispose_orm()
    gc.freeze()


def keep_api() -> None:
    """Let forks have the routes of the API that tasks ask, which take seconds to make, and threads and a loop of their own."""
    warm = supervisor.in_process_api_server()
    loop = warm.transport.app.loop
    loop.call_soon_threadsafe(loop.stop)
    LOADED.append(warm.transport)  # whoever collects it would wait for its loop
    supervisor.in_process_api_server = cache(lambda: InProcessExecutionAPI(warm.app))


def forget_plugins() -> None:
    """Let each fork decide anew who listens to it: OpenLineage's plugin is on or off by what is set when it is loaded."""
    for name in [name for name in sys.modules if name.startswith("airflow.providers.openlineage")]:
        del sys.modules[name]
    for listened in (listener, sdk_listener):
        listened.get_listener_manager.cache_clear()
    for loaded in (plugins_manager, sdk_plugins_manager):
        loaded._get_plugins.cache_clear()


def database_of(environment: Mapping[str, str]) -> Path:
    return Path(environment["AIRFLOW_HOME"]) / "airflow.db"


def serve(requests: TextIO, answers: TextIO) -> None:
    for line in requests:
        child = os.fork()
        if not child:
            answers.close()
            requests.close()
            run_and_exit(**json.loads(line))
        answers.write(f"{ended(child)}\n")
        answers.flush()


def ended(child: int) -> int:
    """Wait until a fork has ended, kill it if that takes too long, and return its exit code."""
    signal.signal(signal.SIGALRM, lambda *_: os.kill(child, signal.SIGKILL))
    signal.alarm(LONGEST_SECONDS)
    _, status = os.waitpid(child, 0)
    signal.alarm(0)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    return os.waitstatus_to_exitcode(status)


def run_and_exit(command: list[str], environment: Mapping[str, str], output: list[str]) -> None:
    """Be the process that Python would be if it were started with the command; end with its exit code."""
    code = 1
    try:
        become(environment, output)
        code = exit_code_of(command)
    except BaseException:  # noqa: BLE001
        traceback.print_exc()
    finally:
        with suppress(Exception):
            threading._shutdown()  # as at any end: processes that work for this one are let go
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def become(environment: Mapping[str, str], output: list[str]) -> None:
    for descriptor, file in enumerate([os.devnull, *output]):
        opened = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.environ.clear()
    os.environ.update(environment)
    if not database_of(environment).exists():
        shutil.copy(FRESH_DATABASE, database_of(environment))
    # As at the end of importing Airflow, of the settings that this environment has.
    for read in (configuration.conf, sdk_configuration.conf):
        read.read(Path(environment["AIRFLOW_HOME"]) / "airflow.cfg")
    settings.initialize()
    stats.initialize(factory=get_stats_factory(), export_legacy_names=configuration.conf.getboolean("metrics", "legacy_names_on"))


def exit_code_of(command: list[str]) -> int:
    try:
        if command[0] == "-m":
            sys.argv = command[1:]
            runpy.run_module(command[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = command
            sys.path.insert(0, str(Path(command[0]).parent))
            runpy.run_path(command[0], run_name="__main__")
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else bool(ended.code)
    return 0


if __name__ == "__main__":
    gc.set_threshold(20_000)
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)  # Airflow says much on standard output
        warm_up()
        serve(sys.stdin, answers)
        os._exit(0)  # what was loaded waits for threads that have ended
