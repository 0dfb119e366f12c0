"""Files that cannot be read as they are: each message names file, line and cause, and its remedy works when followed to the letter."""

from __future__ import annotations

import gzip
import os
import re
import subprocess
import tomllib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.extractions import a_shop_folder, run_extract, write_query
from support.nights import tree_bytes
from support.users import as_nobody

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Source
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_ORDER_LINES

DAY = date(2024, 3, 10)
HEADER = "order_no,customer,sold_at,paid,category"
ROW = "A1,c1,2024-03-05 10:00:00,19.99,bread"
QUERY = """SELECT order_no AS order_id, CAST(1 AS BIGINT) AS line_number, customer AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity, CAST(paid AS DECIMAL(18, 4)) AS net_amount, category
FROM orders"""


@pytest.fixture
def shop(tmp_path: Path) -> Company:
    company = a_shop_folder(tmp_path / "shop", attributes=(), source=Source(kind="files", folder=tmp_path / "shop" / "data"))
    write_query(company.folder, "customers", "SELECT id AS customer_id FROM customers")
    write_query(company.folder, "order_lines", QUERY)
    (company.folder / "data" / "customers.csv").write_text("id\nc1\n")
    return company


def write_orders(shop: Company, content: str | bytes, name: str = "orders.csv") -> Path:
    path = shop.folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def refusal(shop: Company, lake: Lake) -> PipelineError:
    with pytest.raises(PipelineError) as refused:
        run_extract(shop, lake, DAY)
    assert tree_bytes(lake, "tables", "staging") == {}
    assert refused.value.where
    assert refused.value.todo
    return refused.value


def stored(shop: Company, lake: Lake) -> list[dict[str, Any]]:
    run_extract(shop, lake, DAY)
    days = [version.day for version in lake.versions(RAW_ORDER_LINES)]
    return [row for day in days for row in lake.read(RAW_ORDER_LINES, day=day, known_on=DAY).to_pylist()]


