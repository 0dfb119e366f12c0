"""Who agreed to be written to, and why customers are not published: what profiles say of both."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company import Company
from pipeline.features import MergeHistory
from pipeline.lake.lake import Lake
from pipeline.publication.consent import agreeing_customers
from pipeline.publication.crm.staged_tables import STANDINGS
from pipeline.publication.left_out import left_out_customers


def customer_standings(company: Company, lake: Lake, day: date) -> pa.Table:
    """Return rows of STANDINGS, sorted: who agreed by the night of `day`, and who left since, with the reason.

    Of several reasons the first of these is told: consent withdrawn, merged into another customer, departed.
    """
    left_out = left_out_customers(company, lake, day)
    reasons = {
        "consent_withdrawn": left_out.withheld,
        "identity_merge": MergeHistory(lake, company.zone).survivors(day, day).merged_ids,
        "departed": left_out.departed,
    }
    agreeing = agreeing_customers(company, lake, day)
    parts = [_rows(ids, is_consenting=None, reason=reason) for reason, ids in reasons.items() if ids is not None]
    parts.append(_rows(agreeing, is_consenting=True, reason=None))
    rows = pa.concat_tables(parts)
    # One row per customer: of those with several the first part's, which a stable sort keeps first.
    places = pa.table({"customer_id": rows["customer_id"], "place": pa.arange(0, rows.num_rows)})
    first = places.group_by("customer_id").aggregate([("place", "min")])
    return rows.take(first["place_min"]).sort_by("customer_id")


def _rows(ids: pa.Array | pa.ChunkedArray, *, is_consenting: bool | None, reason: str | None) -> pa.Table:
    count = len(ids)
    values = [ids, pa.repeat(pa.scalar(is_consenting, pa.bool_()), count), pa.repeat(pa.scalar(reason, pa.string()), count)]
    table = pa.table(dict(zip(STANDINGS.column_names, values, strict=True)))
    return table.filter(pc.is_valid(table["customer_id"]))
