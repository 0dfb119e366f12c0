"""Predicted value: what customers spend in the next 90 days and whether they buy again, or why that is not predicted."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from support.builders import a_company, an_order_line, write_order_lines, write_rows
from support.nights import write_shop
from support.prediction_nights import HORIZON, NIGHT, NIGHTS, compute_night, outcomes_of, predict_night, trial_of, write_shop_nights
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company, with_declared_features
from pipeline.errors import DataError, RefitRefused
from pipeline.features import MergeHistory
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_MERGES
from pipeline.models.predictions import (
    NotPredicted,
    PredictionModel,
    compare_with_baselines,
    decision_from_json,
    fit_predictions,
    reason_to_refuse,
    to_json,
)
from pipeline.models.predictions.evaluation import ForecastComparison, ForecastMeasures
from pipeline.models.predictions.fitting import Forecast, forecast_by_model
from pipeline.models.predictions.model import SIGNALS
from pipeline.models.refits.prediction_refit import (
    PredictionRefit,
    prediction_judgement,
    prediction_source_words,
    promote_predictions,
    store_prediction_refit,
)
from pipeline.models.signals import recent_days, registered_days, signal_parameters

Town = tuple[Company, Lake, PredictionRefit]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Return a lake of three nights, with what a refit on the last of them found."""
    lake = Lake(tmp_path_factory.mktemp("predictions") / "lake")
    company = write_shop_nights(lake)
    return company, lake, trial_of(lake, company)


def model_of(trial: PredictionRefit) -> PredictionModel:
    assert isinstance(trial.decision, PredictionModel), prediction_judgement(trial)
    return trial.decision


def signals_of(lake: Lake, company: Company, night: date) -> pa.Table:
    survivors = MergeHistory(lake, company.zone).rows_of(night, night)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=night)])
        with registered_days(lake, engine, recent_days(lake, night, night), survivors):
            return engine.run(statement("customer_signals"), signal_parameters(night, company.window_days)).read_all()


def forecast_of(model: PredictionModel, signals: pa.Table) -> Forecast:
    points = np.column_stack([signals[name].to_numpy() for name in SIGNALS])
    return forecast_by_model(model, points, signals["last_years_spend"].to_numpy())


def test_the_model_is_tested_on_later_days_beside_both_baselines_and_says_by_how_much_it_is_better(town: Town) -> None:
    said = prediction_judgement(town[2])
    assert said["verdict"] == "promote"
    assert said["reason"].startswith("tested on days it had not seen: Gini 0.")
    assert said["test"]["formed"] == NIGHTS[1].isoformat()
    naive, ours = said["test"]["last_years_spend"], said["test"]["model"]
    assert ours["gini"] > naive["gini"]
    assert ours["error"] < naive["error"]
    assert ours["calibration_error"] < 0.1
    assert said["test"]["classical"]["gini"] > 0


