"""Predicted value: what customers spend in the next 90 days, and whether they buy again; fitted in Python, applied in SQL.

`fitting` fits a model, `evaluation` tests it beside two baselines (last year's spend, and BG/NBD of `bg_nbd`), and a model that
does not beat both predicts nothing. `prediction_sql` applies it. Nothing in here reads or writes a lake.
"""

from pipeline.models.predictions.evaluation import ForecastComparison, compare_with_baselines, reason_to_refuse
from pipeline.models.predictions.fitting import Outcomes, fit_predictions
from pipeline.models.predictions.model import HORIZON_DAYS, NotPredicted, PredictionModel, Signal, decision_from_json, to_json
from pipeline.models.predictions.prediction_sql import predictions_statement, signals_statement, signals_without

__all__ = [
    "HORIZON_DAYS",
    "ForecastComparison",
    "NotPredicted",
    "Outcomes",
    "PredictionModel",
    "Signal",
    "compare_with_baselines",
    "decision_from_json",
    "fit_predictions",
    "predictions_statement",
    "reason_to_refuse",
    "signals_statement",
    "signals_without",
    "to_json",
]
