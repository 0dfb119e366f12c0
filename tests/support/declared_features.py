"""A company that declares a feature of every kind, and what each is by plain Python."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.definitions.company import Company, with_declared_features
from support.builders import a_company

Rows = Sequence[dict[str, Any]]


def lines_between(rows: Rows, first: int | None, final: int, day: date) -> Rows:
    """Return the rows that count from `first` to `final` days before the night, which counts as day 1."""
    begin = date.min if first is None else day - timedelta(first - 1)
    return [row for row in rows if begin <= row["order_day"] <= day - timedelta(final)]


def in_month_before(order_day: date, day: date) -> bool:
    """Whether `order_day` lies in the calendar month before that of `day`."""
    final = day.replace(day=1) - timedelta(1)
    return final.replace(day=1) <= order_day <= final


def in_order(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (row["order_day"], row["ordered_at"], row["order_id"], row["line_number"]))


def orders_of(rows: Rows) -> Rows:
    """Return one row for each order and its day, with what was paid for it."""
    orders: dict[tuple[str, date], dict[str, Any]] = {}
    for row in (row for row in rows if row["line_kind"] == "order"):
        order = orders.setdefault((row["order_id"], row["order_day"]), {**row, "net_amount": Decimal(0), "categories": set()})
        order["categories"].add(row["category"])
        order["net_amount"] += row["net_amount"]
        order["ordered_at"] = min(order["ordered_at"], row["ordered_at"])
    return list(orders.values())


def follows(later: dict[str, Any], earlier: dict[str, Any], days: int) -> bool:
    """Whether one row happened after the other, and at most so many local days later."""
    return bool(later["ordered_at"] > earlier["ordered_at"]) and (later["day"] - earlier["day"]).days <= days


def most_frequent(rows: Rows) -> str | None:
    counts = Counter(row["category"] for row in rows)
    return min(counts, key=lambda name: (-counts[name], name.encode()), default=None)


# Each with the definition of a feature, and what it is of the rows of one customer that are not cancelled.
ORACLE: dict[str, tuple[str, Callable[[Rows, date], Any]]] = {
    "lines": ("value = 'COUNT(*)'", lambda rows, _day: len(rows)),
    "lines_7": ("value = 'COUNT(*)'\nlast_days = 7", lambda rows, day: len(lines_between(rows, 7, 0, day))),
    "orders_7": (
        "value = 'COUNT(DISTINCT order_id)'\nlast_days = 7",
        lambda rows, day: len({row["order_id"] for row in lines_between(rows, 7, 0, day)}),
    ),
    "orders_a": (
        "value = 'COUNT(DISTINCT order_id)'\nwhere = \"category = 'a'\"",
        lambda rows, _day: len({row["order_id"] for row in rows if row["category"] == "a"}),
    ),
    "spend_7": (
        "value = 'SUM(net_amount)'\nlast_days = 7",
        lambda rows, day: sum((row["net_amount"] for row in lines_between(rows, 7, 0, day)), Decimal(0)),
    ),
    "spend_week_before": (
        "value = 'SUM(net_amount)'\nlast_days = 7\nbefore = 7",
        lambda rows, day: sum((row["net_amount"] for row in lines_between(rows, 14, 7, day)), Decimal(0)),
    ),
    "until_a_week_ago": ("value = 'COUNT(*)'\nbefore = 7", lambda rows, day: len(lines_between(rows, None, 7, day))),
    "in_january": (
        "value = 'COUNT(*)'\nfrom_day = 2024-01-01\nto_day = 2024-01-31",
        lambda rows, _day: sum(row["order_day"].month == 1 for row in rows),
    ),
    "dearest_40": (
        "value = 'MAX(net_amount)'\nlast_days = 40",
        lambda rows, day: max((row["net_amount"] for row in lines_between(rows, 40, 0, day)), default=None),
    ),
    "evenings_40": (
        "value = 'COUNT(*)'\nwhere = 'HOUR(ordered_at) BETWEEN 18 AND 21 AND WEEKDAY(ordered_at) <= 5'\nlast_days = 40",
        lambda rows, day: sum(
            18 <= (local := row["ordered_at"].astimezone(ZoneInfo("Europe/Berlin"))).hour <= 21 and local.isoweekday() <= 5
            for row in lines_between(rows, 40, 0, day)
        ),
    ),
    "last_refund": (
        "value = 'MAX(order_day)'\nwhere = \"line_kind = 'refund'\"",
        lambda rows, _day: max((row["order_day"] for row in rows if row["line_kind"] == "refund"), default=None),
    ),
    "first_channel": ("value = 'FIRST(channel)'", lambda rows, _day: in_order(rows)[0]["channel"] if rows else None),
    "last_channel_40": (
        "value = 'LAST(channel)'\nlast_days = 40",
        lambda rows, day: in_order(found)[-1]["channel"] if (found := lines_between(rows, 40, 0, day)) else None,
    ),
    "category_40": ("value = 'MOST_FREQUENT(category)'\nlast_days = 40", lambda rows, day: most_frequent(lines_between(rows, 40, 0, day))),
    "in_this_month": (
        "value = 'COUNT(*)'\nduring = 'this month'",
        lambda rows, day: sum(row["order_day"] >= day.replace(day=1) for row in rows),
    ),
    "spend_last_month": (
        "value = 'SUM(net_amount)'\nduring = 'last month'",
        lambda rows, day: sum((row["net_amount"] for row in rows if in_month_before(row["order_day"], day)), Decimal(0)),
    ),
    "in_last_week": (
        "value = 'COUNT(*)'\nduring = 'last week'",
        lambda rows, day: len(lines_between(rows, day.weekday() + 8, day.weekday() + 1, day)),
    ),
    "categories_7": (
        "value = 'LIST(category)'\nlast_days = 7",
        lambda rows, day: "|".join(sorted({row["category"] for row in lines_between(rows, 7, 0, day)}, key=str.encode)),
    ),
    "dear_orders_40": (
        "value = 'COUNT(orders WHERE net_amount >= 30 LAST 40 DAYS)'",
        lambda rows, day: sum(row["net_amount"] >= 30 for row in orders_of(lines_between(rows, 40, 0, day))),
    ),
    "mixed_orders_40": (
        "value = \"COUNT(orders WHERE ANY(categories) = 'a' AND NONE(categories) = 'b' LAST 40 DAYS)\"",
        lambda rows, day: sum(
            "a" in order["categories"] and "b" not in order["categories"] for order in orders_of(lines_between(rows, 40, 0, day))
        ),
    ),
    "a_then_b": (
        "value = \"COUNT(order_lines WHERE category = 'a' FOLLOWED BY order_lines WHERE category = 'b' WITHIN 9 DAYS LAST 40 DAYS)\"",
        lambda rows, day: sum(
            row["category"] == "a" and any(other["category"] == "b" and follows(other, row, 9) for other in rows)
            for row in lines_between(rows, 40, 0, day)
        ),
    ),
    "left_alone": (
        "value = 'COUNT(orders NOT FOLLOWED BY orders WITHIN 5 DAYS LAST 40 DAYS)'",
        lambda rows, day: sum(
            not any(follows(other, row, 5) for other in orders_of(rows)) for row in orders_of(lines_between(rows, 40, 5, day))
        ),
    ),
    "latest_3_a": (
        "value = \"SUM(order_lines.quantity WHERE category = 'a' LATEST 3 LAST 40 DAYS)\"",
        lambda rows, day: sum(
            (row["quantity"] for row in in_order([row for row in lines_between(rows, 40, 0, day) if row["category"] == "a"])[-3:]),
            Decimal(0),
        ),
    ),
    "latest_2_followed": (
        "value = 'COUNT(order_lines FOLLOWED BY order_lines OF THE SAME category LATEST 2)'",
        lambda rows, _day: sum(
            any(other["category"] == row["category"] and follows(other, row, 9999) for other in rows) for row in in_order(rows)[-2:]
        ),
    ),
    "same_again": (
        "value = 'COUNT(order_lines NOT FOLLOWED BY order_lines OF THE SAME category WITHIN 9 DAYS LAST 40 DAYS)'",
        lambda rows, day: sum(
            not any(other["category"] == row["category"] and follows(other, row, 9) for other in rows)
            for row in lines_between(rows, 40, 9, day)
        ),
    ),
    "after_first": (
        "value = 'COUNT(order_lines PRECEDED BY FIRST orders WITHIN 20 DAYS)'",
        lambda rows, _day: sum(follows(row, min(orders_of(rows), key=lambda order: order["ordered_at"], default=row), 20) for row in rows),
    ),
    "not_after_refund": (
        "value = \"SUM(order_lines.quantity NOT PRECEDED BY order_lines WHERE line_kind = 'refund' WITHIN 9 DAYS LAST 20 DAYS)\"",
        lambda rows, day: sum(
            (
                row["quantity"]
                for row in lines_between(rows, 20, 0, day)
                if not any(other["line_kind"] == "refund" and follows(row, other, 9) for other in rows)
            ),
            Decimal(0),
        ),
    ),
    "average_7": (
        "value = 'AVG(net_amount)'\nlast_days = 7",
        lambda rows, day: (
            float(sum(row["net_amount"] for row in found)) / len(found) if (found := lines_between(rows, 7, 0, day)) else None
        ),
    ),
}

# Those of whole orders, and of what came before or after, are carried apart: once is enough where time and order of nights are tried.
OF_LINES = tuple(
    name for name, (definition, _) in ORACLE.items() if not {"orders", "BY", "LATEST"} & {*definition.replace("(", " ").split()}
)

# One for each way in which rows wait for others: those that follow, that must not follow, that must be the same, and the first of all.
OF_SEQUENCES = ("a_then_b", "left_alone", "latest_2_followed", "after_first")


def a_declaring_company(folder: Path, names: Sequence[str] = tuple(ORACLE), *, window_days: int = 33) -> Company:
    (folder / "features").mkdir(parents=True, exist_ok=True)
    texts = (f"[{name}]\nfrom = 'order_lines'\ndescription = 'x'\n{ORACLE[name][0]}\n" for name in names)
    (folder / "features" / "all.toml").write_text("".join(texts), "utf-8")
    return with_declared_features(a_company(folder, window_days=window_days))
