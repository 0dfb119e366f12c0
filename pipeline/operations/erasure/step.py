"""The step of the erasures that a company lists. What it needs is imported inside it: Airflow parses the DAG without an engine."""

from __future__ import annotations

from pipeline.operations.night import Night


def erase(night: Night) -> None:
    """Erase the customers that the company's `sources/erasures.sql` lists by the end of the night's day, as far as they are new."""
    from pipeline.operations.erasure.listed import erase_listed

    erase_listed(night.deployment, night.day)
