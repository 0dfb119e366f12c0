"""One Iceberg table: its columns, and the one commit that lets it lead to the files of a publication.

No value of a customer is in a table's metadata: statistics of columns would be copies of ids, and an erasure would have to find
every manifest that holds one. Readers find single customers by the footers of the files themselves.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from pipeline.errors import ConfigError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.snapshots import Snapshot

PUBLICATION: Final = "segments.publication"
OWNER: Final = "segments.company"
_ATTEMPTS: Final = 8
_PROPERTIES: Final = {
    "write.metadata.metrics.default": "counts",
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "10",
    # A commit that comes too late is made anew by us, from what is live by then.
    "commit.retry.num-retries": "0",
}


class StaleTable(Exception):
    """Another writer changed the table meanwhile, or whether the commit was made is unknown: look again."""


@dataclass(frozen=True, slots=True)
class WantedTable:
    """What a table of the catalogue has to be: the `files` of a publication with these columns, whose metadata `doc` describes each.

    Without files it has no rows. Snapshots of publications that are not among the `kept` ones go. `owners` are the names of the company.
    """

    identifier: str
    schema: pa.Schema
    files: Sequence[str]
    publication_id: str
    kept: Collection[str]
    owners: Sequence[str]


@retry(
    retry=retry_if_exception_type(StaleTable),
    stop=stop_after_attempt(_ATTEMPTS),
    wait=wait_random_exponential(multiplier=0.05, max=5),
    reraise=True,
)
def bring_to(catalog: Catalog, wanted: WantedTable) -> bool:
    """Let the table lead to the files of the publication, in one commit; return False where it does already.

    Raises ConfigError where a table of that name is not ours, StaleTable where other writers were first each time.
    """
    from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException, ValidationException

    table = _existing_or_new(catalog, wanted)
    before = _manifests_of(table, table.snapshots())
    try:
        with table.transaction() as transaction:
            _require_unmoved(transaction)
            kept = wanted.kept
            if not _is_led_there(table.metadata, wanted):
                kept = _replace_files(transaction, wanted)
            made = _manifests_of(table, transaction.table_metadata.snapshots)
            _expire(transaction, kept)
            is_changed = transaction.table_metadata != table.metadata
    except (CommitFailedException, CommitStateUnknownException, ValidationException) as error:
        raise StaleTable(type(error).__name__) from None
    if is_changed:
        _remove_files(table, (before | made) - _manifests_of(table, table.snapshots()))
    return is_changed


def _existing_or_new(catalog: Catalog, wanted: WantedTable) -> Table:
    from pyiceberg.exceptions import NoSuchTableError

    try:
        table = catalog.load_table(wanted.identifier)
    except NoSuchTableError:
        properties = {**_PROPERTIES, OWNER: wanted.owners[0]}
        table = catalog.create_table_if_not_exists(wanted.identifier, wanted.schema, properties=properties)
    _require_ours(table, wanted)
    return table


def is_ours(table: Table) -> bool:
    """Return whether a night made the table."""
    return OWNER in table.properties


def _require_ours(table: Table, wanted: WantedTable) -> None:
    owner = table.properties.get(OWNER)
    if owner in wanted.owners:
        return
    of = "another company" if owner else "somebody else"
    todo = "Choose another `namespace` under [publish.iceberg], or remove the table from the catalogue."
    raise ConfigError(f"the catalogue has a table {wanted.identifier} of {of}", where=wanted.identifier, todo=todo)


def _is_led_there(metadata: TableMetadata, wanted: WantedTable) -> bool:
    snapshot = metadata.current_snapshot()
    if snapshot is None or not _has_files(snapshot):
        return not wanted.files
    return bool(wanted.files) and _publication_of(snapshot) == wanted.publication_id


def _publication_of(snapshot: Snapshot) -> str:
    return str(snapshot.summary.get(PUBLICATION) or "") if snapshot.summary else ""


def _has_files(snapshot: Snapshot) -> bool:
    return bool(snapshot.summary and snapshot.summary.get("total-data-files") not in (None, "0"))


def _require_unmoved(transaction: Transaction) -> None:
    """Have the commit refused where the table leads elsewhere by then; of itself one that only lets snapshots go would not be."""
    from pyiceberg.table.refs import MAIN_BRANCH
    from pyiceberg.table.update import AssertRefSnapshotId

    snapshot = transaction.table_metadata.current_snapshot()
    unmoved = AssertRefSnapshotId.model_validate({"ref": MAIN_BRANCH, "snapshot-id": snapshot.snapshot_id if snapshot else None})
    transaction._apply((), (unmoved,))  # noqa: SLF001 - as its own operations do


def _replace_files(transaction: Transaction, wanted: WantedTable) -> Collection[str]:
    """Let files of the publication take the place of all others; return the publications whose snapshots can still be read."""
    from pyiceberg.expressions import AlwaysTrue

    is_retyped = _evolve(transaction, wanted.schema)
    snapshot, note = transaction.table_metadata.current_snapshot(), {PUBLICATION: wanted.publication_id}
    if snapshot is not None and _has_files(snapshot):
        transaction.delete(AlwaysTrue(), snapshot_properties=note)
    if wanted.files:
        # Of a file that is registered already there can be no second: all files are out by now.
        transaction.add_files(list(wanted.files), snapshot_properties=note, check_duplicate_files=False)
    return {wanted.publication_id} if is_retyped else wanted.kept


def _evolve(transaction: Transaction, wanted: pa.Schema) -> bool:
    """Give the table the columns of the files; return whether one has another type than before.

    Files are read by the names of their columns, of which each can be one column at a time: an older snapshot would have none of that name.
    """
    from pyiceberg.catalog import Catalog

    types = {field.name: field for field in Catalog._convert_schema_if_needed(wanted).fields}  # noqa: SLF001 - as it does for new tables
    stored = {field.name: field for field in transaction.table_metadata.schema().fields}
    gone = [name for name, field in stored.items() if name not in types or str(field.field_type) != str(types[name].field_type)]
    added = [field for name, field in types.items() if name not in stored or name in gone]
    retold = [field for name, field in types.items() if name in stored and name not in gone and field.doc != stored[name].doc]
    if not (gone or added or retold):
        return False
    with transaction.update_schema(allow_incompatible_changes=True) as update:
        for name in gone:
            update.delete_column(name)
        for field in added:
            update.add_column(field.name, field.field_type, doc=field.doc)
        for field in retold:
            update.update_column(field.name, doc=field.doc)
    return any(name in types for name in gone)


def _expire(transaction: Transaction, publications: Collection[str]) -> None:
    """Let go of snapshots that lead to files that are gone, and of those on the way from one publication to another.

    That is part of the same commit: at no time does a table offer a snapshot whose files nobody has.
    """
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    metadata = transaction.table_metadata
    # In the order in which they were made: the last one of a publication is the one with its files.
    last = {_publication_of(each): each.snapshot_id for each in metadata.snapshots}
    kept = {snapshot_id for publication, snapshot_id in last.items() if publication in publications}
    kept |= {ref.snapshot_id for ref in metadata.refs.values()}
    expired = [each.snapshot_id for each in metadata.snapshots if each.snapshot_id not in kept]
    if expired:
        ExpireSnapshots(transaction).by_ids(expired).commit()


def _manifests_of(table: Table, snapshots: Sequence[Snapshot]) -> set[str]:
    """Return the files that the catalogue's side keeps for these snapshots: their lists, and what is listed there."""
    found: set[str] = set()
    for snapshot in snapshots:
        found.add(snapshot.manifest_list)
        with suppress(OSError):  # another writer may have removed it
            found.update(manifest.manifest_path for manifest in snapshot.manifests(table.io))
    return found


def _remove_files(table: Table, paths: Collection[str]) -> None:
    for path in sorted(paths):
        with suppress(OSError):  # one that stays costs a few kilobytes, and holds no value of a customer
            table.io.delete(path)
