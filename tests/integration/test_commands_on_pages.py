"""Every command of the documentation works as it is written: typed in the order of its page, by a reader who has what the page says."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import psycopg
import pytest
from support.crm_stubs import Contacts, serving
from support.onboarding import EXPORTS
from support.page_commands import PageCommand, PageFile, blocks_of, commands_of, steps_of
from support.page_shell import Ended, PageShell, page_programs
from support.stored_lakes import VERSIONS, unpack

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake

DOCS, DEMO = PROJECT_ROOT / "docs", PROJECT_ROOT / "examples" / "adventureworks"
PAGES = {
    str(page.relative_to(PROJECT_ROOT)): page
    for page in (PROJECT_ROOT / "README.md", PROJECT_ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md")))
}
YOUR_COMPANY = "docs/get-started/your-company.md"
NIGHTS = ("2014-01-27", "2014-01-28")
IN_SLICE = "hash({column}) % 12 = 0 OR {column} IN ('AW00013941', 'AW00000701')"
ACME = "https://:TOKEN@acme.example.org/api"
GENERATED = {"docs/reference/cli.md", "docs/reference/definitions.md", "docs/reference/rule-language.md"}
ENTER = "\n" * 9
SHOP_IN_POSTGRESQL = "postgresql://reader@db.example.com:5432/shop?sslmode=require"
PLAN = "$(segments plan {options} --json | python -c \"import json, sys; print(json.load(sys.stdin)['plan_id'])\")"
EXPORT = "tests/spec/operations/test_export.py::test_an_export_has_what_is_live_and_the_pages_and_nothing_else"
ON_A_BUCKET = "tests/integration/test_nights_on_a_bucket.py::test_every_object_after_every_deed_has_the_bytes_of_the_folder"
ON_SAIL = "tests/engines/test_sail_nights.py::test_every_file_of_two_nights_has_the_bytes_that_duckdb_gives_it"
ON_A_CLUSTER = "tests/engines/test_spark_nights.py::test_every_file_of_a_night_has_the_bytes_that_duckdb_gives_it"

SHOP_TABLES = """
CREATE SCHEMA shop;
CREATE TABLE shop.customers AS SELECT n AS id, timestamptz '2024-01-02' AS joined_at FROM generate_series(1, 5) AS n;
CREATE TABLE shop.orders AS
  SELECT 'o' || n AS order_no, n % 5 + 1 AS customer_id, timestamptz '2024-03-30 10:00+01' AS placed_at FROM generate_series(1, 20) AS n;
CREATE TABLE shop.order_items AS
  SELECT order_no, 1 AS position, 1::numeric(18, 4) AS pieces, 9.90::numeric(18, 4) AS paid, 'tea' AS category FROM shop.orders;
