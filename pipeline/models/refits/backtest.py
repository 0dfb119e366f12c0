"""The backtest of a candidate: how well its clusters, formed some months ago, would have told who spends how much since.

Customers of a night 90 to 180 days ago are put into clusters by the current model and by the candidate. Both groupings then order
them by the mean spend of the next 90 days, and the Gini coefficient says how well. Tenths of customers by past spend are the
naive third. Both models were fitted later than that night, so the comparison is fair between them, but is no forecast.
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pyarrow as pa
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_SURVIVORS
from pipeline.models.clusters import ClusterModel, nearest_clusters
from pipeline.models.clusters.encoding import Numbers
from pipeline.models.refits.model_store import RefitContext
from pipeline.models.refits.verdict import Backtest, normalised_gini
from pipeline.models.sample import sample_customers
from pipeline.models.signals import registered_days

HORIZON_DAYS = 90
# An older night would tell of customers whom neither model was made for.
OLDEST_DAYS = 180
FEWEST_CUSTOMERS = 100  # of fewer, one big order decides the coefficient
TENTHS = 10
SPEND = "spend_amount"


def backtest_candidate(context: RefitContext, models: tuple[ClusterModel, ClusterModel]) -> Backtest | str:
    """Measure how well the current model and the candidate tell apart who spends how much; or say why that cannot be measured."""
    since, through = (context.day - timedelta(days=days) for days in (OLDEST_DAYS, HORIZON_DAYS))
    formed = context.lake.newest_night(CUSTOMER_FEATURES, since=since, through=through)
    if formed is None:
        return f"no night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored"
    try:
        names = {SPEND, *context.held_columns(feature.name for model in models for feature in model.features)}
        context.register_features(formed, names)
        customers = sample_customers(context.engine, context.scheme, columns=sorted(names)).features.sort_by("customer_id")
    except DataError as error:
        return f"the features of {formed} cannot be read: {error.what}"
    if customers.num_rows < FEWEST_CUSTOMERS:
        return f"fewer than {FEWEST_CUSTOMERS} customers had an order in the window on {formed}"
    amounts = _amounts_since(context, customers, formed)
    spend = customers[SPEND].cast(pa.float64()).fill_null(0).to_numpy()
    # Equal spend, equal tenth: cut points rather than ranks, which would part equal customers.
    cuts = np.unique(np.quantile(spend, [place / TENTHS for place in range(1, TENTHS)]))
    groupings = [*(nearest_clusters(customers, model) for model in models), np.searchsorted(cuts, spend, side="left")]
    now, then, naive = (normalised_gini(groups, amounts) for groups in groupings)
    return Backtest(formed.isoformat(), HORIZON_DAYS, now, then, naive)


def _amounts_since(context: RefitContext, customers: pa.Table, formed: date) -> Numbers:
    """Return what each customer spent in the days after `formed`, less refunds, at least 0; a number per row of `customers`.

    Customers are told apart as on the older night: whoever was merged since is still two of them.
    """
    last = formed + timedelta(days=HORIZON_DAYS)
    versions = [
        version for version in context.lake.versions_known(CUSTOMER_DAYS, through=context.day, known_on=context.day) if version.day > formed
    ]
    buyer = exp.func("COALESCE", exp.column("survivor_id"), exp.column("customer_id", "d"))
    spend = (
        exp.select(exp.alias_(buyer, "buyer_id"), "CAST(SUM(order_amount - refund_amount) AS DOUBLE) AS amount")
        .from_(f"{CUSTOMER_DAYS.name} AS d")
        .join(f"{CUSTOMER_SURVIVORS.name} AS s", on="s.customer_id = d.customer_id", join_type="left")
        .where(exp.column("order_day").between(_date_literal(formed + timedelta(days=1)), _date_literal(last)))
        .group_by(buyer)
    )
    with registered_days(context.lake, context.engine, versions, context.survivors_of(formed, formed)):
        rows = context.engine.run(spend, {}).read_all()
    amounts = dict(zip(rows["buyer_id"].to_pylist(), rows["amount"].to_pylist(), strict=True))
    # Who gave back more than they bought counts as nothing, or the shares of the Gini curve would not rise.
    return np.array([max(amounts.get(customer, 0.0), 0.0) for customer in customers["customer_id"].to_pylist()])


def _date_literal(day: date) -> exp.Expression:
    return exp.cast(exp.Literal.string(day.isoformat()), "DATE")
