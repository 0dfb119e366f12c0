"""Files with rows: as a source that a night reads, and as what somebody gives to `segments init`."""

from __future__ import annotations

import io
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from support.workbooks import Sheet, an_xlsx

from fuzzing.target import Fault, Outcome, Target, result_or_message
from pipeline.calendar import BEGINNING, END, Window
from pipeline.definitions.company_sections import Source
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.files import open_files
from pipeline.onboarding.new_company import make_company
from pipeline.onboarding.questions import Settings
from pipeline.onboarding.view import print_company
from pipeline.operations.check import check_company

EXPORTS = Path(__file__).resolve().parents[1] / "spec" / "onboarding" / "exports"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ANSWERS = {"time_zone": "Europe/Berlin", "currency": "EUR"}
ORDERS = (
    "order_id,customer,sold_at,pieces,paid,category\n"
    "A1,1,2024-03-01 10:00:00,1,10.00,tea\n"
    'A2,2,2024-03-02 11:30:00,2,"1,234.50",wine\n'
    'A3,,2024-03-03,1,-5,"a ""b"""\n'
)
SEMICOLONS = "Bestellung;Kunde;Datum;Menge;Betrag\n1;7;01.03.2024;1;10,00\n2;8;13.03.2024;2;1.234,50\n"
JSON = '[{"order_id": "A1", "sold_at": "2024-03-01T10:00:00Z", "paid": 10.5},\n {"order_id": "A2", "customer": null, "paid": 3}]\n'
JSON_LINES = '{"order_id": "A1", "customer": 1, "paid": 10.5, "tags": ["a"]}\n{"order_id": "A2", "customer": {"id": 7}, "paid": 3}\n'
QUERIES = (
    "SELECT * FROM orders",
    "SELECT *, CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS at FROM orders",
    "SELECT sum(CAST(paid AS DECIMAL(18, 4))) AS paid FROM orders",
)
SHEET = "xl/worksheets/sheet1.xml"
SHEET_ROWS = (
    ("order_id", "customer", "sold_at", "pieces", "paid"),
    ("A1", 1, datetime.fromisoformat("2024-03-01T10:00"), 1, 10.5),
    ("A2", 2, datetime.fromisoformat("2024-03-02"), 2, 1234.5),
)
# A line each, as they are put into a file.
WORDS = """Order ID
order_id
Customer
Email
Name
Created at
Date
Total
Amount
Quantity
Currency
Status
paid
refunded
EUR
USD
2024-03-01
01.03.2024
03/01/2024
2024-03-01T10:00:00+02:00
ann@example.org
Lineitem name
Lineitem quantity
null
"order_id"
1e999
<c r="A1" t="s">
<v>1</v>
</row>
<row r="99999999">
t="e"
#N/A
XFD1048576
""".splitlines()


def run_source(suffix: str, data: bytes) -> Outcome:
    """Read a file as the table `orders` of a source."""
    with tempfile.TemporaryDirectory(prefix="fuzzed-") as name:
        folder = Path(name) / "data"
        folder.mkdir()
        (folder / f"orders{suffix}").write_bytes(as_workbook(data) if suffix == ".xlsx" else data)
        whole = Outcome()
        for query in QUERIES:
            outcome = Outcome()
            with result_or_message(outcome):
                asked = SourceQuery("order_lines", folder / "order_lines.sql", "duckdb", query, Window(BEGINNING, END))
                with open_files(Source(kind="files", folder=folder), Path(name) / "staging", memory_limit="200MB") as snapshot:
                    schema = snapshot.schema(asked)
                    for batch in snapshot.rows(asked):
                        if batch.schema.names != schema.names:
                            raise Fault(f"rows have the columns {batch.schema.names}, and {schema.names} were promised")
            whole.is_accepted |= outcome.is_accepted
            whole.words += outcome.words
        return whole


def run_onboarding(suffix: str, data: bytes) -> Outcome:
    """Make a company of a file; one that is made is a company in which nothing is wrong."""
    with tempfile.TemporaryDirectory(prefix="fuzzed-") as name:
        file, folder = Path(name) / f"orders{suffix}", Path(name) / "shop"
        file.write_bytes(as_workbook(data) if suffix == ".xlsx" else data)
        outcome = Outcome()
        with result_or_message(outcome):
            made = make_company(
                folder, [file], Settings(dict(ANSWERS)), ask=None, command="segments init shop", now=NOW, memory_limit="300MB"
            )
        if not outcome.is_accepted:
            if folder.exists():
                raise Fault("a refused file leaves a folder behind")
            return outcome
        with redirect_stdout(io.StringIO()):
            print_company(made)
        # Of the company itself; that the source can be read was tried just now.
        if problems := check_company(folder).problems:
            raise Fault(f"a company that was made has problems: {problems}")
        return outcome


def as_workbook(sheet: bytes) -> bytes:
    """Return a workbook whose only sheet is written as `sheet` says."""
    sound, sink = io.BytesIO(an_xlsx({"orders": Sheet(SHEET_ROWS)})), io.BytesIO()
    with ZipFile(sound) as parts, ZipFile(sink, "w", ZIP_DEFLATED) as changed:
        for part in parts.namelist():
            changed.writestr(part, sheet if part == SHEET else parts.read(part))
    return sink.getvalue()


def sheet_seeds() -> list[bytes]:
    """Return the sheet of a sound workbook."""
    with ZipFile(io.BytesIO(an_xlsx({"orders": Sheet(SHEET_ROWS)}))) as parts:
        return [parts.read(SHEET)]


def text_seeds(*texts: str) -> list[bytes]:
    return [text.encode() for text in texts]


def export_seeds() -> list[bytes]:
    """Return exports of shops, each cut after a few rows."""
    exports = [b"".join(file.read_bytes().splitlines(keepends=True)[:8]) for file in sorted(EXPORTS.iterdir())]
    return [*exports, *text_seeds(ORDERS, SEMICOLONS)]


TABLE_TARGETS = tuple(
    Target(f"{name}{suffix.replace('.', '-')}", partial(run, suffix), seeds, WORDS, "latin-1" if suffix == ".csv" else "utf-8")
    for name, run in (("sources", run_source), ("onboarding", run_onboarding))
    for suffix, seeds in (
        (".csv", export_seeds),
        (".json", partial(text_seeds, JSON, JSON_LINES)),
        (".jsonl", partial(text_seeds, JSON_LINES)),
        (".xlsx", sheet_seeds),
    )
)
