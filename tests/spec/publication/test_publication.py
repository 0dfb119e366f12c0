from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.builders import a_company, an_attribute, write_rows
from support.published_nights import (
    a_row,
    manifest,
    no_connections,
    publications,
    published_files,
    published_segments,
    target_rows,
    write_memberships,
    write_night,
)

from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, PUBLISHED_TABLES, Column, Kind, Table
from pipeline.publication.current import make_current
from pipeline.publication.publish import Publication, current_publication, publish

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake

MONDAY, TUESDAY, WEDNESDAY = date(2025, 3, 3), date(2025, 3, 4), date(2025, 3, 5)
ADA_IS_LOYAL = {"ada": "loyal", "bob": "lost"}
ADA_IS_LOST = {"ada": "lost", "bob": "lost"}
ADA_IS_ALONE = {"ada": "loyal"}


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path)


def published(company: Company, lake: Lake, day: date, segments: dict[str, str]) -> Publication:
    write_night(lake, company, day, segments)
    return publish(company, lake, day, connections=no_connections)


def test_nothing_is_current_before_the_first_publication(lake: Lake) -> None:
    assert current_publication(lake) is None


def test_current_is_a_relative_link_to_the_publication(company: Company, lake: Lake) -> None:
    publication = published(company, lake, MONDAY, ADA_IS_LOYAL)
    assert (lake.root / "current").readlink() == Path("publications") / publication.publication_id
    assert current_publication(lake) == publication


