"""Small tables of a night for tests of its morning page: state only what matters."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.night_tables import NightTables, SchemeSummary
from pipeline.reporting.pages.morning.page import morning_page
from pipeline.reporting.pages.morning.rendering import render_page

DAY = date(2024, 3, 31)
ENGLISH = PageLanguage.of("en")
CARD = dict.fromkeys(("message", "promotion", "product_offer", "price", "channel", "service"), "Say it.")


def a_night(**given: Any) -> NightTables:
    profiles = given.pop("profiles", [a_profile("champions", 30, position=1), a_profile("lost", 50, position=2)])
    schemes = given.pop("schemes", [SchemeSummary("rfm", "RFM", "Who buys?", "behavioural", "rules")])
    return NightTables("Shop", "EUR", 365, DAY, schemes=schemes, profiles=profiles, **given)


def a_profile(segment: str, customers: int, *, position: int = 1, scheme: str = "rfm") -> dict[str, Any]:
    figures = {"customer_share": 0.5, "spend_share": 0.25, "mean_spend_amount": 12.5, "mean_recency_days": 3.0, "spend_amount": Decimal(10)}
    return {"scheme": scheme, "segment": segment, "position": position, "customer_count": customers, **figures}


def a_flow(start: str | None, end: str | None, reason: str, customers: int, spend: int = 100) -> dict[str, Any]:
    ends = {"from_segment": start, "to_segment": end, "since_night": DAY - timedelta(days=7)}
    return {"scheme": "rfm", **ends, "reason": reason, "customer_count": customers, "lifetime_spend_amount": Decimal(spend)}


def sales_of(before: int, now: int, *, a_year_ago: int = 0) -> list[dict[str, Any]]:
    """Return days of sales: so much a day in the 28 days before, in the last 28, and in the same weeks of last year."""
    spends = {DAY - timedelta(days=back): now if back < 28 else before for back in range(56)}
    spends |= {DAY - timedelta(days=364 + back): a_year_ago for back in range(28)} if a_year_ago else {}
    return [
        {"order_day": day, "order_count": 5, "customer_count": 5, "new_customer_count": 1, "spend_amount": Decimal(spend)}
        for day, spend in sorted(spends.items())
    ]


def html_of(tables: NightTables, language: str = "en") -> str:
    reader = PageLanguage.of(language)
    return render_page(morning_page(tables, tables, reader), reader)
