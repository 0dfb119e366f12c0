"""Of two exports that both have an order the newer one counts, whatever they are called, and in whatever order they are given."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from support.nights import run_night
from support.onboarding import export, net_by_order

from pipeline.lake.lake import Lake
from pipeline.onboarding.new_company import NewCompany, make_company
from pipeline.onboarding.overlapping_files import count_shared, file_order
from pipeline.onboarding.questions import Settings
from pipeline.onboarding.table_sample import TableSample

ANSWERS = {"time_zone": "America/New_York", "currency": "USD"}
OLDER = export("shopify_orders.csv")
# Of #1001 5 more were paid, and there is an order of a later day.
PAID = OLDER.replace(
    "#1001,Kim@Example.com,paid,yes,USD,25.00,5.00,2.00,32.00,5.00", "#1001,Kim@Example.com,paid,yes,USD,30.00,5.00,2.00,37.00,0.00"
)
LATER = [line.replace("#1004", "#1009").replace("2024-03-11", "2024-05-02") for line in PAID.splitlines() if line.startswith("#1004")]
NEWER = "\n".join([*PAID.splitlines(), *LATER, ""])


def made_of(folder: Path, files: dict[str, str]) -> NewCompany:
    paths = []
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        paths.append(path)
    now = datetime(2026, 1, 15, 12, tzinfo=UTC)
    return make_company(folder / "shop", paths, Settings(ANSWERS), ask=None, command="segments init shop", now=now)


def assumed(made: NewCompany) -> str:
    return next(sentence for sentence in made.draft.assumptions if "stand in several files" in sentence)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("orders_1.csv", "orders_2.csv"),
        ("orders_2.csv", "orders_1.csv"),
        ("orders (1).csv", "orders.csv"),
        ("a/orders.csv", "b/orders.csv"),
        ("b/orders.csv", "a/orders.csv"),
        ("a/orders.csv.gz", "b/orders.csv.gz"),
        ("a/orders.csv", "b/orders.csv.gz"),
    ],
)
def test_the_file_with_the_newest_row_counts(tmp_path: Path, old: str, new: str) -> None:
    one = made_of(tmp_path / "one", {old: OLDER, new: NEWER})
    other = made_of(tmp_path / "other", {new: NEWER, old: OLDER})
    for made in (one, other):
        assert net_by_order(made) == {"#1001": Decimal(30), "#1002": Decimal(0), "#1004": Decimal("19.99"), "#1009": Decimal("19.99")}
    assert assumed(one) == assumed(other)
    # 1003, 1005, 1006 and 1007 are in both, too.
    assert "7 `Name` stand in several files, 1 of them with differences" in assumed(one)
    assert f"The newer file counts: {Path(new).name} before all others, as it has the newest row (2024-05-02" in assumed(one)


def test_a_night_sees_the_same_order_by_the_names_of_the_copies(tmp_path: Path) -> None:
    made = made_of(tmp_path, {"orders_2.csv": OLDER, "orders_1.csv": NEWER})
    names = sorted(path.name for path in (made.folder / "data" / "orders").iterdir())
    assert names == ["2024-03-13_orders_2.csv", "2024-05-02_orders_1.csv"]
    assert "Its copy is called 2024-05-02_orders_1.csv" in assumed(made)
    assert made.draft.last_day is not None
    run_night(made.folder, Lake(tmp_path / "lake"), made.draft.last_day, until="validate")


def test_a_date_in_the_names_says_more_than_the_rows(tmp_path: Path) -> None:
    made = made_of(tmp_path, {"orders_2024-06-01.csv": OLDER, "orders_2024-05-03.csv": NEWER})
    assert net_by_order(made)["#1001"] == Decimal(25)
    assert "by the dates in their names: orders_2024-06-01.csv before all others" in assumed(made)


def test_files_with_nothing_in_common_need_no_words(tmp_path: Path) -> None:
    lines = OLDER.splitlines()
    rest = "\n".join([lines[0], *LATER, ""])
    made = made_of(tmp_path, {"orders_1.csv": OLDER, "orders_2.csv": rest})
    assert not any("several files" in sentence for sentence in made.draft.assumptions)
    assert net_by_order(made)["#1009"] == Decimal("19.99")


def sample(name: str, **columns: list[str | None]) -> TableSample:
    rows = pa.table({key: pa.array(values, pa.string()) for key, values in columns.items()})
    return TableSample(name, rows, (Path(f"{name}.csv"),))


def test_rows_are_the_same_whatever_their_order_and_further_columns() -> None:
    one = sample("a", id=["1", "1", "2", None], cell=["x", "y", "z", "n"])
    other = sample("b", id=["1", "1", "2", None], cell=["y", "x ", "w", "n"], more=["", "", "", ""])
    assert count_shared([one, other], ["id"]) == (2, 1)


def test_a_later_change_tells_where_the_newest_rows_are_of_one_instant() -> None:
    older = sample("z", id=["1"], created=["2024-01-01 10:00:00"], paid=[None], due=["2030-01-01"])
    newer = sample("a", id=["1"], created=["2024-01-01 10:00:00"], paid=["2024-02-01"], due=[None])
    order = file_order([older, newer], ["id"], ["created"])
    assert order.samples == ("z", "a")
    assert list(order.names.values()) == ["2024-01-01_z.csv", "2024-02-01_a.csv"]


def test_where_nothing_tells_the_last_by_name_counts_and_it_is_said() -> None:
    order = file_order([sample("orders_10", id=["1"], cell=["x"]), sample("orders_9", id=["1"], cell=["y"])], ["id"], [])
    assert order.samples == ("orders_9", "orders_10")
    assert "as nothing else tells: orders_10.csv before all others" in order.reason


def test_days_that_are_alike_are_told_apart_by_a_number() -> None:
    older = sample("b", id=["1"], at=["2024-01-01 10:00:00 +0100"])
    newer = sample("a", id=["1"], at=["2024-01-01 08:30:00 -0100"])
    order = file_order([newer, older], ["id"], ["at"])
    assert list(order.names.values()) == ["2024-01-01_001_b.csv", "2024-01-01_002_a.csv"]


def test_files_of_one_name_are_all_read(tmp_path: Path) -> None:
    text = "order,date,customer,net\n{0},2024-04-{0},a,10.00\n"
    made = made_of(tmp_path, {"a/sales.csv.gz": text.format(15), "b/sales.csv.gz": text.format(16), "c/sales.csv": text.format(17)})
    assert [table.file_names for table in made.draft.tables] == [("sales.csv", "sales.csv.gz", "sales_2.csv.gz")]
    assert net_by_order(made) == {"15": Decimal(10), "16": Decimal(10), "17": Decimal(10)}
