"""Flows: how many customers are elsewhere than 1, 7 and 28 nights ago, and why, made of the stored moves since then.

A night that is written anew, or added between others, changes the moves that later nights count. So the flows of those are told anew as
well, and say the same in whatever order nights came.
"""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from sqlglot import exp

from pipeline.errors import DataError
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import date_literal, union_all
from pipeline.lake.lake import Lake
from pipeline.lake.statements import short_digest, statement, statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES, SEGMENT_FLOWS, SEGMENT_MOVES

log = logging.getLogger("pipeline.segmentation.insights.flows")
FLOW_NIGHTS = (1, 7, 28)
OWN_REASONS = frozenset({"new_customer", "own_purchase", "own_event", "attribute_change", "ageing", "refund", "left"})
"""Reasons that are the customer's own: by all others nobody did anything."""
READ_FEATURES = ("customer_id", "spend_amount", "lifetime_spend_amount")


def write_flows(lake: Lake, engine: Engine, day: date) -> None:
    """Write the flows of night `day`, and of the later nights that count its moves; its moves must be written.

    Where moves cannot be read, the flows that count them are removed, with a warning: no night fails for them.
    """
    with lake.lock("history"):
        nights = lake.nights(SEGMENT_MOVES)
        for night in [day, *nights_counting_moves_of(day, nights)]:
            try:
                _write_flows_of_night(lake, engine, night, nights)
            except DataError as error:
                lake.remove(SEGMENT_FLOWS, day=night)
                log.warning("%s of %s are not told: %s", SEGMENT_FLOWS.name, night, error)


def compared_nights(day: date, nights: Sequence[date]) -> dict[int, date]:
    """Return the night that `day` is compared with by how many nights it lies back: the newest of `nights`, in order, so far back."""
    places = {back: bisect_right(nights, day - timedelta(days=back)) for back in FLOW_NIGHTS}
    return {back: nights[place - 1] for back, place in places.items() if place}


def nights_counting_moves_of(day: date, nights: Sequence[date]) -> list[date]:
    """Return those of `nights`, in order, that are later and whose flows begin at `day` or before it."""
    later = nights[bisect_right(nights, day) :]
    return [night for night in later if any(since <= day for since in compared_nights(night, nights).values())]


def flows_statement(compared: Mapping[int, date], nights: Iterable[date]) -> exp.Query:
    """Build the statement of segment_flows; it reads customer_features and the moves of each of `nights`, as `moves_table` names them."""
    return _with_moves(statement(SEGMENT_FLOWS.name), compared, nights)


def entered_statement(since: date, nights: Iterable[date], *, are_own: bool) -> exp.Query:
    """Build the statement of who is in `$segment` of `$scheme` after the moves of `nights` and was not on night `since`.

    `are_own` leaves out those whose last move has a reason that is none of OWN_REASONS.
    """
    query = _with_moves(statement("entered_customers"), {0: since}, nights)
    reasons = exp.column("reason", "l").isin(*sorted(OWN_REASONS))
    for condition in list(query.find_all(exp.In)):
        condition.replace(reasons if are_own else exp.true())
    return query


def _with_moves(query: exp.Query, compared: Mapping[int, date], nights: Iterable[date]) -> exp.Query:
    """Return `query` with the windows that are compared, and the moves of `nights`, in place of the tables that it names."""
    query = query.copy()
    windows = exp.values([(back, since.isoformat()) for back, since in compared.items()], alias="windows", columns=["nights", "since"])
    since = exp.alias_(exp.cast(exp.column("since"), "date"), "since_night")
    content = {
        "flow_windows": exp.select("nights", since).from_(windows),
        "moves": union_all(_moves_of(night) for night in nights),
    }
    for table in list(query.find_all(exp.Table)):
        if table.name in content:
            table.replace(exp.alias_(content[table.name].copy().subquery(), table.alias, table=True))
    return query


def moves_table(night: date) -> str:
    """Return the name under which the moves of a night are read."""
    return f"{SEGMENT_MOVES.name}_{night:%Y_%m_%d}"


def _moves_of(night: date) -> exp.Query:
    columns = [exp.column(name) for name in SEGMENT_MOVES.column_names]
    return exp.select(exp.alias_(date_literal(night), "night"), *columns).from_(moves_table(night))


def _write_flows_of_night(lake: Lake, engine: Engine, day: date, nights: Sequence[date]) -> None:
    compared = compared_nights(day, nights)
    counted = list(_counted_nights(day, compared, nights))
    if not counted:
        lake.remove(SEGMENT_FLOWS, day=day)
        return
    read = {CUSTOMER_FEATURES.only(READ_FEATURES): addresses.partition(CUSTOMER_FEATURES, day=day)}
    read |= {replace(SEGMENT_MOVES, name=moves_table(night)): addresses.partition(SEGMENT_MOVES, day=night) for night in counted}
    for table, address in read.items():
        engine.register(table, [address])
    manifest = {
        "statement": statement_digest(statement(SEGMENT_FLOWS.name)),
        "compared": {str(back): str(since) for back, since in compared.items()},
        "inputs": short_digest([lake.content_digest(address) for address in read.values()]),
    }
    # A night that is run again mostly leaves its moves as they were: later nights then have nothing to tell anew.
    stored = stored_facts(lake, addresses.partition(SEGMENT_FLOWS, day=day))
    if any(stored.get(name) != fact for name, fact in manifest.items()):
        lake.write(SEGMENT_FLOWS, engine.run(flows_statement(compared, counted), {}), day=day, manifest=manifest)


def _counted_nights(day: date, compared: Mapping[int, date], nights: Iterable[date]) -> Iterator[date]:
    """Yield the nights whose moves the flows of `day` count, in order; none for the first night of all."""
    if compared:
        yield from (night for night in nights if min(compared.values()) < night <= day)
