"""The night in at most four sentences, the most surprising first: what no table of segments shows must not be missed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.figures import concentration_rows, is_withheld
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.movement import Cause, counts_by_cause, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables
from pipeline.reporting.pages.morning.sales import Trend, sales_trend
from pipeline.reporting.pages.morning.verdict import Verdict

MOST_SENTENCES = 4
ALARMING_CHANGE = 0.2  # of sales, against the 28 days before
FEWEST_ORDERS = 20  # below that a fifth more or less is chance
NOTABLE_REJECTED_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Alarm:
    """What an alarm is about, by which that of one night is told from that of the next: `sales` that `fell`, `rows` of a table."""

    kind: Literal["sales", "rows", "publication"]
    subject: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence; an alarm is shown as such. One that `is_about_page` says what the page does not show, and nothing of the night."""

    text: str
    alarm: Alarm | None = None
    is_about_page: bool = False

    @property
    def is_alarm(self) -> bool:
        """Whether it is shown as an alarm."""
        return self.alarm is not None


def sentences_of(tables: NightTables, verdict: Verdict, language: PageLanguage) -> list[Sentence]:
    """Return the sentences in the reader's language."""
    return list(_by_surprise(tables, verdict, language))[:MOST_SENTENCES]


def _by_surprise(tables: NightTables, verdict: Verdict, language: PageLanguage) -> Iterator[Sentence]:
    sales = _sales(tables, language)
    if sales and sales.is_alarm:
        yield sales
    yield from _rejected_alarm(tables, verdict, language)
    yield from _few_customers(tables, language)
    yield from _moves(tables, language)
    if sales and not sales.is_alarm:
        yield sales
    yield from _value(tables, language)
    if tables.compared_night is None:
        text = language.gettext("There is no night of a week ago to compare with yet, so changes are not shown today.")
        yield Sentence(text, is_about_page=True)


def _sales(tables: NightTables, language: PageLanguage) -> Sentence | None:
    """Say how sales compare with the 28 days before: an alarm where that is too much for chance."""
    sales, orders = sales_trend(tables, "spend_amount"), sales_trend(tables, "order_count")
    if sales is None or orders is None:
        return None
    if sales.total is None:
        return _sales_of_few(sales, orders, tables, language)
    now = language.money(sales.total, tables.currency)
    if sales.before is None or sales.change_share is None or orders.before is None:
        return Sentence(language.gettext("Sales in the last 28 days: %(now)s.", now=now))
    values = {"share": language.percent(abs(sales.change_share)), "now": now, "before": language.money(sales.before, tables.currency)}
    if sales.change_share < 0:
        text = language.gettext("Sales fell by %(share)s: %(now)s in the last 28 days, after %(before)s in the 28 days before.", **values)
    else:
        text = language.gettext("Sales rose by %(share)s: %(now)s in the last 28 days, after %(before)s in the 28 days before.", **values)
    if abs(sales.change_share) <= ALARMING_CHANGE or max(orders.total or 0, orders.before) < FEWEST_ORDERS:
        return Sentence(text)
    if sales.year_before is not None:
        year_before = language.money(sales.year_before, tables.currency)
        text += " " + language.gettext("In the same weeks a year ago it was %(amount)s.", amount=year_before)
    if sales.change_share < 0:
        text += f" {_advice_on_a_fall(language)}"
    return Sentence(text, Alarm("sales", "fell" if sales.change_share < 0 else "rose"))


def _sales_of_few(sales: Trend, orders: Trend, tables: NightTables, language: PageLanguage) -> Sentence:
    """Say that a few customers ordered, and not for how much: an alarm where there were orders enough before."""
    limit = language.number(FEWEST_PUBLISHED)
    if sales.before is None or orders.before is None or orders.before < FEWEST_ORDERS:
        text = language.gettext("Fewer than %(limit)s customers ordered in the last 28 days, so their sales are not shown.", limit=limit)
        return Sentence(text, is_about_page=True)
    text = language.gettext(
        "Fewer than %(limit)s customers ordered in the last 28 days, after sales of %(before)s in the 28 days before.",
        limit=limit,
        before=language.money(sales.before, tables.currency),
    )
    return Sentence(f"{text} {_advice_on_a_fall(language)}", Alarm("sales", "fell"))


def _advice_on_a_fall(language: PageLanguage) -> str:
    return language.gettext("Check that all orders have arrived here; if they have, this comes first today.")


def _rejected_alarm(tables: NightTables, verdict: Verdict, language: PageLanguage) -> Iterator[Sentence]:
    if verdict.rejected_share >= NOTABLE_REJECTED_SHARE and not verdict.is_stale:
        values = {"share": language.percent(verdict.rejected_share), "count": language.number(verdict.rejected_count)}
        text = language.ngettext(
            "%(count)s row that was read tonight is wrong and was left out (%(share)s of them); the figures lack it.",
            "%(count)s rows that were read tonight are wrong and were left out (%(share)s of them); the figures lack them.",
            verdict.rejected_count,
            **values,
        )
        counts: Counter[str] = Counter()
        for table, _, count in tables.rejected:
            counts[table] += count
        yield Sentence(text, Alarm("rows", max(sorted(counts), key=lambda table: counts[table], default="")))


def _few_customers(tables: NightTables, language: PageLanguage) -> Iterator[Sentence]:
    if all(row["customer_count"] < FEWEST_PUBLISHED for row in tables.profiles_of(tables.main_scheme)):
        yield Sentence(
            language.gettext(
                "Each segment has fewer than %(limit)s customers. Their figures are not shown, as they would be about single people; the "
                "tasks below are.",
                limit=language.number(FEWEST_PUBLISHED),
            ),
            is_about_page=True,
        )


def _moves(tables: NightTables, language: PageLanguage) -> Iterator[Sentence]:
    counts = counts_by_cause(flows_of(tables.flows, tables.main_scheme))
    moved, others, redefined = sum(counts.values()), counts[Cause.OTHERS], counts[Cause.REDEFINED]
    own = moved - others - redefined
    if tables.compared_night and (max(own, others) < FEWEST_PUBLISHED or redefined >= FEWEST_PUBLISHED):
        # Nobody or a few, which is not the same as not known; or many whom a changed rule or model moved, and no customer.
        count = language.count(moved)
        yield Sentence(language.gettext("Customers who changed segment in the last seven nights: %(moved)s.", moved=count))
    if own >= FEWEST_PUBLISHED:
        counted = {
            name: language.count(counts[cause]) for name, cause in (("came", Cause.CAME), ("rose", Cause.ROSE), ("slid", Cause.SLID))
        }
        yield Sentence(
            language.gettext(
                "In the last seven nights: %(came)s new customers; %(rose)s moved up by buying; %(slid)s moved down, as they stayed away "
                "or returned goods.",
                **counted,
            )
        )
    # The rest of all moves must not be a few customers either.
    if others >= FEWEST_PUBLISHED and not is_withheld(moved - others):
        values = {"others": language.number(others), "moved": language.number(moved)}
        text = language.gettext(
            "%(others)s of %(moved)s moves happened to customers who did nothing: others bought more or less, and the ranking shifted.",
            **values,
        )
        yield Sentence(text)


def _value(tables: NightTables, language: PageLanguage) -> Iterator[Sentence]:
    for row in concentration_rows(tables):
        if row["customer_percent"] == 10:  # noqa: PLR2004 - the tenth that people talk of
            share = language.percent(row["spend_share"])
            yield Sentence(language.gettext("The best tenth of your buyers brings in %(share)s of the money.", share=share))
