"""What figures and checks are called on the page, in the reader's language. What has no name here keeps that of its column."""

from __future__ import annotations

from pipeline.publication.gates import GateState
from pipeline.reporting.pages.morning.language import SMALLEST_SHARE, PageLanguage
from pipeline.reporting.pages.morning.night_tables import Row


def feature_label(language: PageLanguage, feature: str) -> str:
    """Return what a feature of a cluster is called."""
    known = {
        "spend_amount": language.gettext("Sales"),
        "order_day_count": language.gettext("Days with an order"),
        "order_count": language.gettext("Orders"),
        "recency_days": language.gettext("Days since the last order"),
        "tenure_days": language.gettext("Days since the first order"),
        "category_count": language.gettext("Categories bought"),
        "discount_share": language.gettext("Bought at a discount"),
        "return_share": language.gettext("Given back"),
        "weekend_share": language.gettext("Bought on weekends"),
        "average_order_amount": language.gettext("Sales per order"),
    }
    return known.get(feature, feature.replace("_", " "))


def gate_label(language: PageLanguage, gate: str) -> str:
    """Return what a gate looks at."""
    known = {
        "freshness": language.gettext("Are there recent orders?"),
        "volume": language.gettext("As many orders as usual?"),
        "rejected": language.gettext("Few wrong rows?"),
        "implausible": language.gettext("Amounts make sense?"),
        "unmatched": language.gettext("Do orders belong to known customers?"),
        "vanished": language.gettext("Are all customers still there?"),
        "renamed": language.gettext("Have ids stayed the same?"),
        "reachability": language.gettext("Can customers still be written to?"),
        "swallowed": language.gettext("No segment takes everybody?"),
        "churn": language.gettext("No more moves than usual?"),
        "audiences": language.gettext("Audiences of the usual size?"),
    }
    return known.get(gate, gate.replace("_", " "))


def metric_label(language: PageLanguage, metric: str) -> str:
    """Return what a campaign is judged by."""
    known = {
        "ordered": language.gettext("Customers who ordered"),
        "visited": language.gettext("Customers who came to look"),
        "spend": language.gettext("Sales per customer"),
        "spend_per_order": language.gettext("Sales per order"),
    }
    return known.get(metric, metric.replace("_", " "))


def subject_label(language: PageLanguage, kind: str, subject: str) -> str:
    """Return what customers buy more, or how: a category, product or channel as the company calls it."""
    return language.gettext("Goods at a discount") if kind == "discount" else subject


def taste_text(language: PageLanguage, taste: Row) -> str:
    """Return how many of a segment bought something, or so, beside others who buy as much; hardly anybody where that rounds to nothing."""
    share, expected = language.percent(taste["share"]), taste["expected_share"]
    others = language.percent(expected) if expected >= SMALLEST_SHARE else language.gettext("hardly anybody")
    if taste["subject_kind"] == "channel":
        return language.gettext("%(share)s bought through it; others who buy as much: %(others)s", share=share, others=others)
    if taste["subject_kind"] == "discount":
        return language.gettext("%(share)s bought at a discount; others who buy as much: %(others)s", share=share, others=others)
    return language.gettext("%(share)s bought it; others who buy as much: %(others)s", share=share, others=others)


def probability_text(language: PageLanguage, probability: float) -> str:
    """Return a probability as a percentage; nothing is certain, so that what rounds to that is told as more than 99 %."""
    limit = 0.99
    return language.gettext("more than %(share)s", share=language.percent(limit)) if probability > limit else language.percent(probability)


def state_text(language: PageLanguage, state: GateState, count: int, of: int) -> str:
    """Return what a gate said, and `of` several checks in how many."""
    label = state_label(language, state)
    if of == 1:
        return label
    return language.gettext("%(count)s of %(of)s %(said)s", count=language.number(count), of=language.number(of), said=label)


def state_label(language: PageLanguage, state: GateState) -> str:
    """Return what a gate said."""
    return {
        GateState.OPEN: language.gettext("fine"),
        GateState.CLOSED: language.gettext("not fine"),
        GateState.OVERRIDDEN: language.gettext("let pass"),
        GateState.NOT_MEASURED: language.gettext("nothing to compare"),
        GateState.OFF: language.gettext("switched off"),
    }[state]


def feature_text(language: PageLanguage, currency: str, feature: str, value: float) -> str:
    """Return a mean of a feature: a share as a percentage, an amount as money, other figures with as many digits as matter."""
    if feature.endswith("_share"):
        return language.percent(value)
    if feature.endswith("_amount"):
        return language.money(value, currency)
    return language.number(round(value) if abs(value) >= 100 else float(value))  # noqa: PLR2004 - three digits say enough
