"""Amounts that are not finite: what PostgreSQL's NUMERIC may be, and no exact decimal.

A raw row must hold them all the same, or validation could not set it aside by name. So each is stored as an amount that lies
outside of what a column of money takes from a source, and that no other value can be.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake.tables import MONEY_DECIMALS, Kind

LARGEST_AMOUNT = Decimal("99999999999999.9999")
"""What DECIMAL(18,4), the type of money, ends with; its eight bytes hold nine times as much."""
STAND_INS: Mapping[str, Decimal] = {
    "NaN": Decimal("900000000000000.0000"),
    "Infinity": Decimal("910000000000000.0000"),
    "-Infinity": Decimal("-910000000000000.0000"),
}
"""The words of PostgreSQL, and what is stored in their place."""
_WORDS_OF_DRIVER = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
_WIDER = pa.decimal128(Kind.MONEY.arrow.precision + 4, MONEY_DECIMALS)


def amounts_of_texts(texts: pa.Array) -> pa.Array:
    """Return decimals, written as PostgreSQL's driver writes them, as money, with stand-ins for words.

    Raises ArrowInvalid for what money cannot hold exactly.
    """
    is_word = pc.is_in(texts, value_set=pa.array(_WORDS_OF_DRIVER))
    pc.if_else(is_word, None, texts).cast(Kind.MONEY.arrow)
    written = texts
    for word, name in _WORDS_OF_DRIVER.items():
        written = pc.if_else(pc.equal(written, word), str(STAND_INS[name]), written)
    wide = written.cast(_WIDER)
    return pa.Array.from_buffers(Kind.MONEY.arrow, len(wide), wide.buffers(), offset=wide.offset)


def is_finite_amount(money: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return per amount whether it is one, rather than a stand-in; null for null."""
    least, most = (pa.scalar(limit, Kind.MONEY.arrow) for limit in (-LARGEST_AMOUNT, LARGEST_AMOUNT))
    return pc.and_(pc.greater_equal(money, least), pc.less_equal(money, most))


def amount_text(amount: Decimal | None) -> str | None:
    """Return an amount as its source writes it."""
    return None if amount is None else next((word for word, each in STAND_INS.items() if each == amount), str(amount))
