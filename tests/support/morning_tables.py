"""Small tables of a night for tests of its morning page: state only what matters."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.night_tables import NightTables, SchemeSummary
from pipeline.reporting.pages.morning.page import morning_page
from pipeline.reporting.pages.morning.rendering import render_page

DAY, WEEK_AGO = date(2024, 3, 31), date(2024, 3, 24)
ENGLISH = PageLanguage.of("en")
CARD = dict.fromkeys(("message", "promotion", "product_offer", "price", "channel", "service"), "Say it.")


def a_night(**given: Any) -> NightTables:
    profiles = given.pop("profiles", [a_profile("champions", 30, position=1), a_profile("lost", 50, position=2)])
    schemes = given.pop("schemes", [SchemeSummary("rfm", "RFM", "Who buys?", "behavioural", "rules")])
    since = WEEK_AGO if given.get("flows") else None
    given = {"compared_night": since, **given}
    return NightTables("Shop", "EUR", 365, DAY, schemes=schemes, profiles=profiles, **given)


def a_profile(segment: str, customers: int, *, position: int = 1, scheme: str = "rfm") -> dict[str, Any]:
    figures = {"customer_share": 0.5, "spend_share": 0.25, "mean_spend_amount": 12.5, "mean_recency_days": 3.0, "spend_amount": Decimal(10)}
    return {"scheme": scheme, "segment": segment, "position": position, "customer_count": customers, **figures}


def a_flow(start: str | None, end: str | None, reason: str, customers: int, spend: int = 100) -> dict[str, Any]:
    ends = {"from_segment": start, "to_segment": end, "since_night": WEEK_AGO}
    return {"scheme": "rfm", **ends, "reason": reason, "customer_count": customers, "lifetime_spend_amount": Decimal(spend)}


def sales_of(before: int, now: int, *, a_year_ago: int = 0, customers: Mapping[int, int] | None = None) -> list[dict[str, Any]]:
    """Return days of sales: so much a day in the 28 days before, in the last 28, and in the same weeks of last year.

    `customers` says of a day so many days back how many ordered, 5 else.
    """
    spends = {DAY - timedelta(days=back): now if back < 28 else before for back in range(56)}
    spends |= {DAY - timedelta(days=364 + back): a_year_ago for back in range(28)} if a_year_ago else {}
    return [
        {
            "order_day": day,
            "order_count": 5,
            "customer_count": (customers or {}).get((DAY - day).days, 5),
            "new_customer_count": 1,
            "spend_amount": Decimal(spend),
        }
        for day, spend in sorted(spends.items())
    ]


def html_of(tables: NightTables, language: str = "en") -> str:
    reader = PageLanguage.of(language)
    return render_page(morning_page(tables, tables, reader), reader)


CAMPAIGN = {
    "campaign_id": "spring",
    "origin": "own",
    "title": "Spring letter",
    "state": "final",
    "start_day": date(2024, 3, 1),
    "due_date": date(2024, 3, 30),
    "primary_metric": "spend",
    "customer_count": 42_613,
}
RESULT = {
    "campaign_id": "spring",
    "arm": "letter",
    "metric": "spend",
    "method": "welch",
    "scheme": "all",
    "segment": "all",
    "is_headline": True,
    "customer_count": 21_307,
    "control_count": 21_306,
    "arm_value": 1.42,
    "control_value": 0.65,
    "difference": 0.77,
    "is_significant": None,
}
VALUE = {
    "campaign_id": "spring",
    "arm": "letter",
    "customer_count": 21_307,
    "incremental_amount": 16_402.71,
    "incremental_low": 10_336.87,
    "incremental_high": 22_468.54,
    "profit": 4_430.38,
    "probability_paid": 0.9998,
    "verdict": "paid",
}
BEFORE = {"campaign_id": "spring", "check": "spend_before", "arm": "letter", "arm_value": 281.0, "control_value": 90.0}


def a_campaign_night(**campaign: Any) -> NightTables:
    return a_night(campaigns=[{**CAMPAIGN, **campaign}], campaign_results=[RESULT], campaign_values=[VALUE], campaign_checks=[BEFORE])


def a_taste(subject: str, low: float, **given: Any) -> dict[str, Any]:
    shares = {"customer_count": 30, "share": 0.36, "expected_share": 0.21, "lift": 1.76, "low": low}
    return {"scheme": "rfm", "segment": "lost", "subject_kind": "category", "subject": subject, "is_significant": True, **shares, **given}


def a_proposal(kind: str, *, is_sure: bool = True, segment: str | None = "lost", **given: Any) -> dict[str, Any]:
    words = {"words": f"{kind} in words", "edit": "Edit `<it>`.", "command": "segments plan"}
    figures = {"measured": 0.002, "low": -70.0, "high": -10.0, "amount": 476.2, "other_amount": 41.0, "share": 0.5, "other_share": 0.48}
    counts = {"customer_count": 535, "other_customer_count": 1354, "needed_count": None if is_sure else 800}
    which = {"kind": kind, "scheme": "rfm", "segment": segment, "with_segment": "champions", "rule": "m_score >= 3"}
    return {**which, "is_sure": is_sure, **figures, **counts, **words, **given}


def an_answer(answer: str | None, share: float, *, segment: str = "all", count: int = 50, of: int = 100) -> dict[str, Any]:
    interval = {"low": share - 0.05, "high": share + 0.05, "answer_count": count, "respondent_count": of}
    whose = {"scheme": "all" if segment == "all" else "rfm", "segment": segment}
    return {"survey": "spring", "question": "Why us?", "answer": answer, "share": share, **whose, **interval}


def a_night_of_everything() -> NightTables:
    """Return a night that gives every section something to say, in every state that it knows."""
    states = ("final", "too few", "running", "planned", "not comparable", "sample ratio")
    campaigns = [{**CAMPAIGN, "campaign_id": state, "title": f"Campaign {state}", "state": state} for state in states]
    ordered = {"metric": "ordered", "arm_value": 0.0125, "control_value": 0.0057}
    return a_night(
        sales=sales_of(1000, 30, a_year_ago=500),
        flows=[a_flow("lost", "champions", "own_purchase", 20), a_flow("champions", "lost", "population_shift", 40)],
        concentration=[{"customer_percent": share, "customer_count": 10 * share, "spend_share": 0.7} for share in (1, 10, 50)],
        grid=[
            {"r_score": r, "fm_score": fm, "customer_count": 4 * r * fm, "spend_amount": Decimal(r)}
            for r in range(1, 6)
            for fm in range(1, 6)
        ],
        cards={("rfm", "champions"): {"priority": 1, **CARD}},
        campaigns=campaigns,
        campaign_results=[
            {**RESULT, "campaign_id": "final"},
            {**RESULT, **ordered, "campaign_id": "too few"},
            {**RESULT, "campaign_id": "not comparable"},
        ],
        campaign_values=[{**VALUE, "campaign_id": "final"}],
        campaign_checks=[{**BEFORE, "campaign_id": "not comparable"}],
        insights=[a_taste("toys", 1.5), a_taste("P-1", 9.0, subject_kind="product", lift=30.0)],
        next_categories=[
            {"category": "bikes", "next_category": "helmets", "customer_count": 40, "share": 0.2, "base_share": 0.05, "is_better": True}
        ],
        proposals=[a_proposal("split", is_sure=True), a_proposal("merge", is_sure=False)],
        effectiveness=[{"scheme": "rfm", "adds": True, "added_r2_spend": 0.01, "added_r2_buying": 0.0}],
        surveys=[an_answer("price", 0.3), an_answer("choice", 0.6), an_answer("price", 0.8, segment="lost")],
    )
