"""A list of contacts with their answers is a company too: what looks at orders is not computed, everything else is, and is published."""

from __future__ import annotations

import html
import re
import shutil
from contextlib import closing
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, tree_bytes
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company, load_company
from pipeline.errors import ConfigError
from pipeline.features import features_as_declared
from pipeline.lake.addresses import morning_page
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ALL_TABLES, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, EXTRACTIONS, GATE_RESULTS, VALIDATION_RESULTS, Partition
from pipeline.operations.steps import STEPS
from pipeline.publication.publish import current_publication
from pipeline.reporting.lineage.outputs import step_outputs
from pipeline.segmentation import audiences_of_night, not_computed_on

FIRST, BETWEEN, LAST = date(2024, 2, 10), date(2024, 2, 15), date(2024, 2, 20)
FILES = {
    "company.toml": """
name = "Readers"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
[attributes.country]
level = "geographic"
[events.answers]
key = ["answer_id"]
instant = "answered_at"
columns = {answer_id = "text", question = "text", answer = "text"}
[surveys.answers]
[source.column_types.answers]
answered = "TIMESTAMP"
""",
    "sources/customers.sql": "SELECT id AS customer_id, country FROM contacts WHERE list = 'reader'",
    "sources/prospects.sql": "SELECT id AS customer_id, country FROM contacts WHERE list = 'guest'",
    "sources/answers.sql": """
SELECT id AS answer_id, person AS customer_id, answered AT TIME ZONE 'Europe/Berlin' AS answered_at, question, answer FROM answers
""",
    "data/contacts.csv": "id,country,list\n"
    + "".join(f"p{n:03},{('DE', 'FR')[n % 2]},{'guest' if n % 10 == 0 else 'reader'}\n" for n in range(120)),
    "data/answers.csv": "id,person,answered,question,answer\n"
    + "".join(f"a{n},p{n:03},2024-02-0{1 + n % 9} 12:00,colour,{('red', 'blue')[n % 2]}\n" for n in range(100)),
    "audiences/germans.toml": """
title = "Germans who answered"
purpose = "Write."
owner = "CRM"
rule = "country = 'DE' AND COUNT(answers LAST 90 DAYS) > 0"
""",
    "audiences/clustered.toml": """
title = "In a cluster"
purpose = "Write."
owner = "CRM"
rule = "behaviour_clusters.segment = 'unclustered'"
""",
}
OF_ORDERS = {
    "features/own.toml": """
[line_count_60_days]
from = 'order_lines'
value = 'COUNT(*)'
last_days = 60
description = 'Lines.'
""",
    "audiences/silent.toml": """
title = "Ordered nothing of late"
purpose = "Write."
owner = "CRM"
rule = "line_count_60_days = 0 AND COUNT(orders) >= 0"
""",
}
# What a night read, and how it compared with the one published before, depend on when it came.
OF_READINGS = (EXTRACTIONS, GATE_RESULTS, VALIDATION_RESULTS)
NEEDS_ORDERS = {"silent": "needs order_lines"}
ORDER_LINES = """
SELECT order_no AS order_id, CAST(1 AS BIGINT) AS line_number, person AS customer_id, CAST(sold AS TIMESTAMPTZ) AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity, CAST(paid AS DECIMAL(18, 4)) AS net_amount
FROM orders
"""


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")


@pytest.fixture(scope="module")
def readers(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Lake]:
    """Return a company without orders after two nights, ten days apart."""
    folder = tmp_path_factory.mktemp("readers")
    write(folder / "readers", FILES)
    lake = Lake(folder / "lake")
    for day in (FIRST, LAST):
        run_night(folder / "readers", lake, day)
    return load_company(folder / "readers"), lake


