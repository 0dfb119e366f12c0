"""Erase the customers whom the company's own list names: `sources/erasures.sql`."""

from __future__ import annotations

import logging
from contextlib import closing
from datetime import date

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingestion.erased import Ledger, Receipt
from pipeline.ingestion.reading import Extraction, open_source
from pipeline.ingestion.sources import authored_query
from pipeline.ingestion.sources.columns import check_columns, conform_batch
from pipeline.lake.tables import ERASURES
from pipeline.log_fields import Count
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, finish_erasures

log = logging.getLogger("pipeline.operations.erasure")


def erase_listed(deployment: Deployment, day: date) -> list[Receipt]:
    """Erase the listed customers who were not erased before, whatever dates the list gives, and return the receipts.

    An interrupted erasure is finished first. Raises ConfigError where the company keeps no list.
    """
    receipts = finish_erasures(deployment)
    listed = _listed_ids(deployment, day)
    erased = Ledger(deployment.lake).erased_ids()
    before = set(erased.among(pa.array(sorted(listed), pa.string())).to_pylist()) if erased else set()
    fields = {"customers": Count(len(listed)), "before": Count(len(before))}
    log.info("%(customers)s customers are listed, %(before)s of them erased before", fields)
    if wanted := listed - before:
        receipts.append(erase_customers(deployment, wanted))
    return receipts


def _listed_ids(deployment: Deployment, day: date) -> set[str]:
    company, lake = deployment.company, deployment.lake
    file = company.source_file(ERASURES.name)
    if not file.is_file():
        raise ConfigError(
            f"sources/{file.name} is missing",
            where=str(company.folder),
            todo="Write a query that gives `customer_id`, one row per customer.",
        )
    extraction = Extraction(company, lake, day, None, deployment.connections, deployment.memory_limit)
    query = authored_query(ERASURES.name, file, company.source.dialect, extraction.window_of("erasures"))
    with lake.private_folder() as staging, open_source(extraction, staging) as snapshot:
        check_columns(ERASURES, snapshot.schema(query), query, company.zone)
        # Of the list nothing but ids is read: what else it says of people who want to be forgotten is nobody's business here.
        with closing(snapshot.rows(query.select_from_rows(ERASURES.column_names))) as batches:
            return {each for batch in batches for each in conform_batch(batch, ERASURES, query).column(0).to_pylist() if each}
