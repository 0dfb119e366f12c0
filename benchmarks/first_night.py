"""What a whole first night costs, step by step: from the files of a made-up shop to what is published.

    python benchmarks/first_night.py FOLDER --lines 10000000 --customers 400000

writes the shop's files once and runs its first night. With another checkout first on PYTHONPATH, that is the night of that checkout.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import astuple, replace
from functools import partial, reduce
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import duckdb
import psutil
from generate import CUSTOMERS_QUERY, LAST_DAY, SQL, Shop, blocks, orders_of
from measure import GIB, Cost, Result, compared, cost

BAR_GIB = 4
SAMPLE_SECONDS = 0.2
COMPANY = """
name = "Benchmark shop"
time_zone = "UTC"
currency = "EUR"
first_day = 2020-01-01

[source]
kind = "files"
path = "data"
"""
# One line in 2,000 names nobody, and is set aside.
LINES_OF_SOURCE = f"""
SELECT
  order_id,
  line_number,
  CASE WHEN HASH(order_id, line_number) % 2000 > 0 THEN customer_id END AS customer_id,
  ordered_at,
  quantity,
  net_amount,
  discount_amount,
  product_id,
  category,
  channel,
  line_kind = 'cancelled' AS is_cancelled,
  CASE WHEN line_kind = 'refund' THEN order_day END AS refunded_order_day,
  'EUR' AS currency
FROM ({(SQL / "order_lines.sql").read_text("utf-8")})
"""


def stored_source(shop: Shop, folder: Path) -> Path:
    """Return the folder of a company whose source are the files of `shop`, written where `folder` has none yet."""
    company = folder / f"company-{'-'.join(str(part) for part in astuple(shop))}"
    is_complete = company / "complete"
    if not is_complete.exists():
        shutil.rmtree(company, ignore_errors=True)
        for name in ("sources", "data/order_lines"):
            (company / name).mkdir(parents=True)
        (company / "company.toml").write_text(COMPANY, "utf-8")
        for table in ("customers", "order_lines"):
            (company / "sources" / f"{table}.sql").write_text(f"SELECT * FROM {table}\n", "utf-8")
        with TemporaryDirectory(dir=company) as scratch, closing(orders_of(shop, Path(scratch))) as orders:
            _write_files(shop, orders, company / "data")
        is_complete.touch()
    return company


def _write_files(shop: Shop, orders: duckdb.DuckDBPyConnection, data: Path) -> None:
    people = {"first_day": shop.first_day, "customers": shop.customers}
    orders.execute(f"COPY ({CUSTOMERS_QUERY}) TO '{data}/customers.parquet'", people)
    for number, (from_day, to_day) in enumerate(blocks(shop)):
        days = {"first_day": shop.first_day, "from_day": from_day, "to_day": to_day}
        orders.execute(f"COPY ({LINES_OF_SOURCE}) TO '{data}/order_lines/part-{number:04d}.parquet'", days)


def results(shop: Shop, folder: Path, *, rounds: int) -> list[Result]:
    """Return what the first night of `shop` costs as a multiple of reading every value of its source, and its most memory."""
    company = stored_source(shop, folder)
    nights, reads = [], []
    for _ in range(rounds):
        with TemporaryDirectory(dir=folder) as lake:
            nights.append(dict(run_steps(company, Path(lake))))
        reads.append(cost(partial(read_source, company)))
    what, reading = f"first night of {shop.lines:,} lines", "reading every value of its source"
    whole = [reduce(Cost.then, night.values()) for night in nights]
    return [
        compared(f"{what} / {reading}", whole, reads),
        *(compared(f"its step {name} / {reading}", [night[name] for night in nights], reads) for name in nights[0]),
        replace(compared(f"{what}, by the clock / {reading}", *(by_the_clock(each) for each in (whole, reads))), unit="s"),
        Result(f"memory of all its processes / {BAR_GIB} GiB", max(each.peak_bytes for each in whole) / GIB, BAR_GIB, "GiB", bar=1),
    ]


def by_the_clock(costs: list[Cost]) -> list[Cost]:
    """Return the same with the seconds that passed in the place of those of processors."""
    return [replace(each, cpu_seconds=each.wall_seconds) for each in costs]


def run_steps(company: Path, lake: Path) -> Iterator[tuple[str, Cost]]:
    """Run the first night into the empty folder `lake`; yield what each step took, in a process of its own, as under Airflow."""
    from pipeline.operations.steps import STEPS

    for name in STEPS:
        with peak_of_children() as peak:
            spent = cost(partial(run_step, name, company, lake))
        yield name, replace(spent, peak_bytes=peak())


def run_step(name: str, company: Path, lake: Path) -> None:
    """Run one step of the night."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.night import Night
    from pipeline.operations.steps import STEPS

    STEPS[name](Night.of(Deployment.of(company, lake), LAST_DAY))


def read_source(company: Path) -> None:
    """Read every value of the files of lines."""
    with duckdb.connect(config={"memory_limit": "3GB"}) as connection:
        for _ in connection.sql(f"SELECT * FROM read_parquet('{company}/data/order_lines/*.parquet')").to_arrow_reader(100_000):
            pass


@contextmanager
def peak_of_children() -> Iterator[Callable[[], int]]:
    """Yield what returns, after the block, the most resident memory that the processes below this one had together, in bytes.

    What several of them map, such as libraries, counts for each.
    """
    over, sums = Event(), [0]

    def look() -> None:
        myself = psutil.Process()
        while not over.wait(SAMPLE_SECONDS):
            sums.append(sum(_resident_bytes(each) for each in myself.children(recursive=True)))

    thread = Thread(target=look)
    thread.start()
    try:
        yield lambda: max(sums)
    finally:
        over.set()
        thread.join()


def _resident_bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def main() -> None:
    """Run one first night and print what each step took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where files of shops are kept, and the lake is written for the time of the night")
    parser.add_argument("--lines", type=int, default=10_000_000)
    parser.add_argument("--customers", type=int, default=400_000)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--lake", type=Path, help="where the lake is to stay")
    asked = parser.parse_args()
    company = stored_source(Shop(asked.lines, asked.customers, asked.days), asked.folder)
    night: list[Cost] = []
    with TemporaryDirectory(dir=asked.folder) as scratch:
        for name, spent in run_steps(company, asked.lake or Path(scratch)):
            night.append(spent)
            print_cost(name, spent)
    print_cost("all", reduce(Cost.then, night))


def print_cost(name: str, spent: Cost) -> None:
    """Print one line, at once: of a long night each step is seen when it is over."""
    print(f"{name:<10}{spent.cpu_seconds:8.1f} CPU s{spent.wall_seconds:8.1f} s{spent.peak_bytes / GIB:7.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
