"""Files are read as `[source.formats.<table>]` declares, to the cent; what does not fit says what to declare."""

from __future__ import annotations

import gzip
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.extractions import a_shop_folder, run_extract, write_query
from support.nights import tree_bytes
from support.source_folders import read_table, refused_table

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import Source
from pipeline.definitions.fields import Document, Fields
from pipeline.definitions.source_formats import TableFormat, read_formats
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.ingestion.sources.newest_files import oldest_first
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_ORDER_LINES

DAY = date(2024, 3, 10)
HEADER = "order_no,paid,category"
QUERY = """SELECT order_no AS order_id, row_number() OVER (PARTITION BY order_no ORDER BY paid) AS line_number, 'c1' AS customer_id,
  TIMESTAMPTZ '2024-03-05 10:00:00+00' AS ordered_at, CAST(1 AS DECIMAL(18, 4)) AS quantity, paid AS net_amount, category
FROM orders"""
MONEY = {"orders": {"paid": "DECIMAL(18,4)"}}


@pytest.fixture
def shop(tmp_path: Path) -> Company:
    company = a_shop_folder(
        tmp_path / "shop", attributes=(), source=Source(kind="files", folder=tmp_path / "shop" / "data", column_types=MONEY)
    )
    write_query(company.folder, "customers", "SELECT 'c1' AS customer_id")
    write_query(company.folder, "order_lines", QUERY)
    return company


def declared(shop: Company, types: Mapping[str, Mapping[str, str]] = MONEY, **format_of_orders: object) -> Company:
    formats = {"orders": TableFormat(**format_of_orders)}  # type: ignore[arg-type]
    return replace(shop, source=replace(shop.source, formats=formats, column_types=types))


def write(shop: Company, content: str | bytes, name: str = "orders.csv") -> Path:
    path = shop.folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def amounts(shop: Company, lake: Lake) -> dict[str | None, list[Decimal | None]]:
    """Return the amounts of the night's lines by order."""
    run_extract(shop, lake, DAY)
    lines = lake.read(RAW_ORDER_LINES, day=date(2024, 3, 5), known_on=DAY).sort_by("net_amount").to_pylist()
    return {order: [line["net_amount"] for line in lines if line["order_id"] == order] for order in {line["order_id"] for line in lines}}


def categories(shop: Company, lake: Lake) -> set[str | None]:
    run_extract(shop, lake, DAY)
    return {row["category"] for row in lake.read(RAW_ORDER_LINES, day=date(2024, 3, 5), known_on=DAY).to_pylist()}


def refusal(shop: Company, lake: Lake, kind: type[PipelineError] = DataError) -> PipelineError:
    with pytest.raises(kind) as refused:
        run_extract(shop, lake, DAY)
    assert tree_bytes(lake, "tables", "staging") == {}
    assert refused.value.todo
    return refused.value


def compressed(content: bytes, suffix: str) -> bytes:
    if suffix != ".zst":
        return gzip.compress(content) if suffix else content
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


# Encodings


@pytest.mark.parametrize(
    ("encoding", "suffix", "word"),
    [
        ("utf-8", ".zst", "Gemüse ☂"),
        ("utf-16", "", "Gemüse ☂"),
        ("utf-16", ".zst", "Gemüse ☂"),
        ("utf-16-le", "", "Gemüse ☂"),
        ("utf-16-be", ".gz", "Gemüse ☂"),
        ("windows-1252", "", "Gemüse €5"),
        ("windows-1252", ".gz", "Gemüse €5"),
        ("iso-8859-9", "", "Yeşil çay"),
        ("windows-1251", "", "Хлеб"),
        ("shift_jis", "", "パン"),
    ],
)
def test_text_of_a_declared_encoding_is_read(shop: Company, lake: Lake, encoding: str, suffix: str, word: str) -> None:
    text = f"{HEADER}\r\nA1,1.50,{word}\r\n"
    write(shop, compressed(text.encode(encoding), suffix), f"orders.csv{suffix}")
    assert categories(declared(shop, encoding=encoding), lake) == {word}


