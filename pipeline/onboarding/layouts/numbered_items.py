"""Orders in one row with their items side by side, as in `item1`, `price1`, `item2`, `price2`: made a row for each item. Pure."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal

import pyarrow as pa

from pipeline.onboarding.column_names import is_no_amount, role_rank
from pipeline.onboarding.layouts.layout import TableReading, quoted_name
from pipeline.onboarding.layouts.order_totals import CENT, has_digit
from pipeline.onboarding.number_styles import NumberStyle, number_style
from pipeline.onboarding.roles import Role, column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample

_NUMBERED = re.compile(r"(?P<stem>.*?[^\d\s_.#-])[\s_.#-]*(?P<number>\d{1,2})")
_FEWEST = 2


def numbered_columns(sample: TableSample) -> dict[str, dict[int, str]]:
    """Return the columns of items by what they say and by their number; none where no amount and no other column goes with each item."""
    stems: dict[str, dict[int, str]] = defaultdict(dict)
    for name in sample.column_names:
        if match := _NUMBERED.fullmatch(name):
            stems[match["stem"]][int(match["number"])] = name
    numbers = [frozenset(names) for stem, names in stems.items() if _is_amount(stem)]
    wanted = max(numbers, key=len, default=frozenset())
    found = {stem: names for stem, names in stems.items() if names.keys() == wanted}
    return found if len(wanted) >= _FEWEST and len(found) > 1 else {}


def _is_amount(stem: str) -> bool:
    plain = plain_name(stem)
    return not is_no_amount(plain) and any(role_rank(role.value, plain) is not None for role in (Role.AMOUNT, Role.PRICE))


def split_items(reading: TableReading) -> None:
    """Let the reading have a row for each item, where the rows' totals are the sums of their items, or there are no totals."""
    stems = numbered_columns(reading.sample)
    if not stems or reading.source or not _are_sums(reading, stems):
        return
    names = [name for columns in stems.values() for name in columns.values()]
    rest = [name for name in reading.sample.column_names if name not in names]
    amount = next(stem for stem in stems if _is_amount(stem))
    parts, selects = [], []
    for number in sorted(stems[amount]):
        columns = {stem: columns[number] for stem, columns in stems.items()}
        given = [bool(cell) for (cell,) in reading.sample.records((columns[amount],))]
        part = reading.sample.rows.select([*rest, *columns.values()]).rename_columns([*rest, *columns])
        parts.append(part.filter(pa.array(given)))
        listed = ", ".join([*map(quoted_name, rest), *(f"{reading.quoted(name)} AS {quoted_name(stem)}" for stem, name in columns.items())])
        selects.append(f"  SELECT {listed}\n  FROM {reading.table}\n  WHERE {reading.text(columns[amount])} IS NOT NULL")
    said = ", ".join(f"`{name}`" for name in names)
    reading.assume(f"{reading.table}: {said} are items side by side: each becomes a line of its order.")
    typed = reading.sample.typed & set(rest)
    reading.sample = TableSample(reading.table, pa.concat_tables(parts), reading.sample.files, typed)
    reading.of_orders, reading.source = frozenset(rest), f"{reading.table}_items"
    united = "\n  UNION ALL\n".join(selects)
    reading.prelude = f"{reading.source} AS (\n  -- Items stand side by side: a row for each.\n{united}\n)"


def _are_sums(reading: TableReading, stems: Mapping[str, Mapping[int, str]]) -> bool:
    """Return whether a total of each row is the sum of its items, or no column could be one."""
    totals = [each.column for each in column_roles(reading.sample) if each.role is Role.AMOUNT]
    prices = next(columns for stem, columns in stems.items() if _is_amount(stem))
    counts = next((columns for stem, columns in stems.items() if role_rank(Role.QUANTITY.value, plain_name(stem)) is not None), {})
    paid = [_numbers(reading, name) for name in prices.values()]
    if any(numbers is None for numbers in paid):
        return False
    pieces = [_numbers(reading, counts[number]) if counts else None for number in prices]
    sums = [Decimal()] * reading.sample.rows.num_rows
    for amounts, many in zip(paid, pieces, strict=True):
        for row, amount in enumerate(amounts or ()):
            sums[row] += amount * (many[row] if many else 1)
    return not totals or any(_fits(_numbers(reading, total), sums) for total in totals)


def _fits(total: Sequence[Decimal] | None, sums: Sequence[Decimal]) -> bool:
    return total is not None and all(abs(one - other) < CENT for one, other in zip(total, sums, strict=True))


def _numbers(reading: TableReading, name: str) -> list[Decimal] | None:
    """Return the numbers of a column, zero where it has none; None where its values are no numbers, or could be read in two ways."""
    if not reading.column(name).counts:
        return [Decimal()] * reading.sample.rows.num_rows
    style: NumberStyle | None = number_style(reading.column(name).counts)
    if style is None or not style.decimal:
        return None
    cells = (cell for (cell,) in reading.sample.records((name,)))
    return [style.number(cell) if has_digit(cell) else Decimal() for cell in cells]
