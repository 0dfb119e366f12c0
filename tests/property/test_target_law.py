"""Whatever is published, run again or taken back: a database that gets differences holds what one that gets every night whole holds."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company, an_attribute, write_rows
from support.published_nights import a_row, no_connections, published_segments, target_rows, write_night

from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, Column, Kind
from pipeline.publication.publish import publish
from pipeline.publication.rollback import roll_back

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipeline.definitions.company import Company

MONDAY = date(2025, 3, 3)
ATTRIBUTE = an_attribute(Column("spoken", Kind.TEXT, ""))
A_CUSTOMER = st.tuples(st.sampled_from(["loyal", "lost"]), st.sampled_from([None, "en", "xx"]), st.booleans())
CUSTOMERS = st.dictionaries(st.sampled_from(["ada", "bob", "cleo", "dan"]), A_CUSTOMER)
CALLS = st.lists(st.one_of(st.tuples(st.integers(0, 5), CUSTOMERS), st.none()), min_size=2, max_size=7)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(calls=CALLS)
def test_differences_add_up_to_the_live_publication(calls: list[tuple[int, dict[str, tuple[str, str | None, bool]]] | None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        company = a_company(Path(folder), attributes=(ATTRIBUTE,), customer_language="spoken")
        lakes = [Lake(Path(folder) / name) for name in ("differences", "whole")]
        for call in calls:
            for lake, fewest in zip(lakes, (0, 1_000_000), strict=True):
                with patch("pipeline.publication.targets.target_state.FEWEST_ROWS", fewest):
                    _carry_out(company, lake, call)
        differences, whole = (target_rows(lake.root / "segments.sqlite") if _is_published(lake) else {} for lake in lakes)
        assert differences == whole
        if whole:
            assert {row[0]: row[2] for row in differences["customer_segments"]} == published_segments(lakes[0])


def _carry_out(company: Company, lake: Lake, call: tuple[int, dict[str, tuple[str, str | None, bool]]] | None) -> None:
    if call is None:
        with _nothing_before():
            roll_back(company, lake, connections=no_connections)
        return
    day, customers = MONDAY + timedelta(days=call[0]), call[1]
    write_night(lake, company, day, {who: segment for who, (segment, _, _) in customers.items()})
    features = company.table(CUSTOMER_FEATURES)
    write_rows(lake, features, [a_row(features, customer_id=who, spoken=spoken) for who, (_, spoken, _) in customers.items()], day=day)
    actions: list[dict[str, Any]] = [a_row(CUSTOMER_NEXT_ACTIONS, customer_id=who) for who, (_, _, acts) in customers.items() if acts]
    write_rows(lake, CUSTOMER_NEXT_ACTIONS, actions, day=day)
    publish(company, lake, day, connections=no_connections)


@contextmanager
def _nothing_before() -> Iterator[None]:
    try:
        yield
    except DataError:
        return


def _is_published(lake: Lake) -> bool:
    return (lake.root / "current").exists()
