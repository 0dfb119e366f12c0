"""May this night be published? Each gate judges what was measured against its limit.

A gate closes where the night differs from the last good one more than buying, ageing and chance explain. Say a source lost
half of its customers: `vanished` closes at 50 %, the limit being 10 %, and the last good night stays live.
On the first night there is no last good one to keep: nothing is measured against it, and the gates are open. It is held back where
the newest order lines are far older, as for a source that ended.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from statistics import median

from pipeline.definitions.gate_limits import GateLimits
from pipeline.publication.gates.judge_audiences import judge_audiences
from pipeline.publication.gates.measures import GateMeasures, GateResult, GateState, LargestSegment, closed_above, unmeasured
from pipeline.publication.gates.renamed import judge_takeovers
from pipeline.publication.gates.source_gates import judge_implausible, judge_unmatched, judge_vanished_answers, judge_vanished_rows

WEEK = timedelta(days=7)
WITHOUT_ORDERS = "no order lines are read: there is no sources/order_lines.sql"
FEWEST_WEEKDAYS = 4  # weekdays that make a median worth comparing with
# A recent past of smaller days makes no day of fewer lines than this, times the factor, suspicious.
SMALL_DAY_LINES = 100
FEWEST_CUSTOMERS = 10  # of fewer customers one who leaves is a share
LONGEST_CHURN_NIGHTS = 7  # after a longer absence nobody may move more than after this one
LONGEST_SPAN_DAYS = 28  # of a longer absence only the last days are weighed
# What another run of the first night is judged by.
GATES_OF_A_RERUN = ("vanished", "renamed", "reachability", "swallowed", "churn")
DIGITS = 9  # a share computed from a limit is rounded, so that a value on the limit passes


def window_first_day(day: date, before: date | None, limits: GateLimits) -> date:
    """Return the first event day whose order lines the gates look at."""
    weeks = limits.volume_weeks * WEEK
    return min(_first_new_day(day, before) - weeks, day - timedelta(days=limits.quiet_days + 1))


def judge_measures(measures: GateMeasures, limits: GateLimits, *, rejected_share_limit: float) -> list[GateResult]:
    """Return what every gate says, in the order of GATES."""
    results = [
        *_judge_freshness(measures, limits),
        *_judge_volume(measures, limits),
        *rejected_results(measures.rejected, limits, rejected_share_limit),
        *judge_implausible(measures, limits),
        *judge_unmatched(measures, limits),
        *_judge_vanished(measures, limits),
        *judge_vanished_answers(measures, limits),
        *judge_vanished_rows(measures, limits),
        judge_takeovers(measures.takeovers, limits),
        *_judge_reachability(measures, limits),
        *_judge_swallowed(measures, limits),
        *_judge_churn(measures, limits),
        *judge_audiences(measures, limits),
    ]
    return [_unless_off(result, limits) for result in results]


def judge_first_night_again(
    first: Sequence[GateResult], beside_live: Sequence[GateResult], standing: Sequence[GateResult]
) -> list[GateResult]:
    """Return what the gates say of another run of the very first night.

    That is what they say of a `first` night, but for what closes beside the run that is live, and for overrides that
    stand: a run like the one before says the same as that.
    """
    overridden = [result for result in standing if result.state is GateState.OVERRIDDEN]
    closed = [result for result in beside_live if result.state is GateState.CLOSED]
    others = {_gate_and_subject(result): result for result in (*overridden, *closed) if result.gate in GATES_OF_A_RERUN}
    return [*(result for result in first if _gate_and_subject(result) not in others), *others.values()]


def _gate_and_subject(result: GateResult) -> tuple[str, str]:
    return result.gate, result.subject


def _unless_off(result: GateResult, limits: GateLimits) -> GateResult:
    if result.gate not in limits.off:
        return result
    return replace(result, state=GateState.OFF, words="switched off in company.toml", measured=None, limit=None)


def _judge_freshness(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    if not measures.reads_orders:
        yield unmeasured("freshness", "order_lines", WITHOUT_ORDERS)
        return
    newest = max((day for day, count in measures.line_counts.items() if count), default=None)
    oldest = window_first_day(measures.day, measures.before, limits)
    quiet = (measures.day - newest).days if newest else (measures.day - oldest).days + 1
    seen = f"the newest order lines are of {newest}" if newest else f"there is no order line since {oldest}"
    if measures.before is None and newest is None and measures.newest_line_day and measures.newest_line_day < oldest:
        yield _judge_first_freshness(measures.newest_line_day, oldest, measures.day)
    elif measures.before is None:
        yield unmeasured("freshness", "order_lines", f"{seen}; not judged on the first night")
    else:
        yield closed_above(
            "freshness", "order_lines", quiet, limits.quiet_days, f"{seen}, {quiet} days back; the limit is {limits.quiet_days}"
        )


def _judge_first_freshness(newest: date, oldest: date, day: date) -> GateResult:
    """Judge a first night after all that the gates look at: it would say of everybody that they are lost, and no older one could follow."""
    quiet, limit = (day - newest).days, (day - oldest).days
    words = f"the newest order lines are of {newest}, {quiet:,} days back; the limit of a first night is {limit}"
    return closed_above("freshness", "order_lines", quiet, limit, words)


def night_of_newest_lines(day: date, results: Sequence[GateResult]) -> date | None:
    """Return the night of the newest order lines where `freshness` holds back that of `day`, and nothing is live; else None."""
    days_back = next((each.measured for each in results if each.gate == "freshness" and each.state is GateState.CLOSED), None)
    return None if days_back is None else day - timedelta(days=int(days_back))


def _judge_volume(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    if not measures.reads_orders:
        yield from (unmeasured("volume", subject, WITHOUT_ORDERS) for subject in ("too_few", "too_many"))
        return
    if measures.before is None:
        yield from (unmeasured("volume", subject, "nothing was published before") for subject in ("too_few", "too_many"))
        return
    # After an absence all days since the last good night are new, and each is weighed against the weeks before it.
    first = _first_new_day(measures.day, measures.before)
    new = {day: count for day, count in measures.line_counts.items() if day >= first}
    past = {day: count for day, count in measures.line_counts.items() if first - limits.volume_weeks * WEEK <= day < first}
    yield _judge_too_few(sum(new.values()), _usual_line_count(past, first, measures.day), limits)
    yield _judge_too_many(max(new.values(), default=0), past, limits)


def _judge_too_few(lines: int, usual: float | None, limits: GateLimits) -> GateResult:
    if not lines:
        return unmeasured("volume", "too_few", "no order lines; a quiet day is judged by freshness")
    if not usual:
        return unmeasured("volume", "too_few", f"needs {FEWEST_WEEKDAYS} earlier days of the same weekday with order lines")
    factor, limit = lines / usual, limits.volume_low_factor
    words = f"{lines:,} order lines, {factor:.2f} times the usual {usual:,.0f}; the limit is {limit:g} times"
    return GateResult("volume", "too_few", GateState.CLOSED if factor < limit else GateState.OPEN, words, factor, limit)


def _judge_too_many(lines: int, past: Mapping[date, int], limits: GateLimits) -> GateResult:
    if len(past) < FEWEST_WEEKDAYS * WEEK.days:
        return unmeasured("volume", "too_many", f"needs {FEWEST_WEEKDAYS} weeks of order lines before")
    busiest = max(SMALL_DAY_LINES, *past.values())
    factor, limit = lines / busiest, limits.volume_high_factor
    words = f"{lines:,} order lines on one day, {factor:.2f} times the busiest recent day ({busiest:,}); the limit is {limit:g} times"
    return closed_above("volume", "too_many", factor, limit, words)


def _usual_line_count(past: Mapping[date, int], first: date, last: date) -> float | None:
    """Return the sum, over the days from `first` to `last`, of the median of the same weekday in `past`; None where too few are known."""
    usual = 0.0
    for offset in range((last - first).days + 1):
        # By weekday, for shops that are closed on Sundays.
        weekday = (first + timedelta(days=offset)).weekday()
        alike = [count for day, count in past.items() if day.weekday() == weekday]
        if len(alike) < FEWEST_WEEKDAYS:
            return None
        usual += median(alike)
    return usual


def _first_new_day(day: date, before: date | None) -> date:
    span = min(max((day - before).days, 1), LONGEST_SPAN_DAYS) if before else 1
    return day - timedelta(days=span - 1)


def rejected_results(counts: Mapping[str, tuple[int, int]], limits: GateLimits, limit: float) -> list[GateResult]:
    """Return what the rejected share says of each source table, given rows set aside and rows checked."""
    results = []
    for table, (rejected, checked) in sorted(counts.items()):
        share = rejected / checked if checked else 0.0
        words = f"{share:.2%} of {checked:,} rows were set aside; the limit is {limit:.2%}"
        results.append(_unless_off(closed_above("rejected", table, share, limit, words), limits))
    return results


def _judge_vanished(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    total, limit = measures.customer_count_before, limits.vanished_share_limit
    if total < FEWEST_CUSTOMERS:
        yield unmeasured("vanished", "customers", _too_few_customers(measures.before, total, FEWEST_CUSTOMERS))
        return
    share = measures.vanished_count / total
    words = f"{share:.2%} of the {total:,} customers of {measures.before} are gone; the limit is {limit:.2%}"
    if share > limit and measures.listed_count is not None and 2 * measures.listed_count < total:
        words += '; if the source gives only new or changed customers, write `customers = "append"` under [source]'
    yield closed_above("vanished", "customers", share, limit, words)


def _judge_reachability(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    found, limit, subject = measures.reachable, limits.reachable_fall_limit, limits.reachable_attribute or "customers"
    if not limits.reachable_attribute:
        yield unmeasured("reachability", subject, "no `reachable_attribute` is named in company.toml")
    elif found is None or not found.count_before or min(found.total, found.total_before) < limits.smallest_population:
        yield unmeasured("reachability", subject, "nothing was published before that it could have fallen from")
    else:
        share, share_before = found.count / found.total, found.count_before / found.total_before
        fall = round(1 - share / share_before, DIGITS)
        words = f"{share:.2%} of customers can be reached, {share_before:.2%} on {measures.before}: a fall of {fall:.2%}"
        yield closed_above("reachability", subject, fall, limit, f"{words}; the limit is {limit:.2%}")


def _judge_swallowed(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    for largest in measures.largest_segments:
        if largest.count_before is None or not largest.total_before:
            yield unmeasured("swallowed", largest.scheme, "the scheme was not published before")
        elif min(largest.total, largest.total_before) < limits.smallest_population:
            yield unmeasured(
                "swallowed", largest.scheme, _too_few_customers(measures.before, largest.total_before, limits.smallest_population)
            )
        else:
            yield _judge_largest_segment(measures, limits, largest, largest.count_before / largest.total_before)


def _judge_largest_segment(measures: GateMeasures, limits: GateLimits, largest: LargestSegment, before: float) -> GateResult:
    share, limit = largest.count / largest.total, limits.swallowed_share_limit
    has_grown = round(share - before, DIGITS) > limits.swallowed_growth_limit
    words = (
        f"`{largest.segment}` holds {share:.2%}, {before:.2%} on {measures.before}; "
        f"the limit is {limit:.2%} where it grew by more than {limits.swallowed_growth_limit:.2%}"
    )
    state = GateState.CLOSED if share > limit and has_grown else GateState.OPEN
    return GateResult("swallowed", largest.scheme, state, words, share, limit)


def _judge_churn(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    for moves in measures.moves:
        if moves.is_explained:
            yield unmeasured("churn", moves.scheme, "a new model or a changed definition: customers are expected to move")
        elif moves.customer_count < limits.smallest_population:
            yield unmeasured("churn", moves.scheme, _too_few_customers(measures.before, moves.customer_count, limits.smallest_population))
        else:
            share, limit = moves.moved_count / moves.customer_count, churn_limit(limits.churn_share_limit, measures.nights)
            since = f"since {measures.before}, {measures.nights} {'night' if measures.nights == 1 else 'nights'} ago"
            words = f"{share:.2%} of {moves.customer_count:,} customers changed segment {since}; the limit is {limit:.2%}"
            yield closed_above("churn", moves.scheme, share, limit, words)


def churn_limit(share: float, nights: int) -> float:
    """Return the limit over `nights`: each night the same share of those who have not moved yet may do so.

    With 25 % a night that is 44 % over two nights, and 87 % over seven.
    """
    return round(1 - (1 - share) ** min(nights, LONGEST_CHURN_NIGHTS), DIGITS)


def _too_few_customers(before: date | None, count: int, fewest: int) -> str:
    return f"{count:,} customers are fewer than {fewest:,}: their share says nothing" if before else "nothing was published before"
