"""Statuses of WooCommerce orders, as `wc-on-hold`, `on-hold` or the label `On hold`, in the language of the shop. Pure."""

from __future__ import annotations

import re

from pipeline.onboarding.column_names import small_letters, state_of, usual_states
from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.layouts.order_states import COUNTS, LEFT_OUT, say_states
from pipeline.onboarding.roles import plain_name

UNPAID = ("pending", "pendingpayment", "onhold")
CALLED_OFF = ("cancelled", "canceled", "failed", "refunded", "trash", "checkoutdraft", "draft")
COUNTED = ("processing", "completed")
# The prefix of the database and what may stand between words; a regular expression for Python and for DuckDB.
_MARKS = "^wc-|[ _-]"


def is_uncounted(reading: TableReading, column: str) -> str:
    """Return the SQL condition of rows whose status says that they are not paid, or called off; says how many have each status."""
    unpaid = reading.option(f"{reading.table}.unpaid", LEFT_OUT, ["counted"])
    values = reading.column(column).values
    kinds = {value: _kind(value) for value in values}
    usual = {value: COUNTS if kind in {"", "unpaid" if unpaid == "counted" else ""} else LEFT_OUT for value, kind in kinds.items()}
    effects = {
        value: reading.option(reading.value_key("status", value), effect, [LEFT_OUT if effect == COUNTS else COUNTS])
        for value, effect in usual.items()
    }
    if any(kind == "unpaid" and effects[value] == LEFT_OUT for value, kind in kinds.items()):
        reading.assume(
            f"Orders that are pending or on hold are not paid yet and do not count; --set {reading.table}.unpaid=counted counts them."
        )
    reading.assume("Cancelled, failed and wholly refunded orders are kept, but count nowhere.")
    say_states(reading, column, {each: [value for value in effects if effects[value] == each] for each in (COUNTS, LEFT_OUT)})
    # A later export may have a status that this one has not.
    usual_of_language = usual_states(values)
    known = [*CALLED_OFF, *map(_bare, (*usual_of_language.get("called_off", ()), *usual_of_language.get("given_back", ())))]
    if unpaid != "counted":
        known += [*UNPAID, *map(_bare, usual_of_language.get("unpaid", ()))]
    seen = {_bare(value): effect for value, effect in effects.items()}
    gone = dict.fromkeys([*known, *seen])
    listed = ", ".join(quoted_text(status) for status in gone if seen.get(status, LEFT_OUT) == LEFT_OUT)
    return f"COALESCE(regexp_replace(lower({reading.text(column)}), '{_MARKS}', '', 'g') IN ({listed}), FALSE)"


def _bare(status: str) -> str:
    return re.sub(_MARKS, "", small_letters(status))


def _kind(status: str) -> str:
    """Return `unpaid`, `called_off`, or an empty text where such an order counts: statuses of a shop's own do."""
    bare = _bare(status)
    if bare in COUNTED:
        return ""
    if bare in UNPAID or bare in CALLED_OFF:
        return "unpaid" if bare in UNPAID else "called_off"
    found = state_of(plain_name(status.lower().removeprefix("wc-")))
    return {"unpaid": "unpaid", "called_off": "called_off", "given_back": "called_off"}.get(found, "")
