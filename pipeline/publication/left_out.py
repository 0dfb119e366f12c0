"""Who is left out of publications: customers who do not agree, and customers whom the source lists no more."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company import Company
from pipeline.ingestion.departures import departed_known
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, DEPARTED_CUSTOMERS, RAW_CONSENTS
from pipeline.publication.consent import CUSTOMER_ID, withheld_customers


@dataclass(frozen=True, slots=True)
class LeftOutCustomers:
    """Ids of customers who do not agree, None where nobody is asked, and of those who departed, None where nobody did."""

    withheld: pa.Array | None
    departed: pa.Array | None

    @property
    def ids(self) -> pa.Array | None:
        """The ids of all of them; None where nobody can be left out."""
        given = [ids for ids in (self.withheld, self.departed) if ids is not None]
        return pc.unique(pa.concat_arrays(given)) if given else None

    def counts(self, lake: Lake, day: date, published: int) -> dict[str, Any]:
        """Return how many customers of the night of `day`, of whom `published` are not left out, are so and why; once each."""
        if self.ids is None or (customers := lake.read_column(CUSTOMER_FEATURES, CUSTOMER_ID, day=day)) is None:
            return {}
        departed = 0 if self.departed is None else pc.sum(pc.is_in(customers, value_set=self.departed)).as_py() or 0
        withheld = {} if self.withheld is None else {"withheld": {"customers": len(customers) - published - departed}}
        return withheld | ({"departed": {"customers": departed}} if departed else {})


def left_out_customers(company: Company, lake: Lake, day: date) -> LeftOutCustomers:
    """Return who is left out of the publication of `day`; raises DataError where no night has read who agrees."""
    return LeftOutCustomers(withheld_customers(company, lake, day), departed_customers(company, lake, day))


def known_left_out_customers(company: Company, lake: Lake, day: date) -> LeftOutCustomers:
    """Return the same as far as the night of `day` knows; where none has read who agrees, nobody is left out for that.

    That is for what is worked out before a publication: a night that knows nothing of consents, though the company asks, has none.
    """
    is_known = lake.snapshot_known(RAW_CONSENTS, day) is not None
    return LeftOutCustomers(withheld_customers(company, lake, day) if is_known else None, departed_customers(company, lake, day))


def departed_customers(company: Company, lake: Lake, day: date) -> pa.Array | None:
    """Return the ids of customers who have departed by the night of `day`; None where nobody has, or they stay published."""
    known = departed_known(lake, day) if company.removes_departed else None
    ids = lake.read(DEPARTED_CUSTOMERS, known_on=known)[CUSTOMER_ID].combine_chunks() if known else None
    return ids if ids is not None and len(ids) else None
