"""The hash of a profile: SHA-256 of its columns as text, so that equal hashes mean equal rows in any engine and on any night.

Each column is written as the number of its characters, a colon and the text, or as `~` where it is empty; one after the other, in the
order of the declaration. A date is `2024-03-05`, an amount has four decimals, a flag is `true` or `false`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.engines.duckdb import select_from_memory
from pipeline.lake.tables import CRM_PROFILES, Column
from pipeline.publication.crm.staged_tables import HASH, HASHED_COLUMNS

_PREDICTION = ("predicted_spend_amount", "predicted_date")
_EARLIER_PREDICTION = ("earlier_spend_amount", "earlier_predicted_date")


def hashed_text(columns: Sequence[str], source: str = "") -> exp.Expr:
    """Build the expression of the text that `columns` of the table `source` are hashed by."""
    return exp.Concat(expressions=[_column_text(name, source) for name in columns], safe=True, coalesce=False)


def _column_text(name: str, source: str) -> exp.Expr:
    text = exp.cast(exp.column(name, source or None), "VARCHAR")
    length = exp.cast(exp.Length(this=text.copy()), "VARCHAR")
    written = exp.DPipe(this=exp.DPipe(this=length, expression=exp.Literal.string(":")), expression=text)
    return exp.Coalesce(this=written, expressions=[exp.Literal.string("~")])


def texts_around_prediction() -> dict[str, exp.Expr]:
    """Return, by the name that statements give it, what a profile is hashed by before its prediction, as prediction, and after it."""
    names = [column.name for column in HASHED_COLUMNS]
    start = names.index(_PREDICTION[0])
    return {
        "hashed_before": hashed_text(names[:start], "c"),
        "hashed_prediction": hashed_text(_PREDICTION, "c"),
        "hashed_earlier_prediction": hashed_text(_EARLIER_PREDICTION, "c"),
        "hashed_after": hashed_text(names[start + len(_PREDICTION) :], "c"),
    }


def with_row_hashes(rows: pa.Table) -> pa.Table:
    """Return rows of crm_profiles with the hash of each in its place."""
    selected = [_selected(column) for column in CRM_PROFILES.columns]
    query = exp.select(*selected).from_(CRM_PROFILES.name).order_by("customer_id")
    return CRM_PROFILES.conform(select_from_memory(CRM_PROFILES, rows, query))


def _selected(column: Column) -> exp.Expr:
    if column.name != HASH:
        return exp.column(column.name)
    return exp.alias_(exp.SHA2(this=hashed_text([each.name for each in HASHED_COLUMNS]), length=exp.Literal.number(256)), HASH)