"""

# What is run elsewhere: a command, or the beginning of one, and the test that runs it.
RUN_BY: Mapping[str, str] = {
    "make run": "tests/dags/test_run_night.py::test_the_demo_night_ends_published_with_its_summary",
    "make ui": "tests/dags/test_scheduler.py::test_what_is_served_says_it_is_healthy",
    "make bench": "tests/benchmarks/test_benchmarks.py::test_a_bench_runs_end_to_end_and_judges_itself",
    "make bucket": ON_A_BUCKET,
    "make cluster": ON_A_CLUSTER,
    "make sail": ON_SAIL,
    "SEGMENTS_ENGINE=spark": ON_A_CLUSTER,
    "segments run --lake s3://": ON_A_BUCKET,
    "segments run --company my_shop --lake s3://": ON_A_BUCKET,
    "segments conformance": "tests/spec/operations/test_conformance.py::test_it_says_what_holds_and_leaves_nothing_behind",
    "segments export exported --company my_shop --lake s3://": EXPORT,
    "deploy/write-env": "tests/security/test_write_env.py::test_every_setting_that_must_be_filled_in_is_and_the_file_is_its_owners_alone",
    "segments restore": "tests/spec/operations/test_backup.py::test_a_restored_lake_is_the_same_but_for_what_is_private_or_made_again",
    "check-jsonschema": "tests/spec/reporting/test_editor_schemas.py::test_every_file_that_the_documentation_shows_is_taken",
}
# What no test can run, and why.
NOT_RUN: Mapping[str, str] = {
    ".ci/install-packages": "it changes the machine; CI runs it",
    "before=$(git log": "it needs the history of the repository",
    "git worktree add": "it needs the history of the repository",
    ".venv/bin/python benchmarks/first_night.py": "it takes an hour; tests/benchmarks runs a small one",
    "PYTHONPATH=$PWD/../before": "it takes an hour, and the program as it was",
    "make setup": "it asks a package index; whoever runs this has run it",
    "make test": "it is what runs this",
    "make check": "it runs beside the tests",
    "make docs": "it is a part of `make check`",
    "docker": "it needs an image of a registry; tests/containers runs the stack where there is an engine",
    "cp .env .env.connections": "it goes with `docker compose`",
    "pip install": "it asks a package index",
    ".venv/bin/python -m pytest": "it is what runs this",
    "airflow pools set": "it changes the metadata of an Airflow that the reader has",
}


Given = Callable[[Path, "Lakes"], None]


@dataclass(frozen=True, slots=True)
class Lakes:
    """What readers get copies of: the lake after `make run`, the folder after two nights of a slice of the demo, that of the shop."""

    demo: Path
    sliced: Path
    shop: Path


def after_make_run(folder: Path, lakes: Lakes) -> None:
    (folder / "examples").mkdir()
    (folder / "examples" / "adventureworks").symlink_to(DEMO)
    shutil.copytree(lakes.demo, folder / "lake", symlinks=True)


def after_nights_of_a_slice(folder: Path, lakes: Lakes) -> None:
    for name in ("examples", "lake"):
        shutil.copytree(lakes.sliced / name, folder / name, symlinks=True)


def with_the_shop(folder: Path, lakes: Lakes) -> None:
    shutil.copytree(lakes.shop / "my_shop", folder / "my_shop")


def after_a_night_of_the_shop(folder: Path, lakes: Lakes) -> None:
    with_the_shop(folder, lakes)
    shutil.copytree(lakes.shop / "my_lake", folder / "my_lake", symlinks=True)


def with_a_lake_of_an_older_version(folder: Path, _: Lakes) -> None:
    unpack(VERSIONS[0], folder)
    for ours, theirs in (("shop", "my_shop"), ("lake", "my_lake")):
        (folder / ours).rename(folder / theirs)


def with_exports(folder: Path, _: Lakes) -> None:
    for ours, theirs in (("shopify_orders", "orders_export"), ("shopify_customers", "customers_export")):
        lines = (EXPORTS / f"{ours}.csv").read_text("utf-8").splitlines(keepends=True)
        (folder / f"{theirs}.csv").write_text("".join(line for line in lines if ",EUR," not in line), "utf-8")


def with_texts_of_pages(folder: Path, _: Lakes) -> None:
    morning = Path("pipeline") / "reporting" / "pages" / "morning"
    shutil.copytree(PROJECT_ROOT / morning, folder / morning)
    shutil.copy(PROJECT_ROOT / "pyproject.toml", folder)
    (folder / ".venv" / "bin" / "pybabel").symlink_to(Path(sys.executable).with_name("pybabel"))


def with_ids(folder: Path, _: Lakes) -> None:
    (folder / "ids.txt").write_text("P-AW00013941\n", "utf-8")


def with_tables_for_a_crm(folder: Path, _: Lakes) -> None:
    with (folder / "my_shop" / "company.toml").open("a", encoding="utf-8") as file:
        file.write("\n[crm]\n")


def with_a_folder_as_crm(folder: Path, _: Lakes) -> None:
    (folder / "my_shop" / "sinks").mkdir()
    (folder / "my_shop" / "sinks" / "crm.toml").write_text('kind = "files"\nschemes = ["lifecycle", "rfm"]\n', "utf-8")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads a page: what they have before it, what they do first, and what they write in place of words that stand for something.

    A command may end with 0 alone, unless the page says otherwise. `leaves_out` are files of the page that this reader has in another form.
    """

    has: Sequence[Given] = ()
    first: str = ""
    writes: Mapping[str, str] = field(default_factory=dict)
    ends: Mapping[str, int] = field(default_factory=dict)
    leaves_out: Sequence[str] = ()
    server: str = ""  # the fixture that has its address, for `$SERVER` in what the reader writes


