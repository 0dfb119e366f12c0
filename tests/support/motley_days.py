"""Raw days of five months with rows to set aside for several reasons, and what validation leaves of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pipeline.definitions.company import Company
from pipeline.ingestion.validate import validate_sources
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_ORDER_LINES, RAW_VISITS
from pipeline.lake.workers import Workers
from support.builders import write_rows
from support.nights import tree_bytes
from support.raw_nights import NIGHT, a_raw_line, write_raw

DAYS = [NIGHT - timedelta(days=20 * number) for number in range(6)]
OUTPUTS = ("tables/customers", "tables/order_lines", "tables/visits", "tables/rejected_rows", "tables/validation_results", "reports")


def write_motley_days(company: Company, lake: Lake) -> None:
    """Write days of five months, each with rows to set aside for several reasons, and one that is known since an earlier night."""
    earlier = NIGHT - timedelta(days=1)
    for place, day in enumerate(DAYS):
        lines = [a_raw_line(number, day=day, order_id=f"{place}-{number}") for number in range(3 + place)]
        lines += [a_raw_line(0, day=day, order_id="twice", category=None)] * 2
        lines += [a_raw_line(0, day=day, order_id=f"{place} of nobody", customer_id=None), a_raw_line(0, day=day, customer_id="stranger")]
        known = earlier if place == 2 else NIGHT
        write_rows(lake, RAW_ORDER_LINES, lines, day=day, known_on=known)
        visits = [{"visit_id": f"v{number}", "customer_id": "p1", "visited_at": lines[0]["ordered_at"]} for number in range(5)]
        write_rows(lake, company.table(RAW_VISITS), [*visits, {"visit_id": "odd"}], day=day, known_on=known)
    write_raw(company, lake, [], day=NIGHT - timedelta(days=3), customers=[{"customer_id": "c1"}, {}], prospects=[{"customer_id": "p1"}])


def damage_month(lake: Lake) -> Path:
    """Change a byte in the file of the first month of raw order lines, and return where it is."""
    [file] = (lake.root / "tables" / "raw_order_lines").rglob("month=2023-10/**/*.parquet")
    file.write_bytes(file.read_bytes()[:100] + b"x" + file.read_bytes()[101:])
    return file


def validated(company: Company, root: Path, workers: Workers) -> Mapping[str, bytes]:
    """Return the files that validation leaves in a lake below `root`."""
    lake = Lake(root)
    write_motley_days(company, lake)
    validate_sources(company, lake, NIGHT, workers=workers, batch_rows=4)
    return tree_bytes(lake, *OUTPUTS)
