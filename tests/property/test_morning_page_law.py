"""The morning page tells nothing of a few customers, loses no move, and says the same whatever order rows come in."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

from hypothesis import given, settings
from hypothesis import strategies as st
from support.morning_tables import DAY, WEEK_AGO, a_flow, a_taste, an_answer, html_of

from pipeline.reporting.pages.morning.flow_diagram import drawn_flows
from pipeline.reporting.pages.morning.movement import changes_of, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables, SchemeSummary

SEGMENTS = ("a", "b", "c", "d")
REASONS = ("own_purchase", "ageing", "new_customer", "population_shift", "rule_change", "refund")
# Figures of a few customers, and values that a few have; in no page, nor in what is downloaded from it.
SECRET, SECRET_NAME = 31_337, "Hidden-Hamlet"
# A place in a drawing, such as y="231.3", is no share.
SECRET_TEXTS = re.compile(rf"31[,.\u202f\xa0]?337|(?<!\d)31\.3\d*%|{SECRET_NAME}")
counts = st.integers(0, 40)


def a_profile(scheme: str, place: int, count: int) -> dict[str, Any]:
    is_small = 0 < count < 10
    amount, share = (SECRET, SECRET / 100_000) if is_small else (12, 0.25)
    title = f"{SECRET_NAME} {place}" if is_small and scheme == "town" else f"segment {place}"
    figures = {"customer_share": share, "spend_share": share, "mean_spend_amount": float(amount), "mean_recency_days": float(amount)}
    return {"scheme": scheme, "segment": title, "position": place, "customer_count": count, "spend_amount": Decimal(amount), **figures}


@st.composite
def nights(draw: st.DrawFn) -> NightTables:
    schemes = [SchemeSummary("rfm", "RFM", "", "behavioural", "rules"), SchemeSummary("town", "Towns", "", "geographic", "values")]
    profiles = [a_profile(scheme.name, place, draw(counts)) for scheme in schemes for place in range(4)]
    ways = st.tuples(st.sampled_from([None, *SEGMENTS]), st.sampled_from([None, *SEGMENTS]), st.sampled_from(REASONS))
    chosen = draw(st.lists(ways, unique=True, max_size=12))
    flows = [a_flow(start, end, reason, draw(st.integers(1, 40))) for start, end, reason in chosen if start != end]
    grid = [_grid_row(r, fm, draw(counts)) for r in range(1, 6) for fm in range(1, 6)]
    few = draw(st.integers(1, 9))
    insights = [a_taste(SECRET_NAME, 2.0, customer_count=few), a_taste("bread", 2.0)]
    concentration = _concentration(draw(st.lists(st.integers(1, 500), max_size=40)))
    sales = [row for start in (0, 28, 364) for row in _sales(start, draw(counts))]
    surveys = [an_answer(SECRET_NAME, 0.3, count=few), an_answer("price", 0.6)]
    tables = NightTables("Shop", "EUR", 365, DAY, schemes=schemes, profiles=profiles, flows=flows, grid=grid, insights=insights)
    return replace(tables, surveys=surveys, concentration=concentration, sales=sales, compared_night=WEEK_AGO)


def _concentration(spends: list[int]) -> list[dict[str, Any]]:
    """Return the rows of value_concentration of buyers who spent so much each."""
    best_first = sorted(spends, reverse=True)
    counts_of = {percent: -(-len(spends) * percent // 100) for percent in range(1, 101)} if spends else {}
    return [
        {"customer_percent": percent, "customer_count": count, "spend_share": sum(best_first[:count]) / sum(spends)}
        for percent, count in counts_of.items()
    ]


def _sales(start: int, customers: int) -> list[dict[str, Any]]:
    """Return 28 days of sales up to `start` days ago, all of them on one day to so many customers."""
    spend = SECRET if 0 < customers < 10 else 12
    day = {"order_count": customers, "customer_count": customers, "new_customer_count": customers, "spend_amount": Decimal(spend)}
    nothing = dict.fromkeys(day, 0)
    return [{"order_day": DAY - timedelta(days=start + back), **(day if back == 9 and customers else nothing)} for back in range(28)]


def _grid_row(r: int, fm: int, count: int) -> dict[str, Any]:
    return {"r_score": r, "fm_score": fm, "customer_count": count, "spend_amount": Decimal(SECRET if 0 < count < 10 else 12)}


@settings(max_examples=60, deadline=None)
@given(nights())
def test_nothing_of_a_few_customers_is_told(tables: NightTables) -> None:
    assert not SECRET_TEXTS.findall(unquote(html_of(tables)))


@settings(max_examples=60, deadline=None)
@given(nights())
def test_between_two_points_of_the_curve_lie_ten_buyers_or_more(tables: NightTables) -> None:
    counts_of = {row["customer_percent"]: row["customer_count"] for row in tables.concentration}
    page = html_of(tables)
    curves = re.findall(r'class="line" d="M0 220([^"]*)"', page)
    drawn = [0, *(counts_of[int(x) // 4] for path in curves for x in re.findall(r"L(\d+) ", path))]
    assert all(later - earlier >= 10 for earlier, later in pairwise(drawn))
    # Figures and bars beside it go by the same points.
    told = [int(count) for count in re.findall(r"of the buyers <small>\((\d+)\)", page)]
    assert set(told) <= set(drawn)
    assert bool(curves) is bool(told)


@settings(max_examples=60, deadline=None)
@given(nights())
def test_no_move_is_lost_and_what_came_less_what_left_is_the_change(tables: NightTables) -> None:
    flows = flows_of(tables.flows, "rfm")
    drawn, left_out = drawn_flows(flows)
    assert sum(flow.customer_count for flow in drawn) + left_out == sum(row["customer_count"] for row in tables.flows)
    assert all(flow.customer_count >= 10 for flow in drawn)
    assert all(change.total == change.came - change.left for change in changes_of(flows).values())


@settings(max_examples=30, deadline=None)
@given(nights(), st.randoms())
def test_same_rows_in_another_order_give_the_same_page(tables: NightTables, chance: random.Random) -> None:
    def shuffled(rows: Any) -> list[Any]:
        return chance.sample(list(rows), len(rows))

    names = ("profiles", "flows", "grid", "insights", "surveys")
    assert html_of(replace(tables, **{name: shuffled(getattr(tables, name)) for name in names})) == html_of(tables)
