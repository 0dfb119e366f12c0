"""What each method of scoring gives on real shops: who moves and why, and how well segments order customers by what they spend next.

A shop is read once; then a month of nights and the refreezes before and after it are segmented by all methods beside each other,
each method a scheme of its own. The tables are left in `score_methods.md`.
"""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
from lakes import PROJECT_ROOT
from measure import Result

from pipeline.calendar import days_between
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, ORDER_LINES, SEGMENT_MOVES
from pipeline.models.refits.verdict import normalised_gini
from pipeline.operations import steps
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night

DATA = PROJECT_ROOT.parent / "shared" / "data"
HORIZON_DAYS = 90
METHODS = ("frozen", "rank", "thresholds")
SCORES = {"rfm": ("r_score", "f_score", "m_score"), "value_tier": ("value_score",)}
CDNOW_TOML = 'name = "CDNOW"\ntime_zone = "America/New_York"\ncurrency = "USD"\nfirst_day = 1997-01-01\n[gates]\nquiet_days = 366\n'
CDNOW_CUSTOMERS = "SELECT DISTINCT CAST(customer_id AS VARCHAR) AS customer_id FROM master"
CDNOW_LINES = """
WITH lines AS (
  SELECT *, STRPTIME(date, '%Y%m%d') AT TIME ZONE 'America/New_York' AS ordered_at,
    ROW_NUMBER() OVER (PARTITION BY customer_id, date ORDER BY cds, value_usd) AS line_number
  FROM master
)
SELECT customer_id || '-' || date AS order_id, line_number, CAST(customer_id AS VARCHAR) AS customer_id, ordered_at,
  CAST(cds AS DECIMAL(18, 4)) AS quantity, CAST(value_usd AS DECIMAL(18, 4)) AS net_amount
FROM lines
WHERE ordered_at >= $day_start AND ordered_at < $day_end
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """A shop, the month whose nights are run, and the thresholds that somebody who looked at it once would write down."""

    name: str
    month: date
    thresholds: Mapping[str, tuple[int, ...]]
    example: Path | None = None
    data: Path = field(default=DATA)


TRIALS = (
    Trial(
        "CDNOW",
        date(1998, 3, 1),
        {"r_score": (60, 150, 300, 350), "f_score": (2, 3, 4, 6), "m_score": (20, 40, 70, 150), "value_score": (25, 60)},
        data=DATA / "cdnow",
    ),
    Trial(
        "Online Retail",
        date(2011, 8, 1),
        {"r_score": (15, 45, 90, 150), "f_score": (2, 3, 4, 6), "m_score": (200, 400, 800, 1800), "value_score": (250, 900)},
        PROJECT_ROOT / "examples" / "online_retail",
    ),
    Trial(
        "The Complete Journey",
        date(2017, 9, 1),
        {"r_score": (1, 4, 8, 25), "f_score": (10, 20, 35, 55), "m_score": (225, 550, 1100, 2000), "value_score": (450, 1100)},
        PROJECT_ROOT / "examples" / "complete_journey",
    ),
)


@dataclass(frozen=True, slots=True)
class Trialled:
    """What one scheme by one method gave: moves by reason on ordinary nights and on refreezes, and the normalised Gini of its segments."""

    shop: str
    scheme: str
    method: str
    customers: int
    nights: int
    ordinary: Counter[str]
    refreezes: Counter[str]
    gini: float
    naive: float

    @property
    def shifts(self) -> float:
        """Moves a night that only others caused, between refreezes."""
        return self.ordinary["population_shift"] / self.nights


def results(scratch: Path) -> list[Result]:
    """Return what frozen limits give beside ranks, for each stored shop and scheme."""
    found = [trialled for trial in TRIALS if _is_stored(trial) for trialled in _trialled(trial, scratch)]
    (scratch / "score_methods.md").write_text("\n".join(_tables(found)) + "\n", "utf-8")
    by_key = {(each.shop, each.scheme, each.method): each for each in found}
    rows = []
    for (shop, scheme, method), each in by_key.items():
        if method == "frozen":
            rank = by_key[shop, scheme, "rank"]
            ratio = each.shifts / rank.shifts if rank.shifts else 0.0
            rows.append(Result(f"{shop}, {scheme}: moved by others, frozen / rank", each.shifts, rank.shifts, "a night", ratio, bar=0.0))
            rows.append(Result(f"{shop}, {scheme}: normalised Gini, rank / frozen", rank.gini, each.gini, "", bar=1.1))
    return rows


def _is_stored(trial: Trial) -> bool:
    if not trial.data.exists():
        print(f"{trial.name} is left out: {trial.data} is not there", file=sys.stderr)
    return trial.data.exists()


def _trialled(trial: Trial, scratch: Path) -> Iterator[Trialled]:
    """Run the nights of a trial, and yield what each scheme by each method gave."""
    first, after = trial.month, (trial.month + timedelta(days=31)).replace(day=1)
    formed = after - timedelta(days=1)
    with TemporaryDirectory(dir=scratch) as folder:
        company, lake = _written_company(trial, Path(folder) / "shop"), Lake(Path(folder) / "lake")
        deployment = Deployment.of(company, lake.root)
        # Read once, as late as the last day that is looked at: earlier nights see what was ordered before them alone.
        reading = Night.of(deployment, formed + timedelta(days=HORIZON_DAYS), None)
        steps.extract(reading)
        steps.validate(reading)
        for day in days_between(first - timedelta(days=1), after):
            steps.features(Night.of(deployment, day, None))
            steps.segment(Night.of(deployment, day, None))
            print(f"{trial.name}: {day}", file=sys.stderr)
        spent, spent_before = _spend_since(lake, formed), _spend_before(lake, formed)
        for scheme in SCORES:
            for method in METHODS:
                name = _scheme_name(scheme, method)
                nights = [day for day in days_between(first, after) if day.day != 1]
                yield Trialled(
                    trial.name,
                    scheme,
                    method,
                    len(spent_before),
                    len(nights),
                    _reasons(lake, name, nights),
                    _reasons(lake, name, [first, after]),
                    _gini(_segments(lake, name, formed), spent),
                    _gini(_tenths(spent_before), spent),
                )


def _written_company(trial: Trial, folder: Path) -> Path:
    """Write the company of a trial, with a scheme for each method."""
    if trial.example is not None:
        shutil.copytree(trial.example, folder, symlinks=False)
    else:
        (folder / "sources").mkdir(parents=True)
        (folder / "company.toml").write_text(f'{CDNOW_TOML}[source]\npath = "{trial.data}"\n', "utf-8")
        (folder / "sources" / "customers.sql").write_text(CDNOW_CUSTOMERS, "utf-8")
        (folder / "sources" / "order_lines.sql").write_text(CDNOW_LINES, "utf-8")
    (folder / "segments").mkdir(exist_ok=True)
    for scheme, scores in SCORES.items():
        ours = (PROJECT_ROOT / "segments" / f"{scheme}.toml").read_text("utf-8")
        for method in METHODS[1:]:
            lines = (f"{score} = {_method_toml(trial, score, method)}" for score in scores)
            text = ours.replace("[[segment]]", "\n".join(["[scores]", *lines, "", "[[segment]]"]), 1)
            (folder / "segments" / f"{_scheme_name(scheme, method)}.toml").write_text(text, "utf-8")
    return folder


def _method_toml(trial: Trial, score: str, method: str) -> str:
    return f"{{ thresholds = {list(trial.thresholds[score])} }}" if method == "thresholds" else f'"{method}"'


def _scheme_name(scheme: str, method: str) -> str:
    return scheme if method == "frozen" else f"{scheme}_{method}"


def _reasons(lake: Lake, scheme: str, nights: list[date]) -> Counter[str]:
    rows = (row for night in nights for row in lake.read(SEGMENT_MOVES, day=night).to_pylist())
    return Counter(row["reason"] for row in rows if row["scheme"] == scheme and row["from_segment"] and row["to_segment"])


def _segments(lake: Lake, scheme: str, night: date) -> dict[str, str]:
    rows = lake.read(CUSTOMER_SEGMENTS, day=night).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == scheme}


def _spend_since(lake: Lake, night: date) -> dict[str, float]:
    """Return what each customer spent in the days after `night`, less refunds, at least 0."""
    files = str(lake.root / "tables" / ORDER_LINES.name / "month=*" / "known=*" / "*.parquet")
    query = """
        SELECT customer_id, GREATEST(SUM(net_amount), 0)::DOUBLE FROM read_parquet(?)
        WHERE line_kind <> 'cancelled' AND order_day > ? AND order_day <= ? GROUP BY customer_id
    """
    with duckdb.connect() as connection:
        return dict(connection.execute(query, [files, night, night + timedelta(days=HORIZON_DAYS)]).fetchall())


def _spend_before(lake: Lake, night: date) -> dict[str, float]:
    """Return the spend in the window of everybody who had ever ordered by `night`."""
    rows = lake.read(CUSTOMER_FEATURES, day=night).select(["customer_id", "is_prospect", "spend_amount"]).to_pylist()
    return {row["customer_id"]: float(row["spend_amount"]) for row in rows if not row["is_prospect"]}


def _tenths(spend: Mapping[str, float]) -> dict[str, str]:
    cuts = np.unique(np.quantile(list(spend.values()), [place / 10 for place in range(1, 10)]))
    return {customer: str(np.searchsorted(cuts, amount)) for customer, amount in spend.items()}


def _gini(groups: Mapping[str, str], spent: Mapping[str, float]) -> float:
    """Return the normalised Gini of the groups, without those who never ordered: nothing tells them apart."""
    known = {customer: group for customer, group in groups.items() if group != "prospects"}
    labels = np.unique(list(known.values()), return_inverse=True)[1]
    return normalised_gini(labels, np.array([spent.get(customer, 0.0) for customer in known]))


def _tables(found: list[Trialled]) -> Iterator[str]:
    reasons = ("own_purchase", "refund", "ageing", "population_shift")
    yield "| shop | scheme | method | moves a night | " + " | ".join(f"`{reason}`" for reason in reasons) + " | on a refreeze | Gini |"
    yield "|---|---|---|---|" + "---|" * (len(reasons) + 2)
    for each in found:
        counts = [sum(each.ordinary.values()), *(each.ordinary[reason] for reason in reasons)]
        frozen = f"{sum(each.refreezes.values()) / 2:.1f}, of them {each.refreezes['threshold_refreeze'] / 2:.1f} by it"
        cells = [f"{count / each.nights:.1f}" for count in counts]
        yield f"| {each.shop} | `{each.scheme}` | {each.method} | " + " | ".join(cells) + f" | {frozen} | {each.gini:.3f} |"
    for shop, customers, naive in dict.fromkeys((each.shop, each.customers, each.naive) for each in found):
        yield f"\n{shop}: {customers:,} customers who ever ordered; tenths by last year's spend: Gini {naive:.3f}."
