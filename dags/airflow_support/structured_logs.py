"""Lines that the pipeline logs keep their fields in Airflow's logs, which hold those that structlog knows of and no others."""

from __future__ import annotations

import logging

from structlog.contextvars import bound_contextvars

from pipeline.log_fields import fields_of

OURS = logging.getLogger("pipeline")


def keep_log_fields() -> None:
    """Let every line of ours have its fields in Airflow's log from now on."""
    if not any(isinstance(handler, _FieldsHandler) for handler in OURS.handlers):
        OURS.addHandler(_FieldsHandler())
        OURS.propagate = False  # it goes on to Airflow's handlers from here


class _FieldsHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        with bound_contextvars(**fields_of(record)):
            logging.root.handle(record)