def test_the_manifest_says_what_the_folder_holds(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    tables = manifest(lake)["tables"]
    files = published_files(lake)
    assert set(tables) == {table.name for table in PUBLISHED_TABLES}
    assert {name: said["sha256"] for name, said in tables.items()} == {
        name: sha256(files[f"{name}.parquet"]).hexdigest() for name in tables
    }
    assert {name: said["rows"] for name, said in tables.items()} == {
        "customer_features": 2,
        "customer_segments": 2,
        "segment_moves": 1,
        "segment_profiles": 2,
        "cluster_profiles": 2,
        "segment_strategies": 1,
        "customer_next_actions": 1,
        "customer_predictions": 2,
    }
    assert {said["schema_version"] for said in tables.values()} == {1}
    assert manifest(lake)["policies"]["time_zone"] == "Europe/Berlin"
    assert manifest(lake)["day"] == "2025-03-03"
    assert manifest(lake)["previous"] is None


@pytest.mark.parametrize("table", PUBLISHED_TABLES, ids=lambda table: table.name)
def test_published_files_have_the_declared_columns_after_the_day(company: Company, lake: Lake, table: Table) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    path = lake.root / "current" / f"{table.name}.parquet"
    stored = pq.read_table(path, page_checksum_verification=True)
    published_alone = [(column.name, column.kind.arrow) for column in table.published_columns]
    assert stored.schema.remove_metadata() == pa.schema([("day", pa.date32()), *company.table(table).schema, *published_alone])
    assert set(stored["day"].to_pylist()) == {MONDAY}
    assert stored.select(table.column_names).equals(lake.read(table, day=MONDAY))


def test_features_are_published_with_the_attributes_of_the_company(tmp_path: Path, lake: Lake) -> None:
    income = an_attribute(Column("yearly_income", Kind.MONEY, "Income."))
    email = an_attribute(Column("email", Kind.TEXT, "Address.", pii=True))
    published(a_company(tmp_path, attributes=(income, email)), lake, MONDAY, ADA_IS_LOYAL)
    names = pq.read_schema(lake.root / "current" / "customer_features.parquet").names
    assert "yearly_income" in names
    assert "email" not in names


def test_every_common_reader_reads_one_fixed_path(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    path = str(lake.root / "current" / "customer_segments.parquet")
    expected = [
        {"day": MONDAY, "customer_id": customer, "scheme": "rfm", "segment": segment, "evidence": "r_score=5"}
        for customer, segment in ADA_IS_LOYAL.items()
    ]
    assert pd.read_parquet(path).to_dict("records") == expected
    assert pl.read_parquet(path).to_dicts() == expected
    assert pq.read_table(path).to_pylist() == expected
    with duckdb.connect() as connection:
        assert connection.read_parquet(path).to_arrow_table().to_pylist() == expected


def test_every_common_reader_finds_exact_money_and_real_dates(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    path = str(lake.root / "current" / "customer_features.parquet")
    frame = pl.read_parquet(path)
    assert (frame.schema["day"], frame.schema["spend_amount"]) == (pl.Date(), pl.Decimal(18, 4))
    assert pd.read_parquet(path)["spend_amount"].tolist() == [Decimal("0.1000")] * 2
    with duckdb.connect() as connection:
        query = connection.read_parquet(path).project("typeof(day) AS d, typeof(spend_amount) AS m").limit(1)
        assert query.fetchall() == [("DATE", "DECIMAL(18,4)")]


def test_history_is_a_folder_that_pandas_reads_by_day(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    published(company, lake, TUESDAY, ADA_IS_ALONE)
    history = pd.read_parquet(lake.root / "tables" / "customer_segments")
    assert history.groupby("day", observed=True).size().to_dict() == {"2025-03-03": 2, "2025-03-04": 1}


def test_publishing_again_changes_not_one_byte(company: Company, lake: Lake) -> None:
    first = published(company, lake, MONDAY, ADA_IS_LOYAL)
    second = published(company, lake, TUESDAY, ADA_IS_LOST)
    files, rows = published_files(lake), target_rows(lake.root / "segments.sqlite")
    assert publish(company, lake, TUESDAY, connections=no_connections) == second
    assert second.previous == first.publication_id
    assert (published_files(lake), target_rows(lake.root / "segments.sqlite")) == (files, rows)
    assert publications(lake) == {first.publication_id, second.publication_id}


def test_the_id_depends_on_content_and_policies_alone(company: Company, lake: Lake) -> None:
    first = published(company, lake, MONDAY, ADA_IS_LOYAL)
    changed = published(company, lake, MONDAY, ADA_IS_LOST)
    assert changed.publication_id != first.publication_id
    assert published(company, lake, MONDAY, ADA_IS_LOYAL).publication_id == first.publication_id
    assert publish(replace(company, window_days=90), lake, MONDAY, connections=no_connections).publication_id != first.publication_id


def test_an_older_day_changes_nothing_and_says_so(company: Company, lake: Lake, caplog: pytest.LogCaptureFixture) -> None:
    tuesday = published(company, lake, TUESDAY, ADA_IS_LOYAL)
    files, rows = published_files(lake), target_rows(lake.root / "segments.sqlite")
    with caplog.at_level(logging.WARNING):
        assert published(company, lake, MONDAY, ADA_IS_LOST) == tuesday
    assert "2025-03-03 is older. To start over from there: segments withdraw --since 2025-03-04" in caplog.text
    assert (published_files(lake), target_rows(lake.root / "segments.sqlite")) == (files, rows)
    assert publications(lake) == {tuesday.publication_id}


def test_only_the_current_publication_and_its_previous_are_kept(company: Company, lake: Lake) -> None:
    ids = [published(company, lake, day, ADA_IS_LOYAL).publication_id for day in (MONDAY, TUESDAY, WEDNESDAY)]
    assert publications(lake) == set(ids[1:])
    assert not list((lake.root / "staging").iterdir())


def test_no_number_of_reruns_hides_the_night_before(company: Company, lake: Lake) -> None:
    monday = published(company, lake, MONDAY, ADA_IS_LOYAL)
    for segments in (ADA_IS_LOST, ADA_IS_ALONE, ADA_IS_LOST, ADA_IS_LOYAL):
        rerun = published(company, lake, TUESDAY, segments)
        assert rerun.previous == monday.publication_id
        assert publications(lake) == {monday.publication_id, rerun.publication_id}


def test_reruns_of_the_first_day_lead_back_to_what_they_replaced(company: Company, lake: Lake) -> None:
    first = published(company, lake, MONDAY, ADA_IS_LOYAL)
    second = published(company, lake, MONDAY, ADA_IS_LOST)
    assert second.previous == first.publication_id
    again = published(company, lake, MONDAY, ADA_IS_LOYAL)
    assert (again.publication_id, again.previous) == (first.publication_id, second.publication_id)
    assert publications(lake) == {first.publication_id, second.publication_id}


def test_after_a_rollback_the_way_back_is_never_a_publication_that_was_swept(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    tuesday = published(company, lake, TUESDAY, ADA_IS_LOYAL)
    published(company, lake, WEDNESDAY, ADA_IS_LOYAL)
    (lake.root / "current").unlink()
    (lake.root / "current").symlink_to(Path("publications", tuesday.publication_id))
    rerun = published(company, lake, TUESDAY, ADA_IS_LOST)
    assert rerun.previous == tuesday.publication_id
    assert publications(lake) == {tuesday.publication_id, rerun.publication_id}


def test_publishing_again_heals_a_damaged_file(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    files = published_files(lake)
    (lake.root / "current" / "customer_segments.parquet").write_bytes(b"torn")
    publish(company, lake, MONDAY, connections=no_connections)
    assert published_files(lake) == files


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"flip"])
def test_a_damaged_partition_is_named_and_never_published(company: Company, lake: Lake, damage: bytes) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    files = published_files(lake)
    write_night(lake, company, TUESDAY, ADA_IS_LOST)
    path = lake.path(CUSTOMER_SEGMENTS, day=TUESDAY)
    content = bytearray(path.read_bytes())
    content[content.index(b"ada") + 2] ^= 1  # in a data page: without checksums it would read as another customer
    path.write_bytes(bytes(content) if damage == b"flip" else damage)
    with pytest.raises(DataError, match=r"(?s)customer_segments is damaged.*day=2025-03-04"):
        publish(company, lake, TUESDAY, connections=no_connections)
    assert published_files(lake) == files


def test_what_a_dead_run_left_behind_is_never_published(company: Company, lake: Lake) -> None:
    left = lake.root / "staging" / "publication" / "customers.parquet"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"left behind")
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    assert set(published_files(lake)) == {"manifest.json", *(f"{table.name}.parquet" for table in PUBLISHED_TABLES)}


def test_a_night_that_was_not_computed_is_named(company: Company, lake: Lake) -> None:
    with pytest.raises(DataError, match=r"(?s)customer_features has no such night.*day=2025-03-03"):
        publish(company, lake, MONDAY, connections=no_connections)
    assert current_publication(lake) is None


def test_a_partition_from_before_an_attribute_was_added_is_refused(company: Company, lake: Lake) -> None:
    write_night(lake, company, MONDAY, ADA_IS_LOYAL)
    richer = replace(company, attributes=(an_attribute(Column("yearly_income", Kind.MONEY, "Income.")),))
    with pytest.raises(DataError, match="written with other columns"):
        publish(richer, lake, MONDAY, connections=no_connections)


def test_a_pointer_that_leads_nowhere_is_an_error_and_not_a_first_night(company: Company, lake: Lake) -> None:
    publication = published(company, lake, MONDAY, ADA_IS_LOYAL)
    lake.delete(f"{publication.prefix}manifest.json")
    with pytest.raises(DataError, match="current publication is damaged"):
        current_publication(lake)


def test_a_publication_that_another_run_overtook_is_not_made_current(company: Company, lake: Lake) -> None:
    monday, tuesday = (published(company, lake, day, ADA_IS_LOYAL) for day in (MONDAY, TUESDAY))
    with pytest.raises(TransientError, match=f"another run published while {monday.publication_id} was about to be"):
        make_current(lake, monday, monday.publication_id)
    assert current_publication(lake) == tuesday


def test_a_disk_that_refuses_leaves_the_old_publication(company: Company, lake: Lake) -> None:
    write_night(lake, company, MONDAY, ADA_IS_LOYAL)
    (lake.root / "publications").write_text("not a folder")
    with pytest.raises(TransientError, match="could not publish"):
        publish(company, lake, MONDAY, connections=no_connections)
    assert current_publication(lake) is None


def test_a_night_without_customers_is_published_with_typed_columns(company: Company, lake: Lake) -> None:
    publication = published(company, lake, MONDAY, {})
    assert set(publication.row_counts.values()) == {0}
    assert pq.read_schema(lake.root / "current" / "customer_segments.parquet").field("day").type == pa.date32()
    assert target_rows(lake.root / "segments.sqlite")["publications"] == [("2025-03-03", publication.publication_id, 0, 0)]


def test_the_embedded_database_holds_the_state_and_its_history(company: Company, lake: Lake) -> None:
    monday = published(company, lake, MONDAY, ADA_IS_LOYAL)
    tuesday = published(company, lake, TUESDAY, {"ada": "lost", "cleo": "loyal"})
    rows = target_rows(lake.root / "segments.sqlite")
    assert rows["customer_segments"] == [("ada", "rfm", "lost", "r_score=5"), ("cleo", "rfm", "loyal", "r_score=5")]
    assert rows["customer_segment_history"] == [
        ("ada", "rfm", "lost", "2025-03-04", None),
        ("ada", "rfm", "loyal", "2025-03-03", "2025-03-04"),
        ("bob", "rfm", "lost", "2025-03-03", "2025-03-04"),
        ("cleo", "rfm", "loyal", "2025-03-04", None),
    ]
    assert rows["publications"] == [("2025-03-03", monday.publication_id, 2, 2), ("2025-03-04", tuesday.publication_id, 2, 2)]
    assert {row[:3] for row in rows["segment_profiles"]} == {
        (day, "rfm", segment) for day in ("2025-03-03", "2025-03-04") for segment in ("loyal", "lost")
    }


def test_a_rerun_corrects_the_intervals_of_its_day(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    published(company, lake, TUESDAY, {"ada": "lost", "cleo": "loyal"})
    published(company, lake, TUESDAY, ADA_IS_ALONE)
    assert target_rows(lake.root / "segments.sqlite")["customer_segment_history"] == [
        ("ada", "rfm", "loyal", "2025-03-03", None),
        ("bob", "rfm", "lost", "2025-03-03", "2025-03-04"),
    ]


def test_money_in_the_embedded_database_compares_and_adds_up_as_a_number(company: Company, lake: Lake) -> None:
    features = company.table(CUSTOMER_FEATURES)
    spends = {"ada": "95", "bob": "1050", "cleo": "430.1", "dora": "0.2", "eve": "-3.0001", "fay": "12345678901.2345"}
    write_night(lake, company, MONDAY, dict.fromkeys(spends, "loyal"))
    rows = [a_row(features, customer_id=name, lifetime_spend_amount=Decimal(spend)) for name, spend in spends.items()]
    write_rows(lake, features, rows, day=MONDAY)
    publish(company, lake, MONDAY, connections=no_connections)
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        query = "SELECT customer_id FROM customer_profiles WHERE lifetime_spend_amount > 100 ORDER BY lifetime_spend_amount DESC"
        assert connection.execute(query).fetchall() == [("fay",), ("bob",), ("cleo",)]
        query = """
            SELECT max(lifetime_spend_amount), min(lifetime_spend_amount), round(sum(lifetime_spend_amount), 4),
                printf('%.4f', max(lifetime_spend_amount))
            FROM customer_profiles
        """
        assert connection.execute(query).fetchone() == (12345678901.2345, -3.0001, 12345680473.5344, "12345678901.2345")


def test_a_database_that_holds_amounts_as_text_is_refused(company: Company, lake: Lake) -> None:
    lake.root.mkdir(parents=True)
    file = lake.root / "segments.sqlite"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE customer_profiles (customer_id TEXT, lifetime_spend_amount TEXT)")
    with pytest.raises(ConfigError, match="stored amounts as text"):
        published(company, lake, MONDAY, ADA_IS_LOYAL)
    file.rename(lake.root / "earlier.sqlite")
    assert published(company, lake, MONDAY, ADA_IS_LOYAL).day == MONDAY


def test_each_scheme_has_a_history_of_its_own_and_no_evidence_is_no_value(company: Company, lake: Lake) -> None:
    write_night(lake, company, MONDAY, ADA_IS_ALONE)
    write_memberships(lake, MONDAY, {("ada", "lifecycle"): "active", ("ada", "rfm"): "loyal"}, evidence=None)
    publish(company, lake, MONDAY, connections=no_connections)
    write_night(lake, company, TUESDAY, ADA_IS_ALONE)
    publish(company, lake, TUESDAY, connections=no_connections)
    rows = target_rows(lake.root / "segments.sqlite")
    assert rows["customer_segments"] == [("ada", "rfm", "loyal", "r_score=5")]
    assert rows["customer_segment_history"] == [
        ("ada", "lifecycle", "active", "2025-03-03", "2025-03-04"),
        ("ada", "rfm", "loyal", "2025-03-03", None),
    ]


def test_a_database_that_fails_leaves_current_as_it_was(company: Company, lake: Lake) -> None:
    monday = published(company, lake, MONDAY, ADA_IS_LOYAL)
    intact = (lake.root / "segments.sqlite").read_bytes()
    (lake.root / "segments.sqlite").write_bytes(b"this is no database" * 100)
    with pytest.raises(DataError, match="SQLITE_NOTADB"):
        published(company, lake, TUESDAY, ADA_IS_LOST)
    assert current_publication(lake) == monday
    assert published_segments(lake) == ADA_IS_LOYAL
    (lake.root / "segments.sqlite").write_bytes(intact)
    assert publish(company, lake, TUESDAY, connections=no_connections).day == TUESDAY
    assert published_segments(lake) == ADA_IS_LOST


def test_a_database_with_other_columns_is_refused(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, ADA_IS_LOYAL)
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        connection.execute("ALTER TABLE publications RENAME COLUMN publication_id TO something")
    with pytest.raises(ConfigError, match="publications of the database target has other columns"):
        published(company, lake, TUESDAY, ADA_IS_LOST)
    assert published_segments(lake) == ADA_IS_LOYAL
