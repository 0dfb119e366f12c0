"""Events of merged customers are those of the survivor, each still an event of its own."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from pathlib import Path

from sqlglot import exp, parse_one
from support.events import write_email_shop, write_event
from support.nights import run_night

from pipeline.definitions.company import load_company
from pipeline.features import MergeHistory
from pipeline.features.cache import CacheSession
from pipeline.features.united_rows import register_event_days
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake

NIGHT = date(2024, 3, 28)
ROWS = ["m1,sent,ann,2024-03-26 10:00,,,0.5,,", "m2,sent,bob,2024-03-26 10:00,,,1.5,,", "m3,sent,cat,2024-03-27 10:00,,,2.5,,"]
MERGES_SQL = """
SELECT gone AS customer_id, stays AS merged_into, CAST(since AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS merged_at FROM customer_merges
"""


def owners(shop: Path, lake: Lake, day: date) -> list[tuple[str, str]]:
    company = load_company(shop)
    table, merges = company.events["email"].table, MergeHistory(lake, company.zone)
    with closing(DuckDBEngine(lake.store)) as engine, lake.private_folder() as folder:
        session = CacheSession(lake, engine, folder, merges)
        register_event_days(session, table, lake.versions(table), merges.survivors(day, day))
        rows = engine.run(parse_one("SELECT * FROM email ORDER BY message_id", into=exp.Select), {}).read_all()
    assert rows.column_names == list(table.stored_schema.names)
    return list(zip(rows["message_id"].to_pylist(), rows["customer_id"].to_pylist(), strict=True))


def test_events_count_for_the_survivor_from_the_day_of_the_merge(tmp_path: Path, lake: Lake) -> None:
    shop = write_email_shop(tmp_path / "shop", ROWS)
    (shop / "data" / "customers.csv").write_text("id\nann\nbob\ncat\n", "utf-8")
    write_event(shop, "customer_merges", MERGES_SQL, ["gone,stays,since", "ann,bob,2024-03-28 12:00"])
    run_night(shop, lake, NIGHT, until="validate")
    assert owners(shop, lake, date(2024, 3, 27)) == [("m1", "ann"), ("m2", "bob"), ("m3", "cat")]
    assert owners(shop, lake, NIGHT) == [("m1", "bob"), ("m2", "bob"), ("m3", "cat")]
