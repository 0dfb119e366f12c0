"""Predicted value: what customers spend in the next days, and whether they buy again; fit in Python, kept as JSON, applied in SQL."""

from pipeline.models.predictions.evaluation import ForecastComparison, compare_with_baselines, reason_to_refuse
from pipeline.models.predictions.fitting import Outcomes, fit_predictions
from pipeline.models.predictions.model import HORIZON_DAYS, NotPredicted, PredictionModel, Signal, decision_from_json, to_json
from pipeline.models.predictions.prediction_sql import predictions_statement

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
    "to_json",
]
