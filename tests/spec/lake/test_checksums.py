"""Every byte of a file is covered by a checksum, and whoever reads some columns depends on those and on no others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.checksums import MARK_BYTES, is_whole, read_seal, seal_of
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import Column, Kind, Partition, Table

DAY = date(2024, 3, 31)
TABLE = Table(
    "notes",
    "Notes of customers.",
    tuple(Column(name, Kind.TEXT, "") for name in ("customer_id", "note", "tag")),
    ("customer_id",),
    Partition.NIGHT,
)
ADDRESS = addresses.partition(TABLE, day=DAY)
ROWS = pa.table({name: [f"{name} {n}" for n in range(6)] for name in TABLE.column_names}, TABLE.schema)


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[Lake]:
    """Yield a lake with one file of two row groups."""
    lake = Lake(tmp_path / "lake")
    path = lake.path(TABLE, day=DAY)
    path.parent.mkdir(parents=True)
    with sealed_writer(path, TABLE.schema) as writer:
        writer.add_metadata({b"customer_segments.manifest": b'{"rows": 6}'})
        for start in (0, 3):
            writer.write(ROWS.slice(start, 3))
    yield lake
    seal_of.cache_clear()


def flip(path: Path, place: int) -> None:
    """Change a bit; what is remembered of the file goes, as within a moment its time of writing is the same."""
    content = bytearray(path.read_bytes())
    content[place] ^= 4
    path.write_bytes(content)
    seal_of.cache_clear()


def chunks_of(path: Path, name: str) -> list[int]:
    """Return the places of the first bytes of a column's chunks, as Parquet itself tells them."""
    metadata = pq.read_metadata(path)
    groups = (metadata.row_group(index) for index in range(metadata.num_row_groups))
    return [group.column(TABLE.column_names.index(name)).dictionary_page_offset for group in groups]


def test_no_byte_can_change_unnoticed(lake: Lake) -> None:
    path = lake.path(TABLE, day=DAY)
    assert is_whole(path)
    whole = path.read_bytes()
    for place in range(0, len(whole), 5):
        flip(path, place)
        assert not is_whole(path), place
        path.write_bytes(whole)
    for changed in (b"", whole[:-1], whole + b"\0", whole[:4] + whole[5:]):
        path.write_bytes(changed)
        seal_of.cache_clear()
        assert not is_whole(path)


@pytest.mark.parametrize("group", [0, 1])
def test_a_damaged_column_stops_those_who_read_it_and_nobody_else(lake: Lake, group: int) -> None:
    path = lake.path(TABLE, day=DAY)
    flip(path, chunks_of(path, "note")[group] + 20)
    assert not is_whole(path)
    assert not is_whole(path, {"note"})
    assert is_whole(path, {"customer_id", "tag"})
    assert lake.read_columns(TABLE, ["tag"], day=DAY)["tag"].to_pylist() == ROWS["tag"].to_pylist()
    with closing(open_engine(lake, memory_limit="1GB")) as engine:
        some = TABLE.only({"customer_id", "tag"})
        engine.register(some, [ADDRESS])
        assert engine.run(exp.select("customer_id", "tag").from_("notes"), {}).read_all().num_rows == 6
        with pytest.raises(DataError, match="notes is damaged: its checksum is wrong"):
            engine.register(TABLE, [ADDRESS])
    for read in (lambda: lake.read_columns(TABLE, ["note"], day=DAY), lambda: lake.read(TABLE, day=DAY)):
        with pytest.raises(DataError, match="notes is damaged"):
            read()


def test_a_manifest_depends_on_the_footer_alone(lake: Lake) -> None:
    path = lake.path(TABLE, day=DAY)
    flip(path, chunks_of(path, "customer_id")[0] + 20)
    assert lake.manifest(ADDRESS) == {"rows": 6}
    assert lake.stored_names(TABLE, day=DAY) == TABLE.column_names
    flip(path, path.stat().st_size - 100)
    for read in (lambda: lake.manifest(ADDRESS), lambda: lake.stored_names(TABLE, day=DAY)):
        with pytest.raises(DataError, match="notes is damaged: its checksum is wrong"):
            read()


def test_another_file_in_its_place_is_read_anew(lake: Lake) -> None:
    path = lake.path(TABLE, day=DAY)
    assert is_whole(path, {"tag"})
    with lake.private_folder() as folder:
        other = folder / "other.parquet"
        with sealed_writer(other, pa.schema([("only", pa.string())])) as writer:
            writer.write(pa.table({"only": ["a"]}))
        other.replace(path)
    assert read_seal(path).names == ("only",)


def test_the_size_of_a_file_is_that_of_its_rows_whichever_night_wrote_it(lake: Lake) -> None:
    nights = [date(2024, 4, number) for number in range(1, 31)]
    for night in nights:
        lake.write(TABLE, ROWS.to_batches(), day=DAY, known_on=night)
    assert len({lake.path(TABLE, day=DAY, known_on=night).stat().st_size for night in nights}) == 1


@pytest.mark.parametrize("rows", [0, 3], ids=str)
def test_columns_of_any_kind_are_covered_with_rows_and_without(tmp_path: Path, rows: int) -> None:
    values = {Kind.FLAG: True, Kind.TEXT: "", Kind.INTEGER: 1, Kind.MONEY: None, Kind.DATE: DAY, Kind.TEXTS: ["a", "b"]}
    schema = pa.schema([(kind.name, kind.arrow) for kind in values])
    path = tmp_path / "kinds.parquet"
    with sealed_writer(path, schema) as writer:
        writer.write(pa.table([pa.array([value] * rows, kind.arrow) for kind, value in values.items()], schema))
    assert is_whole(path)
    assert all(is_whole(path, {kind.name}) for kind in values)
    assert read_seal(path).names == tuple(schema.names)


def test_files_of_other_writers_are_not_whole(lake: Lake, tmp_path: Path) -> None:
    pq.write_table(ROWS, tmp_path / "other.parquet")
    assert not is_whole(tmp_path / "other.parquet")
    assert not is_whole(tmp_path / "other.parquet", {"tag"})
    # A seal lies where nobody looks: readers find the same rows, and the same keys.
    path = lake.path(TABLE, day=DAY)
    assert pq.read_table(path, partitioning=None).equals(ROWS)
    assert pq.read_metadata(path).metadata[b"customer_segments.manifest"] == b'{"rows": 6}'
    assert b"SEAL" in path.read_bytes()[-pq.read_metadata(path).serialized_size - MARK_BYTES :]
