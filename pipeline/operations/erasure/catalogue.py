"""Iceberg tables of a catalogue: they hold no rows of their own, but lead to publications, which an erasure replaces."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.errors import PipelineError
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import SinkNotErased
from pipeline.operations.erasure.rows import CustomerIds
from pipeline.publication.iceberg import register_live


class CataloguedTables:
    """The tables of the company's catalogue: their metadata hold paths and counts, and no value of a customer."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield nothing: ids are in the files, which are the lake's own."""
        return iter(())

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:  # noqa: ARG002 - as other stores
        """Return nothing: rows are counted where they are."""
        return {}

    def remove(self, ids: CustomerIds) -> None:  # noqa: ARG002 - as other stores
        """Let the tables lead to the publications without the customers, and forget snapshots of those that are gone."""
        deployment = self._deployment
        try:
            register_live(deployment.company, deployment.lake, catalogs=deployment.catalogs)
        except PipelineError as error:
            raise SinkNotErased(error.what, where=error.where, todo=error.todo) from None


def catalogued_tables(deployment: Deployment) -> list[CataloguedTables]:
    """Return the tables of the catalogue that the company publishes to, if any."""
    return [CataloguedTables(deployment)] if deployment.company.iceberg else []
