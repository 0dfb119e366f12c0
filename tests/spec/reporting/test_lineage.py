"""Lineage: from rules to source columns and back, told by the syntax trees of the statements that compute a night."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from sqlglot import exp, parse_one
from support.builders import a_company, an_attribute, an_order_line, features_by_customer, write_order_lines
from support.events import write_email_shop
from support.nights import write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company, load_company, with_declared_features
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.errors import ConfigError
from pipeline.ingestion.validation.clean_rows import clean_order_lines
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, ORDER_LINES, RAW_ORDER_LINES, VISITS_SOURCE, Column, Kind
from pipeline.reporting.lineage import CompanyLineage, Lineage, SchemeUse, lineage_of
from pipeline.reporting.lineage.columns import DERIVED, column_graph
from pipeline.reporting.lineage.graph import ColumnGraph, Field
from pipeline.reporting.lineage.sql_columns import statement_edges

NOON = datetime(2023, 11, 14, 12, tzinfo=UTC)
DISCOUNTS = (
    "discount_known_line_count",
    "discounted_line_count",
    "discount_share",
    "shrunk_discount_share",
    "discount_share_baseline",
    "full_price_share",
)
NEEDING = {
    needs: {column.name for column in CUSTOMER_FEATURES.columns if column.needs == needs}
    for needs in ("discount_amount", "category", "channel", VISITS_SOURCE)
}
# How many lines have a discount is known even where none has; lines are counted per category and channel, then added up over either.
KNOWN_WITHOUT = {
    "discount_amount": {"discount_known_line_count"},
    "category": NEEDING["channel"],
    "channel": NEEDING["category"],
}
HEAD = 'title = "T"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["last_order_date"]\n'
VIP = """[[segment]]
id = "vip"
title = "VIP"
description = "D."
rule = "rfm.segment = 'Champions' AND is_prospect = FALSE"