WHOLE_GZIP = gzip.compress("\n".join([HEADER, *(ROW.replace("A1", f"A{n}") for n in range(5000))]).encode(), mtime=0)
BROKEN: dict[str, tuple[str, str | bytes, str]] = {
    "utf-16": ("orders.csv", f"{HEADER}\n{ROW}\n".encode("utf-16"), "orders.csv is UTF-16 text, not UTF-8"),
    "utf-16-le without a mark": ("orders.csv", f"{HEADER}\n{ROW}\n".encode("utf-16-le"), "orders.csv is UTF-16 text, not UTF-8"),
    "utf-16-be without a mark": ("orders.csv", f"{HEADER}\n{ROW}\n".encode("utf-16-be"), "orders.csv is UTF-16 text, not UTF-8"),
    "utf-16 compressed": ("orders.csv.gz", gzip.compress(f"{HEADER}\n".encode("utf-16")), "orders.csv.gz is UTF-16 text"),
    "latin-1": ("orders.csv", f"{HEADER}\nA1,c1,2024-03-05,1,caf".encode() + b"\xe9\n", "text that is not UTF-8 at category in line 2"),
    "mixed line ends": ("orders.csv", f"{HEADER}\r\n{ROW}\n{ROW}\r\n", "mixes line ends: CR LF (Windows) in line 1, LF (Unix) in line 2"),
    "mixed late": ("orders.csv", f"{HEADER}\n{ROW}\n{ROW}\r\n", "mixes line ends: LF (Unix) in line 1, CR LF (Windows) in line 3"),
    "long cell": ("orders.csv", f"{HEADER}\n{ROW}{'x' * 3_000_000}\n", "orders.csv: a line longer than 2 MB in line 2"),
    "cut off": ("orders.csv.gz", WHOLE_GZIP[: len(WHOLE_GZIP) // 2], "orders.csv.gz is cut off"),
    "hardly begun": ("orders.csv.gz", WHOLE_GZIP[:60], "orders.csv.gz is cut off"),
    "two bytes": ("orders.csv.gz", WHOLE_GZIP[:2], "orders.csv.gz is cut off"),
    "without its last bytes": ("orders.csv.gz", WHOLE_GZIP[:-4], "orders.csv.gz is cut off"),
    "nothing compressed": ("orders.csv.gz", b"", "orders.csv.gz is empty: 0 bytes"),
    "false gzip": ("orders.csv.gz", f"{HEADER}\n{ROW}\n", "orders.csv.gz is not compressed by gzip, though its name says so"),
    "hidden gzip": ("orders.csv", WHOLE_GZIP, "orders.csv is compressed by gzip"),
    "damaged gzip": ("orders.csv.gz", WHOLE_GZIP[:12] + b"\xff" * 40 + WHOLE_GZIP[60:], "orders.csv.gz is damaged"),
    "workbook": ("orders.csv", b"PK\x03\x04rest", "orders.csv is a workbook or an archive, no CSV file"),
    "old workbook": ("orders.csv", b"\xd0\xcf\x11\xe0rest", "orders.csv is a workbook or an archive, no CSV file"),
    "comment": ("orders.csv", f"# exported\n{HEADER}\n{ROW}\n", "orders.csv begins with a comment, not with a header"),
    "parquet": ("orders.parquet", b"PAR1garbage", "the files of table `orders` cannot be read"),
    "quote": ("orders.csv", f'{HEADER}\n{ROW}\nA2,c1,2024-03-05,1,"12" pipe"\n', "a quote out of place at category in line 3"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_cannot_be_read_is_named_with_its_fault(shop: Company, lake: Lake, what: str) -> None:
    name, content, words = BROKEN[what]
    path = write_orders(shop, content, name)
    error = refusal(shop, lake)
    assert words in error.what
    assert error.where == str(path)
    assert isinstance(error, DataError)
    assert error.exit_code == 4


@pytest.mark.parametrize("what", ["mixed line ends", "mixed late"])
def test_the_command_that_a_message_gives_mends_the_file(shop: Company, lake: Lake, what: str) -> None:
    path = write_orders(shop, BROKEN[what][1])
    command = re.search(r"(sed [^.]*\.csv)", refusal(shop, lake).todo)
    assert command
    subprocess.run(command[1], shell=True, check=True, cwd=path.parent)  # noqa: S602 - our own message
    assert {row["category"] for row in stored(shop, lake)} == {"bread"}


@pytest.mark.parametrize("what", ["utf-16", "utf-16-le without a mark", "utf-16-be without a mark", "utf-16 compressed", "latin-1"])
def test_the_encoding_that_a_message_says_to_declare_reads_the_file(shop: Company, lake: Lake, what: str) -> None:
    name, content, _ = BROKEN[what]
    if what == "utf-16 compressed":
        content = gzip.compress(f"{HEADER}\n{ROW}\n".encode("utf-16"))
    write_orders(shop, content.replace(b",1,caf", b",1,bread") if what == "latin-1" else content, name)
    section = re.search(r"`(encoding = .*)` under \[source.formats.orders\]", refusal(shop, lake).todo)
    assert section
    formats = {"orders": TableFormat(**tomllib.loads(section[1]))}
    company = replace(shop, source=replace(shop.source, formats=formats))
    assert {row["category"].removesuffix("\u00e9") for row in stored(company, lake)} == {"bread"}


FORMS = {
    "19,99": "19.99",
    "1.234,50": "1234.50",
    "1,019.99": "1019.99",
    "1,019,888.99": "1019888.99",
    "10 237.65": "10237.65",
    "10\u00a0237,65": "10237.65",
    "€19.99": "19.99",
    "19.99 €": "19.99",
    "USD 19.99": "19.99",
    "(19.99)": "-19.99",
    "19.99-": "-19.99",
    "N/A": None,
    "NULL": None,
    "-": None,
}


@pytest.mark.parametrize("cell", FORMS)
def test_what_to_write_for_an_amount_works(shop: Company, lake: Lake, cell: str) -> None:
    path = write_orders(shop, f'{HEADER}\n{ROW}\nA2,c1,2024-03-05 10:00:00,"{cell}",x\n')
    error = refusal(shop, lake)
    assert error.what == "orders.csv: paid is no DECIMAL(18, 4) in line 3"
    assert error.where == str(path)
    remedy = re.search(r"write `(.*?)`", error.todo)
    assert remedy
    write_query(shop.folder, "order_lines", QUERY.replace("CAST(paid AS DECIMAL(18, 4))", remedy[1]))
    paid = {row["order_id"]: row["net_amount"] for row in stored(shop, lake)}
    assert (None if paid["A2"] is None else f"{paid['A2']:.2f}") == FORMS[cell]
    if "," not in remedy[1].replace("18, 4", "") or "'.'" not in remedy[1]:
        assert f"{paid['A1']:.2f}" == "19.99"


AT_TEN = datetime(2024, 3, 5, 9, tzinfo=UTC)
MOMENTS = {
    "05/03/2024 10:00": AT_TEN,
    "05/03/2024 10:00:00": AT_TEN,
    "05.03.2024 10:00": AT_TEN,
    "45356.416666666664": AT_TEN,
    "1709629200": AT_TEN,
    "1709629200000": AT_TEN,
    "0000-00-00 00:00:00": None,
    "NULL": None,
}


@pytest.mark.parametrize("cell", MOMENTS)
def test_what_to_write_for_a_moment_works(shop: Company, lake: Lake, cell: str) -> None:
    write_orders(shop, f"{HEADER}\nA2,c1,{cell},1.00,x\n")
    error = refusal(shop, lake)
    assert error.what == "orders.csv: sold_at is no TIMESTAMP in line 2"
    remedy = re.search(r"[wW]rite `(.*?)`", error.todo)
    assert remedy
    cast, zone = "CAST(sold_at AS TIMESTAMP)", " AT TIME ZONE 'Europe/Berlin'"
    write_query(shop.folder, "order_lines", QUERY.replace(cast + (zone if "without AT TIME ZONE" in error.todo else ""), remedy[1]))
    [row] = stored(shop, lake)
    found = row["ordered_at"]
    assert (None if found is None else found.replace(microsecond=0)) == MOMENTS[cell]


def test_cells_are_described_by_their_form_and_never_shown(shop: Company, lake: Lake) -> None:
    write_orders(shop, f"{HEADER}\nA2,c1,2024-03-05 10:00:00,s3cret \x1b[2J word,x\n")
    error = refusal(shop, lake)
    assert "`a9aaaa ?[9a aaaa`" in error.todo
    assert "s3cret" not in str(error)
    assert "TRY_CAST(paid AS DECIMAL(18, 4))" in error.todo


def test_a_cast_of_parquet_that_fails_is_counted(shop: Company, lake: Lake) -> None:
    rows = {"order_no": ["A1"], "customer": ["c1"], "sold_at": ["2024-03-05"], "paid": ["19,99"], "category": ["x"]}
    pq.write_table(pa.table(rows), shop.folder / "data" / "orders.parquet")
    assert refusal(shop, lake).what == "sources/order_lines.sql failed on a row: orders.paid is no DECIMAL(18, 4) in 1 rows"


@pytest.mark.parametrize(
    "cell",
    [
        "2024-03-05 22:15:29 -0500",
        "2024-03-05 22:15:29 -05:00",
        "2024-03-05 22:15:29-0500",
        "2024-03-05T22:15:29-05",
        "2024-03-06T03:15:29Z",
    ],
)
@pytest.mark.parametrize("types", [{}, {"sold_at": "TIMESTAMPTZ"}], ids=["cast", "declared"])
def test_an_instant_is_read_with_its_offset(tmp_path: Path, shop: Company, lake: Lake, cell: str, types: dict[str, str]) -> None:
    write_orders(shop, f"{HEADER}\nA1,c1,{cell},1.00,x\nA2,c1,2024-03-05 00:00:00+00,1.00,2024-03-05 22:15:29 -0500\n")
    source = Source(kind="files", folder=shop.folder / "data", column_types={"orders": types})
    company = a_shop_folder(tmp_path / "shop", attributes=(), source=source)
    instant = "sold_at" if types else "CAST(sold_at AS TIMESTAMPTZ)"
    write_query(company.folder, "customers", "SELECT DISTINCT customer AS customer_id FROM orders")
    write_query(company.folder, "order_lines", QUERY.replace("CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin'", instant))
    rows = {row["order_id"]: row for row in stored(company, lake)}
    assert rows["A1"]["ordered_at"] == datetime(2024, 3, 6, 3, 15, 29, tzinfo=UTC)
    assert rows["A2"]["category"] == "2024-03-05 22:15:29 -0500"


@pytest.mark.parametrize("kind", [pa.timestamp("ns"), pa.timestamp("us"), pa.timestamp("ms"), pa.timestamp("s")])
@pytest.mark.parametrize("zone", [None, "UTC"])
def test_parquet_may_count_time_in_any_unit(shop: Company, lake: Lake, kind: pa.DataType, zone: str | None) -> None:
    at = datetime(2024, 3, 5, 10, tzinfo=UTC if zone else None)
    sold_at = pa.array([at], pa.timestamp(kind.unit, zone))
    rows = {"order_no": ["A1"], "customer": ["c1"], "sold_at": sold_at, "paid": ["1"], "category": ["x"]}
    pq.write_table(pa.table(rows), shop.folder / "data" / "orders.parquet")
    instant = "sold_at" if zone else "sold_at AT TIME ZONE 'Europe/Berlin'"
    query = QUERY.replace("CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin'", instant)
    write_query(shop.folder, "order_lines", f"{query}\nWHERE {instant} >= $day_start AND {instant} < $day_end")
    assert stored(shop, lake)[0]["ordered_at"] == datetime(2024, 3, 5, 10 if zone else 9, tzinfo=UTC)


@pytest.mark.parametrize(
    "name", ["orders.CSV", "Orders.Csv", "orders.tsv", "orders.csv.gz", "ORDERS.CSV.GZ", "orders/a.csv", "orders/2024/03/a.csv"]
)
def test_a_table_is_found_by_its_name_in_capitals_or_not_and_below_its_folder(shop: Company, lake: Lake, name: str) -> None:
    text = f"{HEADER}\n{ROW}\n".replace(",", "\t" if name.endswith(".tsv") else ",")
    write_orders(shop, gzip.compress(text.encode()) if name.lower().endswith(".gz") else text, name)
    assert [row["order_id"] for row in stored(shop, lake)] == ["A1"]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_folders_of_hive_are_columns(shop: Company, lake: Lake, kind: str) -> None:
    for year, month in (("2023", "07"), ("2024", "03")):
        path = shop.folder / "data" / "orders" / f"year={year}" / f"month={month}" / f"part-0.{kind}"
        path.parent.mkdir(parents=True)
        if kind == "csv":
            path.write_text(f"{HEADER}\n{ROW.replace('2024-03', f'{year}-{month}').replace('A1', f'A{year}')}\n")
        else:
            cells = ROW.replace("2024-03", f"{year}-{month}").replace("A1", f"A{year}").split(",")
            pq.write_table(pa.table({name: [cell] for name, cell in zip(HEADER.split(","), cells, strict=True)}), path)
    write_query(shop.folder, "order_lines", QUERY.replace("category\n", "year || '-' || month AS category\n"))
    assert {row["order_id"]: row["category"] for row in stored(shop, lake)} == {"A2023": "2023-07", "A2024": "2024-03"}


def test_a_link_may_lead_out_of_the_folder(shop: Company, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(f"{HEADER}\n{ROW}\n")
    (shop.folder / "data" / "orders.csv").symlink_to(tmp_path / "export.csv")
    assert [row["order_id"] for row in stored(shop, lake)] == ["A1"]


def test_a_query_reads_nothing_else_outside_the_folder(shop: Company, lake: Lake, tmp_path: Path) -> None:
    (tmp_path / "export.csv").write_text(f"{HEADER}\n{ROW}\n")
    (tmp_path / "other.csv").write_text(f"{HEADER}\n{ROW}\n")
    (shop.folder / "data" / "orders.csv").symlink_to(tmp_path / "export.csv")
    write_query(
        shop.folder, "order_lines", QUERY.replace("FROM orders", f"FROM orders UNION ALL SELECT * FROM read_csv('{tmp_path}/other.csv')")
    )
    assert "disabled by configuration" in refusal(shop, lake).what


UNREADABLE: dict[str, tuple[Callable[[Path], object], str]] = {
    "dangling link": (lambda path: path.symlink_to("nowhere"), "orders.csv cannot be read: no such file or directory"),
    "no right": (lambda path: (path.write_text(HEADER), path.chmod(0)), "orders.csv cannot be read: permission denied"),
    "pipe": (os.mkfifo, "orders.csv is no file"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_a_file_that_cannot_be_opened_is_no_passing_trouble(shop: Company, lake: Lake, tmp_path: Path, what: str) -> None:
    make, words = UNREADABLE[what]
    path = shop.folder / "data" / "orders.csv"
    make(path)
    lake.root.mkdir(mode=0o777, exist_ok=True)
    lake.root.chmod(0o777)
    with as_nobody(tmp_path):
        error = refusal(shop, lake)
    assert not isinstance(error, TransientError)
    assert (error.what, error.where) == (words, str(path))


@pytest.mark.parametrize("make", [make for make, _ in UNREADABLE.values()], ids=UNREADABLE)
def test_a_file_that_no_query_names_may_be_anything(shop: Company, lake: Lake, make: Callable[[Path], object]) -> None:
    write_orders(shop, f"{HEADER}\n{ROW}\n")
    make(shop.folder / "data" / "others.csv")
    assert len(stored(shop, lake)) == 1


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("orders.xlsb", "orders.xlsb is no file of a known kind by its name: save it as .xlsx."),
        ("orders.txt", "orders.txt is no file of a known kind by its name: rename it to .csv, if that is what it is."),
        ("Orders.xml", "Orders.xml is no file of a known kind by its name"),
        ("orders.zip", "orders.zip is no file of a known kind by its name: unpack it."),
        ("orders", "orders is no file of a known kind by its name: name it *.csv or *.parquet, if it is one."),
        ("orders 2024-03.csv", "Where names change, put the file into a folder"),
    ],
)
def test_what_looks_like_the_table_but_is_none_is_named(shop: Company, lake: Lake, name: str, hint: str) -> None:
    write_orders(shop, f"{HEADER}\n{ROW}\n", name)
    error = refusal(shop, lake)
    assert isinstance(error, ConfigError)
    assert error.what.startswith("the source has no table `orders`")
    assert hint in error.todo


def test_two_files_of_one_table_are_named(shop: Company, lake: Lake) -> None:
    write_orders(shop, f"{HEADER}\n")
    write_orders(shop, b"", "Orders.xlsx")
    assert refusal(shop, lake).what == "two files give the table `orders`: Orders.xlsx, orders.csv"


def test_a_path_that_is_a_file_says_so(shop: Company, lake: Lake) -> None:
    path = write_orders(shop, f"{HEADER}\n{ROW}\n")
    company = a_shop_folder(shop.folder, attributes=(), source=Source(kind="files", folder=path))
    error = refusal(company, lake)
    assert error.what == "the source's `path` is a file, not a folder"


HEADERS = [
    'order_no;customer;sold_at;"paid (EUR, VAT, less, all, of, it)";category',
    'order_no\tcustomer\tsold_at\t"paid (a,b,c,d,e)"\tcategory',
]


@pytest.mark.parametrize("header", HEADERS)
def test_separators_within_a_quoted_name_are_no_separators(shop: Company, lake: Lake, header: str) -> None:
    separator = ";" if ";" in header else "\t"
    write_orders(shop, f"{header}\n{ROW.replace(',', separator)}\n")
    name = re.search('"(.*)"', header)
    assert name
    write_query(shop.folder, "order_lines", QUERY.replace("CAST(paid AS", f'CAST("{name[1]}" AS'))
    assert len(stored(shop, lake)) == 1
