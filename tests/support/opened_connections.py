"""Every way in which the project opens a connection by its address: what holds for one must hold for all."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from pipeline.activation.sinks import open_sink
from pipeline.definitions.company_sections import Source, Target
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.sinks import read_sink
from pipeline.ingestion.reading import Extraction, open_source
from pipeline.lake.engines.spark_session import connect as connect_to_spark
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.operations.bucket_deployment import open_bucket
from pipeline.publication.iceberg.catalogs import opened_catalog
from pipeline.publication.targets.postgresql import postgresql_session
from pipeline.publication.targets.postgresql_connection import require_reachable
from support.builders import a_company

SECRET = "s3cr3tcanary"
DAY = date(2024, 3, 4)


def open_database(kind: str, address: str, folder: Path) -> None:
    company = a_company(folder, source=Source(kind=kind, connection="shop"))
    extraction = Extraction(company, Lake(folder / "lake"), DAY, None, lambda _: address, MEMORY_LIMIT)
    with open_source(extraction, folder):
        pass


def open_target(address: str, _folder: Path) -> None:
    target = Target(kind="postgresql", connection="crm")
    with postgresql_session(address, target):
        pass


def look_for_target(address: str, _folder: Path) -> None:
    require_reachable(address, Target(kind="postgresql", connection="crm"))


def use_sink(kind: str, address: str, folder: Path) -> None:
    sink = read_sink(kind, Definition(folder / "crm.toml", f'kind = "{kind}"\nconnection = "crm"\n{SETTINGS.get(kind, "")}'))
    with_connection = open_sink(sink, lambda _: address, folder, clock=lambda: datetime(2024, 3, 5, tzinfo=UTC))
    with_connection.ensure_vocabulary()
    with_connection.erase({"c1": "c1"})


def open_lake_in_bucket(address: str, folder: Path) -> None:
    environment = {"SEGMENTS_LAKE_CONNECTION": "store", "SEGMENTS_CACHE": str(folder), "AWS_ENDPOINT_URL": address}
    open_bucket("s3://bucket/prefix", environment, lambda _: address).read("company.json")


def open_lake_at(address: str, folder: Path) -> None:
    environment = {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_ENDPOINT_URL": "http://127.0.0.1:1", "SEGMENTS_CACHE": str(folder)}
    open_bucket(address, environment, lambda _: address).read("company.json")


def open_iceberg_catalog(address: str, folder: Path) -> None:
    properties = {"uri": address, "credential": SECRET, "token": SECRET, "s3.secret-access-key": SECRET}
    with opened_catalog("lake", properties, metadata=str(folder)) as catalog:
        catalog.list_namespaces()


def open_spark_session(address: str, _folder: Path) -> None:
    connect_to_spark(f"{address}/;token={SECRET};use_ssl=true")


SETTINGS = {"mailchimp": '[settings]\nlist_id = "a1"\n[fields]\nemail_address = "email"\nCUSTOMERID = "customer_id"\n'}
OPENED: dict[str, tuple[str, Callable[[str, Path], None]]] = {
    "a source in PostgreSQL": ("postgresql", partial(open_database, "postgresql")),
    "a source in MySQL": ("mysql", partial(open_database, "mysql")),
    "a target": ("postgresql", open_target),
    "a target before the night": ("postgresql", look_for_target),
    "a webhook": ("http", partial(use_sink, "webhook")),
    "Tryton": ("http", partial(use_sink, "tryton")),
    "HubSpot": ("http", partial(use_sink, "hubspot")),
    "Mailchimp": ("http", partial(use_sink, "mailchimp")),
    "a connection to an object store": ("aws", open_lake_in_bucket),
    "an address of a lake": ("s3", open_lake_at),
    "a catalogue served by HTTP": ("http", open_iceberg_catalog),
    "a catalogue in a database": ("postgresql+psycopg", open_iceberg_catalog),
    "a Spark cluster": ("sc", open_spark_session),
}
