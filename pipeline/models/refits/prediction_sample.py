"""What a refit of predictions learns from: customers of an older night, their signals then, and what they did since.

The night lies at least HORIZON_DAYS back, so that what followed it is known in full. Customers are sampled by a hash of their id
and read in order of id, so the same ones are learned from whatever the engine or the order of rows.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.features import DECLARED_FEATURES, feature_digests
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS, CUSTOMER_SURVIVORS
from pipeline.models.predictions import HORIZON_DAYS, Outcomes, signals_statement
from pipeline.models.predictions.model import DECLARED_PREFIX, SIGNALS
from pipeline.models.signals import SurvivorsOf, recent_days, registered_days, signal_parameters

log = logging.getLogger("pipeline.models.refits")
NAME = CUSTOMER_PREDICTIONS.name
SAMPLE_ROWS = 100_000
# What is forecast is another season than what is learned from, however new the night. An older one also tells of older customers and
# offers: a model of a year ago erred by 4.5 % more on quarterly orders of 500 firms (by 3 % less on those of 632 resellers).
OLDEST_DAYS = 180
BASES = ("lifetime_order_day_count", "tenure_days", "recency_days", "lifetime_spend_amount")


def night_before(lake: Lake, day: date) -> date | None:
    """Return the newest night whose next HORIZON_DAYS are over by `day`; None where no such night of OLDEST_DAYS at most is stored."""
    since, through = (day - timedelta(days=days) for days in (OLDEST_DAYS, HORIZON_DAYS))
    return lake.newest_night(CUSTOMER_FEATURES, since=since, through=through)


@dataclass(frozen=True, slots=True)
class OutcomeHistory:
    """What customers did by night `day`, as far as that night knows."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    survivors_of: SurvivorsOf

    def read(self, formed: date) -> Outcomes | str:
        """Read what customers of night `formed` did in the days after it; or say why nothing can be learned from them."""
        return _read_outcomes(self, formed)


def _read_outcomes(history: OutcomeHistory, formed: date) -> Outcomes | str:
    declared = _declared_then(history, formed)
    names = (*SIGNALS, *(f"{DECLARED_PREFIX}{name}" for name in declared))
    try:
        rows, count = _sampled_rows(history, formed, names, declared)
    except DataError as error:
        log.warning("%s: %s", NAME, error)
        return f"the features of {formed} cannot be read"
    # Null where a customer bought nothing since: there was no day to add up.
    columns = {
        name: np.asarray(rows[name].cast(pa.float64()).fill_null(0).to_numpy(), dtype=np.float64)
        for name in ("last_years_spend", *names, *BASES, "amount", "returned")
    }
    outcomes = Outcomes(
        formed=formed,
        window_days=history.company.window_days,
        ids=tuple(rows["customer_id"].to_pylist()),
        signals=np.column_stack([columns[name] for name in names]),
        amounts=np.maximum(columns["amount"], 0.0),
        returned=columns["returned"].astype(np.int64),
        order_days=columns["lifetime_order_day_count"],
        active_days=columns["tenure_days"] - columns["recency_days"],
        known_days=columns["tenure_days"],
        lifetime_spend=np.maximum(columns["lifetime_spend_amount"], 0.0),
        last_years_spend=columns["last_years_spend"],
        customer_count=count,
        names=names,
        declared=declared,
    )
    return outcomes.insufficiency() or outcomes if outcomes.ids else "nobody had ordered by then"


def _declared_then(history: OutcomeHistory, formed: date) -> dict[str, str]:
    """Return the features of `[predictions]` that night `formed` has as they are declared today, each with a digest of what it means."""
    company, wanted = history.company, history.company.prediction_features
    if not wanted:
        return {}
    stored = history.lake.manifest(addresses.partition(CUSTOMER_FEATURES, day=formed)).get(DECLARED_FEATURES, {})
    digests = {name: digest for name, digest in feature_digests(company.features).items() if name in wanted}
    for name in sorted(name for name, digest in digests.items() if stored.get(name) != digest):
        log.warning("%s: the night of %s does not have the feature %s as it is declared now: it plays no part", NAME, formed, name)
    return {name: digest for name, digest in sorted(digests.items()) if stored.get(name) == digest}


def _sampled_rows(history: OutcomeHistory, formed: date, names: Sequence[str], declared: Iterable[str]) -> tuple[pa.Table, int]:
    """Read at most SAMPLE_ROWS customers with signals and outcomes, in order of id; and count how many could have been sampled."""
    lake, engine, day = history.lake, history.engine, history.day
    signals = signals_statement(declared)
    read = {column.name for column in signals.find_all(exp.Column)} | set(BASES)
    # Of the older night only the columns that are read: it may lack others that are declared today.
    engine.register(history.company.table(CUSTOMER_FEATURES).only(read), [addresses.partition(CUSTOMER_FEATURES, day=formed)])
    last = formed + timedelta(days=HORIZON_DAYS)
    # Signals go by what the older night knew, outcomes by what night `day` knows. Versions that were stored later play no part,
    # so the same refit can be repeated.
    since = [each for each in lake.versions_known(CUSTOMER_DAYS, through=last, known_on=day) if each.day > formed]
    versions = [each for each in (*recent_days(lake, formed, formed), *since) if each.known_on <= day]
    parameters = {**signal_parameters(formed, history.company.window_days), "last": last}
    # Customers are told apart as on the older night: whoever was merged since is still two of them.
    with registered_days(lake, engine, versions, history.survivors_of(formed, formed)):
        rows = engine.run(_sample_statement(signals, names), parameters).read_all()
    counting = _ordering_customers().select("CAST(COUNT(*) AS BIGINT) AS customer_count")
    [count] = engine.run(counting, {}).read_all()["customer_count"].to_pylist()
    return rows.sort_by("customer_id"), count


def _ordering_customers() -> exp.Select:
    return exp.select().from_(CUSTOMER_FEATURES.name).where("lifetime_order_day_count >= 1")


def _sample_statement(signals: exp.Query, names: Sequence[str]) -> exp.Select:
    chosen = (
        _ordering_customers().select("customer_id", *BASES).order_by(f"MD5('{NAME}:' || customer_id)", "customer_id").limit(SAMPLE_ROWS)
    )
    since = (
        exp.select("COALESCE(survivor_id, d.customer_id) AS buyer_id", "SUM(order_amount - refund_amount) AS amount")
        .select("MAX(CASE WHEN order_count > 0 THEN 1 ELSE 0 END) AS returned")
        .from_(f"{CUSTOMER_DAYS.name} AS d")
        .join(f"{CUSTOMER_SURVIVORS.name} AS s", on="s.customer_id = d.customer_id", join_type="left")
        .where("event_day > $day AND order_day > $day AND order_day <= $last", dialect="duckdb")
        .group_by("COALESCE(survivor_id, d.customer_id)")
    )
    columns = [exp.column(name, "signals", quoted=True) for name in ("last_years_spend", *names)]
    chosen_columns = [exp.column(name, "chosen") for name in ("customer_id", *BASES)]
    return (
        exp.select(*chosen_columns, *columns, "amount", "returned")
        .from_(chosen.subquery("chosen"))
        .join(signals.subquery("signals"), on="signals.customer_id = chosen.customer_id")
        .join(since.subquery("since"), on="buyer_id = chosen.customer_id", join_type="left")
    )