NIGHT_OF_SHOP = "segments run --company my_shop --lake my_lake"
THE_SHOP_BY_DEFAULT = "export SEGMENTS_COMPANY=my_shop SEGMENTS_LAKE=my_lake"
MOVES = {"segments plan": 2}
READERS: Mapping[str, Reader] = {
    "README.md": Reader(
        has=(after_make_run, with_exports),
        writes={"PLAN": PLAN.format(options="--company my_shop --lake my_shop/lake")},
        ends={".venv/bin/segments plan": 2},
        leaves_out=("my_shop/company.toml",),
    ),
    "docs/get-started/first-night.md": Reader(has=(after_make_run,)),
    "docs/get-started/first-campaign.md": Reader(
        has=(after_nights_of_a_slice,), writes={"PLAN": PLAN.format(options="")}, ends=MOVES | {"segments campaign results": 2}
    ),
    "docs/get-started/from-an-export.md": Reader(has=(with_exports,)),
    "docs/get-started/from-postgresql.md": Reader(writes={f"'{SHOP_IN_POSTGRESQL}'": "$SERVER"}, server="shop_in_postgresql"),
    "docs/get-started/without-airflow.md": Reader(has=(with_exports,)),
    "docs/guides/audiences.md": Reader(has=(after_a_night_of_the_shop,)),
    "docs/guides/campaigns.md": Reader(has=(with_the_shop,), ends={".venv/bin/segments campaign results": 2}),
    "docs/guides/clusters.md": Reader(has=(after_make_run,)),
    "docs/guides/editors.md": Reader(has=(with_the_shop,)),
    "docs/guides/features.md": Reader(has=(after_a_night_of_the_shop,)),
    "docs/guides/morning-page.md": Reader(has=(after_nights_of_a_slice, with_texts_of_pages)),
    "docs/guides/own-sink.md": Reader(
        has=(with_the_shop, with_tables_for_a_crm),
        first=f"{NIGHT_OF_SHOP} && {THE_SHOP_BY_DEFAULT}",
        writes={f"'{ACME}'": "$SERVER"},
        server="contacts",
    ),
    "docs/guides/predictions.md": Reader(has=(after_nights_of_a_slice, with_the_shop)),
    "docs/guides/pull-requests.md": Reader(has=(with_the_shop,)),
    "docs/guides/refine.md": Reader(has=(after_make_run,), first="segments run --day 2014-01-27"),
    "docs/guides/segments.md": Reader(
        has=(after_make_run, after_a_night_of_the_shop),
        writes={"PLAN": PLAN.format(options="--company my_shop --lake my_lake")},
        ends=MOVES,
    ),
    "docs/guides/sync.md": Reader(
        has=(with_the_shop, with_tables_for_a_crm, with_a_folder_as_crm),
        first=f"{NIGHT_OF_SHOP} && {THE_SHOP_BY_DEFAULT}",
        leaves_out=("my_shop/sinks/crm.toml", "my_shop/sinks/newsletter.toml"),
    ),
    "docs/operate/backfill.md": Reader(has=(after_nights_of_a_slice,)),
    "docs/operate/backup.md": Reader(has=(after_nights_of_a_slice,)),
    "docs/operate/erasure.md": Reader(has=(after_nights_of_a_slice, with_ids)),
    "docs/operate/gates.md": Reader(has=(after_nights_of_a_slice,)),
    "docs/operate/late-rows.md": Reader(has=(after_nights_of_a_slice,)),
    "docs/operate/nights.md": Reader(has=(after_make_run,), first="segments run --day 2014-01-27"),
    "docs/operate/rollback.md": Reader(
        has=(after_nights_of_a_slice,), writes={"2014-01-28-d2cde57134d3": "$(ls lake/publications | grep 2014-01-28)"}
    ),
    "docs/operate/upgrades.md": Reader(has=(with_a_lake_of_an_older_version,)),
}


@pytest.fixture(scope="module")
def programs() -> Iterator[Path]:
    with page_programs(Path(tempfile.mkdtemp(prefix="page-"))) as place:  # the path of a socket has to be short
        yield place


@pytest.fixture(scope="module")
def lakes(tmp_path_factory: pytest.TempPathFactory, programs: Path, demo_lake: Lake) -> Lakes:
    folder = tmp_path_factory.mktemp("lakes")
    sliced, shop = (PageShell(folder / name, programs) for name in ("slice", "shop"))
    write_slice(sliced.folder / "examples" / "adventureworks")
    for day in NIGHTS:
        typed(sliced, f"segments run --day {day}")
    for step in steps_of(PAGES[YOUR_COMPANY].read_text("utf-8")):
        if isinstance(step, PageFile):
            write_file(shop.folder, step)
    typed(shop, NIGHT_OF_SHOP)
    return Lakes(demo_lake.root, sliced.folder, shop.folder)


@pytest.fixture
def contacts() -> Iterator[str]:
    """Yield the address of the system of the guide to sinks."""
    server = Contacts()
    with serving(server):
        yield server.address


