"""Laws 3, 9 and 12 over any series of runs, reruns, backfills, late rows, rollbacks, refits, edits and erasures.

LAKE_SEQUENCES=1000 tries as many series; each is up to eight steps long, half of them whole nights.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from support.nights import NO_GATES, run_night, tree_bytes, write_shop
from support.published_nights import no_connections, target_rows

from pipeline.definitions.company import load_company
from pipeline.errors import DataError
from pipeline.lake.checksums import is_whole
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, RAW_ORDER_LINES
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.publish import current_publication
from pipeline.publication.rollback import roll_back

FIRST = date(2024, 3, 1)
STARTED = (FIRST, date(2024, 3, 2), date(2024, 3, 4))
CUSTOMERS = [f"c{n:02}" for n in range(36)]
ORDERS = [f"o{n},1,{CUSTOMERS[n % 36]},2024-02-{10 + n % 20:02} 10:00:00,1,{n}.25,a" for n in range(90)] + [
    f"p{n},1,{CUSTOMERS[n]},{FIRST + timedelta(n % 9)} 09:00:00,1,{n}.5,b" for n in range(27)
]
NIGHT_TABLES = ("customer_features", "customer_segments", "segment_profiles", "population_rhythm", "population_baselines")
SCHEME = """
title = "Size"
kind = "rules"
level = "behavioural"
question = "Who orders much?"
evidence = ["order_count"]

[[segment]]
id = "large"
title = "Large"
description = "Orders much."
rule = "order_count >= {limit}"

