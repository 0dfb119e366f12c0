from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import Catalog, load_catalog
from support.builders import a_company, an_attribute
from support.object_store import CREDENTIALS
from support.published_nights import no_connections, publications, write_night

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.definitions.connections import catalog_properties
from pipeline.definitions.iceberg_settings import IcebergSettings
from pipeline.errors import ConfigError, TransientError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    PUBLISHED_TABLES,
    SEGMENT_PROFILES,
    Column,
    Kind,
    Table,
)
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers, finish_erasures
from pipeline.publication.current import current_publication
from pipeline.publication.iceberg import register_live, registered_tables
from pipeline.publication.iceberg.iceberg_table import WantedTable, bring_to
from pipeline.publication.publish import publish
from pipeline.publication.rollback import roll_back
from pipeline.publication.withdrawal import withdraw_publications

if TYPE_CHECKING:
    from pyiceberg.table import Table as IcebergTable
    from support.object_store import ObjectStore

    from pipeline.definitions.company import Company

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2025, 3, day) for day in (3, 4, 5, 6))
ADA_IS_LOYAL = {"ada": "loyal", "bob": "lost"}
ADA_IS_LOST = {"ada": "lost", "bob": "lost", "cem": "loyal"}
SEGMENTS = "segments.customer_segments"
# Each table costs a commit; most tests need no more than a night must have.
FEW = (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_PROFILES)
NOBODY_THERE = {"uri": "http://127.0.0.1:9"}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return replace(a_company(tmp_path), iceberg=IcebergSettings("warehouse"))


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    # A path with a space, as a URI would write it otherwise.
    return Lake(tmp_path / "the lake")


@pytest.fixture
def properties(tmp_path: Path) -> dict[str, str]:
    return {"uri": f"sqlite:///{tmp_path}/catalog.db"}


@pytest.fixture
def catalog(properties: dict[str, str]) -> Iterator[Catalog]:
    with closing(load_catalog("warehouse", **properties, warehouse="file:///nowhere")) as opened:
        yield opened


def night(
    company: Company, lake: Lake, day: date, segments: dict[str, str], properties: Mapping[str, str], tables: Sequence[Table] = FEW
) -> str:
    """Publish a night and register it; return the id of the publication."""
    write_night(lake, company, day, segments)
    publication = publish(company, lake, day, tables=tables, connections=no_connections)
    register_live(company, lake, catalogs=lambda _: properties)
    return publication.publication_id


def files_of(table: IcebergTable) -> list[Path]:
    return [Path(urlsplit(task.file.file_path).path) for task in table.scan().plan_files()]


def is_in_step(company: Company, lake: Lake) -> bool:
    tables = registered_tables(company, lake)
    assert tables is not None
    return tables.is_in_step


def segments_in(catalog: Catalog, identifier: str = SEGMENTS) -> dict[str, str]:
    rows = catalog.load_table(identifier).scan().to_arrow().to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows}


def test_tables_hold_what_is_published_and_lead_to_its_very_files(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog
) -> None:
    publication_id = night(company, lake, MONDAY, ADA_IS_LOYAL, properties, PUBLISHED_TABLES)
    assert {name for _, name in catalog.list_tables("segments")} == {table.name for table in PUBLISHED_TABLES}
    for table in PUBLISHED_TABLES:
        file = lake.root / "publications" / publication_id / f"{table.name}.parquet"
        registered = catalog.load_table(f"segments.{table.name}")
        assert files_of(registered) == [file]
        rows = registered.scan().to_arrow()
        assert rows.equals(pq.read_table(file).cast(rows.schema))
    assert not list((lake.root / "iceberg").rglob("*.parquet"))
    assert is_in_step(company, lake)