def test_ten_quiet_days_are_no_reason_to_hold_a_night_back(readers: tuple[Company, Lake]) -> None:
    _, lake = readers
    publication = current_publication(lake)
    assert publication is not None
    assert publication.day == LAST
    results = {row["gate"]: (row["state"], row["words"]) for row in lake.read(GATE_RESULTS, day=LAST).to_pylist()}
    words = "no order lines are read: there is no sources/order_lines.sql"
    assert results["freshness"] == results["volume"] == ("not measured", words)


def test_what_looks_at_orders_is_not_computed_and_says_so(readers: tuple[Company, Lake]) -> None:
    company, lake = readers
    reasons = not_computed_on(company, lake, LAST)
    wanting = {name for name, reason in reasons.items() if "order_lines" in reason}
    assert wanting == {
        "rfm",
        "lifecycle",
        "value_tier",
        "shopper_groups",
        "category_affinity",
        "behaviour_clusters",
        "customer_predictions",
    }
    assert reasons["rfm"] == "needs order_lines"
    schemes = set(lake.read(CUSTOMER_SEGMENTS, day=LAST)["scheme"].to_pylist())
    assert schemes == {"country"}


def test_an_audience_of_answers_is_computed_and_one_of_clusters_is_not(readers: tuple[Company, Lake]) -> None:
    company, lake = readers
    found = audiences_of_night(company, lake, LAST)
    assert [audience.name for audience in found.schemes] == ["germans"]
    assert found.not_computed == {"clustered": "needs order_lines"}


def test_a_prospect_is_who_is_listed_as_one(readers: tuple[Company, Lake]) -> None:
    _, lake = readers
    features = lake.read(CUSTOMER_FEATURES, day=LAST).to_pylist()
    assert len(features) == 120
    assert {row["customer_id"] for row in features if row["is_prospect"]} == {f"p{n:03}" for n in range(0, 120, 10)}
    assert {(row["r_score"], row["recency_days"], row["lifetime_order_count"]) for row in features} == {(None, None, 0)}


def test_nothing_is_said_to_come_from_orders(readers: tuple[Company, Lake]) -> None:
    company, lake = readers
    outputs = {step: step_outputs(company, lake, step, LAST) for step in STEPS}
    columns = {step: {each for output in found for inputs in output.fields.values() for each in inputs} for step, found in outputs.items()}
    rows = {each.table for found in outputs.values() for output in found for each in output.rows}
    assert {each.table for each in columns["features"]} == {"customers", "answers", "population_rhythm", "population_baselines"}
    assert rows.isdisjoint({"raw_order_lines", "order_lines", "customer_days", "customer_day_categories"})
    assert {each.column for each in columns["segment"]} == {"customer_id", "country"}


