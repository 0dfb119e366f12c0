"""Law 6 on every engine: of many rules the first that holds gives a customer their segment."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support.builders import write_rows
from support.local_spark import SparkOver

from pipeline.definitions.rules import Vocabulary, parse_rule, rule_value
from pipeline.definitions.schemes import Scheme, Segment, segments_statement
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NIGHT = date(2024, 3, 31)
VOCABULARY = Vocabulary({column.name: column.kind for column in CUSTOMER_FEATURES.columns})

NUMBERS = st.integers(0, 12)
WORDS = st.sampled_from(["", "a", "ab", "B", "ä", "z", "\U0001f600", "￿"])
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "=", "<>"])
COMPARISONS = st.one_of(
    st.builds("spend_amount {} {}".format, OPERATORS, st.sampled_from(["0", "1.5", "3", "7.0001"])),
    st.builds("recency_days {} {}".format, OPERATORS, NUMBERS),
    st.builds("recency_days BETWEEN {} AND {}".format, NUMBERS, NUMBERS),
    st.builds("rhythm_days {} {}".format, st.sampled_from(["<", ">="]), st.sampled_from(["1", "2.5", "6"])),
    st.builds("favourite_category = '{}'".format, WORDS),
    st.builds("favourite_category IN ('{}', '{}')".format, WORDS, WORDS),
    st.builds("last_order_date >= DATE '2024-01-{:02}'".format, st.integers(1, 12)),
    st.sampled_from(["is_prospect", "is_prospect = TRUE", "recency_days IS NULL", "rhythm_days > recency_days"]),
)
# Rules of two comparisons and more take few customers each, so that many rules of a scheme have somebody.
RULES = st.builds("({} AND {})".format, COMPARISONS, COMPARISONS) | st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner), st.builds("({} OR {})".format, inner, inner), st.builds("NOT ({})".format, inner)
    ),
    max_leaves=4,
)
CUSTOMERS = st.lists(
    st.fixed_dictionaries(
        {
            "spend_amount": st.sampled_from([Decimal(text) for text in ("-1", "0", "1.5", "2", "3", "7", "7.0001", "50")]),
            "recency_days": st.one_of(st.none(), st.integers(0, 13)),
            "rhythm_days": st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.5, 6.0, 20.0])),
            "favourite_category": st.one_of(st.none(), WORDS),
            "last_order_date": st.one_of(st.none(), st.dates(date(2023, 12, 30), date(2024, 1, 14))),
            "is_prospect": st.booleans(),
        }
    ),
    min_size=30,
    max_size=60,
).map(lambda rows: [{"customer_id": f"c{number:03}", **row} for number, row in enumerate(rows)])


# Not shrunk: each smaller example would be another round of Spark's, minutes of them until a failure is told.
@settings(max_examples=10, derandomize=True, deadline=None, phases=[Phase.generate])
@given(texts=st.lists(RULES, min_size=30, max_size=60, unique=True), customers=CUSTOMERS)
def test_of_many_rules_the_first_that_holds_decides(spark: SparkOver, texts: list[str], customers: list[dict[str, Any]]) -> None:
    scheme = scheme_of(texts)
    expected = {customer["customer_id"]: first_that_holds(scheme, customer) for customer in customers}
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_rows(lake, CUSTOMER_FEATURES, customers, day=NIGHT)
        duck = DuckDBEngine(lake.store, memory_limit="500MB", threads=1)
        assert segments_on(duck, scheme) == expected
        duck.close()
        assert segments_on(spark(lake), scheme) == expected


def scheme_of(texts: list[str]) -> Scheme:
    """Return a scheme of these rules in order, whatever could be proven of it, and of a segment for everybody left over."""
    rules = [parse_rule(text, VOCABULARY, where="test") for text in texts]
    segments = [Segment(f"it's {place}\\", "T", "D.", text, rule) for place, (text, rule) in enumerate(zip(texts, rules, strict=True))]
    rest = Segment("rest", "T", "D.")
    return Scheme("many", "T", "behavioural", "Q?", "rules", ("recency_days",), (*segments, rest), Path("many.toml"))


def first_that_holds(scheme: Scheme, customer: dict[str, Any]) -> str:
    row = {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in customer.items()}
    return next(segment.id for segment in scheme.segments if segment.rule is None or rule_value(segment.rule, row) is True)


def segments_on(engine: Engine, scheme: Scheme) -> dict[str, str]:
    engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=NIGHT)])
    return {row["customer_id"]: row["segment"] for row in engine.run(segments_statement([scheme]), {}).read_all().to_pylist()}