[[segment]]
id = "small"
title = "Small"
description = "Orders little."
otherwise = true
"""
places = st.integers(0, 8)


@cache
def a_start() -> Path:
    """Return a folder with a shop and a lake of three nights, between which one was missed."""
    folder = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, folder)
    shop = write_shop(folder / "shop", ORDERS, customers=CUSTOMERS, settings=NO_GATES)
    for day in STARTED:
        run_night(shop, Lake(folder / "lake"), day)
    return folder


class NightsInAnyOrder(RuleBasedStateMachine):
    """A shop and its lake, and what readers must see of it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.shop = self.folder / "shop"
        self.lake = Lake(self.folder / "lake")
        self.nights: dict[date, dict[str, bytes]] = {}
        self.unsettled: set[date] = set()
        self.erased: set[str] = set()
        self.late_count = 0

    @initialize()
    def three_nights(self) -> None:
        shutil.copytree(a_start(), self.folder, symlinks=True, dirs_exist_ok=True)
        self.company = load_company(self.shop)
        self.nights = {day: self._night(day) for day in STARTED}

    def teardown(self) -> None:
        shutil.rmtree(self.folder)

    @property
    def newest(self) -> date:
        return max(self.nights)

    @property
    def missed(self) -> list[date]:
        return [day for day in (FIRST + timedelta(n) for n in range((self.newest - FIRST).days)) if day not in self.nights]

    # One rule for all that can happen: hypothesis leaves out some rules of every series, and most with them.
    @rule(
        what=st.sampled_from(["again", "next", "next", "missed", "late", "edit", "refit", "rollback", "erase"]),
        place=places,
        customer=st.sampled_from(CUSTOMERS),
    )
    def something_happens(self, what: str, place: int, customer: str) -> None:
        happen: dict[str, Callable[[], None]] = {
            "next": lambda: self._run(self.newest + timedelta(1 + place % 2)),
            "again": lambda: self._run_again(place),
            "missed": lambda: self._make_up(place),
            "late": lambda: self._add_late_order(place, customer),
            "edit": lambda: self._edit_definition(1 + place % 4),
            "refit": self._refit,
            "rollback": self._roll_back,
            "erase": lambda: self._erase(customer),
        }
        note(f"{what} {place} {customer}")
        happen[what]()

    def _run_again(self, place: int) -> None:
        day = sorted(self.nights)[place % len(self.nights)]
        before = self.nights[day]
        self._run(day)
        if day not in self.unsettled:
            assert self.nights[day] == before, f"another run of {day} changed it"
        self.unsettled.discard(day)

    def _make_up(self, place: int) -> None:
        if not self.missed:
            return
        day = self.missed[place % len(self.missed)]
        self._run(day)
        # What it read counts as known from then on, so that a rerun of what came after it may see more.
        self.unsettled |= {night for night in self.nights if night > day}

    def _add_late_order(self, place: int, customer: str) -> None:
        self.late_count += 1
        day = FIRST + timedelta(place % ((self.newest - FIRST).days + 1))
        with (self.shop / "data" / "orders.csv").open("a") as file:
            file.write(f"late{self.late_count},1,{customer},{day} 12:00:00,1,3.75,a\n")

    def _edit_definition(self, limit: int) -> None:
        path = self.shop / "segments" / "size.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SCHEME.format(limit=limit))
        self.unsettled.add(self.newest)

    def _refit(self) -> None:
        """Let every model be followed by one of its own kind that is valid from tomorrow."""
        for folder in (self.lake.root / "models").iterdir():
            newest = max(folder.glob("*.json"))
            model = newest.read_text("utf-8")
            (folder / f"{self.newest + timedelta(1)}.json").write_text(model, "utf-8")

    def _roll_back(self) -> None:
        current = self._current()
        if current.previous is None or not (self.lake.root / "publications" / current.previous).exists():
            with pytest.raises(DataError, match="no way leads back"):
                roll_back(self.company, self.lake, connections=no_connections)
            assert self._current() == current
        else:
            roll_back(self.company, self.lake, connections=no_connections)
            assert self._current().publication_id == current.previous

    def _erase(self, customer: str) -> None:
        erase_customers(Deployment(self.company, self.lake, no_connections), [customer])
        self.erased.add(customer)
        self.nights = {day: self._night(day) for day in self.nights}
        self.unsettled = set(self.nights)

    @invariant()
    def every_night_is_as_it_was_last_written(self) -> None:
        assert {day: self._night(day) for day in self.nights} == self.nights

    @precondition(lambda self: self.nights)
    @invariant()
    def readers_see_one_whole_publication_in_files_and_database(self) -> None:
        current = self._current()
        manifest = json.loads((self.lake.local(current.prefix) / "manifest.json").read_text("utf-8"))
        for name, table in manifest["tables"].items():
            assert sha256(self.lake.local(current.file(name)).read_bytes()).hexdigest() == table["sha256"]
        rows = target_rows(self.lake.root / "segments.sqlite")
        assert max(row[0] for row in rows["publications"]) == str(current.day)
        assert sorted(row[:3] for row in rows["customer_segments"]) == self._published_segments(self.lake.local(current.prefix))

    @invariant()
    def nothing_is_left_over_and_nothing_is_damaged(self) -> None:
        assert not list((self.lake.root / "staging").glob("*"))
        assert all(is_whole(path) for path in self.lake.root.glob("tables/**/*.parquet"))
        assert len(list((self.lake.root / "publications").glob("*"))) <= 2

    @invariant()
    def who_was_erased_is_in_no_table(self) -> None:
        for path in self.lake.root.glob("tables/**/*.parquet") if self.erased else ():
            if "customer_id" in pq.read_schema(path).names:
                assert not self.erased & set(pq.read_table(path, columns=["customer_id"])["customer_id"].to_pylist()), path

    def _run(self, day: date) -> None:
        current = current_publication(self.lake)
        run_night(self.shop, self.lake, day)
        self.nights[day] = self._night(day)
        if current is None or day >= current.day:
            assert self._current().day == day
        else:
            assert self._current() == current, "an older night moved the pointer"
        assert self._spent(day) == self._spent_by_raw_lines(day)

    def _night(self, day: date) -> dict[str, bytes]:
        return dict(tree_bytes(self.lake, *(f"tables/{name}/day={day}" for name in NIGHT_TABLES)))

    def _current(self) -> Any:
        current = current_publication(self.lake)
        assert current is not None
        return current

    def _published_segments(self, folder: Path) -> list[tuple[str, str, str]]:
        rows = pq.read_table(folder / "customer_segments.parquet").to_pylist()
        return sorted((row["customer_id"], row["scheme"], row["segment"]) for row in rows)

    def _spent(self, day: date) -> dict[str, Decimal]:
        rows = self.lake.read(self.company.table(CUSTOMER_FEATURES), day=day).to_pylist()
        return {row["customer_id"]: row["spend_amount"] for row in rows if row["spend_amount"]}

    def _spent_by_raw_lines(self, day: date) -> dict[str, Decimal]:
        """Add up, in Python alone, what the night knew of the raw lines in the window of a year."""
        spent: dict[str, Decimal] = defaultdict(Decimal)
        for version in self.lake.versions_known(RAW_ORDER_LINES, through=day, known_on=day):
            for row in self.lake.read(RAW_ORDER_LINES, day=version.day, known_on=version.known_on).to_pylist():
                spent[row["customer_id"]] += row["net_amount"]
        return {customer: amount for customer, amount in spent.items() if amount and customer not in self.erased}


SEQUENCES = int(os.environ.get("LAKE_SEQUENCES", "2"))
TestNightsInAnyOrder = NightsInAnyOrder.TestCase
TestNightsInAnyOrder.pytestmark = [pytest.mark.timeout(0)] if SEQUENCES > 10 else []  # type: ignore[attr-defined]
TestNightsInAnyOrder.settings = settings(
    max_examples=SEQUENCES, stateful_step_count=8, deadline=None, derandomize=SEQUENCES < 100, suppress_health_check=list(HealthCheck)
)
