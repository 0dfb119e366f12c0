"""What the validation of a first night costs, with a line in 2,000 to set aside: in one process, by workers, and by Great Expectations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from generate import LAST_DAY
from lakes import MEMORY_LIMIT, company, copied_lake, engine
from measure import Cost, Result, compared, cost, peak_memory
from sqlglot import parse_one

from pipeline.ingestion.validate import validate_sources
from pipeline.ingestion.validation import expectations
from pipeline.lake.lake import Lake, Version
from pipeline.lake.limits import cpu_count
from pipeline.lake.tables import CUSTOMERS, ORDER_LINES, RAW_CUSTOMERS, RAW_ORDER_LINES, REJECTED_ROWS, VERSION_COLUMNS
from pipeline.lake.workers import WorkerProcesses

BAR, BAR_GIB = 0.56, 1  # 1.8 times faster by the clock
GIVEN = {
    "known_on": f"DATE '{LAST_DAY}'",
    "customer_id": "CASE WHEN HASH(order_id, line_number) % 2000 > 0 THEN customer_id END",
    "is_cancelled": "line_kind = 'cancelled'",
    "refunded_order_day": "CASE WHEN line_kind = 'refund' THEN order_day END",
    "currency": "'EUR'",
}


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what it costs to divide the lines of `lake`, as their source would give them, into clean and rejected ones."""
    with TemporaryDirectory(dir=scratch) as folder:
        raw = Lake(Path(folder) / "raw")
        count = write_raw_tables(lake, raw)
        alone, by_workers, by_library = [], [], []
        for number in range(rounds):
            for costs, work in (
                (alone, partial(validate, workers=1)),
                (by_workers, partial(validate, workers=cpu_count())),
                (by_library, validate_by_library),
            ):
                costs.append(cost(partial(work, copied_lake(raw, Path(folder) / f"{number}-{len(alone)}-{len(by_workers)}"))))
    what, many = f"validation of {count:,} lines", f"{cpu_count()} workers"
    return [
        compared(f"{what}, in one process / by Great Expectations", alone, by_library),
        compared(f"{what}, by {many} / in one process", by_workers, alone),
        by_the_clock(f"{what}, by {many} / by Great Expectations", by_workers, by_library, bar=BAR),
        by_the_clock(f"{what}, by {many} / in one process", by_workers, alone),
        peak_memory("the same: peak memory of a process / 1 GiB", by_workers, bar_gib=BAR_GIB),
    ]


def by_the_clock(name: str, ours: Sequence[Cost], reference: Sequence[Cost], *, bar: float | None = None) -> Result:
    """Return the median of the ratios of pairs from the same rounds, by the clock."""
    seconds = [[replace(one, cpu_seconds=one.wall_seconds) for one in costs] for costs in (ours, reference)]
    return replace(compared(name, *seconds, bar=bar), unit="s")


def write_raw_tables(lake: Lake, raw: Lake) -> int:
    """Write customers and lines of `lake` as a first night knows them of their source; return the number of lines."""
    names = [column.name for column in (*VERSION_COLUMNS, *RAW_ORDER_LINES.columns)]
    columns = ", ".join(f"{GIVEN.get(name, name)} AS {name}" for name in names)
    versions = lake.versions(ORDER_LINES)
    with engine(lake) as opened:
        opened.register(ORDER_LINES, lake.parts(ORDER_LINES, versions))
        rows = opened.run(parse_one(f"SELECT {columns} FROM order_lines ORDER BY event_day, order_id, line_number", read="duckdb"), {})
        facts: Mapping[Version, Mapping[str, Any]] = {Version(version.day, LAST_DAY): {} for version in versions}
        counts = raw.write_event_days(RAW_ORDER_LINES, rows, facts)
    people = lake.read(CUSTOMERS, known_on=LAST_DAY).select(RAW_CUSTOMERS.column_names)
    raw.write(RAW_CUSTOMERS, people.to_batches(), known_on=LAST_DAY)
    return sum(counts.values())


def validate(lake: Lake, *, workers: int) -> None:
    """Validate the night."""
    pool = WorkerProcesses(workers)
    validate_sources(company(), lake, LAST_DAY, memory_limit=MEMORY_LIMIT, workers=pool)
    pool.close()
    assert lake.read(REJECTED_ROWS, day=LAST_DAY).num_rows > 0  # noqa: S101


def validate_by_library(lake: Lake) -> None:
    """Validate the night with no rule known to SQL, as it was before SQL found rows to set aside."""
    expectations.findings_in_sql = lambda *_: None  # type: ignore[assignment]
    validate(lake, workers=1)