@pytest.fixture
def shop_in_postgresql(postgres_uri: str) -> str:
    """Return the address of a database with the tables that the guide's queries fit."""
    with psycopg.connect(postgres_uri) as connection:
        connection.execute(SHOP_TABLES)
    return postgres_uri


@pytest.mark.parametrize("page", [name for name, page in PAGES.items() if commands_of(page)])
def test_every_command_of_a_page_works_in_the_order_of_the_page(
    page: str, tmp_path: Path, programs: Path, lakes: Lakes, request: pytest.FixtureRequest
) -> None:
    reader = READERS.get(page, Reader())
    shell = PageShell(tmp_path / "reader", programs)
    for given in reader.has:
        given(shell.folder, lakes)
    if reader.server:
        typed(shell, f"export SERVER='{request.getfixturevalue(reader.server)}'")
    if reader.first:
        typed(shell, reader.first)
    for step in steps_of(PAGES[page].read_text("utf-8")):
        if isinstance(step, PageFile):
            if step.path not in reader.leaves_out:
                write_file(shell.folder, step)
        elif not elsewhere(step.text):
            read(shell, reader, step)


@pytest.mark.parametrize("page", [name for name, page in PAGES.items() if name not in GENERATED])
def test_a_command_stands_in_a_block_that_says_so(page: str) -> None:
    """What is written in another block is neither highlighted nor run here."""
    others = [block for language, block in blocks_of(PAGES[page].read_text("utf-8")) if language not in {"sh", "yaml", "python"}]
    assert [block for block in others if re.match(r"(?:\.venv/bin/)?(?:segments [a-z]|make [a-z]|pip install|export )", block)] == []


def test_what_is_run_elsewhere_is_run_by_a_test_that_exists() -> None:
    for test in RUN_BY.values():
        file, _, name = test.partition("::")
        assert f"def {name}(" in (PROJECT_ROOT / file).read_text("utf-8"), test


def test_no_exception_is_left_of_a_command_that_is_gone() -> None:
    typed_somewhere = [step.text for page in PAGES.values() for step in commands_of(page)]
    unused = [each for each in (*RUN_BY, *NOT_RUN) if not any(is_named(text, each) for text in typed_somewhere)]
    assert unused == []
    assert [name for name in READERS if not commands_of(PAGES[name])] == []


def read(shell: PageShell, reader: Reader, step: PageCommand) -> None:
    """Type a command of a page, and compare how it ended and what it showed with what the page says."""
    text = step.text
    for words, written in reader.writes.items():
        text = text.replace(words, written)
    ended = shell.run(text, answers=ENTER if " init " in text else "")
    expected = next((code for command, code in reader.ends.items() if text.startswith(command)), 0)
    assert ended.code == expected, f"{text}\nended with {ended.code}:\n{ended.output}"
    assert not step.shown or step.is_shown_as(ended.output), f"{text}\nshowed:\n{ended.output}"


def typed(shell: PageShell, command: str) -> Ended:
    ended = shell.run(command)
    assert ended.code == 0, f"{command}\n{ended.output}"
    return ended


def elsewhere(command: str) -> bool:
    return any(is_named(command, each) for each in (*RUN_BY, *NOT_RUN))


def is_named(command: str, beginning: str) -> bool:
    return command.removeprefix(".venv/bin/").startswith(beginning.removeprefix(".venv/bin/"))


def write_file(folder: Path, file: PageFile) -> None:
    path = folder / file.path
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_text("utf-8") if file.is_added else ""
    path.write_text(before + file.text, "utf-8")


def write_slice(folder: Path) -> None:
    """Write the demo company with a twelfth of its people and firms: as many kinds of rows, in a fraction of the time."""
    shutil.copytree(DEMO, folder)
    slices = {
        "DimCustomer": IN_SLICE.format(column="CustomerAlternateKey"),
        "DimReseller": IN_SLICE.format(column="ResellerAlternateKey"),
        "FactInternetSales": "CustomerKey IN (SELECT CustomerKey FROM DimCustomer)",
        "FactResellerSales": "ResellerKey IN (SELECT ResellerKey FROM DimReseller)",
    }
    with duckdb.connect() as connection:
        for name, rows in slices.items():
            file = folder / "data" / f"{name}.parquet"
            connection.execute(f"CREATE TABLE {name} AS SELECT * FROM '{file}' WHERE {rows}")
            connection.execute(f"COPY {name} TO '{file}' (FORMAT parquet)")
