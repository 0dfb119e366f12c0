"""`make cluster`: a Spark cluster on loopback until Ctrl-C. What ends meanwhile is started again, as whoever watches a real one does."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from local.spark_cluster import WORKERS, running_cluster
from pipeline.errors import PipelineError

PORT = 15002  # where Connect servers listen unless somebody says otherwise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a cluster until SIGINT or SIGTERM and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="where its logs and scratch files go; by default a temporary folder")
    parser.add_argument("--port", type=int, default=PORT, help="port of the Connect server, on loopback")
    parser.add_argument("--workers", type=int, default=WORKERS, help="how many workers, of one core each")
    parser.add_argument("--memory", default="1g", help="memory of each worker, as 1g")
    given = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    scratch = Path(tempfile.mkdtemp(prefix="spark-cluster-"))
    folder = (given.folder or scratch).resolve()
    try:
        _write_line(f"starting Spark, about half a minute; what it says is in {folder / 'logs'}")
        with running_cluster(folder, port=given.port, workers=given.workers, memory=given.memory) as cluster:
            _write_line(f"\nexport SEGMENTS_ENGINE=spark SPARK_REMOTE={cluster.remote}\n\nCtrl-C stops it.")
            while not stopped.wait(1):
                for name in cluster.restart_ended():
                    _write_line(f"{name} ended, and was started again")
    except PipelineError as error:
        _write_line(f"{type(error).__name__}: {error}")
        with suppress(OSError):
            scratch.rmdir()  # unless there are logs in it, which the message says to read
        return error.exit_code
    shutil.rmtree(scratch, ignore_errors=True)
    return 0


def _write_line(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
