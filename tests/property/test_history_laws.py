"""The interval table says what the stored nights say, whatever the order they came in; a plain model tells what that is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.dataset as ds
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import write_rows
from support.nights import tree_bytes

from pipeline.errors import ConfigError
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS
from pipeline.segmentation import night_as_known, write_intervals

DAYS = [date(2024, 2, 26) + timedelta(offset) for offset in range(6)]
KNOWN = [DAYS[-1] + timedelta(offset) for offset in range(3)]
CUSTOMERS = ("c1", "c2", "c3")
TABLE = f"tables/{CUSTOMER_SEGMENT_INTERVALS.name}"

Segments = Mapping[str, str]
Row = dict[str, Any]
Tellings = list[tuple[date, date, Segments]]

memberships = st.dictionaries(st.sampled_from(CUSTOMERS), st.sampled_from("ab"))
nights = st.builds(lambda day, segments: (day, day, segments), st.sampled_from(DAYS), memberships)
restated = st.tuples(st.sampled_from(DAYS), st.sampled_from(KNOWN), memberships).filter(lambda days: days[0] < days[1])
tellings = st.lists(nights | restated, min_size=1, max_size=8)


@dataclass
class Model:
    """What every stored partition says, and nothing else."""

    said: dict[tuple[date, date], Segments] = field(default_factory=dict)

    def on(self, day: date, known_on: date) -> Segments:
        """What was so on `day`, as known on `known_on`: the newest restatement of the last day told, else the last night."""
        days = [at for at, told in self.said if at <= day and told <= known_on]
        last = max(days, default=None)
        if last is None:
            return {}
        return self.said[last, max(told for at, told in self.said if at == last and told <= known_on)]

    @property
    def nights(self) -> list[date]:
        return sorted(day for day, known in self.said if day == known)

    def runs(self) -> Iterator[Row]:
        """Every longest run of nights that say the same of a customer."""
        for customer in CUSTOMERS:
            run: Row | None = None
            for night in self.nights:
                segment = self.said[night, night].get(customer)
                if run and segment != run["segment"]:
                    yield {**run, "valid_to": night}
                    run = None
                if segment and not run:
                    run = {"customer_id": customer, "scheme": "s", "segment": segment, "valid_from": night, "known_from": night}
            if run:
                yield {**run, "valid_to": None}


def tell(lake: Lake, engine: Engine, day: date, known_on: date, segments: Segments) -> None:
    rows = [{"customer_id": customer, "scheme": "s", "segment": segment} for customer, segment in segments.items()]
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=day, known_on=known_on)
    write_intervals(lake, engine, day, known_on=known_on)


def intervals(lake: Lake) -> list[Row]:
    """The rows as a plain reader finds them below one folder."""
    rows: list[Row] = ds.dataset(lake.root / TABLE, format="parquet").to_table(list(CUSTOMER_SEGMENT_INTERVALS.column_names)).to_pylist()
    return rows


def found_on(rows: list[Row], day: date, known_on: date) -> Segments:
    covering = [row for row in rows if row["valid_from"] <= day and (row["valid_to"] or date.max) > day and row["known_from"] <= known_on]
    newest = {row["customer_id"]: row for row in sorted(covering, key=lambda row: row["known_from"])}
    return {customer: row["segment"] for customer, row in newest.items() if row["segment"]}


def said_by_partition(lake: Lake, day: date, known_on: date) -> Segments | None:
    try:
        there = night_as_known(lake, day, known_on)
    except ConfigError:
        return None
    rows = lake.read(CUSTOMER_SEGMENTS, day=there.day, known_on=there.known_on).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows}


def told(folder: Path, asked: Tellings) -> tuple[Lake, Model]:
    lake, model = Lake(folder), Model()
    with closing(DuckDBEngine(lake.store, memory_limit="200MB", threads=1)) as engine:
        for day, known, segments in asked:
            tell(lake, engine, day, known, segments)
            model.said[day, known] = segments
    return lake, model


@settings(max_examples=12, deadline=None, derandomize=True)
@given(tellings)
def test_rows_and_partitions_say_of_every_day_what_was_known_on_every_later_one(asked: Tellings) -> None:
    with TemporaryDirectory() as folder:
        lake, model = told(Path(folder), asked)
        rows = intervals(lake)
        for day, known in ((day, known) for day in DAYS for known in (*DAYS, *KNOWN) if known >= day):
            assert found_on(rows, day, known) == model.on(day, known), (day, known)
            assert said_by_partition(lake, day, known) in (None, model.on(day, known)), (day, known)
        assert sorted((row for row in rows if row["valid_from"] == row["known_from"]), key=str) == sorted(model.runs(), key=str)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(tellings, st.randoms(use_true_random=False))
def test_any_order_of_nights_restatements_and_repetitions_gives_the_same_bytes(asked: Tellings, chance: Any) -> None:
    last = {(day, known): segments for day, known, segments in asked}
    again = [(day, known, segments) for (day, known), segments in last.items()] * 2
    with TemporaryDirectory() as folder, TemporaryDirectory() as other, TemporaryDirectory() as third:
        lake, _ = told(Path(folder), asked)
        in_order, _ = told(Path(other), [(day, known, last[day, known]) for day, known in sorted(last)])
        shuffled, _ = told(Path(third), chance.sample(again, len(again)))
        assert tree_bytes(lake, TABLE) == tree_bytes(in_order, TABLE) == tree_bytes(shuffled, TABLE)
