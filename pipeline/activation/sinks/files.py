"""Files: for each list the CSV of its members, and for each sync who was added to it and who was removed.

<list>/members.csv                   everybody who is on the list
<list>/<day>-<number>-added.csv      who came with that sync
<list>/<day>-<number>-removed.csv    who left with it
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import ClassVar, TextIO

from pipeline.activation.sinks.sink import Change, Customer, Member, Outcome, Remote, RowResult, Sink, changes_by_list
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import TransientError

ADDED, REMOVED, MEMBERS = "added", "removed", "members"
NEW = ".new"
NEW_MEMBERS = f"members.csv{NEW}"
PART_ROWS = 20_000
KEY = "customer_id"
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class FilesSink(Sink):
    """Writes CSV in UTF-8 below the sink's own folder, or the folder that its connection names as `file:///path`."""

    batch_rows: ClassVar[int] = 5_000
    is_readable: ClassVar[bool] = False
    takes_members: ClassVar[bool] = True

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        super().__init__(definition, address, Path(address.removeprefix("file://")) if address else folder)
        definition.require_settings()
        self._columns = [KEY, *definition.fields]
        self._run = ""

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return nothing: what others did to the files is theirs."""
        del customers
        return {}

    def ensure_vocabulary(self) -> None:
        """Make a folder for each list."""
        with _disk_errors(self.folder):
            for each in self.lists:
                (self.folder / each.name).mkdir(parents=True, exist_ok=True)

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Add the customers to the files of this sync."""
        self._run = self._run or self._next_run()
        with _disk_errors(self.folder):
            for name, moved in changes_by_list(changes).items():
                for kind, found in ((ADDED, moved.added), (REMOVED, moved.removed)):
                    if found:
                        rows = ({KEY: each.customer_id, **each.contacts, **each.fields} for each in found)
                        _append(self.folder / name / f"{self._run}-{kind}.csv", self._columns, rows)
        return [RowResult(change.customer_id, Outcome.WRITTEN, change.customer_id) for change in changes]

    def finish(self, members: Iterable[Member]) -> None:
        """Write the members of each list anew; a list that lost its last one keeps its file, with the header alone."""
        rows = iter(members)
        with _disk_errors(self.folder):
            _remove_half_written(self.folder)
            # A part at a time, and each list's rows in one go: a file for each list kept open would be too many files for a system.
            while part := list(islice(rows, PART_ROWS)):
                by_list: dict[str, list[Member]] = {}
                for each in part:
                    by_list.setdefault(each.list_name, []).append(each)
                for name, found in by_list.items():
                    _append(self.folder / name / NEW_MEMBERS, self._columns, ({KEY: each.customer_id, **each.fields} for each in found))
            for folder in {path.parent for name in (f"{MEMBERS}.csv", NEW_MEMBERS) for path in self.folder.glob(f"*/{name}")}:
                if not (folder / NEW_MEMBERS).exists():
                    _append(folder / NEW_MEMBERS, self._columns, ())
                (folder / NEW_MEMBERS).replace(folder / f"{MEMBERS}.csv")

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Write every file anew without these customers."""
        gone = {_guarded_text(customer) for customer in remotes}
        with _disk_errors(self.folder):
            _remove_half_written(self.folder)
            for path in sorted(self.folder.glob("*/*.csv")):
                with path.open(encoding="utf-8", newline="") as file:
                    reader = csv.DictReader(file)
                    columns, rows = list(reader.fieldnames or ()), list(reader)
                others = [row for row in rows if row[KEY] not in gone]
                if len(others) < len(rows):
                    _write_file(path, columns, others)

    def _next_run(self) -> str:
        day = self.clock().astimezone(UTC).date().isoformat()
        taken = {path.name.rsplit("-", 1)[0] for path in self.folder.glob(f"*/{day}-*.csv")}
        return f"{day}-{len(taken) + 1:03}"


def _remove_half_written(folder: Path) -> None:
    """Remove what a process that died has left: nobody reads it, and who is in it may be erased."""
    for left in folder.glob(f"*/*{NEW}"):
        left.unlink()


def _append(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Append rows to a file, which begins with the names of the columns."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = _writer(file, columns)
        if is_new:
            writer.writeheader()
        writer.writerows(_guarded(row) for row in rows)


def _write_file(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> None:
    """Write a file whole or not at all; its rows are guarded already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(f".csv{NEW}")
    with new.open("w", encoding="utf-8", newline="") as file:
        writer = _writer(file, columns)
        writer.writeheader()
        writer.writerows(rows)
    new.replace(path)


def _writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    return csv.DictWriter(file, columns, restval="", extrasaction="ignore", lineterminator="\n")


def _guarded(row: Mapping[str, str]) -> dict[str, str]:
    return {name: _guarded_text(text) for name, text in row.items()}


def _guarded_text(text: str) -> str:
    """Return what a spreadsheet would run as a formula with an apostrophe before it; phone numbers stay as they are.

    A formula that has an apostrophe gets another one, so that no two ids are written alike.
    """
    is_formula = text.lstrip("'").startswith(FORMULA_STARTS) and not _is_number(text)
    return f"'{text}" if is_formula else text


def _is_number(text: str) -> bool:
    return text[1:].replace(" ", "").replace(".", "").isdigit()


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise TransientError(
            f"the files of the sink cannot be written: {reason}", where=str(folder), todo="Mend the disk, then run again."
        ) from None
