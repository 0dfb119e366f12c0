"""Whether predicted value keeps its word on real companies: refits every 30 days, each judged as a night would judge it.

Each refit is fitted, tested and used or refused by what was known on its day. Where it is used and the 90 days after it are known,
the forecast that customers would have seen is measured once more, on those days. Companies in CHOOSING decided the signals and the
form of the model; the others were looked at afterwards. The table is left in `predictions.md`.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from lakes import PROJECT_ROOT
from measure import Result
from score_methods import CDNOW_CUSTOMERS, CDNOW_LINES, CDNOW_TOML, DATA

from pipeline.features import MergeHistory
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.models.predictions import HORIZON_DAYS, Outcomes, PredictionModel, compare_with_baselines, reason_to_refuse
from pipeline.models.predictions.evaluation import ForecastComparison
from pipeline.models.predictions.fitting import forecast_by_model
from pipeline.models.refits.prediction_refit import PredictionRefit, fit_and_test_predictions
from pipeline.models.refits.prediction_sample import OutcomeHistory
from pipeline.operations import steps
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night

CHOOSING = ("CDNOW", "Online Retail")
STEP_DAYS = 30
EXAMPLES = PROJECT_ROOT / "examples"
# 500 firms, by quarter: each is given a day of the quarter that is always its own.
SMCRM_TOML = 'name = "SMCRM"\ntime_zone = "UTC"\ncurrency = "USD"\nfirst_day = 2017-01-01\n[gates]\nquiet_days = 366\n'
SMCRM_LINES = """
SELECT CAST(CAST(customer AS BIGINT) AS VARCHAR) AS customer_id, CAST(quarter AS BIGINT) AS quarter,
  CAST(DATE '2017-01-01' + CAST(91 * (quarter - 1) + customer * 37 % 80 AS INTEGER) AS VARCHAR) AS day, order_quantity AS amount
FROM '{file}' WHERE purchase = 1
"""
SMCRM_ORDER_LINES = """
SELECT customer_id || '-' || CAST(quarter AS VARCHAR) AS order_id, CAST(1 AS BIGINT) AS line_number, customer_id,
  CAST(day AS TIMESTAMP) AT TIME ZONE 'UTC' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity, CAST(amount AS DECIMAL(18, 4)) AS net_amount