def test_lines_of_later_days_and_later_knowledge_of_earlier_days_change_nothing(town: Town, tmp_path: Path) -> None:
    """The leakage test: the same nights, then many more orders after the last one, and late ones, learned a day later."""
    company, lake = town[0], Lake(tmp_path / "lake")
    copytree(town[1].root, lake.root)
    later = NIGHT + timedelta(days=1)
    more = [an_order_line(n, day=later, customer_id=f"c{n:04}", order_id=f"later{n}", net_amount=9_999) for n in range(300)]
    late = [
        an_order_line(n, day=NIGHTS[1] + HORIZON // 2, customer_id=f"c{n:04}", order_id=f"late{n}", net_amount=9_999) for n in range(300)
    ]
    write_order_lines(lake, [*more, *late], known_on=later)
    compute_night(lake, company, later)
    again = trial_of(lake, company)
    assert to_json(again.decision) == to_json(town[2].decision)
    assert prediction_judgement(again) == prediction_judgement(town[2])


def test_a_forecast_is_that_of_the_fitted_estimators_but_for_its_calibration() -> None:
    """Calibration multiplies spend by one factor, adds last year's spend and bends all logits alike; nothing else may differ."""
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    outcomes = outcomes_of()
    model = fit_predictions(outcomes, NIGHT)
    columns = [outcomes.signals[:, SIGNALS.index(signal.name)] for signal in model.signals]
    points = np.column_stack([(np.clip(z, s.low, s.high) - s.mean) / s.scale for z, s in zip(columns, model.signals, strict=True)])
    spend = PoissonRegressor(alpha=0.1, solver="newton-cholesky", tol=1e-9).fit(points, outcomes.amounts / outcomes.amounts.mean())
    logits = LogisticRegression(C=1 / 80, tol=1e-9).fit(points, outcomes.returned).decision_function(points)
    said = forecast_by_model(model, outcomes.signals, outcomes.last_years_spend)
    factors = (said.amounts - model.last_year_factor * outcomes.last_years_spend) / spend.predict(points)
    np.testing.assert_allclose(factors, factors[0], rtol=1e-4)
    chances = np.asarray(said.probabilities)
    assert np.corrcoef(np.log(chances / (1 - chances)), logits)[0, 1] > 1 - 1e-6


def test_the_statement_of_a_night_says_what_python_says(town: Town) -> None:
    company, lake, trial = town
    promoted = replace(trial, day=NIGHT)
    promote_predictions(lake, promoted)
    night = NIGHT + timedelta(days=1)
    compute_night(lake, company, night)
    rows = {row["customer_id"]: row for row in predict_night(lake, company, night)}
    signals = signals_of(lake, company, night)
    said = forecast_of(model_of(trial), signals)
    own = [rows[customer] for customer in signals["customer_id"].to_pylist()]
    np.testing.assert_allclose([row["expected_spend_amount"] for row in own], said.amounts, atol=0.0051)
    np.testing.assert_allclose([row["repeat_probability"] for row in own], np.asarray(said.probabilities), atol=0.000051)
    assert {row["evidence"] for row in own} == {f"model of {NIGHT}"}
    assert predict_night(lake, company, NIGHT)[0]["evidence"] == "not predicted: no model was fitted before this night"


def test_regulars_are_expected_to_spend_more_and_to_come_again(town: Town) -> None:
    company, lake, trial = town
    signals = signals_of(lake, company, NIGHT)
    said = forecast_of(model_of(trial), signals)
    is_regular = signals["order_pace"].to_numpy() > np.log(12)
    assert np.asarray(said.probabilities)[is_regular].mean() > 2 * np.asarray(said.probabilities)[~is_regular].mean()
    assert said.amounts[is_regular].mean() > 2 * said.amounts[~is_regular].mean()


def test_the_same_customers_give_the_same_bytes(town: Town) -> None:
    assert to_json(trial_of(town[1], town[0]).decision) == to_json(town[2].decision)


def test_a_model_survives_being_written_and_read(town: Town) -> None:
    for decision in (model_of(town[2]), NotPredicted(NIGHT, "too few"), NotPredicted(NIGHT, "too few", NIGHT)):
        assert decision_from_json(to_json(decision), where="here") == decision


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("spend_intercept",), "1", "spend_intercept"),
        (("spend_intercept",), 1e9, "spend_intercept"),
        (("regression_share",), 1.1, "regression_share"),
        (("last_year_factor",), -0.1, "last_year_factor"),
        (("signals", 0, "scale"), 0, r"signals\[0\].scale"),
        (("signals", 0, "name"), "customer_id); DROP TABLE x; --", r"signals\[0\].name"),
        (("signals", 0, "high"), 1e15, "could be no number|mean"),
        (("signals", 1, "name"), "spend_pace", "twice"),
        (("more",), 1, "more"),
    ],
)
def test_a_damaged_or_poisoned_model_is_refused_by_field(path: tuple[str | int, ...], value: object, named: str) -> None:
    content = json.loads(to_json(fit_predictions(outcomes_of(), NIGHT)))
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(DataError, match=named) as refused:
        decision_from_json(json.dumps(content), where="the file")
    assert refused.value.where == "the file"


@pytest.mark.parametrize("text", ["", "[]", '{"day": NaN}', '{"day": 1, "day": 1}', "{" * 5000])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="not a prediction model"):
        decision_from_json(text, where="the file")


