"""Where somebody else listens on a port, what would be served there says so: another's answer is not taken for its own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from local.object_store import running_object_store
from local.sail_server import running_sail
from local.spark_cluster import running_cluster
from pipeline.errors import ConfigError

SERVERS: dict[str, Callable[[int, Path], AbstractContextManager[object]]] = {
    "make bucket BUCKET_PORT=9001": lambda port, _: running_object_store(port),
    "make cluster CLUSTER_PORT=15003": lambda port, folder: running_cluster(folder, port=port),
    "make sail SAIL_PORT=50052": lambda port, folder: running_sail(folder, port=port),
}


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        yield other.getsockname()[1]


@pytest.mark.parametrize("command", SERVERS)
def test_a_taken_port_is_named_with_the_command_that_chooses_another(command: str, taken_port: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused, SERVERS[command](taken_port, tmp_path):
        pass
    assert (refused.value.what, refused.value.todo) == (f"port {taken_port} is taken", f"Choose another: {command}")
