"""The page of a night's validation: one self-contained HTML file, readable offline, in light and dark. Counts and rule names only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum
from html import escape
from itertools import groupby
from typing import Any

from pipeline.ingestion.validation import WHOLE_TABLE
from pipeline.publication.gates import GateResult, GateState
from pipeline.reporting.pages.gates import gates_section
from pipeline.reporting.pages.remarks import NO_REMARKS, Remarks, remarks_section
from pipeline.reporting.pages.style import STYLE

Result = Mapping[str, Any]
RejectedByRule = Mapping[tuple[str, str], int]

# A thinner bar could not be seen, and a smaller percentage would be rounded to nothing.
SMALLEST_BAR, SMALLEST_PERCENT, TWO_DECIMALS_BELOW = 0.5, 0.01, 10  # percent
# As the night goes: what was read, then what was computed of it.
TABLE_ORDER = ("raw_customers", "raw_prospects", "raw_order_lines", "customer_features", "customer_segments")


class RuleStatus(Enum):
    """What a rule means for the night, worst first: (word, class)."""

    STOPS = ("stops the night", "stop")
    SETS_ASIDE = ("rows set aside", "aside")
    WARNS = ("warning", "warn")
    HOLDS = ("holds", "hold")

    @property
    def severity_rank(self) -> int:
        return list(RuleStatus).index(self)

    @property
    def badge_html(self) -> str:
        word, style = self.value
        return f'<span class="badge {style}">{word}</span>'


MEANINGS = {
    RuleStatus.STOPS: "A critical rule broke. Nothing of this night was published.",
    RuleStatus.SETS_ASIDE: "Rows that broke the rule stay out of the clean tables. The others went on.",
    RuleStatus.WARNS: "Counted and shown. No row was changed.",
}


@dataclass(frozen=True, slots=True)
class TableSection:
    """One table's results, and how many of its rows were set aside for which rule first."""

    table: str
    results: Sequence[Result]
    rejected: Mapping[str, int]

    @property
    def checked_count(self) -> int:
        return max((row["checked_count"] for row in self.results), default=0)

    @property
    def set_aside(self) -> int:
        return sum(self.rejected.values())

    @property
    def can_reject(self) -> bool:
        return any(row["rejects_rows"] for row in self.results)


def validation_page(  # noqa: PLR0913
    company_name: str,
    day: date,
    results: Iterable[Result],
    rejected_by_rule: RejectedByRule,
    gates: Sequence[GateResult] = (),
    *,
    remarks: Remarks = NO_REMARKS,
) -> str:
    """Write out the page as HTML; names are escaped, as they come from a company's files.

    `results` are rows of VALIDATION_RESULTS; `rejected_by_rule` counts rows by (table, first rule broken); `gates` are
    what each gate said, none before they were judged; `remarks` what was not computed, and columns to look at.
    """
    sections = _table_sections(results, rejected_by_rule)
    title = f"Validation of {day:%A %d %B %Y}"
    return "".join(
        (
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n<meta name="color-scheme" content="light dark">\n',
            f"<title>{escape(company_name)} · {title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n",
            f'<header><p class="company">{escape(company_name)}</p><h1>{title}</h1>{_verdict_html(sections, gates)}</header>\n',
            gates_section(gates),
            _tiles_html(sections),
            *map(_section_html, sections),
            remarks_section(remarks),
            _footer_html(day),
            "</main>\n</body>\n</html>\n",
        )
    )


def rule_status(result: Result) -> RuleStatus:
    """Judge what one row of VALIDATION_RESULTS means for the night."""
    if not result["is_passed"]:
        return RuleStatus.STOPS
    if not result["failed_count"]:
        return RuleStatus.HOLDS
    return RuleStatus.SETS_ASIDE if result["rejects_rows"] else RuleStatus.WARNS


def _table_sections(results: Iterable[Result], rejected_by_rule: RejectedByRule) -> list[TableSection]:
    places = {table: place for place, table in enumerate(TABLE_ORDER)}

    # The worst first: whoever opens the page wants to know what went wrong, and a suite has dozens of rules that hold.
    def sort_key(row: Result) -> tuple[object, ...]:
        table = row["source_table"]
        return places.get(table, len(places)), table, rule_status(row).severity_rank, -row["failed_count"], row["rule"]

    ordered = sorted(results, key=sort_key)
    return [
        TableSection(table, list(rows), {rule: count for (name, rule), count in rejected_by_rule.items() if name == table})
        for table, rows in groupby(ordered, key=lambda row: row["source_table"])
    ]


def _count_rules(sections: Iterable[TableSection], status: RuleStatus) -> int:
    return sum(rule_status(row) is status for section in sections for row in section.results)


def _verdict_html(sections: Sequence[TableSection], gates: Sequence[GateResult]) -> str:
    stops, warns = _count_rules(sections, RuleStatus.STOPS), _count_rules(sections, RuleStatus.WARNS)
    # Gates are judged last, so that what they say is what became of the night.
    closed = sum(gate.state is GateState.CLOSED for gate in gates)
    if closed:
        style, word, words = "stop", "Held back", f"{_counted_noun(closed, 'gate')} closed; the last good publication stays live."
    elif stops:
        style, word, words = "stop", "Stopped", f"{_counted_noun(stops, 'rule')} stopped the night; the last good publication stays live."
    elif warns or any(section.set_aside for section in sections):
        style, word, words = "aside", "Passed, with remarks", "The night went on; see below what was set aside or looks odd."
    else:
        style, word, words = "hold", "Passed", "Every rule holds for every row."
    return f'<p class="verdict {style}"><strong>{word}.</strong> {words}</p>'


