"""Exports of one table that overlap: what stands in several of them, and which is the newer. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingestion.sources.newest_files import latest_date, natural_order
from pipeline.onboarding.date_formats import DateFormat, date_format
from pipeline.onboarding.table_sample import TableSample, fold_name

# Days that lie ahead of what happened, or far before it.
_NO_EVENT = re.compile(r"due|expir|birth|deadline|until|next|valid", re.IGNORECASE)
_BETWEEN = "\x1f"
DATE_BEFORE = r"^\d{4}-\d{2}-\d{2}_(\d{3}_)?"
"""What a new name has before the old one."""


@dataclass(frozen=True, slots=True)
class FileOrder:
    """The files of a table by the names of their samples, the newest last; `names` has new names for those that would sort otherwise.

    `reason` says what stands in several of them and which counts; empty where nothing does.
    """

    samples: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=dict)
    reason: str = ""


def file_order(samples: Sequence[TableSample], key: Sequence[str], moments: Sequence[str]) -> FileOrder:
    """Return which of the files is newer, as each night will see it by their names.

    A date in the names says so. Without one, and where rows of one `key` differ, it is the file with the newest row, by the columns
    `moments`, and then by any other date in it; else the last by name.
    """
    by_name = sorted(samples, key=lambda sample: (latest_date(_name(sample)) or date.min, natural_order(_name(sample))))
    names = tuple(sample.name for sample in by_name)
    shared, differing = count_shared(samples, key)
    if not shared:
        return FileOrder(names)
    what = f"{shared:,} `{', '.join(key)}` stand in several files, {_differing(differing)}"
    if any(latest_date(_name(sample)) for sample in samples):
        return FileOrder(
            names, reason=f"{what}. The newer file counts, by the dates in their names: {_name(by_name[-1])} before all others."
        )
    newest = newest_instants(samples, moments) if differing else {}
    if len({newest[sample.name] for sample in samples if sample.name in newest}) < len(samples):
        last = f"{_name(by_name[-1])} before all others"
        return FileOrder(names, reason=f"{what}. The newer file counts, by the order of their names, as nothing else tells: {last}.")
    by_rows = sorted(samples, key=lambda sample: newest[sample.name])
    last = f"{_name(by_rows[-1])} before all others, as it has the newest row ({max(newest[by_rows[-1].name]):%Y-%m-%d %H:%M})"
    reason = f"{what}. The newer file counts: {last}."
    order = tuple(sample.name for sample in by_rows)
    if order == names and len({_name(sample) for sample in samples}) == len(samples):
        return FileOrder(order, reason=reason)
    days = {sample.name: f"{max(newest[sample.name]):%Y-%m-%d}" for sample in by_rows}
    has_ties = len(set(days.values())) < len(days)
    renamed = {
        sample.name: f"{days[sample.name]}_{f'{place:03d}_' if has_ties else ''}{_name(sample)}" for place, sample in enumerate(by_rows, 1)
    }
    said = f"Its copy is called {renamed[order[-1]]}, so that each night sees it so: give later exports a date in their names, too."
    return FileOrder(order, renamed, f"{reason} {said}")


def count_shared(samples: Sequence[TableSample], key: Sequence[str]) -> tuple[int, int]:
    """Return how many keys stand in more than one file, and of how many of them the rows differ in columns that all files have."""
    spelled = [[sample.spelling(name) for name in key] for sample in samples]
    if not key or not all(all(names) for names in spelled):
        return 0, 0
    common = set.intersection(*({fold_name(name) for name in sample.column_names} for sample in samples))
    parts = []
    for place, (sample, names) in enumerate(zip(samples, spelled, strict=True)):
        columns = sorted((name for name in sample.column_names if fold_name(name) in common), key=fold_name)
        keys, rows = _joined(sample.rows, [name for name in names if name]), _joined(sample.rows, columns)
        parts.append(pa.table({"key": keys, "row": rows, "file": pa.array([place] * sample.rows.num_rows, pa.int32())}))
    table = pa.concat_tables(parts).filter(pc.not_equal(pc.field("key"), _BETWEEN * (len(key) - 1)))
    files = table.group_by("key").aggregate([("file", "count_distinct")]).rename_columns(["key", "all_files"])
    several = files.filter(pc.field("all_files") > 1)
    alike = table.group_by(["key", "row"]).aggregate([("file", "count_distinct")]).join(several, "key", join_type="inner")
    differing = alike.filter(pc.field("file_count_distinct") < pc.field("all_files"))
    return several.num_rows, len(pc.unique(differing["key"]))


def newest_instants(samples: Sequence[TableSample], moments: Sequence[str]) -> dict[str, tuple[datetime, datetime]]:
    """Return the newest instant of each file by the name of its sample: of `moments`, and of all its dates; nothing where none is known."""
    dated = {name: read for name in samples[0].column_names if not _NO_EVENT.search(name) and (read := _reading(samples, name))}
    first = {name: read for name, read in dated.items() if fold_name(name) in map(fold_name, moments)} or dated
    found = {}
    for sample in samples:
        of_rows, of_all = _newest(sample, first), _newest(sample, dated)
        if of_rows and of_all:
            found[sample.name] = (of_rows, of_all)
    return found


def _newest(sample: TableSample, dated: Mapping[str, Callable[[str], datetime]]) -> datetime | None:
    return max((read(value) for name, read in dated.items() for value in sample.column(name).counts), default=None)


def _reading(samples: Iterable[TableSample], name: str) -> Callable[[str], datetime] | None:
    """Return how to read a column of dates in all files; None where it is none, or may be read in two ways."""
    values = {value for sample in samples for value in sample.column(name).counts}
    found = date_format(values)
    if found is None or found.is_ambiguous or found.is_serial or not _are_readable(values, found):
        return None
    return lambda value: _instant(value, found)


def _are_readable(values: Iterable[str], found: DateFormat) -> bool:
    try:
        return all(_instant(value, found) for value in values)
    except ValueError:
        return False


def _instant(value: str, found: DateFormat) -> datetime:
    """Return the instant of a cell without a time zone; one with an offset is in UTC."""
    if found.pattern:
        return datetime.strptime(value.strip(), found.pattern).replace(tzinfo=None)  # noqa: DTZ007 - compared with its like alone
    moment = datetime.fromisoformat(re.sub(r" (?=[+-]\d)", "", value.strip()).replace(" UTC", "+00:00"))
    return moment.astimezone(UTC).replace(tzinfo=None) if moment.tzinfo else moment


def _joined(rows: pa.Table, columns: Sequence[str]) -> pa.ChunkedArray:
    cells = [pc.fill_null(pc.utf8_trim_whitespace(rows[name]), "") for name in columns]
    return pc.binary_join_element_wise(*cells, _BETWEEN) if len(cells) > 1 else cells[0]


def _differing(count: int) -> str:
    return f"{count:,} of them with differences" if count else "all of them alike"


def _name(sample: TableSample) -> str:
    return sample.files[0].name
