"""Events from PostgreSQL: the same rows, and the same checksums of days, as from files."""

from __future__ import annotations

import struct
from datetime import date
from pathlib import Path
from random import Random

import psycopg
import pytest
from support.extractions import Shop, from_postgresql, load_database, run_extract, write_query

from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS, Column, EventType, Kind

NUMBERS = [0.0, -0.0, 0.1, -1 / 3, 1e15, 1e15 + 0.5, 1e16, -1e17, 2.0**53 + 2, 1e22, 1e-4, 1e-5, 1.5e300, 5e-324, 123456.789]
NUMBERS += [float("nan"), float("inf"), float("-inf")]
SCORES = EventType(
    "scores",
    "Scores",
    "",
    ("score_id",),
    Column("scored_at", Kind.INSTANT, "", required=True),
    (
        Column("score_id", Kind.INTEGER, "", required=True),
        *(Column(name, Kind.NUMBER, "") for name in ("score", "narrow", "exact", "whole")),
        Column("net_amount", Kind.TEXT, "Not what order lines call so."),
    ),
)


def any_doubles(count: int) -> list[float]:
    chance = Random(7)
    whole = [float(chance.randrange(-(10**18), 10**18)) / 10 ** chance.randrange(0, 20) for _ in range(count)]
    return whole + [struct.unpack("d", chance.randbytes(8))[0] for _ in range(count)]


@pytest.mark.parametrize("digits", [1, 0])
def test_no_day_is_called_late_for_how_a_database_writes_its_numbers(postgres_uri: str, tmp_path: Path, lake: Lake, digits: int) -> None:
    company = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1), declared_events=(SCORES,))
    write_query(company.folder, "scores", "SELECT * FROM scores")
    load_database(postgres_uri, Shop([], []))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(
            "CREATE TABLE scores (score_id bigint, customer_id text, scored_at timestamptz,"
            " score float8, narrow real, exact numeric, whole integer, net_amount text)"
        )
        with connection.cursor().copy("COPY scores FROM STDIN") as copy:
            for place, number in enumerate([*NUMBERS, *any_doubles(300)]):
                narrow = number if 1e-30 < abs(number) < 1e30 else 1.1
                copy.write_row([place, "c1", "2024-03-05 12:00+00", number, narrow, "0.1000000000000000055511", place, None])
        connection.execute(f"ALTER DATABASE {connection.info.dbname} SET extra_float_digits = {digits}")  # type: ignore[arg-type]
    for night in (date(2024, 3, 10), date(2024, 3, 20)):
        run_extract(company, lake, night, postgres_uri)
    assert not lake.has(LATE_DAYS, day=date(2024, 3, 20))
    with psycopg.connect(postgres_uri) as connection:
        connection.execute("UPDATE scores SET score = nextafter.next FROM (SELECT 0.1 + 1.4e-17 AS next) AS nextafter WHERE score_id = 2")
    run_extract(company, lake, date(2024, 3, 21), postgres_uri)
    assert [(row["source_table"], row["event_day"]) for row in lake.read(LATE_DAYS, day=date(2024, 3, 21)).to_pylist()] == [
        ("raw_scores", date(2024, 3, 5))
    ]
