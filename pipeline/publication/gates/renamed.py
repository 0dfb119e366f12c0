"""The gate `renamed`: no ids that nobody ever saw take over the order lines of others.

A shop that moves to another system may give every customer another id overnight. Nothing is missing then: the list of customers is as
long as it was, all orders are there. But lines that were known are under other ids.
"""

from __future__ import annotations

from pipeline.definitions.gate_limits import GateLimits
from pipeline.publication.gates.measures import GateResult, GateState, Takeovers

FEWEST_LINES = 10  # of fewer lines one that was corrected is a share


def judge_takeovers(found: Takeovers | None, limits: GateLimits) -> GateResult:
    """Return what the gate `renamed` says; nothing is measured without a night before, or where few lines could be compared."""
    gate, subject, limit = "renamed", "order_lines", limits.renamed_share_limit
    if found is None:
        return GateResult(gate, subject, GateState.NOT_MEASURED, "nothing was published before")
    if found.compared_count < FEWEST_LINES:
        words = f"{found.compared_count:,} order lines of days that are known otherwise are fewer than {FEWEST_LINES}"
        return GateResult(gate, subject, GateState.NOT_MEASURED, words)
    words = (
        f"{found.line_count:,} of {found.compared_count:,} order lines went to {found.taker_count:,} ids never seen before, from "
        f"{found.customer_count:,} customers, of whom the source lists {found.gone_count:,} no more; {found.known_line_count:,} more went "
        f"to customers who were known; the limit is {limit:.2%}: say who is who in sources/customer_merges.sql"
    )
    state = GateState.CLOSED if found.share > limit else GateState.OPEN
    return GateResult(gate, subject, state, words, found.share, limit)