def _tiles_html(sections: Sequence[TableSection]) -> str:
    checked = sum(section.checked_count for section in sections)
    # Of computed tables no row is ever set aside: counting theirs too would make the share look small.
    divided = sum(section.checked_count for section in sections if section.can_reject)
    set_aside = sum(section.set_aside for section in sections)
    rules = sum(len(section.results) for section in sections)
    return (
        '<section class="tiles">'
        f"{_tile_html('Rows checked', f'{checked:,}', _counted_noun(len(sections), 'table'))}"
        f"{_tile_html('Rows set aside', f'{set_aside:,}', f'{_share_text(set_aside, divided)} of source rows')}"
        f"{_tile_html('Rules that hold', f'{_count_rules(sections, RuleStatus.HOLDS):,}', f'of {rules:,}')}"
        f"{_tile_html('Warnings', f'{_count_rules(sections, RuleStatus.WARNS):,}', 'reported, nothing changed')}"
        "</section>\n"
    )


def _tile_html(label: str, value: str, note: str) -> str:
    return f'<div class="tile"><span>{label}</span><strong>{value}</strong><small>{note}</small></div>'


def _section_html(section: TableSection) -> str:
    noted = [row for row in section.results if rule_status(row) is not RuleStatus.HOLDS]
    held = [row for row in section.results if rule_status(row) is RuleStatus.HOLDS]
    return (
        f'<section class="table"><h2><code>{escape(section.table)}</code></h2>{_flow_html(section)}'
        f"{_rules_html(noted, section) if noted else '<p class=quiet>Every rule holds for every row.</p>'}"
        f"{_held_rules_html(held)}</section>\n"
    )


def _flow_html(section: TableSection) -> str:
    """Return how many rows went on, with a bar of the share set aside."""
    if not section.set_aside:
        return f'<p class="flow"><b>{section.checked_count:,}</b> rows checked</p>'
    remaining = section.checked_count - section.set_aside
    share = _share_text(section.set_aside, section.checked_count)
    width = max(100 * section.set_aside / section.checked_count, SMALLEST_BAR)
    return (
        f'<p class="flow"><b>{section.checked_count:,}</b> rows checked · <b>{remaining:,}</b> kept · '
        f'<b class="aside">{section.set_aside:,}</b> set aside ({share})</p>'
        f'<div class="bar" role="img" aria-label="{share} set aside"><i style="width:{width:.2f}%"></i></div>'
    )


def _rules_html(rows: Iterable[Result], section: TableSection) -> str:
    return (
        '<div class="scroll"><table><thead><tr><th class="status">Status</th><th>Rule</th>'
        '<th class="n">Broke it</th><th class="n">Share</th>'
        '<th class="n" title="A row is counted for the first rule that it broke">Set aside for it</th>'
        f"</tr></thead><tbody>{''.join(_rule_row(row, section.rejected.get(row['rule'])) for row in rows)}</tbody></table></div>"
    )


def _rule_row(row: Result, set_aside: int | None) -> str:
    is_about_table = row["rule"].startswith(WHOLE_TABLE)
    failed = "whole table" if is_about_table else f"{row['failed_count']:,}"
    share = "" if is_about_table else _share_text(row["failed_count"], row["checked_count"])
    return (
        f"<tr><td>{rule_status(row).badge_html}</td><td><code>{escape(row['rule'])}</code></td><td class=n>{failed}</td>"
        f"<td class=n>{share}</td><td class=n>{f'{set_aside:,}' if set_aside else ''}</td></tr>"
    )


def _held_rules_html(rows: Sequence[Result]) -> str:
    if not rows:
        return ""
    names = "".join(f"<li><code>{escape(row['rule'])}</code></li>" for row in rows)
    summary = f"{_counted_noun(len(rows), 'rule')} {'holds' if len(rows) == 1 else 'hold'}"
    return f'<details><summary>{summary}</summary><ul class="rules">{names}</ul></details>'


def _footer_html(day: date) -> str:
    return (
        f"<footer><p>Rows set aside wait in <code>tables/rejected_rows/day={day}</code> with every rule they broke; these counts are in "
        f"<code>tables/validation_results/day={day}</code>. Rules live in <code>expectations/&lt;table&gt;.json</code>; "
        "a company replaces a file by one of the same name in its own folder.</p>"
        f"<dl>{''.join(f'<dt>{status.badge_html}</dt><dd>{words}</dd>' for status, words in MEANINGS.items())}</dl></footer>\n"
    )


def _share_text(part: int, whole: int) -> str:
    if not whole:
        return "0 %"
    percent = 100 * part / whole
    if part and percent < SMALLEST_PERCENT:
        return f"&lt; {SMALLEST_PERCENT} %"
    return f"{percent:.2f} %" if percent < TWO_DECIMALS_BELOW else f"{percent:.1f} %"


def _counted_noun(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