FROM lines WHERE CAST(day AS TIMESTAMP) AT TIME ZONE 'UTC' >= $day_start AND CAST(day AS TIMESTAMP) AT TIME ZONE 'UTC' < $day_end
"""


@dataclass(frozen=True, slots=True)
class Trial:
    """A company, the last night of which all is known, and how many refits are made, the newest on that night."""

    name: str
    last_night: date
    refits: int


@dataclass(frozen=True, slots=True)
class Trialled:
    """What came of the refits of a company: each test, whether the model was used, and the test of its own forecast, once known."""

    trial: Trial
    refits: list[PredictionRefit]
    later: list[ForecastComparison]

    @property
    def used(self) -> int:
        return sum(isinstance(refit.decision, PredictionModel) for refit in self.refits)

    @property
    def kept(self) -> int:
        """How many of the models that were used also beat the baselines on the days that they forecast."""
        return sum(reason_to_refuse(test) is None for test in self.later)


TRIALS = (
    Trial("CDNOW", date(1998, 6, 30), 10),
    Trial("Online Retail", date(2011, 12, 9), 4),
    Trial("The Complete Journey", date(2017, 12, 30), 4),
    Trial("Adventure Works", date(2014, 1, 28), 16),
    Trial("Adventure Works: people", date(2014, 1, 28), 16),
    Trial("Adventure Works: resellers", date(2013, 11, 29), 10),
    Trial("SMCRM", date(2019, 12, 28), 24),
)


def results(scratch: Path) -> list[Result]:
    """Return the error of the newest test of each company beside that of the better baseline; no bar, as a refusal is an answer."""
    found = [_trialled(trial, scratch) for trial in TRIALS if DATA.exists() or _example(trial)]
    (scratch / "predictions.md").write_text("\n".join(_table(found)) + "\n", "utf-8")
    rows = []
    for each in found:
        test = each.refits[0].test
        if test is not None:
            error = min(measures.error for measures in test.baselines.values())
            rows.append(Result(f"{each.trial.name}: error of predictions / of the better baseline", test.model.error, error, "a customer"))
    return rows


def _trialled(trial: Trial, scratch: Path) -> Trialled:
    with TemporaryDirectory(dir=scratch) as folder:
        deployment = Deployment.of(_written_company(trial, Path(folder) / "company"), Path(folder) / "lake")
        company, lake = deployment.company, deployment.lake
        count = (trial.last_night - company.first_day).days // STEP_DAYS
        nights = [trial.last_night - timedelta(days=STEP_DAYS * place) for place in reversed(range(count))]
        for night in nights:
            for step in (steps.extract, steps.validate, steps.features):
                step(Night.of(deployment, night, None))
        refits, later, survivors_of = [], [], MergeHistory(lake, company.zone).rows_of
        with closing(DuckDBEngine(lake.store, memory_limit="2GB")) as engine:
            for day in nights[: -trial.refits - 1 : -1]:
                refit = fit_and_test_predictions(company, lake, engine, day, survivors_of)
                refits.append(refit)
                print(f"{trial.name}: {day}: {refit.test.words if refit.test else refit.decision}", file=sys.stderr)
                over = day + timedelta(days=HORIZON_DAYS)
                outcomes = OutcomeHistory(company, lake, engine, over, survivors_of).read(day) if over <= trial.last_night else None
                if isinstance(refit.decision, PredictionModel) and isinstance(outcomes, Outcomes):
                    forecast = forecast_by_model(refit.decision, outcomes.signals, outcomes.last_years_spend)
                    later.append(compare_with_baselines(forecast, outcomes, "the days that it forecast"))
    return Trialled(trial, [refit for refit in refits if refit.test], later)


def _example(trial: Trial) -> Path | None:
    """Return the folder of the example company that the trial is about, or about a part of."""
    names = {"Online Retail": "online_retail", "The Complete Journey": "complete_journey", "Adventure Works": "adventureworks"}
    name = names.get(trial.name.split(":")[0])
    return EXAMPLES / name if name else None


def _written_company(trial: Trial, folder: Path) -> Path:
    """Write the company of a trial: an example, one of its two kinds of customers, or a published data set."""
    example = _example(trial)
    if example:
        shutil.copytree(example, folder)
        if ":" in trial.name:
            source = folder / "sources" / "order_lines.sql"
            kind = "P-%" if trial.name.endswith("people") else "R-%"
            source.write_text(f"{source.read_text('utf-8').rstrip()}\nWHERE sales.customer_id LIKE '{kind}'\n", "utf-8")
        return folder
    (folder / "sources").mkdir(parents=True)
    (folder / "data").mkdir()
    if trial.name == "CDNOW":
        shutil.copy(DATA / "cdnow" / "master.parquet", folder / "data" / "master.parquet")
        texts = CDNOW_TOML, CDNOW_CUSTOMERS, CDNOW_LINES
    else:
        lines = SMCRM_LINES.format(file=DATA / "smcrm" / "customerRetentionTransactions.parquet")
        with duckdb.connect() as connection:
            connection.execute(f"COPY ({lines}) TO '{folder / 'data' / 'lines.parquet'}'")
        texts = SMCRM_TOML, "SELECT DISTINCT customer_id FROM lines", SMCRM_ORDER_LINES
    for name, text in zip(("company.toml", "sources/customers.sql", "sources/order_lines.sql"), texts, strict=True):
        (folder / name).write_text(text, "utf-8")
    return folder


def _table(found: list[Trialled]) -> Iterator[str]:
    three = "model, last year's spend, BG/NBD"
    yield f"| company | Gini: {three} | error: {three} | newest refit | used | kept its word |"
    yield "|---|---|---|---|---|---|"
    for each in found:
        refit = each.refits[0]
        test = refit.test
        if test is None:
            continue
        measures = [test.model, test.last_years_spend, test.classical]
        ginis = ", ".join(f"{one.gini:.3f}" if one else "none" for one in measures)
        errors = ", ".join(f"{one.error:,.2f}" if one else "none" for one in measures)
        verdict = "used" if isinstance(refit.decision, PredictionModel) else "refused"
        role = "chosen on" if each.trial.name in CHOOSING else "held out"
        title = f"{each.trial.name} ({test.customers:,}; {role})"
        yield f"| {title} | {ginis} | {errors} | {verdict} | {each.used} of {len(each.refits)} | {each.kept} of {len(each.later)} |"