def test_duckdb_reads_them(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    with closing(catalog.load_table(SEGMENTS).scan(selected_fields=("segment",)).to_duckdb("registered")) as connection:
        assert sorted(connection.sql("SELECT segment FROM registered").fetchall()) == [("lost",), ("loyal",)]
    rows = catalog.load_table("segments.customer_features").scan().to_arrow()  # noqa: F841 - DuckDB finds it by its name
    assert duckdb.sql("SELECT count(DISTINCT customer_id) FROM rows").fetchall() == [(2,)]


def test_the_guide_reads_them(
    company: Company, lake: Lake, properties: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    [program] = re.findall(r"```python\n(.*?)```", (PROJECT_ROOT / "docs" / "guides" / "iceberg.md").read_text("utf-8"), re.DOTALL)
    opened: list[Catalog] = []
    monkeypatch.setattr("pyiceberg.catalog.load_catalog", lambda name, **_: opened.append(load_catalog(name, **properties)) or opened[0])
    exec(compile(program, "iceberg.md", "exec"), {})  # noqa: S102 - our own page
    opened[0].close()
    assert "loyal" in capsys.readouterr().out


def test_columns_are_described_as_ours_are(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    docs = {field.name: field.doc for field in catalog.load_table(SEGMENTS).schema().fields}
    assert {column.name: column.description for column in CUSTOMER_SEGMENTS.columns}.items() <= docs.items()


def test_registering_a_publication_again_writes_nothing(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    before = {name: catalog.load_table(name).metadata_location for name in catalog.list_tables("segments")}
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    assert {name: catalog.load_table(name).metadata_location for name in catalog.list_tables("segments")} == before


def test_a_night_takes_the_place_of_the_one_before_in_one_commit(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog
) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    commits = len(catalog.load_table(SEGMENTS).metadata.metadata_log)
    night(company, lake, TUESDAY, ADA_IS_LOST, properties)
    table = catalog.load_table(SEGMENTS)
    assert len(table.metadata.metadata_log) == commits + 1
    assert segments_in(catalog) == ADA_IS_LOST
    # The night before is still there to be read, as its files are.
    first, second = table.snapshots()
    assert table.scan(snapshot_id=first.snapshot_id).to_arrow().num_rows == 2
    assert table.current_snapshot() == second


def test_snapshots_expire_as_publications_are_swept(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    for day in (MONDAY, TUESDAY, WEDNESDAY, THURSDAY):
        night(company, lake, day, ADA_IS_LOYAL, properties)
    table = catalog.load_table(SEGMENTS)
    held = {Path(each["file_path"].removeprefix("file://")) for each in table.inspect.all_files().to_pylist()}
    assert {path.parent.name for path in held} == publications(lake)
    assert len(publications(lake)) == 2
    # What listed the files of expired snapshots is gone as well: of two snapshots two lists, of each a manifest for what came and went.
    assert len(list((lake.root / "iceberg").rglob("customer_segments/metadata/snap-*.avro"))) == 2


def test_a_rollback_leads_the_tables_back(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    night(company, lake, TUESDAY, ADA_IS_LOST, properties)
    roll_back(company, lake, connections=no_connections)
    assert not is_in_step(company, lake)
    register_live(company, lake, catalogs=lambda _: properties)
    assert segments_in(catalog) == ADA_IS_LOYAL
    assert is_in_step(company, lake)


def test_where_all_is_withdrawn_the_tables_have_no_rows_until_the_next_night(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog
) -> None:
    night(company, lake, WEDNESDAY, ADA_IS_LOST, properties)
    withdraw_publications(company, lake, WEDNESDAY, reason="", connections=no_connections)
    assert len(publications(lake)) == 2  # tables still lead to the one that was withdrawn
    register_live(company, lake, catalogs=lambda _: properties)
    assert segments_in(catalog) == {}
    assert is_in_step(company, lake)
    assert len(publications(lake)) == 1
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    assert segments_in(catalog) == ADA_IS_LOYAL
    assert {name[:10] for name in publications(lake)} == {str(MONDAY)}


def test_a_table_that_is_published_no_more_has_no_rows(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties, (*FEW, CLUSTER_PROFILES))
    night(company, lake, TUESDAY, ADA_IS_LOYAL, properties)
    table = catalog.load_table("segments.cluster_profiles")
    assert table.scan().to_arrow().num_rows == 0
    location = table.metadata_location
    register_live(company, lake, catalogs=lambda _: properties)
    assert catalog.load_table("segments.cluster_profiles").metadata_location == location


def test_an_erased_customer_is_in_no_snapshot(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    night(company, lake, TUESDAY, ADA_IS_LOST, properties)
    erase_customers(Deployment(company, lake, no_connections, catalogs=lambda _: properties), ["ada"])
    table = catalog.load_table(SEGMENTS)
    assert segments_in(catalog) == {"bob": "lost", "cem": "loyal"}
    # The night before was replaced as well: nothing leads to the files that held her, and no table offers them.
    assert [table.scan(snapshot_id=each.snapshot_id).to_arrow()["customer_id"].to_pylist() for each in table.snapshots()] == [
        ["bob", "cem"]
    ]
    for name in catalog.list_tables("segments"):
        files = catalog.load_table(name).inspect.all_files().to_pylist()
        assert all(not file[bounds] for file in files for bounds in ("lower_bounds", "upper_bounds"))


def test_an_erasure_that_the_catalogue_misses_stays_open_until_it_answers(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog
) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    with pytest.raises(TransientError, match="catalogue"):
        erase_customers(Deployment(company, lake, no_connections, catalogs=lambda _: NOBODY_THERE), ["ada"])
    [receipt] = finish_erasures(Deployment(company, lake, no_connections, catalogs=lambda _: properties))
    assert receipt.row_count > 0
    assert segments_in(catalog) == {"bob": "lost"}


def test_what_is_live_does_not_wait_for_the_catalogue(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    first = night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    for day in (TUESDAY, WEDNESDAY):
        with pytest.raises(TransientError, match="not in step with what is live: ConnectionError"):
            night(company, lake, day, ADA_IS_LOST, NOBODY_THERE)
    live = current_publication(lake)
    assert live is not None
    assert live.day == WEDNESDAY
    # The table leads to the first night still, whose files therefore stay.
    assert first in publications(lake)
    assert segments_in(catalog) == ADA_IS_LOYAL
    register_live(company, lake, catalogs=lambda _: properties)
    assert segments_in(catalog) == ADA_IS_LOST
    assert first not in publications(lake)


def test_a_run_that_broke_off_between_two_tables_is_completed(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    changed: list[str] = []

    def die_at_the_third(catalog: Catalog, wanted: WantedTable) -> bool:
        if len(changed) == 2:
            raise KeyboardInterrupt
        changed.append(wanted.identifier)
        return bring_to(catalog, wanted)

    with monkeypatch.context() as patched:
        patched.setattr("pipeline.publication.iceberg.registration.bring_to", die_at_the_third)
        with pytest.raises(KeyboardInterrupt):
            night(company, lake, TUESDAY, ADA_IS_LOST, properties)
    assert not is_in_step(company, lake)
    assert first in publications(lake)
    night(company, lake, WEDNESDAY, ADA_IS_LOST, properties)
    assert {catalog.load_table(name).current_snapshot() and files_of(catalog.load_table(name))[0].parent.name for name in changed} == {
        current_publication(lake).publication_id  # type: ignore[union-attr]
    }
    assert is_in_step(company, lake)


@pytest.mark.parametrize("is_led_there", [True, False])
def test_a_writer_on_a_stale_table_looks_again(
    company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog, is_led_there: bool
) -> None:
    """Whoever comes second changes what the first one left, and whoever finds it done changes nothing."""
    first = night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    second = night(company, lake, TUESDAY, ADA_IS_LOST, properties)
    ways = {
        each: WantedTable(
            SEGMENTS,
            pq.read_schema(lake.root / "publications" / each / "customer_segments.parquet"),
            [lake.store.uri(f"{addresses.publication(each)}customer_segments.parquet")],
            each,
            {first, second},
            [company.name],
        )
        for each in (first, second)
    }

    class Interrupted(type(catalog)):  # type: ignore[misc]
        """A catalogue in which another writer goes back to the first night as soon as the table was loaded."""

        others = 0

        def load_table(self, identifier: Any) -> IcebergTable:
            table = super().load_table(identifier)
            if not self.others:
                self.others += 1
                assert bring_to(catalog, ways[first])
            return table

    wanted = replace(ways[second], kept={second}) if is_led_there else ways[first]
    with closing(Interrupted("warehouse", **properties)) as interrupted:
        assert bring_to(interrupted, wanted) == is_led_there
    assert [each.parent.name for each in files_of(catalog.load_table(SEGMENTS))] == [wanted.publication_id]
    assert segments_in(catalog) == (ADA_IS_LOST if is_led_there else ADA_IS_LOYAL)


def test_columns_come_change_and_go(tmp_path: Path, catalog: Catalog) -> None:
    tables = {
        "one": pa.table({"customer_id": ["ada"], "age": pa.array([30], pa.int64()), "city": ["Bonn"]}),
        "two": pa.table({"customer_id": ["ada"], "age": pa.array([30], pa.int64()), "is_member": [True]}),
        "three": pa.table({"customer_id": ["ada"], "age": ["30s"], "is_member": [True]}),
    }
    catalog.create_namespace("segments")
    catalog.properties["warehouse"] = f"file://{tmp_path}/warehouse"
    seen = []
    for name, rows in tables.items():
        pq.write_table(rows, tmp_path / f"{name}.parquet")
        assert bring_to(catalog, WantedTable("segments.people", rows.schema, [f"file://{tmp_path}/{name}.parquet"], name, tables, ["Shop"]))
        table = catalog.load_table("segments.people")
        seen.append([table.scan(snapshot_id=each.snapshot_id).to_arrow().to_pylist() for each in table.snapshots()])
    one, two, three = (rows.to_pylist() for rows in tables.values())
    # No snapshot is offered that would have no ages, because the column of that name has another type now.
    assert seen == [[one], [one, two], [three]]


def test_a_company_with_a_new_attribute_publishes_it(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    richer = replace(company, attributes=(an_attribute(Column("shoe_size", Kind.INTEGER, "")),))
    night(richer, lake, TUESDAY, ADA_IS_LOYAL, properties)
    table = catalog.load_table("segments.customer_features")
    assert "shoe_size" in table.scan().to_arrow().column_names
    assert "shoe_size" not in table.scan(snapshot_id=table.snapshots()[0].snapshot_id).to_arrow().column_names


def test_a_table_of_somebody_else_is_left_alone(company: Company, lake: Lake, properties: dict[str, str], catalog: Catalog) -> None:
    catalog.create_namespace("segments")
    catalog.properties["warehouse"] = lake.store.uri("theirs")
    theirs = catalog.create_table(SEGMENTS, pa.schema([("customer_id", pa.string())]))
    with pytest.raises(ConfigError, match="of somebody else"):
        night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    assert catalog.load_table(SEGMENTS).metadata == theirs.metadata
    mine = replace(company, iceberg=IcebergSettings("warehouse", "mine"))
    register_live(mine, lake, catalogs=lambda _: properties)
    with pytest.raises(ConfigError, match="of another company"):
        register_live(replace(mine, name="Another"), lake, catalogs=lambda _: properties)
    register_live(replace(mine, name="Renamed", former_names=(company.name,)), lake, catalogs=lambda _: properties)


@pytest.mark.parametrize(
    ("properties", "words"),
    [
        ({"uri": "ftp://somewhere"}, "cannot be opened by its properties: ValueError"),
        ({"type": "sql"}, "cannot be opened by its properties: ValueError"),
    ],
)
def test_a_catalogue_that_cannot_be_is_a_fault_of_the_settings(
    company: Company, lake: Lake, properties: dict[str, str], words: str
) -> None:
    write_night(lake, company, MONDAY, ADA_IS_LOYAL)
    publish(company, lake, MONDAY, connections=no_connections)
    with pytest.raises(ConfigError, match=words):
        register_live(company, lake, catalogs=lambda _: properties)


def test_errors_do_not_quote_the_address(company: Company, lake: Lake, tmp_path: Path) -> None:
    write_night(lake, company, MONDAY, ADA_IS_LOYAL)
    publish(company, lake, MONDAY, connections=no_connections)
    with pytest.raises(TransientError) as caught:
        register_live(company, lake, catalogs=lambda _: {"uri": f"sqlite:////{tmp_path}/no/s3cret/catalog.db"})
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_company_without_a_catalogue_loads_nothing_of_it(company: Company, lake: Lake, properties: dict[str, str]) -> None:
    night(company, lake, MONDAY, ADA_IS_LOYAL, properties)
    program = """
import sys
from pathlib import Path
from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.publication.iceberg import register_live
register_live(load_company(Path("examples/adventureworks")), Lake(Path(sys.argv[1])), catalogs=None)
assert not any(name.startswith("pyiceberg") for name in sys.modules)
"""
    subprocess.run([sys.executable, "-c", program, lake.root], check=True)
    # And no publication stays for tables that nobody brings forward any more.
    assert not (lake.root / "registered.txt").exists()


def test_tables_of_a_lake_in_a_bucket_lead_to_its_objects(
    company: Company, object_store: ObjectStore, tmp_path: Path, properties: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = object_store.new_store(tmp_path / "cache")
    # Nights have the address of the catalogue, and of the object store what the lake itself needs.
    for name, value in (object_store.environment() | {"SEGMENTS_CATALOG_WAREHOUSE": properties["uri"]}).items():
        monkeypatch.setenv(name, value)
    given = {
        **properties,
        "s3.endpoint": object_store.endpoint,
        "s3.access-key-id": CREDENTIALS.key,
        "s3.secret-access-key": CREDENTIALS.secret,
        "s3.region": "us-east-1",
    }
    for day, segments in ((MONDAY, ADA_IS_LOYAL), (TUESDAY, ADA_IS_LOST)):
        publication_id = night(company, Lake(store), day, segments, catalog_properties("warehouse"))
    with closing(load_catalog("warehouse", **given)) as catalog:
        [task] = catalog.load_table(SEGMENTS).scan().plan_files()
        assert task.file.file_path == store.uri(f"publications/{publication_id}/customer_segments.parquet")
        assert segments_in(catalog) == ADA_IS_LOST
        assert catalog.load_table(SEGMENTS).metadata_location.startswith(store.uri("iceberg/"))
