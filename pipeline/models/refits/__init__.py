"""Refits: a candidate is fitted rarely, matched with the current model, judged beside it, and promoted or refused."""
