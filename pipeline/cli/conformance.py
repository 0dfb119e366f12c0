"""`segments conformance`: whether nights here leave what they leave on one machine."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from pipeline.cli.options import LAKE, LakeOption
from pipeline.reporting.output import write_text

ThoroughOption = Annotated[bool, typer.Option("--thorough", help="Also a backfill, a plan and its application, an erasure and a rollback.")]


def conformance(
    lake: LakeOption = LAKE,
    thorough: ThoroughOption = False,  # noqa: FBT002
) -> None:
    """Run a made-up company on your engine and store, and compare every file with what DuckDB leaves in a folder.

    The engine is the one that SEGMENTS_ENGINE and SPARK_REMOTE name. Your own tables are not touched: what it writes lies below
    `conformance/` of the lake, and is removed.
    """
    from pipeline.operations.conformance import check_conformance

    logger = logging.getLogger("pipeline")
    level = logger.level
    logger.setLevel(logging.ERROR)  # what nights say of a made-up company is no answer
    try:
        for part in check_conformance(lake, is_thorough=thorough):
            write_text(f"{part.name:20} {part.finding}\n")
    finally:
        logger.setLevel(level)
