"""Keep the tables of an Iceberg catalogue in step with what is live.

The order is `current` first, the catalogue after it: what is live never waits for a service that somebody else runs. So the tables may
lag behind, and then they lead to a publication that stays until they were brought forward. Nothing says what is still to be done:
what is live and where each table leads says it, so that the next run repairs whatever was interrupted.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.definitions.company import Company
from pipeline.definitions.iceberg_settings import IcebergSettings
from pipeline.errors import TransientError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES
from pipeline.publication.crm.seen_tables import withdrawn_publication
from pipeline.publication.current import Publication, current_publication, publication_ids, registered_ids, remove_superseded
from pipeline.publication.iceberg.catalogs import opened_catalog
from pipeline.publication.iceberg.iceberg_table import StaleTable, WantedTable, bring_to, is_ours
from pipeline.publication.night_rows import published_columns

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

log = logging.getLogger("pipeline.publication")

Catalogs = Callable[[str], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class RegisteredTables:
    """The tables of a catalogue and the publications that they may lead to: the live one where they are in step, else others as well."""

    catalog: str
    namespace: str
    publication_ids: Sequence[str]
    is_in_step: bool

    @property
    def words(self) -> str:
        """Say so in a line."""
        led = " or ".join(self.publication_ids) or "nothing"
        behind = "" if self.is_in_step else ", behind what is live: the next run of the step publish brings them forward"
        return f"{self.catalog}.{self.namespace} leads to {led}{behind}"


def register_live(company: Company, lake: Lake, *, catalogs: Catalogs) -> None:
    """Let the tables of the company's catalogue lead to the files of what is live; where it has no catalogue, do nothing.

    `catalogs` gives the properties of a catalogue by its name. Where all is in step already, nothing is written. Raises ConfigError
    where the catalogue cannot be used as it is set, TransientError where it did not answer: the same call completes it.
    """
    if company.iceberg is None:
        lake.delete(addresses.REGISTERED)  # else a publication would stay for ever, for tables that nobody brings forward
        return
    settings, metadata = company.iceberg, lake.store.uri(addresses.ICEBERG)
    with lake.lock("catalogue"), opened_catalog(settings.catalog, catalogs(settings.catalog), metadata=metadata) as catalog:
        live = _shown_publication(lake)
        while live is not None:
            _register(company, lake, settings, catalog, live)
            registered, live = live, _shown_publication(lake)
            # A run that was slow to get here must not leave what another has published since: then once more.
            if live is None or live.publication_id == registered.publication_id:
                break
    with lake.lock("publish"), lake.disk_errors("publish"):
        live = _shown_publication(lake)
        if live is not None:
            remove_superseded(lake, live)


def _shown_publication(lake: Lake) -> Publication | None:
    """Return what is live; where all was withdrawn, the empty publication that stands for it."""
    return current_publication(lake) or withdrawn_publication(lake)


def registered_tables(company: Company, lake: Lake) -> RegisteredTables | None:
    """Return where the tables of the company's catalogue lead, by what was noted when they were brought there; None without a catalogue."""
    if company.iceberg is None:
        return None
    live, registered = _shown_publication(lake), registered_ids(lake)
    is_in_step = registered == ([live.publication_id] if live else [])
    return RegisteredTables(company.iceberg.catalog, company.iceberg.namespace, registered, is_in_step)


def _register(company: Company, lake: Lake, settings: IcebergSettings, catalog: Catalog, live: Publication) -> None:
    before = registered_ids(lake)
    # Written before the first table changes: whatever a table may lead to is not swept away.
    lake.write_text(addresses.REGISTERED, "".join(f"{each}\n" for each in dict.fromkeys([*before, live.publication_id])))
    changed = 0
    try:
        for wanted in _wanted_tables(company, lake, settings, catalog, live):
            changed += bring_to(catalog, wanted)
    except StaleTable:
        what = "other writers changed a table of the catalogue each time that it was to be"
        where = f"catalogue `{settings.catalog}` of [publish.iceberg]"
        raise TransientError(what, where=where, todo="Let nobody else write to these tables, then run again.") from None
    lake.write_text(addresses.REGISTERED, f"{live.publication_id}\n")
    if changed:
        fields = {"publication": live.publication_id, "catalogue": settings.catalog, "tables": changed}
        log.info("%(publication)s is registered in catalogue %(catalogue)s, %(tables)s tables", fields)


def _wanted_tables(company: Company, lake: Lake, settings: IcebergSettings, catalog: Catalog, live: Publication) -> Iterator[WantedTable]:
    """Yield what each table has to be: those of the publication, and without rows those of earlier ones that it has no more."""
    owners, kept = (company.name, *company.former_names), _retained_ids(lake, live)
    names = {settings.table_name(name): name for name in live.row_counts}
    for identifier in sorted(names):
        catalog.create_namespace_if_not_exists(identifier.rpartition(".")[0])
        name = names[identifier]
        address = live.file(name)
        # A file without rows would never be found again by what deletes by rows.
        files = [lake.store.uri(address)] if live.row_counts[name] else []
        schema = _described(company, name, pq.read_schema(lake.local(address)))
        yield WantedTable(identifier, schema, files, live.publication_id, kept, owners)
    namespaces = [each for each in (settings.namespace, settings.audiences_namespace) if catalog.namespace_exists(each)]
    for identifier in sorted({".".join(each) for namespace in namespaces for each in catalog.list_tables(namespace)} - names.keys()):
        table = catalog.load_table(identifier)
        if is_ours(table):
            yield WantedTable(identifier, table.schema().as_arrow(), [], live.publication_id, kept, owners)


def _retained_ids(lake: Lake, live: Publication) -> set[str]:
    """Return the publications whose files stay: readers of an older snapshot of a table find theirs."""
    return {live.publication_id, live.previous or ""} & set(publication_ids(lake))


def _described(company: Company, name: str, schema: pa.Schema) -> pa.Schema:
    """Return the columns of a file, each with its description for the catalogue."""
    tables = (company.table(table) for table in ALL_TABLES if table.name == name)
    words = {column.name: column.description for table in tables for column in published_columns(table)}
    return pa.schema(
        [pa.field(each.name, each.type, metadata={"doc": words[each.name]} if each.name in words else None) for each in schema]
    )
