"""The sinks as stores of customer data: what a CRM holds of a customer, and what is remembered of the sync."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from pipeline.activation.forgetting import erase_in_sink, forget_customers, remembered_count, remembered_customers
from pipeline.definitions.sinks import load_sinks
from pipeline.errors import PipelineError
from pipeline.lake import addresses
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import SinkNotErased
from pipeline.operations.erasure.rows import CustomerIds

log = logging.getLogger("pipeline.operations.erasure")


class SinkData:
    """One sink that was ever synced. One that the company has no more is not called: what it holds has to be erased there."""

    def __init__(self, name: str, deployment: Deployment) -> None:
        self._name, self._deployment = name, deployment
        self._lake, self._memory_limit = deployment.lake, deployment.memory_limit

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids that are remembered, with repetitions."""
        with self._state() as path:
            yield from remembered_customers(path, memory_limit=self._memory_limit)

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count what is remembered of these customers."""
        with self._state() as path:
            count = remembered_count(path, ids.texts, memory_limit=self._memory_limit)
        return {f"sinks/{self._name}": {"rows": count}} if count else {}

    def remove(self, ids: CustomerIds) -> None:
        """Have the sink forget these customers first, and then forget them ourselves; raises SinkNotErased where it does not."""
        definition = load_sinks(self._deployment.company).get(self._name)
        with self._state() as path:
            if definition is None:
                log.warning("the sink %s is gone from the company's folder: erase these customers there by hand", self._name)
            else:
                with _leaving_open(self._name), self._lake.store.edit(addresses.sync_files(self._name)) as folder:
                    erase_in_sink(
                        path,
                        ids.texts,
                        definition,
                        self._deployment.connections,
                        folder,
                        memory_limit=self._memory_limit,
                        clock=lambda: datetime.now(UTC),
                    )
            forget_customers(path, ids.texts, memory_limit=self._memory_limit)

    @contextmanager
    def _state(self) -> Iterator[Path]:
        """Yield the file of what is remembered; no sync runs meanwhile."""
        with self._lake.lock(f"sync-{self._name}"), self._lake.store.edit(addresses.sync_state(self._name)) as path:
            yield path


@contextmanager
def _leaving_open(name: str) -> Iterator[None]:
    """Raise SinkNotErased for whatever keeps a sink from forgetting customers, be it out of reach or a connection that is not set."""
    try:
        yield
    except PipelineError as error:
        what = f"the sink {name} did not erase them: {error.what}"
        todo = f"{error.todo} Then complete the erasure: segments erase --resume; every night tries too.".strip()
        raise SinkNotErased(what, where=error.where, todo=todo) from None


def synced_sinks(deployment: Deployment) -> list[SinkData]:
    """Return every sink that something is remembered of."""
    lake = deployment.lake
    return [SinkData(name, deployment) for name in lake.store.list_folders(addresses.SYNC) if lake.exists(addresses.sync_state(name))]
