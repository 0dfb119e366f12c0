"""Gates on what the source gives, whether or not a night was published before: lost lines, contradictions, ids that match nobody."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.definitions.gate_limits import GateLimits
from pipeline.publication.gates.measures import FEW_IDS, GateMeasures, GateResult, GateState, closed_above, unmeasured

FEWEST_ROWS = 20  # of fewer order lines some corrections are most of them


def judge_vanished_rows(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    """Yield what the gate says of order lines and events of earlier days that a source has lost."""
    limit = limits.vanished_rows_limit
    for rows in measures.known_rows:
        state = GateState.CLOSED if rows.is_beyond(limit) else GateState.OPEN
        words = f"{rows.words}: {rows.vanished_share:.2%} are gone; the limit is {limit:.2%}"
        yield GateResult("vanished", rows.source, state, words, rows.vanished_share, limit)


def judge_vanished_answers(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    """Yield what the gate says of a consent list: who is on it no more would be published as if nobody had asked."""
    answers, limit = measures.answers, limits.vanished_share_limit
    if answers is None or not answers.count_before:
        return
    share = answers.vanished_count / answers.count_before
    # An empty list closes it however few had answered: that is what a query that finds nothing gives.
    is_beyond = share == 1.0 or (answers.count_before >= FEW_IDS and share > limit)
    words = f"{share:.2%} of the {answers.count_before:,} answers of {measures.before} are gone, so that who said no would be published"
    hint = 'if the source gives only new answers, write `consents = "append"` under [source]'
    state = GateState.CLOSED if is_beyond else GateState.OPEN
    yield GateResult("vanished", "consents", state, f"{words}; the limit is {limit:.2%}{f'; {hint}' if is_beyond else ''}", share, limit)


def judge_implausible(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    """Yield what the gate says of rules that only a mistake in the query makes most order lines break."""
    for found in measures.implausible:
        subject, share = f"{found.source_table}.{found.rule}", found.failed_count / found.checked_count if found.checked_count else 0.0
        words = f"{share:.2%} of {found.checked_count:,} rows break `{found.rule}`; the limit is {limits.implausible_share_limit:.2%}"
        if found.checked_count < FEWEST_ROWS:
            yield unmeasured("implausible", subject, f"{found.checked_count:,} rows are fewer than {FEWEST_ROWS}: their share says nothing")
        else:
            yield closed_above("implausible", subject, share, limits.implausible_share_limit, words)


def judge_unmatched(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    """Yield what the gate says of the ids of each source."""
    for found in measures.unmatched:
        limit = limits.unmatched_share_limit
        if not found.id_count:
            yield unmeasured("unmatched", found.source, "it names nobody")
            continue
        words = f"{found.share:.2%} of {found.id_count:,} {found.rows} belong to no customer"
        forms = f"; they are {found.forms[0]}, those of customers {found.forms[1] or 'not known'}" if found.forms[0] else ""
        state = GateState.CLOSED if found.is_beyond(limit) else GateState.OPEN
        yield GateResult("unmatched", found.source, state, f"{words}; the limit is {limit:.2%}{forms}", found.share, limit)
