"""How far back a night looks for declared features, and that a column which the source does not give is judged by the same days."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from support.builders import a_company, an_order_line, features_by_customer, write_customers, write_order_lines

from pipeline.definitions.company import Company, with_declared_features
from pipeline.features import features_as_declared
from pipeline.features.declared import first_days
from pipeline.features.known_columns import unknown_features
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES

NIGHT = date(2024, 3, 31)
WITH_A = "order_lines WHERE category = 'a'"
LINES_30 = "COUNT(order_lines LAST 30 DAYS)"


def declaring(folder: Path, **values: str) -> Company:
    (folder / "features").mkdir(parents=True, exist_ok=True)
    text = "".join(f'[{name}]\nvalue = "{value}"\ndescription = "x"\n' for name, value in values.items())
    (folder / "features" / "own.toml").write_text(text, "utf-8")
    return with_declared_features(a_company(folder))


@pytest.mark.parametrize(
    ("values", "days"),
    [
        ([f"COUNT({WITH_A} THIS WEEK)"], 7),
        ([f"COUNT({WITH_A} LAST WEEK)"], 14),
        ([f"COUNT({WITH_A} THIS MONTH)"], 31),
        ([f"COUNT({WITH_A} LAST MONTH)"], 62),
        ([f"COUNT({WITH_A} LAST QUARTER)"], 184),
        ([f"COUNT({WITH_A} LAST YEAR)"], 731),
        ([f"COUNT({WITH_A} THIS MONTH)", f"COUNT({WITH_A} LAST 40 DAYS BEFORE 5 DAYS AGO)"], 45),
        ([f"COUNT(order_lines PRECEDED BY {WITH_A} WITHIN 7 DAYS LAST 30 DAYS)", LINES_30], 37),
        ([f"COUNT(order_lines FOLLOWED BY {WITH_A} WITHIN 7 DAYS LAST 30 DAYS)", LINES_30], 30),
        ([f"COUNT(order_lines PRECEDED BY {WITH_A} LAST 30 DAYS)", LINES_30], None),
        ([f"COUNT(order_lines PRECEDED BY FIRST {WITH_A} WITHIN 7 DAYS LAST 30 DAYS)", LINES_30], None),
        ([f"COUNT({WITH_A})", f"COUNT({WITH_A} THIS WEEK)"], None),
    ],
)
def test_a_night_opens_no_day_before_the_longest_that_its_windows_may_be(tmp_path: Path, values: list[str], days: int | None) -> None:
    company = declaring(tmp_path, **{f"value_{number}": value for number, value in enumerate(values)})
    expected = date.min if days is None else NIGHT - timedelta(days - 1)
    assert first_days(company, NIGHT) == {ORDER_LINES.name: expected}


@pytest.mark.parametrize(("last_days", "first"), [(10, date(2024, 3, 1)), (40, date(2024, 2, 21))])
def test_fixed_days_bound_what_a_night_opens_beside_those_that_move(tmp_path: Path, last_days: int, first: date) -> None:
    fixed = "[fixed]\nfrom = 'order_lines'\nvalue = 'COUNT(category)'\nfrom_day = 2024-03-01\ndescription = 'x'\n"
    declaring(tmp_path)
    text = f'{fixed}[moving]\nvalue = "COUNT({WITH_A} LAST {last_days} DAYS)"\ndescription = "x"\n'
    (tmp_path / "features" / "own.toml").write_text(text, "utf-8")
    assert first_days(with_declared_features(a_company(tmp_path)), NIGHT) == {ORDER_LINES.name: first}


OLD, NEW = f"COUNT({WITH_A} LAST 90 DAYS)", f"COUNT({WITH_A} LAST 10 DAYS)"


@pytest.mark.parametrize(
    ("categories", "stored", "added", "expected"),
    [
        ({60: "a", 1: None}, OLD, NEW, 0),  # given within the days of the stored feature alone
        ({60: None, 1: None}, OLD, NEW, None),
        ({60: None, 1: "a"}, OLD, NEW, 1),
        ({60: None}, NEW, OLD, None),  # no row within the days of the stored feature, so that it lacked nothing
        ({60: "a"}, NEW, OLD, 1),
        ({60: "a", 1: None}, OLD, f"COUNT(orders FOLLOWED BY {WITH_A} LAST 10 DAYS)", 0),
    ],
)
def test_a_feature_declared_since_lacks_a_column_where_the_night_says_so(
    lake: Lake, categories: dict[int, str | None], stored: str, added: str, expected: Any
) -> None:
    before, after = (declaring(lake.root, **values) for values in ({"stored": stored}, {"stored": stored, "added": added}))
    lines = [
        an_order_line(number, day=NIGHT - timedelta(ago)) | {"category": category}
        for number, (ago, category) in enumerate(categories.items())
    ]
    write_order_lines(lake, lines, known_on=NIGHT)
    write_customers(lake, after, [{"customer_id": "c1"}], known_on=NIGHT)
    features_by_customer(before, lake, NIGHT)
    with closing(DuckDBEngine(lake.store)) as engine, features_as_declared(after, lake, engine, NIGHT) as night:
        assert night.features
        night.features.define(night.table)
        [row] = engine.run(exp.select("added").from_(night.table.name), {}).read_all().to_pylist()
        unknown = dict(night.unknown)
    assert row == {"added": expected}
    assert features_by_customer(after, lake, NIGHT)["c1"]["added"] == expected
    assert unknown == {name: needs for name, needs in unknown_features(lake, NIGHT).items() if name == "added"}
