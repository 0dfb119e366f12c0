"""Which columns of any table hold ids of customers."""

from __future__ import annotations

import pyarrow as pa

CUSTOMER = "customer_id"


def is_naming(field: pa.Field) -> bool:
    """Return whether a column holds ids of customers."""
    return field.name.endswith(CUSTOMER) and bool(pa.types.is_string(field.type))
