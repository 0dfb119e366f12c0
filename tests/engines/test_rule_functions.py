"""Functions of the rule language give the same answers on DuckDB, on Spark and for one customer in memory, on values chosen to differ."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from support.builders import write_rows
from support.local_spark import SparkOver

from pipeline.definitions.rules import Vocabulary, parse_rule, parse_score, rule_value
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Column, Kind, Partition, Table

DAY = date(2024, 3, 31)
TODAYS = [
    date(2024, 2, 28),
    date(2024, 2, 29),
    date(2023, 2, 28),
    date(2023, 3, 1),
    date(2024, 12, 31),
    date(2000, 2, 29),
    date(2100, 3, 1),
]
DAYS = [
    *(None, date(1, 1, 1), date(4, 2, 29), date(1582, 10, 10), date(1900, 2, 28), date(1969, 12, 31), date(1970, 1, 1), date(1970, 1, 4)),
    *(date(2000, 2, 29), date(2023, 3, 1), date(2024, 1, 15), date(2024, 2, 28), date(2024, 2, 29), date(2024, 12, 31), date(9999, 12, 31)),
]
TEXTS = [
    *(None, "", " ", "a", "A", "it's", "x\\y", "%_", "İstanbul", "ISPARTA", "ısparta", "istanbul", "Straße", "STRASSE", "ẞ"),
    *(
        "ΟΔΟΣ",
        "ΟΔΟΣ ΑΣ.",
        "ςσΣ",
        "ᲗᲑᲘᲚᲘᲡᲘ",
        "თბილისი",
        "ǅ",
        "Å",
        "A\u030a",
        "I\u0307",
        "\U00010400",
        "\U0001f600",
        "ÀÉ",
        "a" * 100_000 + "Z",
    ),
]
LISTS = [None, "", "a", "vip", "a,vip", "a,b", "vip,vipp", "VIP,vip", "İ,ı", "a b,c", "it's,vip", "%"]
AMOUNTS = [Decimal(text) for text in ("0", "0.0001", "-0.0001", "0.3", "19.99", "100", "99999999999999.9999", "-99999999999999.9999")]
NUMBERS = [None, 0.0, -0.0, 0.1, 0.3, 1e-300, 1e300, -1e300, 0.30000000000000004]
COUNTS = [None, 0, 1, 3, -7, 2**53 + 1, 2**63 - 1, -(2**63) + 1]
COLUMNS = {
    "as_of_date": Kind.DATE, "born": Kind.DATE, "opened": Kind.DATE, "city": Kind.TEXT, "tags": Kind.TEXT, "spend": Kind.MONEY,
    "share": Kind.NUMBER, "orders": Kind.INTEGER,
}  # fmt: skip
KEY = Column("customer_id", Kind.TEXT, "The customer.", required=True)
TABLE = Table(
    "customer_features", "", (KEY, *(Column(name, kind, "") for name, kind in COLUMNS.items())), ("customer_id",), Partition.NIGHT
)
WORDS = {
    language: Vocabulary({"customer_id": Kind.TEXT, **COLUMNS}, separators={"tags": ","}, language=language) for language in ("en", "tr")
}

CONDITIONS = [
    "born < TODAY - 60",
    "TODAY - 60 > born",
    "born + 7 >= opened - 3",
    "born BETWEEN TODAY - INTERVAL '60 days' AND TODAY - INTERVAL 4 WEEKS",
    "born + 1 = DATE '2024-03-01'",
    "DATE '2024-03-01' - 1 = born",
    "born = TODAY",
    "born IS NOT DISTINCT FROM TODAY",
    "opened - born > 365",
    "opened - born = DAYS_SINCE(born)",
    "DAYS_SINCE(born) <= 0",
    "DAYS_UNTIL(born) BETWEEN 0 AND 30",
    "DAYS_SINCE(born + 36525) > 0",
    "YEAR(born + 1) = YEAR(born)",
    "MONTH(born - 1) = MONTH(born)",
    "COALESCE(born, opened) > TODAY",
    "COALESCE(born, DATE '2000-01-01') + 5 <= TODAY",
    "COALESCE(spend, orders, 0.5) > 1",
    "COALESCE(share, spend) >= 0.3",
    "COALESCE(city, 'none') = 'none'",
    "spend / orders IS NULL",
    "spend / orders = 0.1",
    "spend / 0.1 = 3",
    "orders / 3 > 1",
    "share / spend < 1",
    "spend / share >= 3",
    "(spend - 0.2) / (spend + 1) < 0.5",
    "1 / orders = orders",
    "CONTAINS(city, 'st')",
    "CONTAINS(city, '%')",
    "CONTAINS(LOWER(city), 'stanbul')",
    "STARTS_WITH(city, 'i')",
    "STARTS_WITH(LOWER(city), 'i')",
    "ENDS_WITH(city, 'Z')",
    "ENDS_WITH(city, '\\y')",
    "LOWER(city) = 'istanbul'",
    "LOWER(city) = city",
    "LOWER(city) = 'οδοσ'",
    "LOWER(city) = 'თბილისი'",
    "LOWER(city) < 'b'",
    "ANY(tags) = 'vip'",
    "ANY(tags) <> 'vip'",
    "ALL(tags) = 'vip'",
    "ALL(tags) <> 'vip'",
    "NONE(tags) = 'vip'",
    "NONE(tags) <> 'vip'",
    "ANY(tags) IN ('a', 'it''s')",
    "ALL(tags) IN ('vip', 'a', 'b')",
    "NONE(tags) NOT IN ('vip', 'a', 'b')",
    "ANY(LOWER(tags)) = 'vip'",
    "ALL(LOWER(tags)) = 'vip'",
    "CONTAINS(ANY(tags), 'ip')",
    "STARTS_WITH(ANY(tags), 'vip')",
    "ENDS_WITH(NONE(tags), 'p')",
    "tags IS NULL",
    "RANDOM_SHARE('spring') < 0.5",
    "RANDOM_SHARE('spring') BETWEEN 0.1 AND RANDOM_SHARE('o''clock')",
]  # fmt: skip
FIGURES = [
    *(f"{part}(born)" for part in ("YEAR", "MONTH", "DAY", "WEEKDAY", "YEARS_SINCE", "DAYS_UNTIL_ANNIVERSARY", "DAYS_SINCE", "DAYS_UNTIL")),
    "spend / orders",
    "spend / 3",
    "orders / 7",
    "(spend + 0.1) / (orders - 1)",
    "RANDOM_SHARE('spring')",
    "COALESCE(spend, orders, share)",
    "YEAR(TODAY) - YEAR(born)",
    "DAY(TODAY + 1)",
]


def some_rows() -> list[dict[str, Any]]:
    dates = [
        {"as_of_date": today, "born": born, "opened": opened} for today, born in product(TODAYS, DAYS) for opened in DAYS[:3] + DAYS[9:11]
    ]
    texts = [{"city": city} for city in TEXTS] + [{"tags": tags} for tags in LISTS]
    numbers = [
        {"spend": spend, "orders": orders, "share": share} for spend, orders in product([None, *AMOUNTS], COUNTS) for share in NUMBERS[:4]
    ]
    numbers += [{"spend": spend, "share": share} for spend, share in product(AMOUNTS, NUMBERS)]
    empty = {**dict.fromkeys(COLUMNS), "as_of_date": DAY}
    return [{"customer_id": f"ü{number}", **empty, **row} for number, row in enumerate([*dates, *texts, *numbers])]


ROWS = some_rows()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, spark: SparkOver) -> tuple[Engine, Engine]:
    lake = Lake(tmp_path_factory.mktemp("rule_functions"))
    write_rows(lake, TABLE, ROWS, day=DAY)
    engines = DuckDBEngine(lake.store, memory_limit="1GB"), spark(lake)
    for engine in engines:
        engine.register(TABLE, [addresses.partition(TABLE, day=DAY)])
    return engines


def answers(engine: Engine, trees: dict[str, exp.Expression]) -> dict[str, dict[str, Any]]:
    """Return what each tree says of each customer, by its text and their id."""
    named = [exp.alias_(tree.copy(), f"answer_{number}") for number, tree in enumerate(trees.values())]
    rows = engine.run(exp.select("customer_id", *named).from_(TABLE.name), {}).read_all().to_pylist()
    return {text: {row["customer_id"]: row[f"answer_{number}"] for row in rows} for number, text in enumerate(trees)}


def in_memory(tree: exp.Expression) -> dict[str, Any]:
    exact = [{name: Fraction(value) if isinstance(value, Decimal) else value for name, value in row.items()} for row in ROWS]
    return {str(row["customer_id"]): rule_value(tree, row) for row in exact}


@pytest.mark.parametrize("language", ["en", "tr"])
def test_conditions_answer_alike_everywhere(both: tuple[Engine, Engine], language: str) -> None:
    trees = {text: parse_rule(text, WORDS[language], where="x") for text in CONDITIONS}
    duck, spark = (answers(engine, trees) for engine in both)
    assert [text for text in CONDITIONS if duck[text] != spark[text]] == []
    assert [text for text in CONDITIONS if duck[text] != in_memory(trees[text])] == []
    # Each is true of somebody and false of somebody, so that it could be wrong.
    assert [text for text in CONDITIONS if not {True, False} <= set(duck[text].values())] == []


def test_figures_are_alike_everywhere_to_the_last_bit(both: tuple[Engine, Engine]) -> None:
    trees = {text: parse_score(text, WORDS["en"], where="x") for text in FIGURES}
    duck, spark = (answers(engine, trees) for engine in both)
    assert [text for text in FIGURES if duck[text] != spark[text]] == []
    assert [text for text in FIGURES if duck[text] != in_memory(trees[text])] == []
    assert [text for text in FIGURES if len(set(duck[text].values())) < 3] == []


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Africa/Cairo"])
def test_hours_and_days_of_instants_are_alike_everywhere(spark: SparkOver, tmp_path: Path, zone: str) -> None:
    table = Table("customer_features", "", (KEY, Column("sent_at", Kind.INSTANT, "")), ("customer_id",), Partition.NIGHT)
    first = datetime(2023, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    # Every seventh hour or so of a year, which comes by all hours, the days on which clocks change, and the seconds around full hours.
    instants = [None, datetime(1971, 6, 1, tzinfo=UTC), *(first + timedelta(minutes=437 * number) for number in range(1_300))]
    rows = [{"customer_id": f"ü{number}", "sent_at": instant} for number, instant in enumerate(instants)]
    lake = Lake(tmp_path)
    write_rows(lake, table, rows, day=DAY)
    words = Vocabulary({}, instants={"sent_at": zone})
    trees = {
        text: parse_score(text, words, where="x") for text in (f"{part}(sent_at)" for part in ("HOUR", "WEEKDAY", "MONTH", "DAY", "YEAR"))
    }
    there = spark(lake)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as duck:
        for engine in (duck, there):
            engine.register(table, [addresses.partition(table, day=DAY)])
        on_duckdb, on_spark = (answers(engine, trees) for engine in (duck, there))
    there.register(TABLE, [])
    expected = {text: {row["customer_id"]: rule_value(tree, row) for row in rows} for text, tree in trees.items()}
    assert on_duckdb == expected
    assert on_spark == expected
    assert set(expected["HOUR(sent_at)"].values()) == {None, *range(24)}


def test_every_letter_of_unicode_14_has_one_small_letter(spark: SparkOver, tmp_path: Path) -> None:
    letters = [chr(code) for code in range(0x110000) if chr(code).isalpha() and not 0xD800 <= code < 0xE000]
    table = Table("customer_features", "", (KEY, Column("city", Kind.TEXT, "")), ("customer_id",), Partition.NIGHT)
    lake, rows = Lake(tmp_path), [{"customer_id": f"{ord(letter):07}", "city": letter} for letter in letters]
    write_rows(lake, table, rows, day=DAY)
    tree = parse_rule("LOWER(city) = 'a'", WORDS["en"], where="x").this
    small = {row["customer_id"]: rule_value(tree, row) for row in rows}
    there = spark(lake)
    duck = DuckDBEngine(lake.store, memory_limit="1GB")
    for engine in (duck, there):
        engine.register(table, [addresses.partition(table, day=DAY)])
        query = exp.select("customer_id", exp.alias_(tree.copy(), "small")).from_(table.name)
        found = {row["customer_id"]: row["small"] for row in engine.run(query, {}).read_all().to_pylist()}
        assert {key: value for key, value in found.items() if value != small[key]} == {}
    there.register(TABLE, [])
