"""A hundred declared features: a night after another, and the first pass, beside all of them by hand in one statement over the lines."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from generate import LAST_DAY
from lakes import MEMORY_LIMIT, company, copied_lake, engine, linked_lake
from measure import Cost, Result, compared, cost

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.features import read_features
from pipeline.features.cache import cache_session
from pipeline.features.declared import aggregates_by_source, known_events, register_aggregates
from pipeline.features.rollup_set import FeatureWindow
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES

NIGHT_BAR, FIRST_BAR = 0.15, 1.2
WINDOWS = (30, 60, 90, 180, 365, None)
CATEGORIES = ("bakery", "books", "clothing", "drinks")
CHANNELS = ("web", "store")


def declarations() -> list[tuple[str, str, int | None, int]]:
    """Return the features: value, condition, days, and how many days before the night they end."""
    found: list[tuple[str, str, int | None, int]] = []
    for days in WINDOWS:
        found += [(value, f"category = '{name}'", days, 0) for name in CATEGORIES for value in ("COUNT(*)", "SUM(net_amount)")]
        found += [("COUNT(DISTINCT order_id)", f"category = '{name}'", days, 0) for name in CATEGORIES[:3]]
        found += [("SUM(net_amount)", f"channel = '{name}'", days, 0) for name in CHANNELS]
        found += [("AVG(net_amount)", "", days, 0)]
    found += [("MAX(order_day)", f"category = '{name}'", None, 0) for name in CATEGORIES]
    found += [("FIRST(channel)", "", None, 0), ("LAST(channel)", "", None, 0)]
    found += [("MOST_FREQUENT(category)", "", days, 0) for days in (90, None)]
    return [*found, *((value, "", days, days) for days in (30, 90) for value in ("COUNT(*)", "SUM(net_amount)"))]


def declaring_company() -> Company:
    """Return the made-up shop with the hundred features."""
    from dataclasses import replace

    shop = company()
    parts = []
    for number, (value, where, days, before) in enumerate(declarations()):
        settings = {"value": value, "where": where, "from": "order_lines", "description": "One of many."}
        lines = [f"[f{number:03}]", *(f'{key} = "{text}"' for key, text in settings.items() if text)]
        lines += [f"last_days = {days}"] if days else []
        parts.append("\n".join([*lines, *([f"before = {before}"] if before else [])]))
    text = Definition(Path("features/many.toml"), "\n".join(parts))
    return replace(shop, features=read_features({"many": text}, [], {}, shop.event_sources))


def results(lake: Lake, scratch: Path, *, rounds: int) -> list[Result]:
    """Return what a night's and a first pass's aggregates cost as a share of the statement by hand."""
    with TemporaryDirectory(dir=scratch) as folder:
        empty, kept = (linked_lake(lake, Path(folder) / name) for name in ("empty", "kept"))
        cost(partial(aggregates_of_nights, kept, 2))
        costs: dict[str, list[Cost]] = {name: [] for name in ("night", "first", "hand")}
        for _ in range(rounds):
            costs["night"].append(_cost_in_copy(kept, scratch))
            costs["first"].append(_cost_in_copy(empty, scratch))
            costs["hand"].append(cost(partial(by_hand, lake.root, Path(folder))))
    return [
        compared(
            "100 declared features, a night after another / all in one statement, by hand", costs["night"], costs["hand"], bar=NIGHT_BAR
        ),
        compared("the same, with nothing kept / all in one statement, by hand", costs["first"], costs["hand"], bar=FIRST_BAR),
    ]


def aggregates_of_nights(lake: Lake, nights: int) -> None:
    """Compute the aggregates of the nights before the last."""
    for ago in range(nights, 0, -1):
        aggregates_of(lake, LAST_DAY - timedelta(days=ago))


def aggregates_of(lake: Lake, day: date = LAST_DAY) -> None:
    """Compute the aggregates of one night, from what is there."""
    shop = declaring_company()
    window = FeatureWindow(day, day, shop.window_days)
    with engine(lake) as opened, cache_session(lake, opened, shop.zone) as session:
        events = known_events(shop, lake, window)
        for wanted in aggregates_by_source(shop):
            register_aggregates(session, window, wanted, events)


def by_hand(root: Path, folder: Path) -> None:
    """Compute the same with one statement, as a person writes it."""
    columns = ", ".join(f"{_value_by_hand(*each)} AS f{number:03}" for number, each in enumerate(declarations()))
    files = str(root / "tables" / ORDER_LINES.name / "**" / "*.parquet")
    query = (
        f"SELECT customer_id, {columns} FROM read_parquet('{files}', hive_partitioning = FALSE) WHERE line_kind <> 'cancelled' GROUP BY ALL"
    )
    with closing(duckdb.connect(config={"memory_limit": MEMORY_LIMIT, "temp_directory": str(folder / "spill")})) as connection:
        connection.execute("SET enable_progress_bar = false")
        connection.execute(f"COPY ({query}) TO '{folder / 'by_hand.parquet'}' (FORMAT parquet, COMPRESSION zstd)")


def _value_by_hand(value: str, where: str, days: int | None, before: int) -> str:
    final = LAST_DAY - timedelta(days=before)
    first = final - timedelta(days=days - 1) if days else None
    conditions = [where, f"order_day >= DATE '{first}'" if first else "", f"order_day <= DATE '{final}'" if before else ""]
    condition = " AND ".join(part for part in conditions if part)
    order = "(order_day, ordered_at, order_id, line_number)"
    names = {
        "FIRST(channel)": f"ARG_MIN(channel, {order})",
        "LAST(channel)": f"ARG_MAX(channel, {order})",
        "MOST_FREQUENT(category)": "MODE(category)",
    }
    return names.get(value, value) + (f" FILTER (WHERE {condition})" if condition else "")


def _cost_in_copy(lake: Lake, scratch: Path) -> Cost:
    with TemporaryDirectory(dir=scratch) as folder:
        return cost(partial(aggregates_of, copied_lake(lake, Path(folder) / "lake")))
