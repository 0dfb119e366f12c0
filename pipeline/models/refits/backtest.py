"""The backtest of a candidate: groups formed some months ago, and what their customers spent since."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES
from pipeline.models.clusters import ClusterModel, nearest_clusters
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.preparation import Numbers
from pipeline.models.refits.model_store import RefitContext
from pipeline.models.refits.verdict import Backtest, normalised_gini
from pipeline.models.sample import sample_customers

HORIZON_DAYS = 90
# An older night would tell of customers whom neither model was made for.
OLDEST_DAYS = 180
FEWEST_CUSTOMERS = 100
TENTHS = 10
SPEND = "spend_amount"


def backtest_candidate(on: RefitContext, models: tuple[ClusterModel, ClusterModel]) -> Backtest | str:
    """Return how the current model and the candidate tell spend of the next days apart, or why nobody can say."""
    limits = (on.day - timedelta(days=OLDEST_DAYS), on.day - timedelta(days=HORIZON_DAYS))
    formed = max((night for night in on.lake.nights(CUSTOMER_FEATURES) if limits[0] <= night <= limits[1]), default=None)
    if formed is None:
        return f"no night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored"
    try:
        customers = _customers_on(on, formed, models)
    except DataError as error:
        return f"the features of {formed} cannot be read: {error.what}"
    if customers.num_rows < FEWEST_CUSTOMERS:
        return f"fewer than {FEWEST_CUSTOMERS} customers had an order in the window on {formed}"
    amounts = _amounts_since(on, customers, formed)
    now, then, naive = (normalised_gini(groups, amounts) for groups in _spend_groups(customers, models))
    return Backtest(formed.isoformat(), HORIZON_DAYS, now, then, naive)


def _customers_on(on: RefitContext, formed: date, models: Sequence[ClusterModel]) -> pa.Table:
    names = {SPEND, *(feature.name for model in models for feature in model.features)}
    on.register_features(formed, names)
    return sample_customers(on.engine, on.scheme, columns=sorted(names)).features.sort_by("customer_id")


def _spend_groups(customers: pa.Table, models: Sequence[ClusterModel]) -> list[Labels]:
    spend = customers[SPEND].cast(pa.float64()).fill_null(0).to_numpy()
    cuts = np.unique(np.quantile(spend, [place / TENTHS for place in range(1, TENTHS)]))
    return [*(nearest_clusters(customers, model) for model in models), np.searchsorted(cuts, spend, side="left")]


def _amounts_since(on: RefitContext, customers: pa.Table, formed: date) -> Numbers:
    """Return what each customer spent in the days after `formed`, less refunds, but no less than nothing."""
    last = formed + timedelta(days=HORIZON_DAYS)
    versions = [version for version in on.lake.versions_known(CUSTOMER_DAYS, through=on.day, known=on.day) if version.day > formed]
    on.engine.register(CUSTOMER_DAYS, on.lake.parts(CUSTOMER_DAYS, versions))
    spend = exp.select("customer_id", "CAST(SUM(order_amount - refund_amount) AS DOUBLE) AS amount").from_(CUSTOMER_DAYS.name)
    within = exp.column("order_day").between(_date_literal(formed + timedelta(days=1)), _date_literal(last))
    rows = on.engine.run(spend.where(within).group_by("customer_id"), {}).read_all()
    found = dict(zip(rows["customer_id"].to_pylist(), rows["amount"].to_pylist(), strict=True))
    return np.array([max(found.get(customer, 0.0), 0.0) for customer in customers["customer_id"].to_pylist()])


def _date_literal(day: date) -> exp.Expression:
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")