def test_the_morning_page_opens(readers: tuple[Company, Lake]) -> None:
    _, lake = readers
    page = html.unescape(re.sub(r"<[^>]+>", " ", lake.read_text(morning_page(LAST))))
    assert "Where customers live" in page
    assert "What they answered" in page
    assert "rfm : needs order_lines" in re.sub(r"\s+", " ", page)


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["summary", "--day", str(LAST)], "108 customers and 12 prospects. Nothing is known of orders"),
        (["explain", "p001"], "rfm needs order_lines"),
        (["plan"], "rfm: not computed: needs order_lines"),
        (["catalog"], "needs order_lines"),
        (["status"], "country"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_work(readers: tuple[Company, Lake], command: list[str], words: str) -> None:
    company, lake = readers
    found = CliRunner().invoke(app, [*command, "--company", str(company.folder), "--lake", str(lake.root)], env={"COLUMNS": "200"})
    assert found.exit_code == 0, found.output
    if command != ["status"]:
        assert words in re.sub(r"[\s│]+", " ", found.output)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    write(tmp_path / "shop", {name: text for name, text in FILES.items() if not name.startswith("audiences")})
    return tmp_path / "shop"


def test_a_count_of_orders_is_unknown_and_not_zero(shop: Path, lake: Lake) -> None:
    write(shop, OF_ORDERS)
    run_night(shop, lake, FIRST, until="segment")
    company = load_company(shop)
    assert set(lake.read(company.table(CUSTOMER_FEATURES), day=FIRST)["line_count_60_days"].to_pylist()) == {None}
    assert audiences_of_night(company, lake, FIRST).not_computed == NEEDS_ORDERS
    write(shop, {"features/own.toml": OF_ORDERS["features/own.toml"].replace("= 60", "= 50")})
    with closing(open_engine(lake, memory_limit="1GB")) as engine, features_as_declared(load_company(shop), lake, engine, FIRST) as night:
        assert night.unknown == {"line_count_60_days": "order_lines"}


def test_order_lines_that_come_later_are_read_from_their_beginning_and_missed_when_they_go(shop: Path, lake: Lake) -> None:
    write(shop, OF_ORDERS)
    run_night(shop, lake, FIRST, until="segment")
    lines = "".join(f"o{n},p{n:03},2024-{('01-03', '02-19')[n % 2]} 12:00:00+01,5.00\n" for n in range(1, 40))
    write(shop, {"sources/order_lines.sql": ORDER_LINES, "data/orders.csv": f"order_no,person,sold,paid\n{lines}"})
    run_night(shop, lake, LAST, until="segment")
    features = lake.read(CUSTOMER_FEATURES, day=LAST)
    assert sum(features["lifetime_order_count"].to_pylist()) == 39
    assert "rfm" in set(lake.read(CUSTOMER_SEGMENTS, day=LAST)["scheme"].to_pylist())
    assert audiences_of_night(load_company(shop), lake, LAST).not_computed == {}
    # The night that read none still knows of none.
    before = tree_bytes(lake, "tables")
    run_night(shop, lake, FIRST, until="segment")
    assert tree_bytes(lake, "tables") == before
    (shop / "sources" / "order_lines.sql").unlink()
    with pytest.raises(ConfigError, match=r"sources/order_lines.sql is missing, and the lake has order lines of earlier nights"):
        run_night(shop, lake, date(2024, 2, 21))


def test_any_order_of_later_nights_gives_the_same_tables(readers: tuple[Company, Lake], tmp_path: Path) -> None:
    company, lake = readers
    mixed, in_order = Lake(shutil.copytree(lake.root, tmp_path / "mixed", symlinks=True)), Lake(tmp_path / "in-order")
    run_night(company.folder, mixed, BETWEEN, until="segment")
    for day in (FIRST, BETWEEN, LAST):
        run_night(company.folder, in_order, day, until="segment")
    tables = [f"tables/{table.name}" for table in ALL_TABLES if table.partition is Partition.NIGHT and table not in OF_READINGS]
    found = tree_bytes(mixed, *tables)
    assert {Path(name).parts[1] for name in found} >= {"customer_features", "customer_segments", "audience_members", "survey_shares"}
    assert found == tree_bytes(in_order, *tables)


def test_names_and_addresses_alone_are_told_what_is_missing(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    for name, text in {
        "company.toml": 'name = "Names"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n',
        "sources/customers.sql": "SELECT email AS customer_id FROM people",
        "data/people.csv": "email\na@x.test\nb@x.test\n",
    }.items():
        (shop / name).parent.mkdir(parents=True, exist_ok=True)
        (shop / name).write_text(text)
    with pytest.raises(ConfigError, match="Names can put nobody into a segment") as refused:
        run_night(shop, Lake(tmp_path / "lake"), LAST)
    assert "[attributes.country]" in refused.value.todo
    # To the letter.
    with (shop / "company.toml").open("a") as file:
        file.write('[attributes.country]\nlevel = "geographic"\n')
    (shop / "sources" / "customers.sql").write_text("SELECT email AS customer_id, 'DE' AS country FROM people")
    run_night(shop, Lake(tmp_path / "lake"), LAST)
    assert Lake(tmp_path / "lake").read(CUSTOMER_SEGMENTS, day=LAST)["scheme"].unique().to_pylist() == ["country"]
