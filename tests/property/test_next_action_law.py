"""No customer's next action, and no two of the cards that are for a customer, contradict the lifecycle: whatever the features are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from decimal import Decimal
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company, write_rows
from support.cluster_models import a_cluster_model

from pipeline.definitions.rules import rule_value
from pipeline.definitions.schemes import Scheme, Segment, Strategy, load_schemes
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, CUSTOMER_SEGMENTS
from pipeline.models.clusters import Cluster, ModelFeature, to_json
from pipeline.reporting.explain.cards import cards_of_segments, stored_cards
from pipeline.segmentation import write_memberships, write_next_actions

NIGHT = date(2024, 3, 31)
COMPANY = a_company(Path("no-such-folder"))
SCORE = st.integers(1, 5)
BUYER = st.fixed_dictionaries(
    {
        "r_score": SCORE,
        "f_score": SCORE,
        "m_score": SCORE,
        "recency_days": st.integers(0, 400),
        "lifetime_order_day_count": st.integers(1, 9),
        "last_gap_days": st.none() | st.integers(1, 200),
        "rhythm_days": st.sampled_from([2.0, 10.0, 40.0]),
        "spend_amount": st.sampled_from([Decimal(text) for text in ("-5", "0", "0.0001", "19.99", "99999999.9999")]),
        "value_rank_share": st.none() | st.sampled_from([0.0, 0.5, 0.9, 0.99]),
        "order_count": st.integers(0, 9),
        "order_day_count": st.integers(0, 9),
        "full_price_share": st.none() | st.sampled_from([0.0, 1.0]),
        "shrunk_discount_share": st.none() | st.sampled_from([0.0, 0.9]),
        "category_count": st.integers(0, 3),
        "gap_variation": st.none() | st.sampled_from([0.1, 2.0]),
    }
)
# Half, three quarters and nine tenths of all waits: what stretches to a customer's own rhythm stretches alike.
QUANTILES = (20, 30, 60)

CLUSTERS = "behaviour_clusters"
# Those who have waited long by the clock may be on time by their own rhythm, and the other way round.
MODEL = a_cluster_model(
    NIGHT,
    (
        ModelFeature("recency_days", "none", fill=0, low=0, high=400, mean=200, scale=100),
        ModelFeature("order_day_count", "log1p", fill=0, low=0, high=3, mean=1.5, scale=0.5),
    ),
    (
        Cluster("cluster_1", "Not seen lately, infrequent", 9, 1.0, (1.0, -1.0)),
        Cluster("cluster_2", "Not seen lately, frequent", 9, 1.0, (1.0, 1.0)),
        Cluster("cluster_3", "Recently seen", 9, 1.0, (-1.0, -1.0)),
        Cluster("cluster_4", "Frequent, recently seen", 9, 1.0, (-1.0, 1.0)),
    ),
)


def as_features(number: int, buyer: dict[str, Any] | None) -> dict[str, Any]:
    if buyer is None:
        return {"customer_id": f"c{number:03}", "is_prospect": True, "is_refund_only": False, "spend_amount": Decimal(0)}
    half, three_quarters, nine_tenths = QUANTILES
    stretch = buyer["rhythm_days"] / half
    return {
        **buyer,
        "customer_id": f"c{number:03}",
        "is_prospect": False,
        "is_refund_only": False,
        "fm_score": (buyer["f_score"] + buyer["m_score"] + 1) // 2,
        "new_limit_days": float(half),
        "active_limit_days": three_quarters * stretch,
        "dormant_limit_days": nine_tenths * stretch,
        "discount_share_baseline": 0.2,
    }


@settings(max_examples=6, derandomize=True, deadline=None)
@given(st.lists(st.none() | BUYER, min_size=20, max_size=40))
def test_the_next_action_fits_the_lifecycle_and_is_the_most_urgent_card_that_does(buyers: list[dict[str, Any] | None]) -> None:
    with TemporaryDirectory() as folder, closing(DuckDBEngine(LocalStore(Path(folder)), memory_limit="500MB", threads=1)) as engine:
        lake = Lake(Path(folder))
        lake.write_text(f"models/{CLUSTERS}/{NIGHT}.json", to_json(MODEL))
        write_rows(lake, CUSTOMER_FEATURES, [as_features(*each) for each in enumerate(buyers)], day=NIGHT)
        write_memberships(COMPANY, lake, engine, NIGHT)
        write_next_actions(COMPANY, lake, engine, NIGHT)
        rows = {row["customer_id"]: row for row in lake.read(CUSTOMER_NEXT_ACTIONS, day=NIGHT).to_pylist()}
        memberships = lake.read(CUSTOMER_SEGMENTS, day=NIGHT).to_pylist()
        cards = stored_cards(lake, NIGHT, COMPANY.language)
    orders = {
        by_default: [card["card_order"] for (name, _), card in cards.items() if (name == CLUSTERS) == by_default]
        for by_default in (True, False)
    }
    assert len(orders[True]) == len(MODEL.clusters)
    assert min(orders[True]) > max(orders[False])  # what nobody wrote comes after all that somebody did
    assert len(rows) == len(buyers)  # each has a card of the lifecycle, which always fits
    for customer, row in rows.items():
        held = {each["scheme"]: each["segment"] for each in memberships if each["customer_id"] == customer}
        found = cards_of_segments(cards, held)
        shown = {scheme: card for scheme, card in found.items() if card.fits}
        assumed = {card.assumes for card in shown.values()} - {""}
        assert "on_time" not in assumed or assumed == {"on_time"}
        assert found["lifecycle"].fits
        assert assumed <= {found["lifecycle"].assumes, "late"} if found["lifecycle"].assumes else not assumed
        assert row["scheme"] in shown
        assert row["priority"] == min(card.priority for card in shown.values())
        first = min(cards[scheme, held[scheme]]["card_order"] for scheme in shown)
        assert cards[row["scheme"], row["segment"]]["card_order"] == first


def lifecycle() -> Scheme:
    return next(scheme for scheme in load_schemes(COMPANY).schemes if scheme.name == "lifecycle")


def features_of_lifecycles() -> Iterator[dict[str, Any]]:
    for order_days, recency, gap, rhythm in product((1, 3), (0, 2, 3, 4, 15, 20, 21, 30, 31, 60, 61, 121), (None, 5, 61, 200), (2.0, 20.0)):
        buyer = {"lifetime_order_day_count": order_days, "recency_days": recency, "last_gap_days": gap, "f_score": 1, "m_score": 1}
        # Who ordered once has no rhythm of their own yet.
        yield as_features(0, {**buyer, "rhythm_days": rhythm if order_days > 1 else float(QUANTILES[0])})


def test_late_is_who_has_waited_longer_than_three_quarters_of_their_own_waits_and_nobody_else() -> None:
    met = set()
    for row in features_of_lifecycles():
        segment: Segment = next(each for each in lifecycle().segments if each.rule is None or rule_value(each.rule, row) is True)
        strategy: Strategy | None = segment.strategy
        assert strategy is not None
        assert (strategy.assumes in ("late", "gone")) == (row["recency_days"] > row["active_limit_days"])
        assert (strategy.assumes == "gone") == (row["recency_days"] > row["dormant_limit_days"])
        met.add(segment.id)
    assert met == {"new", "one_and_done", "reactivated", "active", "at_risk", "dormant", "lost"}
