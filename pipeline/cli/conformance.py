"""`segments conformance`: whether nights here leave what they leave on one machine."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import LAKE, DayOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_text

OwnCompanyOption = Annotated[Path | None, typer.Option("--company", help="Run this company of yours instead of a made-up one.")]
ThoroughOption = Annotated[bool, typer.Option("--thorough", help="Also a backfill, a plan and its application, an erasure and a rollback.")]


def conformance(
    lake: LakeOption = LAKE,
    company: OwnCompanyOption = None,
    day: DayOption = None,
    thorough: ThoroughOption = False,  # noqa: FBT002
) -> None:
    """Run two nights on your engine and store, and compare every file with what DuckDB leaves in a folder.

    They are nights of a small made-up company or, with `--company`, of yours: that of `--day` and the one before it. Your source is
    read twice, and must not change meanwhile; your database, CRM, catalogue, sinks and channels of news get nothing. DuckDB needs room
    for a lake in the machine's temporary folder. The engine is the one that SEGMENTS_ENGINE and SPARK_REMOTE name. Your own tables are
    not touched: what is written lies below `conformance/` of the lake, and is removed.
    """
    from pipeline.operations.conformance import OwnNight, check_conformance

    if company is None and day is not None:
        raise ConfigError("--day is a day of a company of yours", where="--day", todo="Give --company too, or leave --day away.")
    own = OwnNight.of(company, day.date() if day else None, now=datetime.now(UTC)) if company else None
    logger = logging.getLogger("pipeline")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what nights say of a made-up company is no answer
    try:
        for part in check_conformance(lake, own, is_thorough=thorough):
            write_text(f"{part.name:20} {part.finding}\n")
    finally:
        logger.setLevel(level)
