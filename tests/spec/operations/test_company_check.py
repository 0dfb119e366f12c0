"""`segments check`: everything that is wrong with a company's folder, in one run."""

from __future__ import annotations

import json
import shlex
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from support.faulty_company import FILES, LEFT_OUT, PROBLEMS, UNUSED, write_faulty_company
from support.nights import write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.shipped import SHIPPED
from pipeline.definitions.toml_lines import setting_line
from pipeline.operations.check import CompanyCheck, check_company
from pipeline.operations.check.view import check_lines

WINE = """
title = "Wine club"
kind = "rules"
level = "behavioural"
question = "Who is invited?"
evidence = ["favourite_category"]
segment = [
  {id = "invited", title = "Invited", description = "Buys wine.", rule = "favourite_category = 'wine'"},
  {id = "others", title = "Others", description = "Everybody else.", otherwise = true},
]
"""
ORDERS = ["A1,1,1,2024-03-01 10:00:00,1,10.00,x"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_faulty_company(tmp_path_factory.mktemp("companies") / "faulty")


@pytest.fixture(scope="module")
def found(faulty: Path) -> CompanyCheck:
    return check_company(faulty)


def problems_by_place(check: CompanyCheck) -> list[tuple[str, int, str]]:
    return [(each.file.removeprefix(f"{check.folder}/"), each.line, each.what) for each in check.problems]


def test_one_run_finds_every_fault_with_its_line(found: CompanyCheck) -> None:
    missing = [
        each for each in sorted(PROBLEMS) if not any(each[:2] == there[:2] and each[2] in there[2] for there in problems_by_place(found))
    ]
    assert missing == []


def test_nothing_that_is_right_is_called_a_problem(found: CompanyCheck) -> None:
    wrong = [there for there in problems_by_place(found) if not any(there[:2] == each[:2] and each[2] in there[2] for each in PROBLEMS)]
    assert wrong == []
    assert len(found.problems) == len(PROBLEMS)


def test_what_goes_by_a_fault_is_not_judged_and_is_named(found: CompanyCheck) -> None:
    assert [name.removeprefix(f"{found.folder}/") for name in found.left_out] == LEFT_OUT
    assert [name.removeprefix(f"{found.folder}/") for name in found.unused] == UNUSED


def test_the_highest_exit_code_counts(found: CompanyCheck) -> None:
    assert {problem.exit_code for problem in found.problems} == {3, 5}
    assert found.exit_code == 5


def test_each_problem_is_one_line_with_its_remedy(found: CompanyCheck) -> None:
    lines = list(check_lines(found))
    assert len(lines) == len(PROBLEMS) + 3
    assert lines[-1] == f"{len(PROBLEMS)} problems in {found.folder}."
    assert (
        f"{found.folder}/sources/order_lines.sql:3: order_lines.net_amount is DOUBLE, declared exact decimal. "
        "Write `CAST(CAST(paid AS DOUBLE) AS DECIMAL(18,4)) AS net_amount`."
    ) in lines
    assert all("\n" not in line for line in lines)


def test_json_has_the_same_for_editors(faulty: Path, found: CompanyCheck) -> None:
    result = CliRunner().invoke(app, ["check", "--company", str(faulty), "--json"])
    document = json.loads(result.stdout)
    assert result.exit_code == document["exit_code"] == 5
    assert [(each["file"], each["line"] or 0) for each in document["problems"]] == [(each.file, each.line) for each in found.problems]
    assert document["problems"][-1].keys() == {"file", "line", "what", "remedy", "kind", "exit_code"}


def test_nothing_is_written(tmp_path: Path) -> None:
    folder = write_faulty_company(tmp_path / "faulty")
    check_company(folder)
    assert {str(path.relative_to(folder)): path.read_text("utf-8") for path in tmp_path.rglob("*") if path.is_file()} == FILES


def test_a_sound_company_has_no_problem_and_says_what_was_checked(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    result = CliRunner().invoke(app, ["check", "--company", str(shop)])
    assert result.stdout == f"{shop} has no problem. Checked: company.toml, 2 queries against the source, 18 schemes.\n"
    assert result.exit_code == 0


def test_the_source_is_left_alone_where_that_is_asked_for(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    (shop / "data" / "orders.csv").unlink()
    assert [problem.exit_code for problem in check_company(shop).problems] == [3]
    found = check_company(shop, with_source=False)
    assert (found.problems, found.checked[:2]) == ((), ("company.toml", "2 queries, not against the source"))


def test_a_database_in_a_file_is_asked_for_its_columns_and_not_read(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    with closing(sqlite3.connect(shop / "shop.db")) as database:
        database.execute("CREATE TABLE customers (id TEXT)")
        # Whoever reads a row of it waits for longer than a test may take.
        database.execute(
            "CREATE VIEW orders AS WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS order_id, 'x' AS paid FROM n"
        )
    settings = (shop / "company.toml").read_text("utf-8").partition("[source]")[0]
    (shop / "company.toml").write_text(f'{settings}[source]\nkind = "sqlite"\npath = "shop.db"\n', "utf-8")
    (shop / "sources" / "customers.sql").write_text("SELECT id AS customer_id FROM customers", "utf-8")
    (shop / "sources" / "order_lines.sql").write_text("SELECT order_id, paid AS net_amount FROM orders", "utf-8")
    whats = [problem.what for problem in check_company(shop).problems]
    assert whats == [
        "order_lines lacks line_number, customer_id, ordered_at, quantity",
        "order_lines.net_amount is text, declared exact decimal",
    ]


def test_a_column_is_wrong_on_the_line_that_gives_it_in_the_end(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    query = (
        (shop / "sources" / "order_lines.sql").read_text("utf-8").strip().replace("CAST(paid AS DECIMAL(18, 4))", "CAST(paid AS DOUBLE)")
    )
    given = ["order_id", "line_number", "customer_id", "ordered_at", "quantity", "net_amount"]
    text = "\n".join(
        ["-- net_amount: what was paid", "WITH lines AS (", query, ")", "SELECT", *(f"  {each}," for each in given), "FROM lines"]
    )
    (shop / "sources" / "order_lines.sql").write_text(text, "utf-8")
    [problem] = check_company(shop).problems
    line = text.splitlines()[problem.line - 1]
    assert line == "  net_amount,"
    # What to write stands for what is written on that line.
    mended = text.replace(f"\n{line}\n", f"\n  {problem.remedy.split('`')[1]},\n")
    (shop / "sources" / "order_lines.sql").write_text(mended, "utf-8")
    assert check_company(shop).problems == ()


def test_a_scheme_of_the_company_that_needs_what_the_source_does_not_give_is_named(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    (shop / "segments").mkdir()
    (shop / "segments" / "wine.toml").write_text(WINE, "utf-8")
    assert check_company(shop).not_computed == ()
    file = shop / "sources" / "order_lines.sql"
    file.write_text(file.read_text("utf-8").replace(",\n  category", ""), "utf-8")
    found = check_company(shop)
    assert (found.problems, found.not_computed) == ((), ("wine (needs category)",))
    assert "No night can compute, from what the source gives: wine (needs category)." in list(check_lines(found))
    file.write_text("SELECT nothing FROM nowhere", "utf-8")
    assert check_company(shop).not_computed == ()
    file.unlink()
    assert check_company(shop).not_computed == ("wine (needs order_lines)",)


def test_an_audience_that_counts_what_the_source_does_not_give_is_named(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    (shop / "audiences").mkdir()
    for name, rule in {"buyers": "COUNT(orders LAST 30 DAYS) > 0", "wine": "COUNT(order_lines WHERE category = 'wine') > 0"}.items():
        (shop / "audiences" / f"{name}.toml").write_text(f'title = "T"\npurpose = "P."\nowner = "O"\nrule = "{rule}"\n', "utf-8")
    assert check_company(shop).not_computed == ()
    file = shop / "sources" / "order_lines.sql"
    file.write_text(file.read_text("utf-8").replace(",\n  category", ""), "utf-8")
    assert check_company(shop).not_computed == ("wine (needs order_lines.category)",)
    file.unlink()
    assert check_company(shop).not_computed == ("buyers (needs order_lines)", "wine (needs order_lines)")


@pytest.mark.parametrize(
    ("old", "new"), [("AS TIMESTAMP)", "AS TIMESTMP)"), ("CAST(pieces AS DECIMAL(18, 4))", "rnd(pieces)"), ("  category", "  categry")]
)
def test_a_word_that_the_source_does_not_know_has_its_line_comments_aside(tmp_path: Path, old: str, new: str) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    file = shop / "sources" / "order_lines.sql"
    text = f"-- no TIMESTMP, rnd or categry\n{file.read_text('utf-8').strip()}\n".replace(old, new)
    file.write_text(text, "utf-8")
    [problem] = check_company(shop).problems
    assert new in text.splitlines()[problem.line - 1]


def test_a_file_that_cannot_be_read_is_the_data_s_fault(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    (shop / "data" / "orders.csv").unlink()
    (shop / "data" / "orders.parquet").write_bytes(b"PAR1 is how it begins")
    assert check_company(shop).exit_code == 4


def test_a_database_whose_address_is_not_known_is_told_beside_the_other_faults(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    settings = (shop / "company.toml").read_text("utf-8").partition("[source]")[0]
    (shop / "company.toml").write_text(f'{settings}colour = "red"\n[source]\nkind = "postgresql"\nconnection = "warehouse"\n', "utf-8")
    whats = [problem.what for problem in check_company(shop).problems]
    assert len(whats) == 2
    assert "`colour` is not a known setting" in whats[0]
    assert "connection `warehouse` is not set" in whats[1]


@pytest.mark.parametrize("content", ["name = ", "", "[source", 'name = ["x"]\nfirst_day = 1', "events = 1", "[[attributes]]"])
def test_no_company_toml_is_too_broken_to_be_told_of(tmp_path: Path, content: str) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    (shop / "company.toml").write_text(content, "utf-8")
    found = check_company(shop)
    assert found.problems
    assert {problem.exit_code for problem in found.problems} == {3}


def test_where_the_settings_cannot_be_read_other_files_are_still_read_each_by_itself(tmp_path: Path) -> None:
    folder = write_faulty_company(tmp_path / "faulty")
    (folder / "company.toml").write_text("name = ", "utf-8")
    named = {each.file.removeprefix(f"{folder}/") for each in check_company(folder).problems}
    by_themselves = {"segments/broken.toml", "lists/two_columns.csv", "sinks/crm.toml", "expectations/customer_features.json"}
    assert named == {"company.toml", "expectations/order_lines.json", "campaigns/spring.toml", *by_themselves}


@pytest.mark.parametrize(
    ("name", "old", "new", "setting"),
    [
        ("campaigns/spring.toml", "end_day = 2024-03-31", "end_day = 2024-02-01", "end_day"),
        ("segments/groups.toml", "cluster_count_min = 3", "cluster_count_min = 9", "cluster_count_max"),
    ],
)
def test_settings_that_contradict_each_other_are_not_called_missing(tmp_path: Path, name: str, old: str, new: str, setting: str) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["1"])
    sound = {
        "campaigns/spring.toml": 'audience = "rfm.champions"\nstart_day = 2024-03-01\nend_day = 2024-03-31\n',
        "segments/groups.toml": (SHIPPED / "segments" / "behaviour_clusters.toml").read_text("utf-8"),
    }
    assert old in sound[name]
    file = shop / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(sound[name].replace(old, new), "utf-8")
    [problem] = check_company(shop, with_source=False).problems
    assert problem.what.startswith(f"`{setting}` must be ")


def test_a_folder_without_company_toml_is_one_problem(tmp_path: Path) -> None:
    [problem] = check_company(tmp_path).problems
    assert (problem.file, problem.line, problem.exit_code) == (str(tmp_path), 0, 3)


def test_a_file_in_the_place_of_a_folder_is_one_problem_and_init_makes_a_company_of_it(tmp_path: Path) -> None:
    export = tmp_path / "the orders.csv"
    export.write_text("Order ID,Date,Customer,Total\n1,2024-01-05,c1,10.50\n", "utf-8")
    [problem] = check_company(export).problems
    assert (problem.file, problem.what) == (str(export), "no company.toml here")
    command = shlex.split(problem.remedy.partition(" written: segments ")[2].replace("my_shop", str(tmp_path / "my_shop")))
    result = CliRunner().invoke(app, [*command, "--set", "currency=EUR", "--set", "time_zone=UTC"])
    assert result.exit_code == 0, result.output
    assert check_company(tmp_path / "my_shop").problems == ()


TOML = '''name = "x"
[source.column_types]
"my table" = {paid = "DECIMAL"}
text = """
[not.a.table]
"""
[[segment]]
id = "a"
[segment.strategy]
message = "m"
[[segment]]
rule = "r"
[[features]]
name = "f"
[other]
segment = [
  {id = "c", rule = "d"},
  {rule = "e"},
]
'''


@pytest.mark.parametrize(
    ("setting", "line"),
    [
        ("name", 1),
        ("source", 2),
        ("source.column_types.text", 4),
        ("source.kind", 2),
        ("not.a.table", 0),
        ("segment 1: id", 8),
        ("segment 1: strategy.message", 10),
        ("segment 2: rule", 12),
        ("segment 2: id", 11),
        ("features[0].name", 14),
        ("other.segment[1].rule", 18),
        ("nothing", 0),
    ],
)
def test_a_setting_has_its_line(setting: str, line: int) -> None:
    assert setting_line(TOML, setting) == line
