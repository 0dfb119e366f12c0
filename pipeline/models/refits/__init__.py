"""Refits: a candidate is fitted rarely, matched with the current model, judged beside it, and promoted or refused.

`candidate` does the first three by `alignment` (ids that last), `backtest` and `verdict`; `promotion` makes a candidate the model
of nights to come, and never of a stored one. `prediction_refit` does the same for predicted value. `model_store` knows where all
of it lies. Imported by module: each needs something else, and a night should not load what only a refit needs.
"""
