"""A server that ends while somebody works with it says so, where it was started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil

from local.ports import free_port
from pipeline.errors import TransientError

REPO = Path(__file__).resolve().parents[2]


def test_a_bucket_whose_server_ends_is_no_longer_served_in_silence() -> None:
    command = [sys.executable, "-m", "local.object_store", "--port", str(free_port())]
    with subprocess.Popen(command, cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bucket:
        assert bucket.stdout is not None
        assert any("until Ctrl-C" in line for line in iter(bucket.stdout.readline, ""))
        [server] = psutil.Process(bucket.pid).children()
        server.kill()
        _, errors = bucket.communicate(timeout=60)
    assert bucket.returncode == TransientError.exit_code
    assert "the object store ended, and what it held is gone" in errors