def test_text_in_utf_8_under_another_encoding_is_refused_and_not_read_as_other_letters(shop: Company, lake: Lake) -> None:
    write(shop, f"{HEADER}\nA1,1.50,Gemüse\n")
    error = refusal(declared(shop, encoding="windows-1252"), lake)
    assert error.what == "orders.csv is UTF-8 text, declared WINDOWS-1252"
    assert "[source.formats.orders]" in error.todo


def test_a_byte_that_an_encoding_lacks_is_named_by_its_line(shop: Company, lake: Lake) -> None:
    write(shop, f"{HEADER}\nA1,1.50,x\nA2,1.50,".encode() + b"\x81\n")
    assert refusal(declared(shop, encoding="windows-1252"), lake).what == "orders.csv: text that is not WINDOWS-1252 in line 3"


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_a_compressed_file_that_was_cut_off_is_refused(shop: Company, lake: Lake, suffix: str) -> None:
    rows = "\n".join(f"A{number},{number % 89}.50,{number * 7919}" for number in range(20_000))
    content = compressed(f"{HEADER}\n{rows}\n".encode(), suffix)
    path = write(shop, content[: len(content) // 2], f"orders.csv{suffix}")
    error = refusal(shop, lake)
    assert error.what.startswith(f"orders.csv{suffix} is cut off")
    assert error.where == str(path)


def test_a_file_that_is_no_zstd_says_so(shop: Company, lake: Lake) -> None:
    write(shop, f"{HEADER}\n", "orders.csv.zst")
    assert refusal(shop, lake).what == "orders.csv.zst is not compressed by zstd, though its name says so"


def test_a_bad_cell_of_a_copied_file_is_named_in_the_file_itself(shop: Company, lake: Lake) -> None:
    path = write(shop, f'{HEADER}\nA1,1.50,"Gem\nüse"\nA2,x,y\n'.encode("windows-1252"))
    error = refusal(declared(shop, encoding="windows-1252"), lake)
    assert (error.what, error.where) == ("orders.csv: paid is no DECIMAL(18,4) in line 4", str(path))
    write(shop, f"{HEADER}\nA1,1.50,ü\nA2,1\n".encode("windows-1252"))
    error = refusal(declared(shop, encoding="windows-1252"), lake)
    assert (error.what, error.where) == ("orders.csv: too few columns at category in line 3", str(path))


# Marks and headers


@pytest.mark.parametrize(
    ("text", "marks"),
    [
        ("order_no;paid;category\nA1;1.50;a,b|c,d\n", {"separator": ";"}),
        ("order_no^paid^category\nA1^1.50^a,b|c,d\n", {"separator": "^"}),
        ("order_no,paid,category\nA1,1.50,'a,b|c,d'\n", {"quote": "'"}),
        ("sep=;\norder_no;paid;category\nA1;1.50;a,b|c,d\n", {"header_row": 2}),
        ("Export of 2024\r\n\r\n# all shops\r\norder_no;paid;category\r\nA1;1.50;a,b|c,d\r\n", {"header_row": 4}),
    ],
)
def test_declared_marks_and_headers_are_read(shop: Company, lake: Lake, text: str, marks: dict[str, object]) -> None:
    write(shop, text)
    assert categories(declared(shop, **marks), lake) == {"a,b|c,d"}


@pytest.mark.parametrize(
    ("title", "rows_above"),
    [('"Orders\nof March"', 2), ('Orders,"of\n\nMarch"\n\n', 5), ('12" and 14" pipes', 1), ('"Orders" "of March"', 1)],
)
def test_a_title_of_several_lines_takes_no_row_with_it(shop: Company, lake: Lake, title: str, rows_above: int) -> None:
    write(shop, f"{title}\n{HEADER}\nA1,1.00,x\nA2,2.00,x\n")
    titled = declared(shop, header_row=rows_above + 1)
    assert amounts(titled, lake) == {"A1": [Decimal(1)], "A2": [Decimal(2)]}
    write(shop, f"{title}\n{HEADER}\nA1,1.00,x\nA2,2.00\n")
    with pytest.raises(DataError) as refused:
        run_extract(titled, lake, DAY, reread=True)
    assert refused.value.what == f"orders.csv: too few columns at category in line {rows_above + 3}"


def test_a_quote_above_the_header_that_never_ends_is_refused(shop: Company, lake: Lake) -> None:
    write(shop, f'"Orders\n{HEADER}\nA1,1.00,x\n')
    assert "a quote above line 2" in refusal(declared(shop, header_row=2), lake).what


def test_a_line_below_a_title_is_named_as_editors_count_it(shop: Company, lake: Lake) -> None:
    write(shop, f"Export\n\n{HEADER}\nA1,1.50,x\nA2,one,x\n")
    assert refusal(declared(shop, header_row=3), lake).what == "orders.csv: paid is no DECIMAL(18,4) in line 5"
    write(shop, f"Export\n\n{HEADER}\nA1,1.50,x\nA2,1\n")
    assert refusal(declared(shop, header_row=3), lake).what == "orders.csv: too few columns at category in line 5"


@pytest.mark.parametrize(
    ("text", "marks", "words"),
    [
        (f"{HEADER}\n", {"separator": ";"}, "orders.csv: line 1 has no `;`, but 2 `,`"),
        (f"{HEADER}\n", {"header_row": 3}, "orders.csv ends before line 3, its header by `header_row`"),
        (f"x\n\n{HEADER}\n", {"header_row": 2}, "orders.csv: line 2 begins with an empty line"),
    ],
)
def test_marks_that_the_file_does_not_have_are_refused(shop: Company, lake: Lake, text: str, marks: dict[str, object], words: str) -> None:
    write(shop, text)
    error = refusal(declared(shop, **marks), lake)
    assert words in error.what
    assert "[source.formats.orders]" in error.todo


@pytest.mark.parametrize(
    ("cell", "marks", "amount"),
    [
        ("19,99", {"decimal": ","}, "19.99"),
        ("-1.019,9", {"decimal": ",", "thousands": "."}, "-1019.90"),
        ("1.019.888", {"decimal": ",", "thousands": "."}, "1019888"),
        ("1019", {"decimal": ",", "thousands": "."}, "1019"),
        ("1,019.99", {"thousands": ","}, "1019.99"),
        ("10 237,65", {"decimal": ",", "thousands": " "}, "10237.65"),
        ("10\u00a0237,65", {"decimal": ",", "thousands": " "}, "10237.65"),
        ("1\u202f010\u202f237,65", {"decimal": ",", "thousands": " "}, "1010237.65"),
        ("1'237.65", {"thousands": "'"}, "1237.65"),
        ("1\u2019237.65", {"thousands": "'"}, "1237.65"),
    ],
)
def test_a_declared_number_is_read_with_its_marks(shop: Company, lake: Lake, cell: str, marks: dict[str, object], amount: str) -> None:
    write(shop, f'{HEADER}\nA1,"{cell}",x\n')
    assert amounts(declared(shop, **marks), lake) == {"A1": [Decimal(amount)]}


@pytest.mark.parametrize(
    ("cell", "marks"),
    [
        ("19.99", {"decimal": ","}),
        ("1.019", {"decimal": ","}),
        ("1,019", {}),
        ("1,01", {"thousands": ","}),
        ("1.01", {"decimal": ",", "thousands": "."}),
        ("10.1234", {"decimal": ",", "thousands": "."}),
        ("1.0199,5", {"decimal": ",", "thousands": "."}),
        ("1,2,3", {"decimal": ","}),
    ],
)
def test_a_number_with_other_marks_is_refused_rather_than_read_as_another_one(
    shop: Company, lake: Lake, cell: str, marks: dict[str, object]
) -> None:
    write(shop, f'{HEADER}\nA1,"{cell}",x\n')
    error = refusal(declared(shop, **marks), lake)
    assert error.what == "orders.csv: paid is no DECIMAL(18,4) in line 2"
    assert "`decimal` and `thousands` under [source.formats.orders]" in error.todo


@pytest.mark.parametrize(
    ("cell", "marks", "rounded"),
    [
        ("1.99999", {}, "2"),
        ("1.019,88885", {"decimal": ",", "thousands": "."}, "1019.8889"),
        ("-1'019.88884", {"thousands": "'"}, "-1019.8888"),
    ],
)
def test_a_number_with_more_decimals_is_rounded_by_what_the_message_says(
    shop: Company, lake: Lake, cell: str, marks: dict[str, object], rounded: str
) -> None:
    write(shop, f'{HEADER}\nA1,"{cell}",x\n')
    error = refusal(declared(shop, **marks), lake)
    [(kind, written)] = re.findall("It has more decimals: .* declare `(.*)` and write `(.*)`, which rounds", error.todo)
    write_query(shop.folder, "order_lines", QUERY.replace("paid AS net_amount", f"{written} AS net_amount"))
    assert amounts(declared(shop, {"orders": {"paid": kind}}, **marks), lake) == {"A1": [Decimal(rounded)]}


@pytest.mark.parametrize(
    ("kind", "cell", "number"), [("BIGINT", "1.250", 1250), ("DOUBLE", "1.250,5", 1250.5), ("DOUBLE", "2,5e3", 2500.0)]
)
def test_other_numbers_are_read_with_their_marks_too(shop: Company, lake: Lake, kind: str, cell: str, number: float) -> None:
    write(shop, f'{HEADER}\nA1,"{cell}",x\n')
    write_query(shop.folder, "order_lines", QUERY.replace("paid AS net_amount", "CAST(paid AS DECIMAL(18, 4)) AS net_amount"))
    company = declared(shop, {"orders": {"paid": kind}}, decimal=",", thousands=".")
    assert amounts(company, lake) == {"A1": [Decimal(str(number))]}


def test_a_night_is_read_again_where_its_files_are_declared_otherwise(shop: Company, lake: Lake) -> None:
    write(shop, f'{HEADER}\nA1,"1.250",x\n')
    assert amounts(shop, lake) == {"A1": [Decimal("1.25")]}
    assert amounts(declared(shop, decimal=",", thousands="."), lake) == {"A1": [Decimal(1250)]}


# Exports that overlap


def test_of_exports_that_overlap_the_newest_has_the_word(shop: Company, lake: Lake) -> None:
    write(shop, f"{HEADER}\nA1,10.00,x\nA2,20.00,x\nA2,5.00,x\n,7.00,x\n", "orders/shop_2024-02-29.csv")
    write(shop, f"{HEADER}\nA2,20.00,x\nA3,30.00,x\nA3,30.00,x\n,8.00,x\n", "orders/shop_2024-03-01.csv")
    # A2 lost a line, A3 has two that are alike; rows without a number are about nothing that another row could be about.
    expected = {"A1": ["10"], "A2": ["20"], "A3": ["30", "30"], None: ["7", "8"]}
    assert amounts(declared(shop, key=("order_no",)), lake) == {key: [*map(Decimal, found)] for key, found in expected.items()}


def test_a_file_without_the_key_is_refused_as_it_would_replace_nothing(shop: Company, lake: Lake) -> None:
    write(shop, "number,paid,category\nA1,10.00,x\n", "orders/1.csv")
    write(shop, f"{HEADER}\nA1,12.00,x\n", "orders/2.csv")
    error = refusal(declared(shop, key=("order_no",)), lake, ConfigError)
    assert error.what == "source.formats.orders.key names `order_no`, which 1.csv does not have"


def test_a_parquet_file_without_the_key_is_refused_too(shop: Company, lake: Lake) -> None:
    folder = shop.folder / "data" / "orders"
    folder.mkdir(parents=True)
    for name, column in (("1", "number"), ("2", "order_no")):
        pq.write_table(pa.table({column: ["A1"], "paid": [Decimal(name)], "category": ["x"]}), folder / f"{name}.parquet")
    error = refusal(declared(shop, {}, key=("order_no",)), lake, ConfigError)
    assert error.what == "source.formats.orders.key names `order_no`, which 1.parquet does not have"


def test_a_column_may_be_called_file(tmp_path: Path) -> None:
    content = b"id,file,rank,path\n1,a,1,x\n"
    assert read_table(tmp_path, content, name="orders.csv", key=("id", "file")) == [("1", "a", "1", "x")]


@pytest.mark.parametrize(
    ("suffix", "contents"),
    [
        ("csv", ('ID,weight\nA1,"1,234"\n', 'id,Weight\nA1,"2,5"\nA2,"1,234"\n')),
        ("jsonl", ('{"ID": "A1", "weight": 1.234}\n', '{"id": "A1", "Weight": 2.5}\n{"id": "A2", "Weight": 1.234}\n')),
    ],
)
def test_a_declared_column_may_be_in_capitals_in_one_file_and_not_in_another(tmp_path: Path, suffix: str, contents: Sequence[str]) -> None:
    folder = tmp_path / "data" / "orders"
    folder.mkdir(parents=True)
    (folder / f"1.{suffix}").write_text(contents[0], "utf-8")
    given: dict[str, Any] = {"types": {"Weight": "DECIMAL(18,4)"}, "key": ("id",), "decimal": ",", "thousands": "."}
    query = "SELECT id, weight FROM orders ORDER BY id"
    assert read_table(tmp_path, contents[1].encode(), query, name=f"orders/2.{suffix}", **given) == [
        ("A1", Decimal("2.5")),
        ("A2", Decimal("1.234")),
    ]
    content = contents[1].replace("weight", "WEIGHT").replace("2.5", '"many"').replace("2,5", "many")
    assert (
        "eight is no DECIMAL(18,4) in line"
        in refused_table(tmp_path, content.encode(), name=f"orders/3.{suffix}", query=query, **given).what
    )


def test_a_key_of_several_columns_tells_lines_apart(shop: Company, lake: Lake) -> None:
    write(shop, f"{HEADER}\nA1,10.00,x\nA1,20.00,y\n", "orders/1.csv")
    write(shop, f"{HEADER}\nA1,12.00,x\n", "orders/2.csv")
    assert amounts(declared(shop, key=("order_no", "category")), lake) == {"A1": [Decimal(12), Decimal(20)]}


def test_exports_in_parquet_and_of_other_encodings_overlap_as_well(shop: Company, lake: Lake) -> None:
    for day, paid in (("20240301", "1"), ("20240302", "2")):
        path = shop.folder / "data" / "orders" / f"day={day}" / "part.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"order_no": ["A1"], "paid": [Decimal(paid)], "category": ["x"]}), path)
    assert amounts(declared(shop, {}, key=("order_no",)), lake) == {"A1": [Decimal(2)]}


@pytest.mark.parametrize(
    "names",
    [
        ["export.csv", "export (1).csv", "export (2).csv", "export (10).csv"],
        ["b_2024-01-31.csv", "a_2024-02-01.csv.gz"],
        ["b_20240131.csv", "a_20240201093000.csv"],
        ["orders_2024-01-01_2024-01-31.csv", "orders_2023-12-15_2024-02-15.csv"],
        ["day=2024-01-31/part-9.csv", "day=2024-02-01/part-0.csv"],
        ["2024_01_31.csv", "2024_02_01.csv"],
        ["a_December_2023.csv", "a_2024_March.csv", "a_april2024.csv", "5. Mai 2024.csv", "a_2024-05-31.csv"],
        ["orders_feb.csv", "orders_march.csv", "orders_april.csv", "orders_sept.csv", "orders_dezember.csv"],
        ["market 2024-1.csv", "market 2024-02.csv", "mayors 2024-3.csv"],
        ["part 3 of 2023.csv", "part 10 of 2024.csv"],
        ["Sold2023-12.csv", "Sold2024-2.csv", "Sold2024-10.csv"],
    ],
)
def test_the_newest_file_is_known_by_its_name(names: list[str]) -> None:
    folder = Path("data")
    files = SourceTable("orders", tuple(sorted(folder / "orders" / name for name in names)), folder)
    assert [path.relative_to(folder / "orders").as_posix() for path in oldest_first(files)] == names


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a_01-02-2024.csv", "a_02-01-2024.csv"], "the date in the name of a_01-02-2024.csv may be read in two ways"),
        (["1.3.2024.csv", "28.2.2024.csv"], "the date in the name of 1.3.2024.csv may be read in two ways"),
        (["a_31012024.csv", "a_01022024.csv"], "the date in the name of a_31012024.csv may be read in two ways"),
        (["a_12-2023.csv", "a_01-2024.csv"], "the date in the name of a_12-2023.csv may be read in two ways"),
        (["5MAR24.csv", "1APR24.csv"], "the date in the name of 5MAR24.csv may be read in two ways"),
        (["Mar-23.csv", "Jan-24.csv"], "the date in the name of Mar-23.csv may be read in two ways"),
        (["a.csv", "a_2024-01-31.csv"], "a.csv has no date in its name, others have"),
    ],
)
def test_names_that_do_not_say_which_file_is_the_newest_are_refused(names: list[str], words: str) -> None:
    folder = Path("data")
    with pytest.raises(ConfigError) as refused:
        oldest_first(SourceTable("orders", tuple(folder / "orders" / name for name in names), folder))
    assert words in refused.value.what