def test_a_forecast_has_to_beat_each_baseline_in_order_and_in_error() -> None:
    measures = [ForecastMeasures(*figures) for figures in ((0.80, 10.0, 1.0, 0.05), (0.75, 11.0, 1.0), (0.79, 12.0, 1.0))]
    test = ForecastComparison("2024-10-02", "days it had not seen", 1000, *measures)
    assert reason_to_refuse(test) is None
    assert test.words == (
        "tested on days it had not seen: Gini 0.800, 0.790 by BG/NBD with Gamma-Gamma; error 10.00, 11.00 by last year's spend"
    )
    better_order, better_error = replace(measures[2], gini=0.8), replace(measures[1], error=10.0)
    assert str(reason_to_refuse(replace(test, classical=better_order))).startswith("it does not beat BG/NBD with Gamma-Gamma: ")
    assert str(reason_to_refuse(replace(test, last_years_spend=better_error))).startswith("it does not beat last year's spend: ")
    assert reason_to_refuse(replace(test, classical=None)) is None


def test_last_years_spend_counts_the_more_the_better_it_predicts() -> None:
    """The signals of the second shop tell nothing of the size of what is spent, which is last year's."""
    random = np.random.default_rng(4)
    by_signals = outcomes_of(2000)
    usual = np.exp(random.normal(4, 1.5, 2000))
    by_habit = replace(by_signals, amounts=by_signals.returned * usual * np.exp(random.normal(0, 0.2, 2000)), last_years_spend=usual)
    first, second = fit_predictions(by_signals, NIGHT), fit_predictions(by_habit, NIGHT)
    assert first.regression_share > 0.5 > second.regression_share
    said = forecast_by_model(second, by_habit.signals, by_habit.last_years_spend)
    assert said.amounts.sum() == pytest.approx(by_habit.amounts.sum(), rel=0.05)
    alone = replace(second, regression_share=1.0, last_year_factor=0.0)
    regression = forecast_by_model(alone, by_habit.signals, by_habit.last_years_spend)
    assert np.abs(said.amounts - by_habit.amounts).mean() < np.abs(regression.amounts - by_habit.amounts).mean()


def test_last_years_spend_is_scaled_by_the_days_that_are_known_of_the_company(tmp_path: Path) -> None:
    """The first order of all is 99 days old, so the window of 365 days knows of 100."""
    signals = signals_of_orders(tmp_path, [("early", 99, 500), ("late", 9, 80)])
    assert signals["early"]["last_years_spend"] == pytest.approx(500 * 90 / 100)
    assert signals["late"]["last_years_spend"] == pytest.approx(80 * 90 / 100)
    older = signals_of_orders(tmp_path / "older", [("early", 400, 1), ("late", 9, 80)])
    assert older["late"]["last_years_spend"] == pytest.approx(80 * 90 / 365)


def test_signals_of_the_last_quarter_and_half_year_end_with_their_first_day(tmp_path: Path) -> None:
    orders = [("c1", 400, 1000), ("c1", 180, 200), ("c1", 179, 100), ("c1", 90, 70), ("c1", 89, 30), ("c1", 0, 5)]
    [signals] = signals_of_orders(tmp_path, orders).values()
    assert signals["quarter_spend_pace"] == pytest.approx(np.log(1 + 365 * (30 + 5) / (90 + 31)))
    assert signals["half_year_spend_pace"] == pytest.approx(np.log(1 + 365 * (100 + 70 + 30 + 5) / (180 + 31)))
    assert signals["quarter_order_total"] == pytest.approx(np.log(1 + 2))
    assert signals["half_year_order_total"] == pytest.approx(np.log(1 + 4))


def test_what_a_merged_customer_bought_lately_is_the_survivors(tmp_path: Path) -> None:
    orders = [("account", 300, 10), ("account", 50, 20), ("guest", 40, 70)]
    apart = signals_of_orders(tmp_path / "apart", orders)
    one = signals_of_orders(tmp_path / "one", orders, merged={"guest": "account"})
    assert apart["account"]["quarter_spend_pace"] == pytest.approx(np.log(1 + 365 * 20 / (90 + 31)))
    assert one.keys() == {"account"}
    assert one["account"]["quarter_spend_pace"] == pytest.approx(np.log(1 + 365 * (20 + 70) / (90 + 31)))
    assert one["account"]["quarter_order_total"] == pytest.approx(np.log(1 + 2))


