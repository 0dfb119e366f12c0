"""What declared features mean: order lines and a definition in, the feature of each customer out."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, parsed, write_customers, write_order_lines, write_rows
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import PROJECT_ROOT, Company, load_company, with_declared_features
from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, VISITS, Kind
from pipeline.segmentation import not_computed_on

NIGHT = date(2024, 3, 31)
LINES = """
    day        | customer_id | order_id | category | net_amount | line_kind | channel
    2024-03-31 | wine        | a        | Wine     | 10         | order     | web
    2024-03-31 | wine        | a        | Wine     | 5          | order     | web
    2024-03-02 | wine        | b        | Wine     | 7          | order     | store
    2024-03-01 | wine        | c        | Wine     | 8          | order     | store
    2023-06-01 | wine        | d        | Beer     | 1          | order     | app
    2024-03-30 | beer        | e        | Beer     | 4          | order     | web
    2024-03-30 | beer        | e        | Wine     | 4          | cancelled | web
    2024-03-31 | beer        | f        | Beer     | -1         | refund    | web
"""


def declaring(folder: Path, text: str, **overrides: Any) -> Company:
    (folder / "features").mkdir(parents=True, exist_ok=True)
    (folder / "features" / "own.toml").write_text(text, "utf-8")
    return with_declared_features(a_company(folder, **overrides))


def values(lake: Lake, definition: str, lines: str = LINES, *, day: date = NIGHT) -> dict[str, Any]:
    company = declaring(lake.root, f'[wanted]\ndescription = "What is wanted."\n{definition}')
    write_order_lines(lake, [an_order_line(number, **row) for number, row in enumerate(parsed(lines), 1)], known_on=day)
    write_customers(lake, company, [{"customer_id": "nobody", "is_prospect": False}], known_on=day)
    return {customer: row["wanted"] for customer, row in features_by_customer(company, lake, day).items()}


@pytest.mark.parametrize(
    ("definition", "wine", "beer", "nobody"),
    [
        ("value = 'COUNT(*)'", 5, 2, 0),
        ("value = 'COUNT(*)'\nlast_days = 30", 3, 2, 0),
        ("value = 'COUNT(*)'\nlast_days = 31", 4, 2, 0),
        ("value = 'COUNT(*)'\nlast_days = 29\nbefore = 30", 1, 0, 0),
        ("value = 'COUNT(*)'\nfrom_day = 2024-03-01\nto_day = 2024-03-02", 2, 0, 0),
        ("value = 'COUNT(DISTINCT order_id)'", 4, 2, 0),
        ("value = 'COUNT(DISTINCT order_id)'\nwhere = \"category = 'Wine'\"\nlast_days = 30", 2, 0, 0),
        ("value = 'SUM(net_amount)'", Decimal(31), Decimal(3), Decimal(0)),
        ("value = 'SUM(net_amount)'\nwhere = \"line_kind = 'order'\"", Decimal(31), Decimal(4), Decimal(0)),
        ("value = 'MIN(net_amount)'", Decimal(1), Decimal(-1), None),
        ("value = 'MAX(order_day)'", date(2024, 3, 31), date(2024, 3, 31), None),
        ("value = 'AVG(net_amount)'", 6.2, 1.5, None),
        ("value = 'FIRST(channel)'", "app", "web", None),
        ("value = 'LAST(channel)'", "web", "web", None),
        ("value = 'MOST_FREQUENT(channel)'", "store", "web", None),
        ("value = 'SUM(net_amount) - COUNT(*)'", Decimal(26), Decimal(1), Decimal(0)),
        ("value = 'SUM(net_amount) / NULLIF(COUNT(DISTINCT order_id), 0)'", 7.75, 1.5, None),
        ("value = 'DAYS_SINCE(MIN(order_day))'", 304, 1, None),
        ("value = 'COUNT(DISTINCT MONTH(order_day))'\nduring = 'this year'", 1, 1, 0),
    ],
)
def test_a_feature_adds_up_rows_within_its_days(lake: Lake, definition: str, wine: Any, beer: Any, nobody: Any) -> None:
    assert values(lake, f"from = 'order_lines'\n{definition}") == {"wine": wine, "beer": beer, "nobody": nobody}


def test_a_feature_may_look_at_others(lake: Lake) -> None:
    company = declaring(
        lake.root,
        """
        [twice]
        value = "2 * wines"
        description = "Twice as many."
        [category]
        from = "order_lines"
        value = "FIRST(category)"
        description = "Named like the column that it is made of."
        [wine]
        value = "COUNT(order_lines WHERE category = 'wine')"
        description = "Named like a text in it."
        [wines]
        from = "order_lines"
        value = "COUNT(*)"
        where = "category = 'Wine'"
        description = "Lines with wine."
        [unlike]
        value = "twice - order_count"
        description = "Made of one that is made of another, and of a built-in one."
        """,
    )
    write_order_lines(lake, [an_order_line(number, **row) for number, row in enumerate(parsed(LINES), 1)], known_on=NIGHT)
    found = features_by_customer(company, lake, NIGHT)["wine"]
    assert (found["wines"], found["twice"], found["order_count"], found["unlike"]) == (4, 8, 4, 4)


def test_a_sum_of_lines_that_do_not_say_how_much_is_unknown_and_one_of_no_lines_is_zero(lake: Lake) -> None:
    lines = "day | customer_id\n 2024-03-31 | c1\n 2024-03-31 | c2"
    rows = [an_order_line(number, **row) for number, row in enumerate(parsed(lines), 1)]
    rows[0]["discount_amount"] = None
    company = declaring(lake.root, "[given]\nfrom='order_lines'\nvalue='SUM(discount_amount)'\ndescription='x'")
    write_order_lines(lake, rows, known_on=NIGHT)
    write_customers(lake, company, [{"customer_id": "nobody", "is_prospect": False}], known_on=NIGHT)
    found = {customer: row["given"] for customer, row in features_by_customer(company, lake, NIGHT).items()}
    assert found == {"c1": None, "c2": Decimal(0), "nobody": Decimal(0)}


def test_what_the_source_does_not_give_is_unknown_in_the_table_and_never_zero(lake: Lake) -> None:
    company = declaring(
        lake.root,
        """
        [visits_30_days]
        value = "COUNT(visits LAST 30 DAYS)"
        description = "There is no source of visits."
        [wines]
        value = "COUNT(order_lines WHERE category = 'Wine')"
        description = "No line says its category."
        [twice]
        value = "2 * wines"
        description = "Made of what is unknown."
        [lines]
        value = "COUNT(order_lines)"
        description = "What is known."
        """,
    )
    rows = [an_order_line(1, customer_id="c1", day=NIGHT) | {"category": None}]
    write_order_lines(lake, rows, known_on=NIGHT)
    write_customers(lake, company, [{"customer_id": "nobody", "is_prospect": False}], known_on=NIGHT)
    found = features_by_customer(company, lake, NIGHT)
    assert {name: [found[who][name] for who in ("c1", "nobody")] for name in ("visits_30_days", "wines", "twice", "lines")} == {
        "visits_30_days": [None, None],
        "wines": [None, None],
        "twice": [None, None],
        "lines": [1, 0],
    }
    predicting = replace(company, prediction_features=("visits_30_days", "twice", "lines"))
    lacking = {name: needs for name, needs in not_computed_on(predicting, lake, NIGHT).items() if name.startswith("customer_predictions.")}
    assert lacking["customer_predictions.visits_30_days"] == "needs visits"
    assert lacking["customer_predictions.twice"] == "needs order_lines.category"
    assert "customer_predictions.lines" not in lacking
    assert "customer_predictions.wines" not in lacking, "it is no signal"


@pytest.mark.parametrize(("counts", "expected"), [("all", 2), ("paid", 1)])
def test_an_order_that_was_free_is_counted_as_the_company_says(lake: Lake, counts: str, expected: int) -> None:
    company = declaring(lake.root, "[made]\nvalue = 'COUNT(orders LAST 9 DAYS)'\ndescription = 'x'", counts_as_order=counts)
    lines = "day | customer_id | order_id | net_amount\n 2024-03-31 | c1 | a | 0\n 2024-03-31 | c1 | b | 0\n 2024-03-31 | c1 | b | 5"
    write_order_lines(lake, [an_order_line(number, **row) for number, row in enumerate(parsed(lines), 1)], known_on=NIGHT)
    assert features_by_customer(company, lake, NIGHT)["c1"]["made"] == expected


def test_an_order_knows_what_is_in_it_unless_a_line_does_not_say(lake: Lake) -> None:
    asked = {
        "both": "ANY(categories) = 'Wine' AND ANY(categories) = 'Beer'",
        "wine_alone": "ALL(categories) = 'Wine'",
        "no_wine": "NONE(categories) = 'Wine'",
        "with_a_bar": "ANY(categories) = 'Wine/Beer'",
        "unknown": "categories IS NULL",
    }
    text = "".join(f'[{name}]\nvalue = "COUNT(orders WHERE {rule})"\ndescription = "x"\n' for name, rule in asked.items())
    company = declaring(lake.root, text)
    said = {"two": ["Wine", "Beer", "Wine"], "one": ["Wine", "Wine"], "bar": ["Wine|Beer"], "partly": ["Beer", None], "beer": ["Beer"]}
    pairs = [(customer, value) for customer, given in said.items() for value in given]
    lines = [
        an_order_line(number, day=NIGHT, customer_id=who, order_id=who) | {"category": value} for number, (who, value) in enumerate(pairs)
    ]
    write_order_lines(lake, lines, known_on=NIGHT)
    found = {customer: [name for name in asked if row[name]] for customer, row in features_by_customer(company, lake, NIGHT).items()}
    assert found == {"two": ["both"], "one": ["wine_alone"], "bar": ["no_wine", "with_a_bar"], "partly": ["unknown"], "beer": ["no_wine"]}


@pytest.mark.parametrize(("column", "known", "all_known"), [("discount_amount", Decimal(2), Decimal(5)), ("category", 1, 2)])
def test_what_a_line_of_an_order_does_not_say_is_unknown_of_the_order(lake: Lake, column: str, known: Any, all_known: Any) -> None:
    asked = "orders.category_count" if column == "category" else "orders.discount_amount"
    company = declaring(lake.root, f"[most]\nvalue = 'MAX({asked})'\ndescription = 'x'")
    values = ["Wine", "Beer"] if column == "category" else [2, 3]
    said = {"whole": values, "partly": [values[0], None], "nothing": [None, None], "other": values[:1]}
    pairs = [(customer, value) for customer, given in said.items() for value in given]
    lines = [an_order_line(number, day=NIGHT, customer_id=who, order_id=who) | {column: value} for number, (who, value) in enumerate(pairs)]
    write_order_lines(lake, lines, known_on=NIGHT)
    found = {customer: row["most"] for customer, row in features_by_customer(company, lake, NIGHT).items()}
    assert found == {"whole": all_known, "partly": None, "nothing": None, "other": known}


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ("from = 'order_line'\nvalue = 'COUNT(*)'", "unknown source of events `order_line` (did you mean `order_lines`?)"),
        ("from = 'order_lines'\nvalue = 'SUM(net_amont)'", "unknown name `net_amont` (did you mean `net_amount`?)"),
        ("from = 'order_lines'\nvalue = 'SUM(category)'", "SUM takes exact numbers, but this is: text"),
        ("from = 'order_lines'\nvalue = 'SUM()'", "SUM takes a column"),
        ("from = 'order_lines'\nvalue = 'recency_days'", "the value adds nothing up"),
        ("value = 'wanted + 1'", "in a circle"),
        ("value = '1'\nlast_days = 3", "`from` is missing"),
        ("from = 'order_lines'\nvalue = 'COUNT(*)'\nlast_days = 0", "must be a whole number from 1"),
        ("from = 'order_lines'\nvalue = 'COUNT(*)'\nlast_day = 3", "is not a known setting (did you mean `last_days`?)"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, definition: str, message: str) -> None:
    with pytest.raises(ConfigError) as told:
        declaring(tmp_path, f'[wanted]\ndescription = "x"\n{definition}')
    assert message in str(told.value)
    assert "own.toml" in told.value.where


def test_features_and_aggregates_of_rules_and_audiences_are_read_with_their_company(tmp_path: Path) -> None:
    files = {
        "company.toml": 'name = "A shop"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n',
        "sources/customers.sql": "SELECT customer_id FROM customers",
        "sources/order_lines.sql": "SELECT * FROM order_lines",
        "features/own.toml": "[lines]\nfrom = 'order_lines'\nvalue = 'COUNT(*)'\ndescription = 'Lines.'\n",
        "segments/wine.toml": yes_or_no_scheme("lines > 3 OR EXISTS(order_lines WHERE category = 'Wine')"),
        "audiences/beer.toml": 'rule = "COUNT(visits LAST 7 DAYS) > SUM(order_lines.net_amount)"\n',
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    declared = [column for column in load_company(tmp_path).table(CUSTOMER_FEATURES).columns if column.is_declared]
    assert {column.description: column.kind for column in declared} == {
        "Lines.": Kind.INTEGER,
        "Count of rows of order_lines where category = 'Wine'.": Kind.INTEGER,
        "Count of rows of visits, last 7 days.": Kind.INTEGER,
        "Sum of net_amount of order_lines.": Kind.MONEY,
    }


def test_clusters_may_go_by_a_declared_feature(tmp_path: Path) -> None:
    company = declaring(tmp_path, "[lines]\nfrom = 'order_lines'\nvalue = 'COUNT(*)'\ndescription = 'Lines.'\n")
    clusters = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text("utf-8")
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "mine.toml").write_text(f'{clusters}\n[[features]]\nname = "lines"\ntransform = "log1p"\n', "utf-8")
    [scheme] = [scheme for scheme in load_cluster_schemes(company) if scheme.name == "mine"]
    assert scheme.features[-1].name == "lines"


def test_a_visit_that_nothing_follows_counts_once_its_days_are_over_until_a_late_order_is_known(lake: Lake) -> None:
    company = declaring(
        lake.root,
        """
        [left_without_order]
        value = "COUNT(visits NOT FOLLOWED BY orders WITHIN 3 DAYS)"
        description = "Visits without an order within three days."
        [orders_after_visit]
        value = "COUNT(orders PRECEDED BY visits WITHIN 3 DAYS LAST 10 DAYS)"
        description = "Orders within three days of a visit."
        """,
    )
    day, nights = date(2024, 3, 20), [date(2024, 3, 22), date(2024, 3, 23), date(2024, 3, 29), date(2024, 3, 30)]
    came_at = datetime(2024, 3, 20, 12, tzinfo=UTC)
    visits = [{"visit_id": name, "customer_id": name, "visited_at": came_at} for name in ("bought", "left", "late")]
    write_rows(lake, VISITS, visits, day=day, known_on=nights[0])
    lines = [an_order_line(1, day="2024-03-20", customer_id="left"), an_order_line(2, day="2024-03-21", customer_id="bought")]
    write_order_lines(lake, lines, known_on=nights[0])
    write_customers(lake, company, [{"customer_id": row["customer_id"]} for row in visits], known_on=nights[0])
    late = [*lines[1:], an_order_line(3, day="2024-03-21", customer_id="late")]
    found: dict[date, dict[str, tuple[int, int]]] = {}
    for night in nights:
        if night == nights[2]:
            write_order_lines(lake, late, known_on=night)
        rows = features_by_customer(company, lake, night)
        found[night] = {name: (row["left_without_order"], row["orders_after_visit"]) for name, row in rows.items()}
    # An order at the very instant of the visit follows nothing; `left` is undecided on the 22nd, and `late` was wrong until the 29th.
    assert found == {
        nights[0]: {"bought": (0, 1), "left": (0, 0), "late": (0, 0)},
        nights[1]: {"bought": (0, 1), "left": (1, 0), "late": (1, 0)},
        nights[2]: {"bought": (0, 1), "left": (1, 0), "late": (0, 1)},
        nights[3]: {"bought": (0, 1), "left": (1, 0), "late": (0, 1)},
    }
    again = features_by_customer(company, lake, nights[1])
    assert {name: (row["left_without_order"], row["orders_after_visit"]) for name, row in again.items()} == found[nights[1]]


@pytest.mark.parametrize(
    ("value", "wine", "beer", "nobody"),
    [
        ("LIST(order_lines.category)", "Beer|Wine", "Beer", ""),
        ("NONE(LIST(order_lines.category LAST 30 DAYS)) = 'Beer'", True, False, True),
        ("COUNT(orders WHERE net_amount >= 10)", 1, 0, 0),
        ("COUNT(order_lines WHERE (category = 'Beer' OR channel = 'app') AND (net_amount > 0) LAST 30 DAYS)", 0, 1, 0),
        ("MAX(orders.net_amount)", Decimal(15), Decimal(4), None),
        ("AVG(orders.line_count)", 1.25, 1.0, None),
        ("SUM(order_lines.net_amount LAST QUARTER)", Decimal(0), Decimal(0), Decimal(0)),
        ("COUNT(order_lines LAST YEAR)", 1, 0, 0),
        ("SUM(order_lines.net_amount) / NULLIF(COUNT(orders LAST 30 DAYS) - 2, 0)", None, -3.0, 0.0),
    ],
)
def test_an_aggregate_may_be_of_orders_periods_and_lists(lake: Lake, value: str, wine: Any, beer: Any, nobody: Any) -> None:
    assert values(lake, f'value = "{value}"') == {"wine": wine, "beer": beer, "nobody": nobody}
