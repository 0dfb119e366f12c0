"""Results of campaigns for the terminal: in sentences that a marketer can repeat."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.text import Text

from pipeline.definitions.campaigns import CampaignState
from pipeline.reporting.campaigns.reports import NOT_STARTED, CampaignReport, Row
from pipeline.reporting.terminal import print_parts

_NOUNS = {"ordered": "ordered", "visited": "visited", "spend": "spent per customer", "spend_per_order": "spent per order"}
_SHARES = ("ordered", "visited")
MOST_SEGMENTS = 15
DIFFER_BELOW = 0.05
MOST_CERTAIN = 0.99


def print_reports(reports: Sequence[CampaignReport], *, currency: str) -> None:
    """Print what is known of each campaign."""
    print_parts(part for report in reports for part in render(report, currency=currency))


def render(report: CampaignReport, *, currency: str) -> Iterator[RenderableType]:
    """Yield what to print of one campaign."""
    summary = report.summary
    yield Text.assemble((f"{summary['title']}", "bold"), f" ({summary['campaign_id']}): {state_sentence(report)}")
    for sentence in _sentences(report, currency):
        yield Text(f"  {sentence}")


def state_sentence(report: CampaignReport) -> str:
    """Return how far the campaign is."""
    summary = report.summary
    state, due = summary["state"], summary["due_date"]
    if state == NOT_STARTED:
        return f"not started; it is to begin on {summary['start_day']}"
    if state == CampaignState.PLANNED:
        return f"begins on {summary['start_day']}; results with the night of {due}"
    if state == CampaignState.RUNNING:
        look = f"; look {summary['look']} of 4, with wider limits" if summary["look"] else ""
        return f"running until {summary['end_day']}; results with the night of {due}{look}"
    if state == CampaignState.SAMPLE_RATIO:
        return "nothing is told: the arms are not as large as they should be, so they may differ in more than chance"
    if state == CampaignState.NOT_COMPARABLE:
        is_unlike = any(check["check"] == "random_control" and check["is_passed"] for check in report.checks)
        why = "its arms had spent unlike amounts before, so they were not" if is_unlike else "there is no control that was"
        return f"what it achieved cannot be told: {why} drawn at random"
    return f"results of {summary['start_day']} to {summary['end_day']}"


def _sentences(report: CampaignReport, currency: str) -> Iterator[str]:
    summary = report.summary
    if summary.get("left_count"):
        yield f"{summary['left_count']:,} of {summary['assigned_count']:,} customers are not measured: erased, gone, merged, or said no."
    for check in report.checks:
        yield from _check_sentences(check, currency)
    for row in report.results:
        if row["segment"] == "all" and row["is_headline"]:
            yield _result_sentence(row, currency)
    for row in report.values:
        yield from _value_sentences(row, currency)
    yield from _segment_sentences(report.results, currency)


def _check_sentences(check: Row, currency: str) -> Iterator[str]:
    if check["check"] == "spend_before" and not check["is_passed"]:
        yield f"{check['arm']}: those chosen had spent {_more_before(check, currency)} before, each: they were others to begin with."
    if check["check"] == "sample_ratio_lost" and not check["is_passed"]:
        yield f"One arm has lost more of its customers than another; by chance alone as many with probability {check['measured']:.2g}."
    elif check["check"].startswith("sample_ratio") and not check["is_passed"]:
        when = "when they were assigned" if check["check"].endswith("assigned") else "by now"
        yield f"By chance alone, arms would be as far from the plan {when} with probability {check['measured']:.2g}."
    if check["check"] == "overlap" and check["measured"]:
        yield f"{check['measured']:.0%} of its customers were in another campaign at the same time."


def _more_before(check: Row, currency: str) -> str:
    if check["arm_value"] is None:
        return "another amount"  # which is not said of so few
    more = check["arm_value"] - check["control_value"]
    return f"{_amount(abs(more), currency)} {'more' if more > 0 else 'less'}"


def _result_sentence(row: Row, currency: str) -> str:
    arm, noun = row["arm"], _NOUNS[row["metric"]]
    if row["state"] == CampaignState.TOO_FEW:
        if row["needed_count"] is None:
            return f"{arm}: nothing can be told; the arm or its control has fewer than two customers left."
        buyers = "buyer" if row["needed_count"] == 1 else "buyers"
        return f"{arm}: spend cannot be told; it needs {row['needed_count']} more {buyers} in the smaller arm."
    if row["difference"] is None:
        against = f" against {row['control_count']:,}" if row["control_count"] else ", and no control"
        return f"{arm}: {row['customer_count']:,} customers{against}."
    value, without = (_shown(row[name], row["metric"], currency) for name in ("arm_value", "control_value"))
    difference, low, high = (_difference(row[name], row["metric"], currency) for name in ("difference", "low", "high"))
    said = f"{arm}: {value} {noun}, {without} without it: a difference of {difference}, between {low} and {high}"
    if row["adjusted_p_value"] is None:
        return f"{said}."
    verdict = "more than chance" if row["is_significant"] else "which may be chance"
    return f"{said}; {verdict} (p = {row['adjusted_p_value']:.2g})."


def _value_sentences(row: Row, currency: str) -> Iterator[str]:
    low, high = (_amount(row[f"incremental_{end}"], currency) for end in ("low", "high"))
    more = "less" if row["incremental_amount"] < 0 else "more"
    yield f"{row['arm']}: {_amount(abs(row['incremental_amount']), currency)} {more} than without it (difference between {low} and {high})."
    if row["profit"] is None:
        return
    words = {"paid": "it paid", "not sure": "not sure that it paid", "did not pay": "it did not pay"}[row["verdict"]]
    low, high = (_amount(row[f"profit_{end}"], currency) for end in ("low", "high"))
    yield (
        f"{row['arm']}: profit {_amount(row['profit'], currency)} after a cost of {_amount(float(row['cost_amount']), currency)}, "
        f"between {low} and {high}: {words} (probability {_probability(row['probability_paid'])})."
    )


def _segment_sentences(results: Sequence[Row], currency: str) -> Iterator[str]:
    """Yield the effects per segment, drawn towards that of everybody, of those metrics in which segments differ beyond chance."""
    for whole in results:
        if whole["segments_differ_p_value"] is None or whole["segments_differ_p_value"] >= DIFFER_BELOW:
            continue
        segments = [row for row in results if row["shrunk_difference"] is not None and _is_of(row, whole)]
        found = sorted(segments, key=lambda row: -row["shrunk_difference"])[:MOST_SEGMENTS]
        effects = ", ".join(f"{row['segment']} {_difference(row['shrunk_difference'], row['metric'], currency)}" for row in found)
        yield f"{whole['arm']}: segments differ in what they {_NOUNS[whole['metric']]}: {effects}."


def _is_of(row: Row, whole: Row) -> bool:
    return row["segment"] != "all" and all(row[name] == whole[name] for name in ("arm", "metric", "method"))


def _shown(value: float, metric: str, currency: str) -> str:
    return f"{value:.2%}" if metric in _SHARES else _amount(value, currency)


def _difference(value: float, metric: str, currency: str) -> str:
    """Return a difference; of shares it is one of percentage points, as 4 % more of 60 % would be something else."""
    return f"{100 * value:+.2f} points" if metric in _SHARES else _amount(value, currency)


def _probability(value: float) -> str:
    """Return a probability; nothing is certain."""
    return "more than 99%" if value > MOST_CERTAIN else "less than 1%" if value < 1 - MOST_CERTAIN else f"{value:.0%}"


def _amount(value: float, currency: str) -> str:
    return f"{value:,.2f} {currency}"