def signals_of_orders(
    folder: Path, orders: list[tuple[str, int, int]], *, merged: dict[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Return the signals on NIGHT of customers by whose orders they are: customer, days before, amount."""
    lake = Lake(folder / "lake")
    lake.root.mkdir(parents=True)
    company = a_company(folder)
    lines = [
        an_order_line(number, day=NIGHT - timedelta(days=ago), customer_id=customer, net_amount=amount)
        for number, (customer, ago, amount) in enumerate(orders)
    ]
    write_order_lines(lake, lines, known_on=NIGHT)
    if merged:
        at = datetime(2024, 12, 1, tzinfo=UTC)
        rows = [{"customer_id": old, "merged_into": new, "merged_at": at} for old, new in merged.items()]
        write_rows(lake, CUSTOMER_MERGES, rows, known_on=NIGHT)
    compute_night(lake, company, NIGHT)
    return {row["customer_id"]: row for row in signals_of(lake, company, NIGHT).to_pylist()}


def test_probabilities_are_calibrated_on_customers_that_were_not_fitted_to() -> None:
    seen, unseen = outcomes_of(3000, seed=1), outcomes_of(3000, seed=2)
    said = forecast_by_model(fit_predictions(seen, NIGHT), unseen.signals, unseen.last_years_spend)
    test = compare_with_baselines(said, unseen, "others")
    assert test.model.calibration_error is not None
    assert test.model.calibration_error < 0.04
    assert 0.9 < test.model.total < 1.1


def test_a_forecast_that_does_not_beat_both_baselines_is_refused_with_all_figures() -> None:
    outcomes = outcomes_of()
    backwards = compare_with_baselines(Forecast(1 / (1 + outcomes.amounts)), outcomes, "days it had not seen")
    both = "it does not beat last year's spend or BG/NBD with Gamma-Gamma: tested on days it had not seen: Gini -"
    assert str(reason_to_refuse(backwards)).startswith(both)
    assert reason_to_refuse(compare_with_baselines(Forecast(outcomes.amounts), outcomes, "others")) is None
    overdone = Forecast(outcomes.amounts, np.ones(len(outcomes.ids)))
    assert "probabilities are" in str(reason_to_refuse(compare_with_baselines(overdone, outcomes, "others")))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ids": ("c1",)}, "fewer than 500 customers"),
        ({"known_days": np.ones(800)}, "fewer than 90 days"),
        ({"returned": np.zeros(800, np.int64)}, "fewer than 50 customers ordered again"),
        ({"amounts": np.zeros(800)}, "nobody spent anything"),
    ],
)
def test_too_little_to_learn_from_is_said(changes: dict[str, object], reason: str) -> None:
    assert outcomes_of().insufficiency() is None
    assert reason in str(replace(outcomes_of(), **changes).insufficiency())  # type: ignore[arg-type]


def test_without_an_older_night_nothing_is_predicted_and_the_next_night_says_why(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    lake.root.mkdir()
    company = a_company(tmp_path)
    write_order_lines(lake, [an_order_line(1, day=NIGHT, customer_id="c1")], known_on=NIGHT)
    compute_night(lake, company, NIGHT)
    trial = trial_of(lake, company)
    assert store_prediction_refit(lake, trial)["verdict"] == "not judged"
    promote_predictions(lake, trial)
    later = NIGHT + timedelta(days=1)
    compute_night(lake, company, later)
    [row] = predict_night(lake, company, later)
    assert row["evidence"] == "not predicted: no night of 90 to 180 days earlier is stored"
    assert row["expected_spend_amount"] is row["repeat_probability"] is None


def test_a_refit_that_does_not_beat_last_years_spend_takes_back_what_was_predicted(town: Town, tmp_path: Path) -> None:
    lake, model = Lake(tmp_path / "lake"), model_of(town[2])
    promote_predictions(lake, town[2])
    first = lake.root / "models" / "customer_predictions" / f"{NIGHT + timedelta(days=1)}.json"
    assert decision_from_json(first.read_text(), where="first") == replace(model, valid_from=NIGHT + timedelta(days=1))
    worse = replace(town[2], day=NIGHT + timedelta(days=30), decision=NotPredicted(NIGHT, "it does not beat last year's spend"))
    with pytest.raises(RefitRefused, match="does not beat"):
        promote_predictions(lake, worse)
    unknown = replace(worse, is_judged=False, decision=NotPredicted(NIGHT, "no night is stored"))
    promote_predictions(lake, unknown)
    files = sorted(path.name for path in first.parent.iterdir())
    assert files == [first.name, f"{NIGHT + timedelta(days=31)}.json"]


def test_the_command_shows_the_model_beside_both_baselines_and_the_next_night_goes_by_it(town: Town, tmp_path: Path) -> None:
    shop, lake = write_shop(tmp_path / "company", [], customers=[]), Lake(tmp_path / "lake")
    copytree(town[1].root, lake.root, ignore=ignore_patterns("models", "refits"))
    command = ["refit-predictions", "--company", str(shop), "--lake", str(lake.root), "--day", NIGHT.isoformat()]
    shown = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command, "--hold"])
    assert shown.exit_code == 0, shown.output
    assert all(words in shown.output for words in ("promote: tested on days", "last year's spend", "BG/NBD and Gamma-Gamma"))
    assert not (lake.root / "models" / "customer_predictions").exists()
    told = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(told.stdout) == prediction_judgement(town[2])
    night = NIGHT + timedelta(days=2)
    compute_night(lake, town[0], night)
    assert predict_night(lake, town[0], night)[0]["evidence"] == f"model of {NIGHT}"


def test_rows_in_another_order_give_the_same_bytes(town: Town, tmp_path: Path) -> None:
    company, lake = town[0], Lake(tmp_path / "lake")
    copytree(town[1].root, lake.root, ignore=ignore_patterns("models", "refits"))
    random = np.random.default_rng(8)
    for night in NIGHTS[:2]:
        rows = lake.read(CUSTOMER_FEATURES, day=night)
        shuffled = rows.take(pa.array(random.permutation(rows.num_rows)))
        assert not shuffled.equals(rows)
        lake.write(CUSTOMER_FEATURES, shuffled.to_batches(), day=night)
    assert to_json(trial_of(lake, company).decision) == to_json(town[2].decision)


def test_what_nights_predict_by_is_told_with_its_test(town: Town, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    none = "none: no model was fitted before this night; "
    assert prediction_source_words(lake, NIGHT) == f"{none}one can be fitted once a night of 90 to 180 days earlier is stored"
    copytree(town[1].root, lake.root, ignore=ignore_patterns("models", "refits"))
    assert prediction_source_words(lake, NIGHT) == f"{none}to fit and test one: segments refit-predictions --day {NIGHT}"
    store_prediction_refit(lake, town[2])
    promote_predictions(lake, town[2])
    later = NIGHT + timedelta(days=30)
    assert prediction_source_words(lake, later) == f"model of {NIGHT}, {prediction_judgement(town[2])['reason']}"
    (lake.root / "refits" / "customer_predictions" / NIGHT.isoformat() / "judgement.json").write_text("[]")
    assert prediction_source_words(lake, later) == f"model of {NIGHT}, whose test cannot be read any more"


def test_a_model_of_another_window_predicts_nothing(town: Town) -> None:
    company, lake, trial = town
    night = NIGHT + timedelta(days=1)
    promote_predictions(lake, trial)
    compute_night(lake, company, night)
    rows = predict_night(lake, replace(company, window_days=180), night)
    assert {row["evidence"] for row in rows} == {"not predicted: the model was fitted to a window of 365 days, which is 180 now"}


def test_a_declared_feature_is_weighed_by_name_until_it_is_declared_otherwise(tmp_path: Path) -> None:
    definition = "[lines_60]\nfrom = 'order_lines'\nvalue = 'COUNT(*)'\nlast_days = 60\ndescription = 'Lines of 60 days.'\n"
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "own.toml").write_text(definition)
    lake = Lake(tmp_path / "lake")
    company = write_shop_nights(lake, with_declared_features(a_company(tmp_path, prediction_features=("lines_60",))))
    trial = trial_of(lake, company)
    assert [*model_of(trial).declared] == ["lines_60"]
    assert "declared_lines_60" in {signal.name for signal in model_of(trial).signals}
    assert decision_from_json(to_json(model_of(trial)), where="here") == model_of(trial)
    promote_predictions(lake, trial)
    night = NIGHT + timedelta(days=1)
    compute_night(lake, company, night)
    assert f"model of {NIGHT}" in {row["evidence"] for row in predict_night(lake, company, night)}
    (tmp_path / "features" / "own.toml").write_text(definition.replace("60\nd", "50\nd"))
    changed = with_declared_features(replace(company, features=()))
    reason = "not predicted: the model was fitted to lines_60, which is declared otherwise now"
    assert {row["evidence"] for row in predict_night(lake, changed, night)} == {reason}
