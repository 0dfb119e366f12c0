"""Which columns of any table hold ids of customers."""

from __future__ import annotations

import pyarrow as pa

CUSTOMER_ID = "customer_id"


def holds_customer_ids(field: pa.Field) -> bool:
    """Return whether a column holds ids of customers, the row's own or another's, such as `referrer_customer_id`."""
    return field.name.endswith(CUSTOMER_ID) and bool(pa.types.is_string(field.type))
