"""Write the tables of the CRM into the folder of a publication, from its other tables and from what readers saw before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.features import MergeHistory
from pipeline.features.customer_slices import Slice, slices_of_customers, statement_of_slice
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.schema_versions import SCHEMA_VERSION
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    CAMPAIGN_ARMS,
    CRM_AUDIENCES,
    CRM_CHANGES,
    CRM_MEMBERS,
    CRM_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_PREDICTIONS,
    CUSTOMER_SEGMENTS,
    CUSTOMER_SURVIVORS,
    RAW_CUSTOMER_CONTACTS,
    SEGMENT_MOVES,
    SEGMENT_STRATEGIES,
    Table,
)
from pipeline.publication.crm.addresses import address_hashes
from pipeline.publication.crm.counts import audience_member_count, change_counts, log_counts, untranslated_count, without_contacts_count
from pipeline.publication.crm.crm_inputs import KEPT, CrmInputs
from pipeline.publication.crm.languages import language_names, with_columns, with_stated_language
from pipeline.publication.crm.list_texts import json_of_customers
from pipeline.publication.crm.row_hash import texts_around_prediction
from pipeline.publication.crm.seen_tables import numbering_note
from pipeline.publication.crm.staged_tables import (
    ADDRESS_HASHES,
    ARM_LISTS,
    AUDIENCE_LISTS,
    CAMPAIGN_LISTS,
    CONTACTS,
    EARLIER_MEMBERS,
    EARLIER_PROFILES,
    LANGUAGE_NAMES,
    PROFILE_ROWS,
    SEGMENT_LISTS,
    STANDINGS,
)
from pipeline.publication.crm.standings import customer_standings
from pipeline.publication.crm.withheld_lists import with_withheld_lists
from pipeline.publication.manifests import table_entry
from pipeline.publication.targets.customer_profiles import BATCH_ROWS

CUSTOMERS_PER_SLICE = 200_000
TABLES_OF_CUSTOMERS = frozenset(
    each.name
    for each in (
        *(ARM_LISTS, AUDIENCE_LISTS, AUDIENCE_MEMBERS, AUDIENCE_MOVES, CAMPAIGN_ARMS, CONTACTS, CRM_CHANGES, CRM_MEMBERS),
        *(CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, CUSTOMER_PREDICTIONS, CUSTOMER_SEGMENTS, EARLIER_MEMBERS, EARLIER_PROFILES),
        *(PROFILE_ROWS, SEGMENT_LISTS, SEGMENT_MOVES, STANDINGS),
    )
)
_FEATURES = ("customer_id", "first_order_date", "last_order_date")
_ACTIONS = replace(CUSTOMER_NEXT_ACTIONS, columns=(*CUSTOMER_NEXT_ACTIONS.columns, *CUSTOMER_NEXT_ACTIONS.published_columns))
_ADDRESSED = """
SELECT DISTINCT m.customer_id, k.email, k.phone
FROM crm_members AS m
JOIN standings AS g ON g.customer_id = m.customer_id AND g.is_consenting
LEFT JOIN crm_contacts AS k ON k.customer_id = m.customer_id
WHERE m.list_kind = 'audience'
ORDER BY m.customer_id
"""


def write_crm_tables(inputs: CrmInputs, engine: Engine | None = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the four tables into the folder; return what a manifest says of their files, and of the changes.

    Statements are run by `engine`, by default one that is opened for them.
    """
    with ExitStack() as resources:
        private = resources.enter_context(inputs.lake.private_folder())
        if engine is None:
            engine = resources.enter_context(closing(open_engine(inputs.lake, memory_limit=inputs.memory_limit)))
        return _CrmWriter(inputs, engine, private).write()