[[segment]]
id = "rest"
title = "Rest"
description = "D."
otherwise = true
"""


def lineages(company: Company) -> CompanyLineage:
    schemes = load_schemes(company)
    return CompanyLineage(company, (*schemes.schemes, *schemes.uncomputed), load_cluster_schemes(company))


@cache
def ours() -> CompanyLineage:
    return lineages(a_company(Path("no-such-folder")))


def with_scheme(folder: Path, text: str = HEAD + VIP, name: str = "vip", **company: Any) -> CompanyLineage:
    (folder / "segments").mkdir(exist_ok=True)
    (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    return lineages(a_company(folder, **company))


def value_sources(lineage: Lineage) -> set[str]:
    return {str(source.field) for source in lineage.sources if source.is_value}


def use_of(lineage: Lineage, scheme: str) -> SchemeUse:
    return next(use for use in lineage.uses if use.scheme == scheme)


@pytest.mark.parametrize("feature", CUSTOMER_FEATURES.column_names)
def test_every_feature_comes_from_a_column_of_a_source(feature: str) -> None:
    assert ours().trace_name(feature).sources


def test_a_share_of_discounted_lines_comes_from_the_discount_through_every_table_on_the_way() -> None:
    found = ours().trace_name("discount_share")
    assert "raw_order_lines.discount_amount" in value_sources(found)
    assert [table for table, _ in found.steps] == [
        "customer_states",
        "customer_days",
        "order_lines",
        "raw_order_lines",
    ]
    assert dict(found.steps)["customer_states"] == ("discount_known_line_count", "discounted_line_count")
    assert use_of(found, "behaviour_clusters").ways == ("clusters",)


@pytest.mark.parametrize(
    ("feature", "source", "is_read"),
    [
        ("spend_amount", "raw_order_lines.net_amount", True),
        ("spend_amount", "raw_order_lines.discount_amount", False),
        ("spend_amount", "raw_order_lines.category", False),
        ("recency_days", "raw_order_lines.ordered_at", True),
        ("favourite_category", "raw_order_lines.category", True),
        ("main_channel", "raw_order_lines.channel", True),
        ("f_score", "raw_order_lines.channel", False),
        ("new_limit_days", "raw_order_lines.ordered_at", True),
        ("customer_id", "raw_customers.customer_id", True),
    ],
)
def test_a_feature_comes_from_the_columns_that_its_expressions_read_and_no_others(feature: str, source: str, is_read: bool) -> None:
    assert (source in value_sources(ours().trace_name(feature))) is is_read


def test_features_that_are_calculated_with_another_change_with_it() -> None:
    found = ours().trace_name("m_score")
    assert found.features == ("m_score", "fm_score")
    assert use_of(found, "rfm").ways == ("rule", "evidence")


def test_what_only_chooses_rows_is_told_apart_from_what_makes_the_value() -> None:
    chosen = {str(source.field) for source in ours().trace_name("discount_share").sources if not source.is_value}
    assert "raw_customers.created_at" in chosen


def test_without_net_amounts_no_night_runs_and_rfm_and_value_tiers_break() -> None:
    found = ours().trace_name("net_amount")
    assert found.is_required
    assert {"spend_amount", "m_score", "value_rank_share"} <= set(found.features)
    assert {"rfm", "value_tier", "lifecycle", "behaviour_clusters"} <= {use.scheme for use in found.uses}
    assert use_of(found, "value_tier").segments == ("a", "b", "c")


def test_without_visits_nobody_can_be_said_to_wander_and_a_night_runs() -> None:
    found = ours().trace_name("raw_visits.visited_at")
    assert found.features == ("visit_count_90_days", "conversion_share", "conversion_share_q25")


def test_without_discounts_only_what_tells_of_discounts_breaks() -> None:
    found = ours().trace_name("discount_amount")
    assert not found.is_required
    assert found.features == DISCOUNTS
    assert not {"rfm", "lifecycle", "value_tier"} & {use.scheme for use in found.uses}


def test_what_a_feature_is_declared_to_need_is_what_its_statement_reads() -> None:
    for optional, known in KNOWN_WITHOUT.items():
        assert NEEDING[optional] == set(ours().trace_name(f"order_lines.{optional}").features) - known
    made = {*ours().trace_name("raw_visits.visited_at").features, *ours().trace_name("raw_visits.visit_id").features}
    assert NEEDING[VISITS_SOURCE] == made


def test_every_column_that_a_source_may_leave_out_is_needed_by_features_or_by_none() -> None:
    optional = {f"raw_order_lines.{column.name}" for column in RAW_ORDER_LINES.columns if not column.required}
    needed = {f"raw_order_lines.{column.needs}" for column in CUSTOMER_FEATURES.columns if column.needs and column.needs != VISITS_SOURCE}
    # Without these a line is not cancelled, in the company's currency, and given back on its own day; of products nothing is made.
    assert optional - needed == {f"raw_order_lines.{name}" for name in ("product_id", "is_cancelled", "refunded_order_day", "currency")}


def test_a_column_is_named_alone_or_with_its_source_or_raw_table() -> None:
    answers = [ours().trace_name(name) for name in ("discount_amount", "order_lines.discount_amount", "raw_order_lines.discount_amount")]
    assert len({(answer.fields, answer.features, answer.uses) for answer in answers}) == 1


def test_a_column_on_the_way_is_told_upwards_and_downwards() -> None:
    found = ours().trace_name("customer_days.full_price_amount")
    assert "raw_order_lines.discount_amount" in value_sources(found)
    assert found.features == ("full_price_share",)


def test_a_column_that_nothing_reads_breaks_nothing() -> None:
    found = ours().trace_name("product_id")
    assert (found.features, found.uses) == ((), ())


def test_a_scheme_that_looks_at_another_inherits_its_lineage(tmp_path: Path) -> None:
    known = with_scheme(tmp_path)
    vip, rfm = known.trace_name("vip"), known.trace_name("rfm")
    assert value_sources(rfm) <= value_sources(vip)
    assert {"r_score", "fm_score"} <= set(vip.features)
    use = use_of(known.trace_name("m_score"), "vip")
    assert (use.ways, use.segments, use.through) == (("reference",), ("vip",), ("rfm",))
    assert use_of(known.trace_name("net_amount"), "vip").through == ("rfm",)


def test_what_refers_to_a_scheme_is_told_where_the_scheme_is_asked_for(tmp_path: Path) -> None:
    top = VIP.replace("rfm.segment = 'Champions' AND is_prospect = FALSE", "vip.segment = 'vip'")
    with_scheme(tmp_path)
    known = with_scheme(tmp_path, HEAD + top, "top")
    assert [(use.scheme, use.through) for use in known.trace_name("rfm").uses] == [("top", ("vip",)), ("vip", ())]
    assert [use.scheme for use in known.trace_name("vip.segment").uses] == ["top"]


def test_a_segment_comes_from_its_own_rule_alone() -> None:
    assert ours().trace_name("rfm.prospects").features == ("is_prospect",)
    assert ours().trace_name("rfm.champions").features == ("r_score", "fm_score")


def test_evidence_is_told_apart_from_rules(tmp_path: Path) -> None:
    assert use_of(ours().trace_name("last_gap_days"), "lifecycle").ways == ("rule", "evidence")
    use = use_of(ours().trace_name("spend_amount"), "value_tier")
    assert use.ways == ("rule", "evidence")
    text = HEAD.replace("last_order_date", "refund_amount") + VIP
    use = use_of(with_scheme(tmp_path, text).trace_name("customer_features.refund_amount"), "vip")
    assert (use.ways, use.segments) == (("evidence",), ())


def test_an_attribute_comes_from_the_customers_and_its_schemes_break_with_it(tmp_path: Path) -> None:
    known = with_scheme(tmp_path, attributes=(an_attribute(Column("country", Kind.TEXT, "Country.")),))
    assert value_sources(known.trace_name("country")) == {"raw_customers.country"}
    lost = known.trace_name("customers.country")
    assert (lost.is_required, lost.features) == (False, ("country",))
    assert use_of(lost, "country").ways == ("values", "evidence")


def test_prospects_are_a_source_where_the_company_has_them(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "prospects.sql").write_text("SELECT 1", "utf-8")
    assert "raw_prospects.customer_id" in value_sources(with_scheme(tmp_path).trace_name("customer_id"))
    assert "raw_prospects.customer_id" not in value_sources(ours().trace_name("customer_id"))


def test_a_scheme_that_a_company_cannot_compute_has_a_lineage_too(tmp_path: Path) -> None:
    text = HEAD + '[needs]\ncolour = "text"\n' + VIP.replace("rfm.segment = 'Champions'", "colour = 'red' AND r_score = 5")
    assert use_of(with_scheme(tmp_path, text).trace_name("r_score"), "vip").segments == ("vip",)


def test_what_the_companys_query_gives_for_a_column_is_told_or_that_it_gives_nothing(tmp_path: Path) -> None:
    known = lineages(load_company(write_shop(tmp_path, [], customers=[])))
    given = {source.field.column: source.given_by for source in known.trace_name("discount_share").sources if source.is_value}
    assert (given["net_amount"], given["discount_amount"]) == ("CAST(paid AS DECIMAL(18, 4))", "")
    assert known.trace_name("discount_amount").given_by == ("",)
    (tmp_path / "sources" / "order_lines.sql").write_text("SELECT * FROM orders", "utf-8")
    assert lineages(load_company(tmp_path)).trace_name("discount_amount").given_by == (None,)
    (tmp_path / "sources" / "order_lines.sql").write_text("SELECT (", "utf-8")
    assert lineages(load_company(tmp_path)).trace_name("net_amount").given_by == (None,)


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    for wrong, near in (
        ("discount_shar", "discount_share"),
        ("order_lines.net_amont", "order_lines.net_amount"),
        ("rfm.champion", "rfm.champions"),
    ):
        with pytest.raises(ConfigError, match=f"nothing is called `{wrong}` \\(did you mean `{near}`\\?\\)"):
            ours().trace_name(wrong)


def test_every_column_of_the_graph_leads_to_a_declared_source_or_to_nothing() -> None:
    graph = column_graph(a_company(Path("no-such-folder")))
    values, rows = graph.sources_of([Field(CUSTOMER_FEATURES.name, name) for name in CUSTOMER_FEATURES.column_names])
    ends = {field.table for field in values | rows if not any(graph.sources_of([field])) and field.column not in ("*", "known_on")}
    assert ends == {"raw_order_lines", "raw_customers", "raw_visits"}


def bought(**changed: Any) -> list[dict[str, Any]]:
    """Return what two customers bought on four days each, every second line with what is `changed`."""
    parts = [(customer, day, category) for customer in ("ann", "bo") for day in (1, 5, 12, 20) for category in ("toys", "books")]
    found = []
    for at, (customer, day, category) in enumerate(parts):
        given = {"order_id": f"o{at // 3}", "net_amount": day + len(customer), "category": category, "channel": "web"}
        found.append(an_order_line(at, customer_id=customer, day=f"2024-03-{day:02}", **(given | (changed if at % 2 else {}))))
    return found


def features_of(root: Path, **changed: Any) -> dict[str, dict[str, Any]]:
    lake, company, night = Lake(root), a_company(root), date(2024, 3, 31)
    write_order_lines(lake, bought(**changed), known_on=night)
    return features_by_customer(company, lake, night)


@pytest.mark.parametrize(
    ("name", "value"), [("discount_amount", 1), ("net_amount", 3), ("category", "cards"), ("channel", "app"), ("order_id", "x")]
)
def test_what_a_night_computes_changes_only_where_the_lineage_says_so(tmp_path: Path, name: str, value: Any) -> None:
    before, after = features_of(tmp_path / "before"), features_of(tmp_path / "after", **{name: value})
    changed = {feature for customer, row in before.items() for feature, is_so in row.items() if after[customer][feature] != is_so}
    values, rows = column_graph(a_company(tmp_path)).readers_of([Field(ORDER_LINES.name, name)])
    assert changed
    assert changed <= {field.column for field in values | rows if field.table == CUSTOMER_FEATURES.name}


def lines(**changed: Any) -> pa.Table:
    """Return one raw order line, with what is `changed`."""
    day = date(2023, 11, 14)
    given = {"event_day": day, "known_on": day, "order_id": "o", "line_number": 1, "customer_id": "c", "ordered_at": NOON}
    amounts = {"quantity": Decimal(1), "net_amount": Decimal(5), "discount_amount": Decimal(1)}
    texts = {"category": "a", "channel": "web", "product_id": "p", "currency": "EUR"}
    return pa.Table.from_pylist([{**given, **amounts, **texts, **changed}], schema=RAW_ORDER_LINES.stored_schema)


BEFORE = date(2023, 1, 1)
BACK: dict[str, Any] = {"net_amount": Decimal(-5)}
FREE: dict[str, Any] = {"net_amount": Decimal(0)}
CHANGES: list[tuple[dict[str, Any], str, Any]] = [
    ({}, "order_id", "x"),
    ({}, "line_number", 2),
    ({}, "customer_id", "x"),
    ({}, "ordered_at", NOON.replace(hour=1)),
    ({}, "quantity", Decimal(-1)),
    (FREE, "quantity", Decimal(-1)),
    ({}, "net_amount", Decimal(-5)),
    ({}, "discount_amount", None),
    ({}, "product_id", None),
    ({}, "category", None),
    ({}, "channel", ""),
    ({}, "is_cancelled", True),
    (BACK, "is_cancelled", True),
    (BACK, "refunded_order_day", BEFORE),
    ({}, "refunded_order_day", BEFORE),
    ({}, "currency", None),
]


@pytest.mark.parametrize(("base", "name", "value"), CHANGES)
def test_a_clean_column_changes_only_with_the_raw_columns_that_it_is_said_to_come_from(base: dict[str, Any], name: str, value: Any) -> None:
    before, after = (clean_order_lines(lines(**given)) for given in (base, base | {name: value}))
    changed = {column for column in ORDER_LINES.column_names if before[column] != after[column]}
    assert changed <= {column for column in ORDER_LINES.column_names if name in DERIVED.get((ORDER_LINES.name, column), (column,))}


def graph_of(sql: str, **tables: Sequence[str]) -> ColumnGraph:
    tree = parse_one(sql, read="duckdb")
    assert isinstance(tree, exp.Query)
    return ColumnGraph(statement_edges(tree, "out", tables))


def names(fields: set[Field], table: str) -> set[str]:
    return {field.column for field in fields if field.table == table and field.column != "*"}


@pytest.mark.parametrize(
    ("sql", "values", "rows"),
    [
        ("SELECT a FROM t", {"a"}, set()),
        ("SELECT a FROM t WHERE b > 0", {"a"}, {"b"}),
        ("SELECT COUNT(*) AS a FROM t WHERE b > 0", {"b"}, set()),
        ("SELECT SUM(a) AS a FROM t GROUP BY c HAVING MAX(b) > 0", {"a"}, {"b", "c"}),
        ("SELECT ROW_NUMBER() OVER (PARTITION BY b ORDER BY c) AS a FROM t", {"b", "c"}, set()),
        ("WITH x AS (SELECT b AS a FROM t) SELECT * FROM x", {"b"}, set()),
        ("SELECT s.a FROM (SELECT t.*, a AS z FROM t) AS s", {"a"}, set()),
        ("SELECT a FROM t UNION ALL SELECT b FROM t", {"a", "b"}, set()),
        ("SELECT t.a FROM t LEFT JOIN u ON u.k = t.b", {"a"}, set()),
        ("SELECT t.a FROM t JOIN u ON u.k = t.b", {"a"}, {"b"}),
        ("SELECT u.v AS a FROM t LEFT JOIN u ON u.k = t.b", set(), {"b"}),
    ],
)
def test_each_part_of_a_statement_makes_values_or_chooses_rows(sql: str, values: set[str], rows: set[str]) -> None:
    found = graph_of(sql, t=("a", "b", "c"), u=("k", "v")).sources_of([Field("out", "a")])
    assert tuple(names(side, "t") for side in found) == (values, rows)


@pytest.mark.parametrize("sql", ["SELECT q AS a FROM t", "SELECT a FROM nowhere", "SELECT a FROM t JOIN u ON TRUE"])
def test_a_column_that_cannot_be_placed_is_never_guessed(sql: str) -> None:
    with pytest.raises(ValueError, match="out: wh"):
        graph_of(sql, t=("a",), u=("a",))


def test_a_table_that_reads_itself_is_followed_once() -> None:
    found, _ = graph_of("SELECT o.a + t.b AS a FROM out AS o JOIN t ON TRUE", out=("a",), t=("b",)).sources_of([Field("out", "a")])
    assert names(found, "t") == {"b"}


def test_the_command_tells_a_lineage_as_text_and_as_json(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, [], customers=[])
    text = CliRunner().invoke(app, ["catalog", "--company", str(shop), "--lineage", "discount_share"])
    assert "raw_order_lines.discount_amount" in text.stdout
    assert "behaviour_clusters" in text.stdout
    run = CliRunner().invoke(app, ["catalog", "--company", str(shop), "--lineage", "discount_amount", "--json"])
    told = json.loads(run.stdout)
    assert (told["kind"], told["columns"], told["is_required"]) == ("source column", ["raw_order_lines.discount_amount"], False)
    assert told["features"] == list(DISCOUNTS)


def test_columns_of_a_declared_event_come_from_its_query_and_are_needed_every_night(tmp_path: Path) -> None:
    shop = write_email_shop(tmp_path / "shop", [])
    found = lineage_of(load_company(shop), "email.score")
    assert (found.kind, [str(field) for field in found.fields], found.given_by) == (
        "source column",
        ["raw_email.score"],
        ("CAST(score AS DOUBLE)",),
    )
    assert (found.is_required, found.features, found.uses) == (True, (), ())
    made_of, _ = column_graph(load_company(shop)).sources_of([Field("email", "event_day")])
    assert Field("raw_email", "happened_at") in made_of
    with pytest.raises(ConfigError, match=r"did you mean `email.score`"):
        lineage_of(load_company(shop), "email.scor")


IN_TIME = {"order_day", "ordered_at", "order_id"}


@pytest.mark.parametrize(
    ("value", "values", "rows"),
    [
        ("COUNT(order_lines)", {"order_day"}, {"line_kind"}),
        ("MAX(order_lines.quantity)", {"quantity"}, {"order_day", "line_kind"}),
        ("LAST(order_lines.channel)", {"channel"}, {*IN_TIME, "line_number", "line_kind"}),
        ("FIRST(order_lines.channel)", {"channel"}, {*IN_TIME, "line_number", "line_kind"}),
        ("SUM(order_lines.quantity LATEST 3)", {"quantity"}, {*IN_TIME, "line_number", "line_kind"}),
        ("COUNT(order_lines FOLLOWED BY visits)", {"order_day"}, {"ordered_at", "event_day", "line_kind"}),
    ],
)
def test_a_declared_feature_comes_from_all_that_chooses_its_rows(tmp_path: Path, value: str, values: set[str], rows: set[str]) -> None:
    graph = column_graph(declaring(tmp_path, value))
    made_of, chosen_by = graph.sources_of([Field("customer_features", "wanted")])
    assert names(made_of, "order_lines") == values
    assert names(chosen_by, "order_lines") - values == rows
    assert names(chosen_by, "visits") == ({"visited_at", "event_day"} if "visits" in value else set())


def test_what_must_follow_or_precede_is_chosen_by_its_own_kind_and_instant(tmp_path: Path) -> None:
    company = declaring(tmp_path, "COUNT(visits NOT PRECEDED BY order_lines WHERE quantity > 1 WITHIN 3 DAYS)")
    made_of, chosen_by = column_graph(company).sources_of([Field("customer_features", "wanted")])
    assert (names(made_of, "visits"), names(chosen_by, "visits")) == ({"event_day"}, {"visited_at"})
    assert names(chosen_by, "order_lines") == {"ordered_at", "event_day", "quantity", "line_kind"}


def declaring(folder: Path, value: str) -> Company:
    (folder / "features").mkdir()
    (folder / "features" / "own.toml").write_text(f'[wanted]\nvalue = "{value}"\ndescription = "x"\n', "utf-8")
    return with_declared_features(a_company(folder))