# Declarations


@pytest.mark.parametrize(
    ("marks", "words"),
    [
        ({"encoding": "hex"}, "`orders.encoding` is `hex`, which is no encoding"),
        ({"encoding": "windows-12525"}, "which is no encoding"),
        ({"separator": ""}, None),
        ({"encoding": "UTF-8-sig"}, None),
        ({"separator": ";;"}, "`orders.separator` is `;;`, which is no single mark"),
        ({"separator": "a"}, "which is no single mark"),
        ({"quote": ""}, "which is no single mark"),
        ({"separator": '"'}, "is the mark of quotes as well"),
        ({"decimal": ";"}, "`orders.decimal` is `;`; it must be one of ., ,"),
        ({"thousands": "."}, "is the mark of decimals as well"),
        ({"header_row": 0}, "`orders.header_row` must be a whole number"),
        ({"sheets": "x"}, "(did you mean `sheet`?)"),
    ],
)
def test_a_declaration_that_makes_no_sense_is_refused(marks: dict[str, object], words: str | None) -> None:
    if words is None:
        assert read_formats(Fields({"orders": marks}, Document("company.toml"))) == {"orders": TableFormat()}
        return
    with pytest.raises(ConfigError) as refused:
        read_formats(Fields({"orders": marks}, Document("company.toml")))
    assert words in refused.value.what


@pytest.mark.parametrize(
    ("formats", "words"),
    [
        (
            {"order": TableFormat(separator=";")},
            "[source.formats.order] names a table that the source does not have (did you mean `orders`?)",
        ),
        ({"orders": TableFormat(sheet="x")}, "source.formats.orders.sheet says nothing of CSV files"),
        (
            {"orders": TableFormat(key=("order",))},
            "key names `order`, which orders.csv does not have (did you mean `order_no`?)",
        ),
    ],
)
def test_a_format_is_of_a_table_that_has_such_files(shop: Company, lake: Lake, formats: dict[str, TableFormat], words: str) -> None:
    write(shop, f"{HEADER}\n")
    company = replace(shop, source=replace(shop.source, formats=formats))
    assert words in refusal(company, lake, ConfigError).what