class _CrmWriter:
    """One run over the tables of one publication."""

    def __init__(self, inputs: CrmInputs, engine: Engine, private: Path) -> None:
        self._inputs, self._engine, self._private = inputs, engine, private
        self._company, self._lake, self._seen = inputs.company, inputs.lake, inputs.seen
        self._written: dict[str, Any] = {}
        self._slices: Sequence[Slice] = ()

    def write(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Write the tables in the order in which one is made from the other."""
        self._register_published()
        self._register_people()
        names, unwritten = language_names(self._company, self._engine)
        self._stage(LANGUAGE_NAMES, names.to_batches())
        self._slices = slices_of_customers(self._file(CUSTOMER_FEATURES), limit=CUSTOMERS_PER_SLICE)
        self._publish(CRM_MEMBERS, self._rows(with_withheld_lists(CRM_MEMBERS.name)))
        self._engine.register(CRM_MEMBERS, [self._file(CRM_MEMBERS)])
        self._stage(PROFILE_ROWS, self._rows(self._profile_rows_statement()))
        last_seq = self._write_changes()
        self._publish(CRM_PROFILES, self._rows(statement(CRM_PROFILES.name)))
        last_at = self._seen.last_changed_at if last_seq == self._seen.last_seq else self._inputs.changed_at
        facts = {
            **numbering_note(last_seq, last_at),
            **change_counts(self._file(CRM_CHANGES), last_at),
            **({"customers_without_contacts": without_contacts_count(self._engine)} if self._has_contacts else {}),
            "customers_of_unwritten_languages": unwritten,
            "untranslated_cards": untranslated_count(self._engine, self._file(SEGMENT_STRATEGIES), self._company.language),
            **self._write_audiences(),
        }
        log_counts(facts)
        return self._written, facts

    def _register_published(self) -> None:
        attribute = self._company.customer_language
        features = self._company.table(CUSTOMER_FEATURES).only((*_FEATURES, attribute))
        for table in (features, CUSTOMER_SEGMENTS, _ACTIONS, SEGMENT_STRATEGIES, CUSTOMER_PREDICTIONS, AUDIENCE_MEMBERS, CAMPAIGN_ARMS):
            self._engine.register(table, [file] if (file := self._file(table)).exists() else [])
        self._engine.register(EARLIER_PROFILES, self._seen.files(CRM_PROFILES))
        self._engine.register(EARLIER_MEMBERS, self._seen.files(CRM_MEMBERS))
        self._stage(CAMPAIGN_LISTS, self._engine.run(statement(CAMPAIGN_LISTS.name), {}) if self._file(CAMPAIGN_ARMS).exists() else ())
        for table, column, lists, brackets in (
            (CUSTOMER_SEGMENTS, ("scheme", "segment"), SEGMENT_LISTS, ("{", "}")),
            (AUDIENCE_MEMBERS, ("audience",), AUDIENCE_LISTS, ("[", "]")),
            (CAMPAIGN_ARMS, ("campaign_id", "arm"), ARM_LISTS, ("{", "}")),
        ):
            self._stage(lists, json_of_customers(self._listed_rows(table, ("customer_id", *column)), column, brackets))
        # A person who takes a night back is the reason of all that changes by it.
        nights = [] if self._inputs.is_rollback else self._unreported_nights()
        for table in (SEGMENT_MOVES, AUDIENCE_MOVES):
            self._engine.register(table, [addresses.partition(table, day=night) for night in nights if self._lake.has(table, day=night)])

    def _unreported_nights(self) -> list[date]:
        since, until = self._seen.day or self._inputs.day, self._inputs.day
        return [night for night in self._lake.nights(SEGMENT_MOVES) if since < night < until or night == until]

    @property
    def _has_contacts(self) -> bool:
        return self._company.source_file("customer_contacts").is_file()

    def _register_people(self) -> None:
        known_on, lake = self._inputs.known_on, self._lake
        self._stage(STANDINGS, customer_standings(self._company, lake, known_on).to_batches())
        self._stage(CUSTOMER_SURVIVORS, MergeHistory(lake, self._company.zone).rows_of(known_on, known_on).to_batches())
        files = lake.snapshot_files(RAW_CUSTOMER_CONTACTS, known_on) if self._has_contacts else []
        self._engine.register(RAW_CUSTOMER_CONTACTS, files)
        self._stage(CONTACTS, self._engine.run(statement(CONTACTS.name), {}))

    def _profile_rows_statement(self) -> exp.Query:
        return with_columns(with_stated_language(statement(PROFILE_ROWS.name).copy(), self._company), texts_around_prediction())

    def _parameters(self) -> dict[str, Any]:
        inputs = self._inputs
        return {
            "day": inputs.day,
            "language": self._company.language,
            "month_start": inputs.day.replace(day=1),
            "left_reason": "rollback" if inputs.is_rollback else "departed",
            "erased_since": inputs.changed_at - KEPT,
            "reason": "rollback" if inputs.is_rollback else "",
            "added_reason": "first_publication" if self._seen.is_first else "new_customer",
            "is_first": self._seen.is_first,
            "last_seq": self._seen.last_seq,
            "changed_at": inputs.changed_at,
        }

    def _rows(self, query: exp.Query) -> Iterator[pa.RecordBatch]:
        """Run `query` for one slice of customers after the other, so that memory stays flat; numbers go on from slice to slice."""
        parameters = self._parameters()
        for part in self._slices:
            for batch in self._engine.run(statement_of_slice(query, part, tables=TABLES_OF_CUSTOMERS), {**parameters, **part.parameters}):
                parameters["last_seq"] += batch.num_rows
                yield batch

    def _write_changes(self) -> int:
        """Write what is told of changes, the earlier ones first; return the last number."""
        self._stage(CRM_CHANGES, self._rows(statement(CRM_CHANGES.name)))
        new = self._private_file(CRM_CHANGES)
        self._publish(CRM_CHANGES, self._reported_changes(new))
        last = pc.max(pq.read_table(new, columns=["change_seq"])["change_seq"]).as_py()
        return self._seen.last_seq if last is None else last

    def _reported_changes(self, new: Path) -> Iterator[pa.RecordBatch]:
        since = pa.scalar(self._inputs.changed_at - KEPT, CRM_CHANGES.schema.field("changed_at").type)
        for address in self._seen.files(CRM_CHANGES):
            for batch in _open(self._lake.local(address)).iter_batches(BATCH_ROWS):
                yield batch.filter(pc.greater_equal(batch["changed_at"], since))
        yield from _open(new).iter_batches(BATCH_ROWS)

    def _write_audiences(self) -> dict[str, int]:
        run = self._engine.run
        addressed = run(parse_one(_ADDRESSED, into=exp.Select, read="duckdb"), {}).read_all()
        hashes, counts = address_hashes(self._lake, addressed, self._company.crm.phone_region if self._company.crm else "")
        self._stage(ADDRESS_HASHES, hashes.to_batches())
        self._publish(CRM_AUDIENCES, run(statement(CRM_AUDIENCES.name), {}))
        return {"audience_members_without_consent": audience_member_count(self._engine) - addressed.num_rows, **counts}

    def _published_rows(self, table: Table, columns: Iterable[str]) -> Iterator[pa.RecordBatch]:
        file = self._file(table)
        if file.exists():
            yield from _open(file).iter_batches(BATCH_ROWS, columns=list(columns))

    def _listed_rows(self, table: Table, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Yield what lists are made of; where there are campaigns, of audiences only what their control may be on."""
        if table is AUDIENCE_MEMBERS and self._file(CAMPAIGN_ARMS).exists():
            yield from self._engine.run(with_withheld_lists("listed_audiences"), {})
        else:
            yield from self._published_rows(table, columns)

    def _publish(self, table: Table, batches: Iterable[pa.RecordBatch]) -> None:
        path = self._file(table)
        manifest = {"table": table.name, SCHEMA_VERSION: table.schema_version, "day": self._inputs.day}
        self._lake.write_private_file(table.schema, batches, path, manifest)
        self._written[table.name] = table_entry(path)

    def _stage(self, table: Table, batches: Iterable[pa.RecordBatch]) -> None:
        path = self._private_file(table)
        self._lake.write_private_file(table.schema, batches, path, {})
        self._engine.register(table, [path])

    def _private_file(self, table: Table) -> Path:
        return self._private / f"{table.name}.parquet"

    def _file(self, table: Table) -> Path:
        return self._inputs.folder / f"{table.name}.parquet"


def _open(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)
