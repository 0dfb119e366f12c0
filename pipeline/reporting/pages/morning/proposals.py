"""What might make segments better, in the reader's language: which proposals the page shows, and what each says."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.night_tables import NightTables, Row

SHOWN_PROPOSALS = 4
# What costs money first; then what changes most about who is in which segment.
PROPOSAL_KINDS = ("stop_campaign", "shift_budget", "refit", "split", "merge", "move_threshold", "empty_segment", "tells_nothing_new")


def proposals(tables: NightTables) -> list[Row]:
    """Return four proposals at most, of as many kinds as there are; what the figures suffice for first."""
    by_kind: dict[str, list[Row]] = defaultdict(list)
    for row in sorted(tables.proposals, key=_strongest_first):
        by_kind[row["kind"]].append(row)
    places = [(place, _kind_order(row), row) for rows in by_kind.values() for place, row in enumerate(rows)]
    chosen = [row for _, _, row in sorted(places, key=lambda each: each[:2])[:SHOWN_PROPOSALS]]
    return sorted(chosen, key=lambda row: (not row["is_sure"], *_kind_order(row)))


def _strongest_first(row: Row) -> tuple[bool, float, str, str]:
    # By how much two parts of a segment differ; the other kinds have no such order.
    return not row["is_sure"], -row["measured"] if row["kind"] == "split" else 0.0, row["scheme"], row["segment"] or ""


def _kind_order(row: Row) -> tuple[int, str]:
    return PROPOSAL_KINDS.index(row["kind"]) if row["kind"] in PROPOSAL_KINDS else len(PROPOSAL_KINDS), row["kind"]


def proposal_title(tables: NightTables, row: Row) -> str:
    """Return what a proposal is about: a segment of a scheme, a scheme, or a campaign."""
    scheme = _scheme_title(tables, row["scheme"])
    return f"{scheme}: {tables.title_of(row['scheme'], row['segment'])}" if row["segment"] else scheme


def proposal_text(language: PageLanguage, tables: NightTables, row: Row) -> str:
    """Return a proposal as a sentence; as it is stored where its kind is new, or an older night did not store its figures."""
    text = _TEXTS.get(row["kind"])
    known = text is not None and (row["kind"] not in _COMPARING or row.get("amount") is not None)
    return text(language, tables, row) if text and known else str(row["words"])


def needed_text(language: PageLanguage, row: Row) -> str:
    """Return what would make a proposal sure that is not: so many customers, or that it shows a second time."""
    if row["needed_count"] is None:
        return language.gettext("It has shown in one period of 90 days only: wait until a second one confirms it.")
    count = language.number(row["needed_count"])
    if row["kind"] == "merge":
        return language.gettext("To be sure, %(count)s customers are needed in each of the two.", count=count)
    return language.gettext("To be sure, %(count)s customers are needed.", count=count)


def _split(language: PageLanguage, tables: NightTables, row: Row) -> str:
    parts = [(row["amount"], row["customer_count"]), (row["other_amount"], row["other_customer_count"])]
    (less, poorer), (more, richer) = sorted(parts)
    return language.gettext(
        "“%(segment)s” holds two kinds of customers: in the last %(days)s days, %(richer)s of them spent %(more)s each, the other "
        "%(poorer)s only %(less)s.",
        segment=tables.title_of(row["scheme"], row["segment"]),
        days=language.number(tables.window_days),
        richer=language.number(richer),
        more=language.money(more, tables.currency),
        poorer=language.number(poorer),
        less=language.money(less, tables.currency),
    )


def _merge(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "Customers of “%(one)s” and “%(two)s” do the same: in 90 days they spent %(amount)s and %(other_amount)s each, and %(share)s and "
        "%(other_share)s of them ordered again. One segment would do.",
        one=tables.title_of(row["scheme"], row["segment"]),
        two=tables.title_of(row["scheme"], row["with_segment"]),
        amount=language.money(row["amount"], tables.currency),
        other_amount=language.money(row["other_amount"], tables.currency),
        share=language.percent(row["share"]),
        other_share=language.percent(row["other_share"]),
    )


def _move_threshold(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "With another limit “%(segment)s” would tell better who orders in the next 90 days.",
        segment=tables.title_of(row["scheme"], row["segment"]),
    )


def _tells_nothing_new(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "“%(scheme)s” does not help to tell who will buy in the next 90 days, or how much: what customers spent last year tells as much.",
        scheme=_scheme_title(tables, row["scheme"]),
    )


def _refit(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "Customers have changed since the groups of “%(scheme)s” were found. Let them be found anew.",
        scheme=_scheme_title(tables, row["scheme"]),
    )


def _empty_segment(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "“%(segment)s” is nearly empty: in 90 days it never held more than %(share)s of the customers.",
        segment=tables.title_of(row["scheme"], row["segment"]),
        share=language.percent(row["measured"]),
    )


def _stop_campaign(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "“%(campaign)s” most likely did not pay: after costs it brought %(profit)s (between %(low)s and %(high)s).",
        campaign=_campaign_title(tables, row["scheme"], row["rule"]),
        profit=language.money(row["amount"], tables.currency),
        low=language.money(row["low"], tables.currency),
        high=language.money(row["high"], tables.currency),
    )


def _shift_budget(language: PageLanguage, tables: NightTables, row: Row) -> str:
    return language.gettext(
        "After costs, “%(better)s” brought %(more)s for each customer, “%(worse)s” only %(less)s. Move some of the budget to the first.",
        better=_campaign_title(tables, row["with_segment"], row["rule"]),
        more=language.money(row["amount"], tables.currency),
        worse=_scheme_title(tables, row["scheme"]),
        less=language.money(row["other_amount"], tables.currency),
    )


def _campaign_title(tables: NightTables, campaign: str, arm: str | None) -> str:
    """Return what a campaign is called, with its arm where it has several."""
    arms = {row["arm"] for row in tables.campaign_values if row["campaign_id"] == campaign}
    title = _scheme_title(tables, campaign)
    return f"{title} ({arm.replace('_', ' ')})" if arm and len(arms) > 1 else title


def _scheme_title(tables: NightTables, name: str) -> str:
    """Return what a scheme is called; of a proposal about a campaign, the campaign."""
    titles = {row["campaign_id"]: row["title"] for row in tables.campaigns} | {scheme.name: scheme.title for scheme in tables.schemes}
    return str(titles.get(name, name))


_COMPARING: Sequence[str] = ("split", "merge", "stop_campaign", "shift_budget")
_TEXTS: Mapping[str, Callable[[PageLanguage, NightTables, Row], str]] = {
    "split": _split,
    "merge": _merge,
    "move_threshold": _move_threshold,
    "tells_nothing_new": _tells_nothing_new,
    "refit": _refit,
    "empty_segment": _empty_segment,
    "stop_campaign": _stop_campaign,
    "shift_budget": _shift_budget,
}
