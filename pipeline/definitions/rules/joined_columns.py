"""Columns that rules look at and that no feature is: whether a value is on a list, when a customer was in a segment, what is predicted.

Whoever decides by such a rule joins them to the features. Their names say what they are, so that a rule needs nothing beside itself: a
name such as `city IN LIST coast@3f2a91c04b77` no feature or attribute can have. The digest is that of the list's text: a list that was
edited is another column, and a rule that names it another rule.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipeline.lake.tables import CUSTOMER_PREDICTIONS, Kind

STAYS = ("LAST_IN", "ENTERED", "IN_SINCE")
_LIST = re.compile(r"(?P<value>.+?) IN LIST (?P<name>.+)@(?P<digest>[0-9a-f]+)")
_STAY = re.compile(rf"(?P<what>{'|'.join(STAYS)})\((?P<scheme>\w+)\.(?P<segment>\w+|'(?:[^']|'')+')\)")
PREDICTIONS: Mapping[str, Kind] = {column.name: column.kind for column in CUSTOMER_PREDICTIONS.columns if column.kind is Kind.NUMBER}
"""What is predicted of customers, by name."""


@dataclass(frozen=True, slots=True)
class ListColumn:
    """Whether the text `value` of a customer is on the list `name`, whose text has this digest."""

    value: str
    name: str
    digest: str

    @property
    def column(self) -> str:
        """The name of the column."""
        return f"{self.value} IN LIST {self.name}@{self.digest}"


@dataclass(frozen=True, slots=True)
class StayColumn:
    """A day of a customer's stays in a segment, as the nights before tonight tell them; `what` is one of STAYS."""

    what: str
    scheme: str
    segment: str

    @property
    def column(self) -> str:
        """The name of the column, as a rule says it."""
        is_plain = re.fullmatch(r"\w+", self.segment) is not None
        segment = self.segment if is_plain else "'" + self.segment.replace("'", "''") + "'"
        return f"{self.what}({self.scheme}.{segment})"


def joined_column(name: str) -> ListColumn | StayColumn | None:
    """Return what the column `name` is; None for a feature, an attribute or a prediction."""
    if found := _LIST.fullmatch(name):
        return ListColumn(found["value"], found["name"], found["digest"])
    if found := _STAY.fullmatch(name):
        segment = found["segment"]
        return StayColumn(found["what"], found["scheme"], segment[1:-1].replace("''", "'") if segment.startswith("'") else segment)
    return None


def column_words(name: str) -> str:
    """Return how people read the name of a column: a list without the digest of its text."""
    column = joined_column(name)
    return name.rpartition("@")[0] if isinstance(column, ListColumn) else name


def joined_kind(name: str) -> Kind | None:
    """Return the kind of the column `name`; None for one that is not joined."""
    column = joined_column(name)
    if column is None:
        return PREDICTIONS.get(name)
    return Kind.FLAG if isinstance(column, ListColumn) else Kind.DATE
