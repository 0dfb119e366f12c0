"""What the queries of the example companies give, run as they stand over the companies' own files."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import count, pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pytest

from pipeline.calendar import BEGINNING, first_instant
from pipeline.definitions.company import Company, load_company
from pipeline.lake.tables import SOURCE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
COMPANIES = ("adventureworks", "complete_journey", "online_retail")
QUERIES = [(name, path.stem) for name in COMPANIES for path in sorted((EXAMPLES / name / "sources").glob("*.sql"))]
UNREAD = {"campaign_descriptions", "campaigns", "coupon_redemptions", "coupons", "promotions"}
THE_END = datetime(2100, 1, 1, tzinfo=UTC)

# A day on which each company is in full swing, and what its source would not hold yet when that day begins.
NIGHTS = {"adventureworks": date(2013, 6, 1), "complete_journey": date(2017, 4, 1), "online_retail": date(2011, 6, 1)}
LATER_FACTS = {
    "adventureworks": {
        "DimCustomer": "\"DateFirstPurchase\" >= DATE '2013-06-01'",
        "FactInternetSales": "\"OrderDate\" >= DATE '2013-06-01'",
        "FactInternetSalesReason": (
            '"SalesOrderNumber" IN (SELECT "SalesOrderNumber" FROM main."FactInternetSales" WHERE "OrderDate" >= DATE \'2013-06-01\')'
        ),
        "FactResellerSales": "\"OrderDate\" >= DATE '2013-06-01'",
        "FactSurveyResponse": "\"Date\" >= DATE '2013-06-01'",
    },
    "complete_journey": {"transactions": "transaction_timestamp >= TIMESTAMP '2017-04-01 04:00:00'"},
    "online_retail": {"online_retail": "\"InvoiceDate\" >= '2011-06-01'"},
}


@dataclass
class Desk:
    """A company and a database in which its files are tables, once as they are and once per variation."""

    company: Company
    database: duckdb.DuckDBPyConnection
    numbers: Iterator[int] = field(default_factory=count)

    def tables(self) -> list[str]:
        views = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND schema_name = 'main'"
        return [name for (name,) in self.database.execute(views).fetchall()]

    def shuffle(self) -> None:
        """Make the tables again in the schema `shuffled`, in another order of rows."""
        self.database.execute("CREATE SCHEMA shuffled")
        for table in self.tables():
            self.database.execute(f'CREATE TABLE shuffled."{table}" AS SELECT * FROM main."{table}" AS it ORDER BY hash(it)')

    def turn_back(self, later_facts: dict[str, str]) -> None:
        """Make the tables again in the schema `earlier`, without the rows that meet the condition named for their table."""
        self.database.execute("CREATE SCHEMA earlier")
        for table in self.tables():
            is_later = later_facts.get(table, "false")
            self.database.execute(f'CREATE VIEW earlier."{table}" AS SELECT * FROM main."{table}" WHERE NOT ({is_later})')

    def ask(self, source: str, *, start: datetime = BEGINNING, end: datetime = THE_END, schema: str = "main") -> duckdb.DuckDBPyRelation:
        """Return the rows of `sources/<source>.sql` over the tables in `schema`."""
        query = self.company.source_file(source).read_text("utf-8")
        window = {name: at for name, at in (("day_start", start), ("day_end", end)) if f"${name}" in query}
        answer = f"answer_{next(self.numbers)}"
        self.database.execute(f"SET schema = '{schema}'")
        self.database.execute(f"CREATE TEMP TABLE {answer} AS {query}", window)
        self.database.execute("SET schema = 'main'")
        return self.database.table(f"temp.{answer}")

    def scalars(self, rows: duckdb.DuckDBPyRelation, columns: str) -> tuple[object, ...]:
        return rows.aggregate(columns).fetchall()[0]


def opened(name: str) -> Desk:
    company = load_company(EXAMPLES / name)
    database = duckdb.connect(config={"threads": 2})
    database.execute("SET TimeZone = 'UTC'")
    assert company.source.folder
    for path in sorted(company.source.folder.glob("*.parquet")):
        if path.stem not in UNREAD:
            database.read_parquet(str(path)).create_view(path.stem)
    return Desk(company, database)


@pytest.fixture(scope="module")
def desks() -> Iterator[dict[str, Desk]]:
    opened_desks = {name: opened(name) for name in COMPANIES}
    for name, desk in opened_desks.items():
        desk.shuffle()
        desk.turn_back(LATER_FACTS[name])
    yield opened_desks
    for desk in opened_desks.values():
        desk.database.close()


@pytest.fixture(scope="module")
def answers(desks: dict[str, Desk]) -> dict[tuple[str, str], duckdb.DuckDBPyRelation]:
    return {(name, source): desks[name].ask(source) for name, source in QUERIES}


Answers = dict[tuple[str, str], duckdb.DuckDBPyRelation]


def assert_same_rows(left: duckdb.DuckDBPyRelation, right: duckdb.DuckDBPyRelation) -> None:
    assert left.count("*").fetchall() == right.count("*").fetchall()
    assert left.except_(right).count("*").fetchall() == [(0,)]


@pytest.mark.parametrize(("name", "source"), QUERIES)
def test_a_query_gives_what_is_required_and_nothing_undeclared(name: str, source: str, desks: dict[str, Desk], answers: Answers) -> None:
    table = desks[name].company.table(SOURCE_TABLES[source])
    given = set(answers[name, source].columns)
    assert {column.name for column in table.columns if column.required} <= given <= set(table.column_names)


@pytest.mark.parametrize("name", COMPANIES)
def test_customers_have_every_attribute_of_company_toml(name: str, desks: dict[str, Desk], answers: Answers) -> None:
    attributes = {attribute.column.name for attribute in desks[name].company.attributes}
    rows = answers[name, "customers"]
    assert attributes == set(rows.columns) - {"customer_id", "created_at"}
    filled = desks[name].scalars(rows, ", ".join(f"count({attribute})" for attribute in attributes))
    assert all(filled), dict(zip(attributes, filled, strict=True))


@pytest.mark.parametrize(("name", "source"), QUERIES)
def test_a_query_gives_declared_types_exactly(name: str, source: str, desks: dict[str, Desk], answers: Answers) -> None:
    declared = desks[name].company.table(SOURCE_TABLES[source]).schema
    given = answers[name, source].limit(0).to_arrow_table().schema
    assert {field.name: field.type for field in given} == {name: declared.field(name).type for name in given.names}


@pytest.mark.parametrize(("name", "source"), QUERIES)
def test_keys_are_complete_and_unique(name: str, source: str, desks: dict[str, Desk], answers: Answers) -> None:
    key = ", ".join(SOURCE_TABLES[source].key)
    rows = answers[name, source]
    complete = " AND ".join(f"{column} IS NOT NULL" for column in SOURCE_TABLES[source].key)
    count, distinct, filled = desks[name].scalars(rows, f"count(*), count(DISTINCT ({key})), count(*) FILTER ({complete})")
    assert count == distinct == filled


@pytest.mark.parametrize(("name", "source"), QUERIES)
def test_the_order_of_rows_in_the_files_changes_nothing(name: str, source: str, desks: dict[str, Desk]) -> None:
    desk = desks[name]
    night = first_instant(NIGHTS[name], desk.company.zone)
    assert_same_rows(desk.ask(source, end=night, schema="shuffled"), desk.ask(source, end=night))


@pytest.mark.parametrize(("name", "source"), QUERIES)
def test_facts_of_later_days_change_nothing(name: str, source: str, desks: dict[str, Desk]) -> None:
    desk = desks[name]
    night = first_instant(NIGHTS[name], desk.company.zone)
    assert_same_rows(desk.ask(source, end=night), desk.ask(source, end=night, schema="earlier"))


@pytest.mark.parametrize("name", COMPANIES)
def test_a_read_of_days_has_no_line_outside_of_them(name: str, desks: dict[str, Desk]) -> None:
    desk = desks[name]
    start, end = first_instant(NIGHTS[name] - timedelta(days=7), desk.company.zone), first_instant(NIGHTS[name], desk.company.zone)
    lines = desk.ask("order_lines", start=start, end=end)
    count, outside = desk.scalars(
        lines,
        f"count(*), count(*) FILTER (ordered_at < TIMESTAMPTZ '{start}' OR ordered_at >= TIMESTAMPTZ '{end}')",
    )
    assert count
    assert not outside


@pytest.mark.parametrize("name", COMPANIES)
def test_reading_day_by_day_gives_the_lines_of_one_read(name: str, desks: dict[str, Desk], answers: Answers) -> None:
    desk = desks[name]
    days = [NIGHTS[name] + timedelta(days=offset) for offset in (-4, -3, -2, -1, 0)]
    cuts = [first_instant(day, desk.company.zone) for day in days]
    pieces = [desk.ask("order_lines", start=start, end=end) for start, end in pairwise(cuts)]
    united = pieces[0].union(pieces[1]).union(pieces[2]).union(pieces[3])
    whole = answers[name, "order_lines"].filter(f"ordered_at >= TIMESTAMPTZ '{cuts[0]}' AND ordered_at < TIMESTAMPTZ '{cuts[-1]}'")
    assert_same_rows(united, whole)


@pytest.mark.parametrize("name", COMPANIES)
def test_orders_fall_on_the_days_that_the_company_declares(name: str, desks: dict[str, Desk], answers: Answers) -> None:
    company = desks[name].company
    local = f"CAST(ordered_at AT TIME ZONE '{company.zone.key}' AS DATE)"
    assert desks[name].scalars(answers[name, "order_lines"], f"min({local}), max({local})") == (company.first_day, company.last_day)


@pytest.mark.parametrize("name", COMPANIES)
def test_every_order_with_a_customer_has_one_that_is_known_by_then(name: str, desks: dict[str, Desk], answers: Answers) -> None:
    customers, lines = answers[name, "customers"].set_alias("customers"), answers[name, "order_lines"].set_alias("lines")
    known = lines.join(customers, "customers.customer_id = lines.customer_id")
    count, early = desks[name].scalars(known, "count(*), count(*) FILTER (created_at > ordered_at)")
    assert (count, early) == (*desks[name].scalars(lines, "count(customer_id)"), 0)


def test_adventure_works_sells_to_people_and_resellers_what_is_published(desks: dict[str, Desk], answers: Answers) -> None:
    lines = answers["adventureworks", "order_lines"]
    by_channel = lines.aggregate("channel, left(customer_id, 2), count(*), sum(net_amount), sum(discount_amount)")
    assert by_channel.order("channel").fetchall() == [
        ("internet", "P-", 60_398, Decimal("29358677.2207"), Decimal("0.0000")),
        ("reseller", "R-", 60_855, Decimal("80450596.9823"), Decimal("527507.9262")),
    ]
    facts = "count(DISTINCT order_id), count(DISTINCT category), count(category), count(product_id)"
    assert desks["adventureworks"].scalars(lines, facts) == (31_455, 35, 121_253, 121_253)


def test_adventure_works_knows_people_resellers_and_prospects(answers: Answers) -> None:
    kinds = answers["adventureworks", "customers"].aggregate("customer_kind, left(customer_id, 2), count(*), count(created_at)")
    assert sorted(kinds.fetchall()) == [("person", "P-", 18_484, 18_484), ("reseller", "R-", 701, 0)]
    prospects = answers["adventureworks", "prospects"].aggregate("left(customer_id, 2), count(*), count(DISTINCT education), count(region)")
    assert prospects.fetchall() == [("B-", 2_059, 5, 2_057)]


def test_prospects_use_the_words_of_customers(answers: Answers) -> None:
    customers, prospects = answers["adventureworks", "customers"], answers["adventureworks", "prospects"]
    for attribute in ("gender", "marital_status", "education", "occupation", "country", "sales_territory"):
        used = prospects.filter(f"{attribute} IS NOT NULL").project(attribute).distinct()
        assert used.except_(customers.project(attribute)).fetchall() == []


def test_no_contact_data_leaves_adventure_works(desks: dict[str, Desk], answers: Answers) -> None:
    database = desks["adventureworks"].database
    contacts = database.sql(
        'SELECT unnest(["EmailAddress", "Phone", "AddressLine1", "FirstName" || \' \' || "LastName"]) AS contact FROM "DimCustomer" '
        'UNION SELECT unnest(["EmailAddress", "Phone", "AddressLine1"]) FROM "ProspectiveBuyer" '
        'UNION SELECT unnest(["Phone", "AddressLine1", "ResellerName"]) FROM "DimReseller"',
    )
    for source in ("customers", "prospects"):
        rows = answers["adventureworks", source]
        # Some addresses are nothing but the name of their city.
        texts = [name for name, kind in zip(rows.columns, rows.types, strict=True) if kind == "VARCHAR" and name != "city"]
        leaked = rows.project(f"unnest([{', '.join(texts)}]) AS contact").join(contacts, "contact", "semi")
        assert leaked.count("*").fetchall() == [(0,)]


def test_a_motive_is_what_a_person_said_most_and_then_last_by_that_night(desks: dict[str, Desk], answers: Answers) -> None:
    desk = desks["adventureworks"]
    people = "customer_id IN ('P-AW00011017', 'P-AW00011025', 'P-AW00011034')"
    by_then = desk.ask("customers", end=first_instant(NIGHTS["adventureworks"], desk.company.zone))
    motives = [
        rows.filter(people).order("customer_id").project("main_purchase_motive").fetchall()
        for rows in (by_then, answers["adventureworks", "customers"])
    ]
    assert motives == [[("Price",), ("Price",), (None,)], [("On Promotion",), ("On Promotion",), ("On Promotion",)]]


def test_a_survey_interest_is_unknown_before_the_survey(desks: dict[str, Desk], answers: Answers) -> None:
    desk = desks["adventureworks"]
    before = desk.ask("customers", end=first_instant(date(2012, 2, 29), desk.company.zone))
    assert desk.scalars(before, "count(survey_interest)") == (0,)
    interests = answers["adventureworks", "customers"].aggregate("survey_interest, count(*)").filter("survey_interest IS NOT NULL")
    assert sorted(interests.fetchall()) == [("Accessories", 681), ("Clothing", 468), ("several", 507)]


def test_complete_journey_adds_up_to_what_is_published(desks: dict[str, Desk], answers: Answers) -> None:
    facts = "count(*), count(DISTINCT customer_id), count(DISTINCT order_id), sum(net_amount), sum(discount_amount), count(category)"
    assert desks["complete_journey"].scalars(answers["complete_journey", "order_lines"], facts) == (
        1_469_307,
        2_469,
        155_848,
        Decimal("4596039.5800"),
        Decimal("822553.1900"),
        1_469_307 - 7_045,
    )
    customers = answers["complete_journey", "customers"]
    assert desks["complete_journey"].scalars(customers, "count(*), count(age_band), count(home_ownership)") == (2_469, 801, 568)


def test_petrol_is_counted_in_gallons(desks: dict[str, Desk], answers: Answers) -> None:
    petrol = answers["complete_journey", "order_lines"].filter("category = 'FUEL'")
    lines, largest, dearest = desks["complete_journey"].scalars(
        petrol,
        "count(*), max(quantity), quantile_disc(net_amount / nullif(quantity, 0), 0.9)",
    )
    assert lines == 14_697
    assert largest < 100
    assert 2 < dearest < 4


def test_online_retail_keeps_every_line_of_the_file(desks: dict[str, Desk], answers: Answers) -> None:
    facts = (
        "count(*), count(*) FILTER (customer_id IS NULL), count(DISTINCT order_id), sum(net_amount), "
        "count(*) FILTER (order_id LIKE 'C%'), count(*) FILTER (order_id LIKE 'C%' AND net_amount <= 0 AND quantity < 0)"
    )
    assert desks["online_retail"].scalars(answers["online_retail", "order_lines"], facts) == (
        541_909,
        135_080,
        25_900,
        Decimal("9747747.9340"),
        9_288,
        9_288,
    )


def test_online_retail_cleaned_as_usual_gives_what_is_published(desks: dict[str, Desk], answers: Answers) -> None:
    lines = answers["online_retail", "order_lines"]
    clean = lines.filter("customer_id IS NOT NULL AND order_id NOT LIKE 'C%' AND quantity > 0 AND net_amount > 0")
    facts = "count(*), count(DISTINCT customer_id), count(DISTINCT order_id), sum(net_amount)"
    assert desks["online_retail"].scalars(clean, facts) == (397_884, 4_338, 18_532, Decimal("8911407.9040"))
    assert clean.filter("customer_id = '17850'").count("*").fetchall() > [(0,)]


def test_words_of_the_description_name_a_category_for_nine_lines_in_ten(desks: dict[str, Desk], answers: Answers) -> None:
    lines = answers["online_retail", "order_lines"].filter("customer_id IS NOT NULL")
    count, other, service = desks["online_retail"].scalars(
        lines,
        "count(*), count(*) FILTER (category = 'other'), count(*) FILTER (category = 'service')",
    )
    assert other < count / 10
    assert service == lines.filter("product_id IN ('POST', 'M', 'C2', 'D', 'DOT', 'BANK CHARGES', 'CRUK')").count("*").fetchall()[0][0]


def test_a_customer_lives_where_the_latest_invoice_of_the_time_says(desks: dict[str, Desk], answers: Answers) -> None:
    desk = desks["online_retail"]
    early = desk.ask("customers", end=first_instant(date(2010, 12, 18), desk.company.zone))
    moved = "customer_id = '12370'"
    assert early.filter(moved).project("country").fetchall() == [("Austria",)]
    assert answers["online_retail", "customers"].filter(moved).project("country").fetchall() == [("Cyprus",)]
    assert desk.scalars(answers["online_retail", "customers"], "count(*), count(country)") == (4_372, 4_368)
