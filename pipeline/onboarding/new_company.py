"""A new company folder from files that somebody has: read, recognised, asked about, written, and tried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.calendar import BEGINNING, END, ONE_DAY, Window, business_day
from pipeline.definitions.company import load_company
from pipeline.definitions.company_sections import Source
from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources import Snapshot, SourceQuery, quote_name
from pipeline.ingestion.sources.files import open_files
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.plain_folders import new_folder
from pipeline.lake.staging import temporary_folder
from pipeline.onboarding.company_draft import CompanyDraft
from pipeline.onboarding.company_files import company_texts
from pipeline.onboarding.company_preview import (
    BrokenRule,
    QueryRows,
    UncountedLines,
    broken_rules,
    first_and_last_day,
    lines_left_out,
    lines_that_count,
    read_queries,
)
from pipeline.onboarding.file_formats import FoundFormat
from pipeline.onboarding.file_looks import look_at_file
from pipeline.onboarding.given_files import (
    DATA,
    copy_files,
    discard_copy,
    free_table_name,
    move_files,
    naming_given_files,
    require_files,
    write_texts,
)
from pipeline.onboarding.layouts import UnknownTableError, layout_of, table_of_orders
from pipeline.onboarding.layouts.layout import Layout
from pipeline.onboarding.order_links import lines_layout, may_be_lines
from pipeline.onboarding.overlapping_files import FileOrder, file_order
from pipeline.onboarding.questions import Ask, Settings, open_questions_error
from pipeline.onboarding.recognised_table import RecognisedTable
from pipeline.onboarding.recognition import company_name, group_by_columns, understand
from pipeline.onboarding.table_sample import MOST_ROWS, TableSample


@dataclass(frozen=True, slots=True)
class NewCompany:
    """A company folder that was written, and what its queries gave when they were tried."""

    folder: Path
    draft: CompanyDraft
    read: Mapping[str, QueryRows]
    left_out: Sequence[UncountedLines]
    broken: Sequence[BrokenRule]
    later_rows: int

    @property
    def net_amount(self) -> Decimal:
        """The sum of all lines that count."""
        return pc.sum(lines_that_count(self.read["order_lines"].rows)["net_amount"]).as_py() or Decimal()


def make_company(  # noqa: PLR0913
    folder: Path,
    given: Sequence[Path],
    settings: Settings,
    *,
    ask: Ask | None,
    command: str,
    now: datetime,
    memory_limit: str = MEMORY_LIMIT,
) -> NewCompany:
    """Write the company `folder`, which must not be there yet, from the `given` files, and return what it gives.

    Questions that the settings do not answer are put to `ask`; without it they are all in one ConfigError. Whatever goes wrong, nothing is
    left behind.
    """
    if folder.exists() or folder.is_symlink():
        raise ConfigError(f"{folder.name} is there already", where=str(folder), todo="Choose another name, or move it away.")
    if not folder.absolute().parent.is_dir():
        raise ConfigError("there is no such folder", where=str(folder.absolute().parent), todo="Make it first.")
    found_files = require_files(given)
    files = found_files.files
    looked_at = _looked_at(files, settings, ask, command)
    with new_folder(folder.absolute()) as new:
        with naming_given_files(files, new, folder):
            tables = _recognised_tables(looked_at, new / DATA, settings, memory_limit)
            draft = _understood(tables, settings, company_name(folder.name), ask, command)
            if found_files.assumption:
                draft = replace(draft, assumptions=(*draft.assumptions, found_files.assumption))
            write_texts(new, company_texts(draft))
            found = _tried(new, draft, now, memory_limit)
        write_texts(new, company_texts(found.draft))
        load_company(new)
    return replace(found, folder=folder)


def _looked_at(files: Sequence[Path], settings: Settings, ask: Ask | None, command: str) -> list[tuple[Path, FoundFormat]]:
    """Return how each file, or each sheet of it, is written; asks for the encoding first, as without it no name can be read."""
    looked_at = [(file, found) for file in files for found in look_at_file(file, given_encoding=settings.get("encoding"))]
    question = next((found.question for _, found in looked_at if found.question), None)
    if question is None:
        return looked_at
    if ask is None:
        raise open_questions_error([question], command)
    settings.values = {**settings.values, question.key: ask(question)}
    return _looked_at(files, settings, ask, command)


def _recognised_tables(
    looked_at: Sequence[tuple[Path, FoundFormat]], data: Path, settings: Settings, memory_limit: str
) -> list[RecognisedTable]:
    """Copy the files below `data`, a folder for each table, and return what they are."""
    copies = copy_files([file for file, _ in looked_at], data)
    found = dict(zip(copies, (each for _, each in looked_at), strict=True))
    source = Source(kind="files", folder=data, formats={name: each.format for name, each in found.items()})
    with _open_source(source, memory_limit) as snapshot:
        samples = {name: _sample(snapshot, name, (copy,)) for name, copy in copies.items()}
    for name, sample in samples.items():
        if not sample.rows.num_rows:
            raise DataError(
                f"{copies[name].name} has columns, but no rows", where=str(copies[name]), todo="Export it again, with its rows."
            )
    layouts, skipped = _layouts(samples, found, settings)
    for name in skipped:
        discard_copy(copies.pop(name))
    groups: dict[str, list[str]] = {}
    for group in group_by_columns(samples, layouts, source.formats):
        groups[free_table_name(layouts[group[0]].table, groups)] = group
    formats = {name: source.formats[group[0]] for name, group in groups.items()}
    orders = {name: _file_order([samples[each] for each in group], layouts[group[0]]) for name, group in groups.items()}
    groups = {name: list(order.samples) for name, order in orders.items()}
    moved = move_files(copies, groups, data, {sample: name for order in orders.values() for sample, name in order.names.items()})
    tables = [replace(samples[group[0]], name=name, files=tuple(moved[name])) for name, group in groups.items()]
    if any(len(group) > 1 for group in groups.values()):
        # Several files may make up a table that no one of them shows: dates that read both ways in one do not in another.
        with _open_source(replace(source, formats=formats), memory_limit) as snapshot:
            tables = [_sample(snapshot, name, moved[name]) for name in groups]
    return [
        RecognisedTable(each, layouts[group[0]], formats[each.name], found[group[0]], orders[each.name].reason)
        for each, group in zip(tables, groups.values(), strict=True)
    ]


def _file_order(samples: Sequence[TableSample], layout: Layout) -> FileOrder:
    """Return the files of a table, the newest last."""
    return file_order(samples, layout.key, layout.moments) if len(samples) > 1 else FileOrder((samples[0].name,))


def _layouts(samples: dict[str, TableSample], found: Mapping[str, FoundFormat], settings: Settings) -> tuple[dict[str, Layout], list[str]]:
    """Return the layouts of the samples, and which sheets of a workbook are none, where another one of it is."""
    layouts: dict[str, Layout] = {}
    errors: dict[str, ConfigError] = {}
    for name, sample in samples.items():
        try:
            layouts[name] = layout_of(sample, settings)
        except UnknownTableError as error:
            errors[name] = error
    orders = [samples[name] for name, layout in layouts.items() if layout.name == table_of_orders.NAME]
    for name, sample in samples.items():
        if may_be_lines(layouts.get(name), sample) and (of_lines := lines_layout(sample, orders)):
            layouts[name] = of_lines
            errors.pop(name, None)
    for name, problem in errors.items():
        file = samples[name].files[0].name
        if not found[name].format.sheet or all(samples[other].files[0].name != file for other in layouts):
            raise problem
    return layouts, list(errors)


def _understood(tables: Sequence[RecognisedTable], settings: Settings, name: str, ask: Ask | None, command: str) -> CompanyDraft:
    """Return the draft of the company once every question is answered, by settings or by a person."""
    given, answers, refusal = settings.values, dict[str, str](), ""
    while True:
        settings.values = {**given, **answers}
        try:
            understanding = understand(tables, settings, name=name)
        except ConfigError as error:
            if not answers:
                raise
            # Whoever sits there can answer again: a time zone that is none must not cost the answers before it.
            answers.popitem()
            refusal = f"{error.what}. {error.todo}\n"
            continue
        settings.refuse_unknown()
        if not understanding.questions:
            if not any(part.people for part in understanding.draft.parts):
                what, todo = "the files tell of no customers", "Give a list of customers or of orders as well: --from FILE."
                raise ConfigError(what, where="--from", todo=todo)
            return understanding.draft
        if ask is None:
            raise open_questions_error(understanding.questions, command)
        question = understanding.questions[0]
        answers[question.key] = ask(replace(question, text=f"{refusal}{question.text}"))
        refusal = ""


def _tried(folder: Path, draft: CompanyDraft, now: datetime, memory_limit: str) -> NewCompany:
    """Return what the queries of the company in `folder` give, and its draft with the days that they are of."""
    company = load_company(folder)
    with _open_source(company.source, memory_limit) as snapshot:
        read = read_queries(company, snapshot)
        left_out = lines_left_out(snapshot, draft, company.source_file("order_lines")) if "order_lines" in read else []
    if not read["customers"].rows.num_rows:
        reasons = "; ".join(f"{each.reason} ({each.line_count:,})" for each in left_out)
        what = "no customer comes out of the files" + (f": their lines are {reasons}" if reasons else "")
        todo = "Give files with the buyers, or --set which columns say who bought, and when."
        raise DataError(what, where="--from", todo=todo)
    today = business_day(now, ZoneInfo(draft.zone)) + ONE_DAY
    first, last, later = first_and_last_day(read, today)
    dated = replace(draft, first_day=first, last_day=last)
    night = last or today - ONE_DAY
    broken = broken_rules(replace(company, first_day=first), read, night)
    return NewCompany(folder, dated, read, left_out, broken, later)


@contextmanager
def _open_source(source: Source, memory_limit: str) -> Iterator[Snapshot]:
    """Open the files of a source as a night does."""
    with temporary_folder() as staging, open_files(source, staging, memory_limit=memory_limit) as snapshot:
        yield snapshot


def _sample(snapshot: Snapshot, table: str, files: Sequence[Path]) -> TableSample:
    """Return the rows of a table, up to MOST_ROWS, as text; columns that have types, as those of Parquet do, are noted."""
    query = SourceQuery(table, Path(table), "duckdb", f"SELECT * FROM {quote_name(table)}", Window(BEGINNING, END))
    found = snapshot.schema(query)
    typed = frozenset(field.name for field in found if not pa.types.is_string(field.type))
    columns = [f"CAST({quote_name(name)} AS VARCHAR) AS {quote_name(name)}" if name in typed else quote_name(name) for name in found.names]
    texts = replace(query, text=f"SELECT {', '.join(columns)} FROM {quote_name(table)} LIMIT {MOST_ROWS}")
    rows = pa.Table.from_batches(list(snapshot.rows(texts)), snapshot.schema(texts))
    return TableSample(table, rows, tuple(files), typed)
