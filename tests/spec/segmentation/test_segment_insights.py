"""What segments buy more than others: risk ratios by hand, and rows from counts."""

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipeline.segmentation.insights.risk_ratios import benjamini_hochberg, mantel_haenszel
from pipeline.segmentation.insights.segment_insights import FEWEST_BUYERS, insight_rows


def test_a_risk_ratio_is_that_of_strata_put_together() -> None:
    # Two strata: 8 of 10 against 20 of 40, and 10 of 40 against 1 of 10.
    found = mantel_haenszel(*(np.array([each], float) for each in ([8, 10], [10, 40], [20, 1], [40, 10])))
    group, others = 8 * 40 / 50 + 10 * 10 / 50, 20 * 10 / 50 + 1 * 40 / 50
    variance = (10 * 40 * 28 - 8 * 20 * 50) / 50**2 + (40 * 10 * 11 - 10 * 1 * 50) / 50**2
    error = math.sqrt(variance / (group * others))
    assert found.ratio[0] == pytest.approx(8.4 / 4.8)
    assert found.low[0] == pytest.approx(1.75 * math.exp(-1.959964 * error), rel=1e-6)
    assert found.high[0] == pytest.approx(1.75 * math.exp(1.959964 * error), rel=1e-6)
    assert found.p_value[0] == pytest.approx(math.erfc(math.log(1.75) / error / math.sqrt(2)))


def test_in_one_stratum_it_is_the_plain_ratio_with_the_logarithmic_interval() -> None:
    found = mantel_haenszel(*(np.array([[each]], float) for each in (30, 100, 60, 400)))
    error = math.sqrt(1 / 30 - 1 / 100 + 1 / 60 - 1 / 400)
    assert (found.ratio[0], found.low[0]) == (pytest.approx(2.0), pytest.approx(2 * math.exp(-1.959964 * error), rel=1e-6))


def test_nothing_is_compared_where_one_side_has_nobody() -> None:
    found = mantel_haenszel(*(np.array(each, float) for each in ([[5], [5]], [[10], [10]], [[0], [0]], [[0], [10]])))
    assert not np.isfinite(found.ratio).any()
    assert not np.isfinite(found.p_value).any()


def test_a_group_that_is_merely_heavier_does_not_like_everything() -> None:
    # Heavy customers buy it twice as often, in the group and among the others: 90 of 100 of the group are heavy, 10 of 100 of the others.
    with_it, size = np.array([[2, 36]], float), np.array([[10, 90]], float)
    others_with_it, others_size = np.array([[18, 4]], float), np.array([[90, 10]], float)
    assert mantel_haenszel(with_it, size, others_with_it, others_size).ratio[0] == pytest.approx(1.0)
    assert with_it.sum() / size.sum() > 1.5 * others_with_it.sum() / others_size.sum()


def test_false_discoveries_are_held_at_their_share() -> None:
    # Of 6 values in order the limits at 5 % are 0.0083, 0.0167, 0.025, 0.0333, 0.0417, 0.05.
    found = benjamini_hochberg(np.array([0.06, 0.030, math.nan, 0.001, 0.02, 0.9, 0.0333]), 0.05)
    assert found.tolist() == [False, True, False, True, True, False, True]
    assert not benjamini_hochberg(np.array([math.nan]), 0.05).any()


def counts(rows: list[tuple[str, str, str, int, int]], scheme: str = "rfm") -> pa.Table:
    names = ("subject_kind", "subject", "segment", "stratum", "customer_count")
    return pa.Table.from_pylist([{"scheme": scheme, **dict(zip(names, row, strict=True))} for row in rows])


def test_rows_have_what_enough_of_a_segment_bought_with_the_share_that_is_expected() -> None:
    size = [("category", "", segment, stratum, 200) for segment in ("loyal", "lost") for stratum in (0, 19)]
    bought = [("category", "tea", "loyal", 0, 80), ("category", "tea", "loyal", 19, 80), ("category", "tea", "lost", 0, 40)]
    bought += [("category", "tea", "lost", 19, 40), ("category", "salt", "lost", 0, FEWEST_BUYERS - 1), ("category", "oil", "lost", 0, 30)]
    found = {(row["segment"], row["subject"]): row for row in insight_rows(counts([*size, *bought])).to_pylist()}
    assert set(found) == {("loyal", "tea"), ("lost", "tea"), ("lost", "oil")}
    tea = found["loyal", "tea"]
    assert (tea["customer_count"], tea["share"], tea["expected_share"], tea["lift"]) == (160, 0.4, 0.2, 2.0)
    assert tea["low"] < 2 < tea["high"]
    assert tea["is_significant"]
    assert not found["lost", "tea"]["is_significant"], "what others buy more is not told"
    assert found["lost", "oil"]["lift"] is None, "nobody else bought it"


def test_products_have_a_row_only_where_they_are_told() -> None:
    size = [("product", "", segment, 3, 500) for segment in ("loyal", "lost")]
    bought = [
        ("product", "p1", "loyal", 3, 200),
        ("product", "p1", "lost", 3, 50),
        ("product", "p2", "loyal", 3, 50),
        ("product", "p2", "lost", 3, 50),
    ]
    assert [(row["segment"], row["subject"]) for row in insight_rows(counts([*size, *bought])).to_pylist()] == [("loyal", "p1")]


def test_random_segments_buy_nothing_more_than_others() -> None:
    """With labels by chance, at most one scheme in ten or so tells anything at all; 249 categories of 800 customers, as in a shop."""
    telling = 0
    for seed in range(20):
        chance = random.Random(seed)
        buyers = [(chance.randrange(20), chance.choice(["one", "two", "three"])) for _ in range(800)]
        rows: dict[tuple[str, str, str, int], int] = {}
        for stratum, segment in buyers:
            bought = [f"c{n}" for n in range(60) if chance.random() < (stratum + 3) / 40]
            for subject in ["", *bought]:
                key = ("category", subject, segment, stratum)
                rows[key] = rows.get(key, 0) + 1
        table: Any = counts([(*key, count) for key, count in sorted(rows.items())])
        telling += any(insight_rows(table)["is_significant"].to_pylist())
    assert telling <= 3
