"""`segments history`: who was in which segment on a day, as known then or later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import LAKE, JsonOption, LakeOption

if TYPE_CHECKING:
    from pipeline.lake.engines import Engine
    from pipeline.lake.lake import Lake
    from pipeline.segmentation.history import Telling

SchemeOption = Annotated[str, typer.Option("--scheme", help="A scheme, such as rfm; without a segment: how many customers each has.")]
SegmentOption = Annotated[str, typer.Option("--segment", help="A segment of the scheme, by id or title: prints its customers' ids.")]
OnOption = Annotated[datetime | None, typer.Option("--on", formats=["%Y-%m-%d"], help="The day asked about; by default the last night's.")]
KnownOption = Annotated[
    datetime | None,
    typer.Option("--known", formats=["%Y-%m-%d"], help="As known on that day; by default as known now, restatements included."),
]
CustomerOption = Annotated[str, typer.Option("--customer", metavar="ID", help="All intervals of one customer instead.")]
LimitOption = Annotated[int | None, typer.Option("--limit", min=0, help="Print so many ids at most.")]


def history(  # noqa: PLR0913, PLR0917
    lake: LakeOption = LAKE,
    scheme: SchemeOption = "",
    segment: SegmentOption = "",
    on: OnOption = None,
    known: KnownOption = None,
    customer: CustomerOption = "",
    limit: LimitOption = None,
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Show who was in a segment on a day, as known on a later day; or one customer's intervals."""
    from pipeline.lake.lake import Lake
    from pipeline.segmentation.history import told_names

    names = told_names(Lake(lake), on.date() if on else None, known.date() if known else None)
    asked_scheme = names.scheme(scheme) if scheme else ""
    if customer:
        _show_customer(names.telling.lake, customer, asked_scheme, as_json=as_json)
    elif segment:
        _show_members(names.telling, asked_scheme, names.segment(asked_scheme, segment), limit, as_json=as_json)
    else:
        _show_sizes(names.telling, names.titles, asked_scheme, as_json=as_json)


def _show_members(told: Telling, scheme: str, segment: str, limit: int | None, *, as_json: bool) -> None:
    from pipeline.segmentation.history import members, segment_sizes

    with closing(_engine(told.lake)) as engine:
        count = segment_sizes(engine, told).get((scheme, segment), 0)
        ids = _texts(members(engine, told, scheme, segment, count if limit is None else limit))
        if as_json:
            facts = {"scheme": scheme, "segment": segment, **_facts(told), "customer_count": count, "customer_ids": list(ids)}
            typer.echo(json.dumps(facts, indent=1, ensure_ascii=False))
            return
        typer.echo(f"{scheme}/{segment} on {told.on}: {count:,} customers, {told.words}", err=True)
        for customer_id in ids:
            typer.echo(customer_id)


def _texts(rows: object) -> Iterator[str]:
    for batch in rows:  # type: ignore[attr-defined]
        yield from batch["customer_id"].to_pylist()


def _show_sizes(told: Telling, titles: dict[str, dict[str, str]], scheme: str, *, as_json: bool) -> None:
    from pipeline.segmentation.history import segment_sizes

    with closing(_engine(told.lake)) as engine:
        sizes = segment_sizes(engine, told)
    rows = [
        (name, segment, title, sizes.get((name, segment), 0))
        for name, segments in titles.items()
        if scheme in ("", name)
        for segment, title in segments.items()
    ]
    if as_json:
        counts = [dict(zip(("scheme", "segment", "title", "customer_count"), row, strict=True)) for row in rows]
        typer.echo(json.dumps({**_facts(told), "segments": counts}, indent=1, ensure_ascii=False))
    else:
        _print_table(f"{told.on}: {told.words}", ("Scheme", "Segment", "Title", "Customers"), [(*row[:3], f"{row[3]:,}") for row in rows])


def _show_customer(lake: Lake, customer: str, scheme: str, *, as_json: bool) -> None:
    from pipeline.segmentation.history import intervals_of

    with closing(_engine(lake)) as engine:
        rows = [row for row in intervals_of(lake, engine, customer) if scheme in ("", row["scheme"])]
    if as_json:
        typer.echo(json.dumps({"customer_id": customer, "intervals": rows}, indent=1, default=str, ensure_ascii=False))
        return
    cells = [tuple("-" if value is None else str(value) for value in row.values()) for row in rows]
    _print_table(f"Customer {customer}", ("Scheme", "Segment", "From", "Until", "Known from"), cells)


def _facts(told: Telling) -> dict[str, str | None]:
    """Return what was asked and which night tells."""
    known = {"known": _iso(told.asked_known), "told_by_night": _iso(told.day), "as_known_by_night": _iso(told.known)}
    return {"on": _iso(told.on), **known}


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, justify="right" if name == "Customers" else "left")
    for row in rows:
        table.add_row(*row)
    Console(highlight=False, markup=False, emoji=False).print(table)


def _engine(lake: Lake) -> Engine:
    from pipeline.lake.engines.duckdb import open_engine

    return open_engine(lake, memory_limit="1GB")
