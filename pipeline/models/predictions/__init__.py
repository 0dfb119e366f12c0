"""Predicted value: what customers spend in the next days, and whether they buy again; fit in Python, kept as JSON, applied in SQL."""

from pipeline.models.predictions.evaluation import Comparison, compared, refusal
from pipeline.models.predictions.fitting import Outcomes, fitted
from pipeline.models.predictions.model import HORIZON_DAYS, NotPredicted, PredictionModel, Signal, decision_from_json, to_json
from pipeline.models.predictions.prediction_sql import predictions_statement

__all__ = [
    "HORIZON_DAYS",
    "Comparison",
    "NotPredicted",
    "Outcomes",
    "PredictionModel",
    "Signal",
    "compared",
    "decision_from_json",
    "fitted",
    "predictions_statement",
    "refusal",
    "to_json",
]
