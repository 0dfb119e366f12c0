"""What is read of a night for one customer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import Schemes
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Table


@dataclass(frozen=True, slots=True)
class ExplainedNight:
    """A stored night, its definitions, and the customer who is asked about."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    customer_id: str
    features: Table
    schemes: Schemes
    audiences: Schemes

    def customer_rows(self, table: Table, address: str) -> list[dict[str, Any]]:
        """Read the customer's rows of a partition, in the order of its key."""
        self.engine.register(table, [address])
        return self.rows_of_customer(table)

    def rows_of_customer(self, table: Table) -> list[dict[str, Any]]:
        """Read the customer's rows of a registered table, in the order of its key."""
        names = (exp.column(name, quoted=True) for name in table.column_names)
        query = exp.select(*names).from_(table.name).where(is_customer()).order_by(*table.key)
        rows: list[dict[str, Any]] = self.engine.run(query, {"customer_id": self.customer_id}).read_all().to_pylist()
        return rows


def is_customer() -> exp.Expr:
    """Return the condition that a row is the customer's."""
    # A parameter: an id may hold anything, quotes and all.
    return exp.column("customer_id").eq(exp.Placeholder(this="customer_id"))
