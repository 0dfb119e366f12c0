"""The page as one HTML file: no script, and a policy of its own by which it cannot load anything. Names from companies stay text."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache, partial
from io import StringIO
from pathlib import Path
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.definitions.gate_limits import GATES
from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.publication.gates import GateResult, GateState
from pipeline.reporting.pages.gates import STYLES
from pipeline.reporting.pages.morning.figures import SchemeFigures
from pipeline.reporting.pages.morning.insights import LEAST_LIFT
from pipeline.reporting.pages.morning.labels import (
    feature_label,
    feature_text,
    gate_label,
    metric_label,
    probability_text,
    state_text,
    subject_label,
    taste_text,
)
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.night_tables import Row
from pipeline.reporting.pages.morning.page import MorningPage
from pipeline.reporting.pages.morning.proposals import needed_text, proposal_text, proposal_title
from pipeline.reporting.pages.morning.verdict import NightOutcome
from pipeline.reporting.pages.style import PALETTE

TEMPLATES = Path(__file__).parent / "templates"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"
# A spreadsheet takes a text that begins so for a formula.
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
SEGMENTS_HEADER = ("segment", "customers", "share", "by_themselves", "by_ranking", "by_rules_or_data", "share_of_sales", "sales_each")


@dataclass(frozen=True, slots=True)
class PageLinks:
    """Pages beside this one, as it links to them; empty where there is none."""

    validation: str = ""
    index: str = ""


NO_LINKS = PageLinks()


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """A night in the list of all: its day, what its checks came to, and its first sentence."""

    day: date
    outcome: NightOutcome
    headline: str


def render_page(page: MorningPage, language: PageLanguage, links: PageLinks = NO_LINKS) -> str:
    """Return the page as HTML in a language: the same page and language, the same text."""
    tables = page.tables

    def flow_title(segment: str) -> str:
        return tables.title_of(tables.main_scheme, segment)

    return _render(
        "page.html.jinja",
        language,
        page=page,
        tables=tables,
        verdict=page.verdict,
        judged=page.judged,
        links=links,
        options=page.judged.command_options,
        in_money=lambda amount: language.money(amount, tables.currency),
        scheme_titles={scheme.name: scheme.title for scheme in tables.schemes},
        gate_groups=_gate_groups(page.verdict.gates),
        csv_segments=csv_segments,
        csv_flows=lambda diagram: [
            (flow_title(f.from_segment), flow_title(f.to_segment), f.customer_count, f.cause.value) for f in diagram.flows
        ],
        csv_concentration=[(row["customer_percent"], row["customer_count"], row["spend_share"]) for row in page.concentration],
        feature_label=partial(feature_label, language),
        feature_text=partial(feature_text, language, tables.currency),
        probability_text=partial(probability_text, language),
        metric_label=partial(metric_label, language),
        subject_label=partial(subject_label, language),
        taste_text=partial(taste_text, language),
        least_lift=LEAST_LIFT,
        gate_label=partial(gate_label, language),
        state_text=partial(state_text, language),
        proposal_title=partial(proposal_title, tables),
        proposal_text=partial(proposal_text, language, tables),
        needed_text=partial(needed_text, language),
    )


def render_index(company: str, nights: Sequence[IndexEntry], language: PageLanguage) -> str:
    """Return the list of all pages as HTML, the newest first."""
    return _render("index.html.jinja", language, company=company, nights=nights)


def csv_link(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a `data:` address that holds a table as CSV; nothing in it is taken for a formula by a spreadsheet."""
    text = StringIO()
    text.write("\ufeff")  # by this mark spreadsheets read it as UTF-8
    writer = csv.writer(text)
    writer.writerow(header)
    writer.writerows([_csv_cell(cell) for cell in row] for row in rows)
    return f"data:text/csv;charset=utf-8,{quote(text.getvalue())}"


def sparkline(figures: Sequence[Decimal]) -> str:
    """Return the points of a line over figures by day or week, in a box of 112 by 28; a figure of 0 lies at its bottom."""
    most = max(*figures, Decimal(1))
    step = Decimal(112) / max(len(figures) - 1, 1)
    return " ".join(f"{place * step:.1f},{26 - 24 * max(value, Decimal(0)) / most:.1f}" for place, value in enumerate(figures))


def curve(concentration: Sequence[Row]) -> str:
    """Return the path of how much the best buyers hold, in a box of 400 by 220."""
    points = ((4 * row["customer_percent"], 220 * (1 - min(max(row["spend_share"], 0), 1))) for row in concentration)
    return "M0 220" + "".join(f"L{x} {y:.1f}" for x, y in points)


def csv_segments(figures: SchemeFigures) -> list[tuple[object, ...]]:
    """Return the rows of a scheme as they are downloaded, by SEGMENTS_HEADER; what is withheld stays empty."""
    return [
        (
            each.title,
            None if each.is_withheld else each.customer_count,
            each.customer_share,
            each.change and each.change.by_themselves,
            each.change and each.change.by_others,
            each.change and each.change.by_redefinition,
            each.spend_share,
            each.mean_spend_amount,
        )
        for each in figures.segments
    ]


def _gate_groups(gates: Iterable[GateResult]) -> list[tuple[str, Mapping[GateState, int]]]:
    """Return how often each gate said what, gates in their order, the worst first."""
    counts: dict[str, Counter[GateState]] = defaultdict(Counter)
    for gate in gates:
        counts[gate.gate][gate.state] += 1
    order = [name for name in GATES if name in counts]
    return [(name, {state: counts[name][state] for state in STYLES if counts[name][state]}) for name in order]


def _csv_cell(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_SIGNS) else "" if cell is None else cell


def _render(template: str, language: PageLanguage, **values: object) -> str:
    words = {
        "_": language.gettext,
        "ngettext": language.ngettext,
        "number": language.number,
        "count": language.count,
        "cell": language.cell,
        "percent": language.percent,
        "money": language.money,
        "day": language.day,
        "language": language,
    }
    return _environment().get_template(template).render(**words, **values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(
        csv_link=csv_link,
        segments_header=SEGMENTS_HEADER,
        sparkline=sparkline,
        curve=curve,
        fewest=FEWEST_PUBLISHED,
        policy=POLICY,
        palette=PALETTE,
        gate_styles=STYLES,
    )
    return environment
