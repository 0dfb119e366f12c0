"""Predicted value: what customers spend in the next days, and whether they buy again; fit in Python, kept as JSON, applied in SQL."""

from pipeline.predictions.applying import predictions_statement
from pipeline.predictions.fitting import Outcomes, fitted
from pipeline.predictions.judging import Comparison, compared, refusal
from pipeline.predictions.model import HORIZON_DAYS, NotPredicted, PredictionModel, Signal, decision_from_json, to_json

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
