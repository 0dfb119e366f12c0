"""Who is left out of publications: customers of whom the source says that they do not, or no longer, agree."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.features import MergeHistory
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_CONSENTS

CUSTOMER_ID = "customer_id"
CONSENT_SOURCE = "consents"


def withheld_customers(company: Company, lake: Lake, day: date) -> pa.Array | None:
    """Return the ids of customers without consent as night `day` knows it; None where the company asks nobody.

    A customer without a row is published; one with several rows only if all of them agree, and so is one into whom others were merged.
    Raises DataError where the company asks, but no night has read the answers.
    """
    if not company.source_file(CONSENT_SOURCE).is_file():
        return None
    known = lake.snapshot_known(RAW_CONSENTS, day)
    if known is None:
        raise DataError(
            "nobody knows who agreed to be written to: no night has read the consents",
            where=str(company.source_file(CONSENT_SOURCE)),
            todo=f"Run the whole night: segments run --reread --day {day}{command_options(company, lake)}",
        )
    rows = lake.read(RAW_CONSENTS, known_on=known)
    is_agreed = pc.fill_null(rows["is_consenting"], fill_value=False)
    refusing = pc.unique(_trimmed_ids(rows[CUSTOMER_ID]).filter(pc.invert(is_agreed))).drop_null()
    survivors = MergeHistory(lake, company.zone).survivors(day, day)
    return pc.unique(pa.concat_arrays([refusing, survivors.ids_of(refusing)])) if survivors else refusing


def agreeing_customers(company: Company, lake: Lake, day: date) -> pa.Array:
    """Return the ids of customers who said yes as night `day` knows it, those merged into them included; none where nobody is asked."""
    withheld = withheld_customers(company, lake, day)
    if withheld is None:
        return pa.array([], pa.string())
    rows = lake.read(RAW_CONSENTS, known_on=lake.snapshot_known(RAW_CONSENTS, day))
    agreeing = _trimmed_ids(rows[CUSTOMER_ID]).filter(pc.fill_null(rows["is_consenting"], fill_value=False))
    people = pc.unique(MergeHistory(lake, company.zone).survivors(day, day).ids_of(agreeing)).drop_null()
    return people.filter(pc.invert(pc.is_in(people, value_set=withheld)))


def drop_withheld(rows: pa.RecordBatch, withheld: pa.Array | None) -> pa.RecordBatch:
    """Return `rows` without those of the customers `withheld`; unchanged where it is about no customer."""
    if withheld is None or CUSTOMER_ID not in rows.schema.names:
        return rows
    return rows.filter(pc.invert(pc.is_in(_trimmed_ids(rows.column(CUSTOMER_ID)), value_set=withheld)))


def _trimmed_ids(ids: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """White space around an id makes nobody another person."""
    return pc.ascii_trim_whitespace(ids)
