"""Which columns of any table hold ids of customers."""

from __future__ import annotations

import pyarrow as pa

CUSTOMER_ID, MERGED_INTO = "customer_id", "merged_into"


def is_customer_id(name: str) -> bool:
    """Return whether a column of that name holds ids of customers, the row's own or another's, such as `referrer_customer_id`."""
    return name.endswith(CUSTOMER_ID) or name == MERGED_INTO


def holds_customer_ids(field: pa.Field) -> bool:
    """Return whether a column holds ids of customers as text."""
    return is_customer_id(field.name) and bool(pa.types.is_string(field.type))
