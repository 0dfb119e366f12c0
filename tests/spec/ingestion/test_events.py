"""Events that a company declares: read, versioned and checked as order lines are, by rules that follow from the declaration."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from sqlglot import exp, parse_one
from support.events import ANY_SHARE, EMAIL, EMAIL_SQL, HEADER, event_rows, write_email_shop, write_event
from support.nights import night_of, run_night, tree_bytes

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError, GateClosed, SchemaDrift
from pipeline.lake.compaction import compact_months
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS, MISDATED_DAYS, REJECTED_ROWS, VALIDATION_RESULTS
from pipeline.operations.steps import STEPS

FIRST, SECOND, THIRD = date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29)
SENT = "m1,sent,ann,2024-03-26 10:00,3,0.5,0.0125,true,2024-03-25"
OPENED = "m1,opened,ann,2024-03-27 23:59,,,,,"
ROWS = [
    SENT,
    OPENED,
    "m2,sent,bob,2024-03-28 00:00,,,,,",
    "m3,sent,,2024-03-27 10:00,,,,,",
    " ,sent,ann,2024-03-27 10:01,,,,,",
    "m5,,ann,2024-03-27 10:02,,,,,",
    "m6,sent,ann,,,,,,",
    "m7,sent,ann,2023-12-31 10:00,,,,,",
    "m8,sent,ann,2024-03-27 10:03,,nan,,,",
    "m9,sent,ann,2024-03-27 10:04,,,2000000000000,,",
    "m10,sent,ann,2024-03-27 10:05,,,,,",
    "m10,sent,ann,2024-03-27 10:06,,,,,",
    "m11,sent, ann,2024-03-27 10:07,,,,,",
]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_email_shop(tmp_path_factory.mktemp("events") / "shop", ROWS, settings=ANY_SHARE)


@pytest.fixture(scope="module")
def lake(shop: Path) -> Lake:
    """Return the lake after two nights."""
    lake = Lake(shop.parent / "lake")
    for day in (FIRST, SECOND):
        run_night(shop, lake, day, until="validate")
    return lake


def ran(shop: Path, lake: Lake, *days: date) -> Lake:
    for day in days:
        run_night(shop, lake, day, until="validate")
    return lake


# What is stored


def test_an_event_is_stored_by_its_day_with_every_kind_of_column(shop: Path, lake: Lake) -> None:
    [row] = [row for row in event_rows(shop, lake) if (row["message_id"], row["action"]) == ("m1", "sent")]
    assert row == {
        "event_day": date(2024, 3, 26),
        "known_on": FIRST,
        "message_id": "m1",
        "action": "sent",
        "customer_id": "ann",
        "happened_at": datetime(2024, 3, 26, 9, tzinfo=UTC),
        "link_count": 3,
        "score": 0.5,
        "cost": Decimal("0.0125"),
        "is_mobile": True,
        "send_date": date(2024, 3, 25),
    }


def test_it_counts_from_the_night_of_its_local_day(shop: Path, lake: Lake) -> None:
    known = [[(row["message_id"], row["event_day"]) for row in event_rows(shop, lake, known_on=night)] for night in (FIRST, SECOND)]
    assert ("m2", SECOND) not in [each for each in known[0] if each[1] <= FIRST]
    assert known[1] == [("m1", date(2024, 3, 26)), ("m1", FIRST), ("m2", SECOND)]


def test_each_row_is_clean_or_rejected_with_its_rule(lake: Lake) -> None:
    rejected = [row for row in lake.read(REJECTED_ROWS, day=FIRST).to_pylist() if row["source_table"] == "raw_email"]
    assert {(json.loads(row["row"])["message_id"].strip() or "-", row["rule"]) for row in rejected} == {
        ("m3", "customer_id_is_given"),
        ("-", "message_id_is_given"),
        ("m5", "action_is_given"),
        ("m6", "happened_at_is_given"),
        ("m7", "happened_at_is_not_before_first_day"),
        ("m8", "numbers_are_finite"),
        ("m9", "cost_adds_up_exactly"),
        ("m10", "key_is_unique"),
        ("m11", "customer_id_is_trimmed"),
    }


def test_the_rules_follow_from_the_declaration(lake: Lake) -> None:
    rules = [row["rule"] for row in lake.read(VALIDATION_RESULTS, day=FIRST).to_pylist() if row["source_table"] == "raw_email"]
    assert set(rules) == {
        "row_is_not_repeated",
        "key_is_of_one_day",
        "table_has_columns",
        "text_is_readable",
        "message_id_is_given",
        "action_is_given",
        "customer_id_is_given",
        "customer_id_is_trimmed",
        "happened_at_is_given",
        "happened_at_is_not_before_first_day",
        "happened_at_is_not_after_night",
        "dates_are_in_the_calendar",
        "numbers_are_finite",
        "cost_adds_up_exactly",
        "key_is_unique",
        "customer_is_known",
        "ids_are_trimmed",
        "table_keeps_enough_rows",
    }


def test_a_required_column_and_a_currency_are_checked(tmp_path: Path) -> None:
    declaration = EMAIL.replace('send_date = "date"', 'send_date = "date"\ncurrency = "text"').replace(
        'cost = "money"', 'cost = {kind = "money", required = true}'
    )
    rows = ["m1,sent,ann,2024-03-26 10:00,,,1,,,EUR", "m2,sent,ann,2024-03-26 10:00,,,,,,EUR", "m3,sent,ann,2024-03-26 10:00,,,1,,,USD"]
    shop = write_email_shop(tmp_path / "shop", [], declaration=declaration, settings=ANY_SHARE)
    write_event(shop, "email", EMAIL_SQL.replace("FROM", ", currency FROM"), [f"{HEADER},currency", *rows])
    lake = ran(shop, Lake(tmp_path / "lake"), FIRST)
    assert [row["message_id"] for row in event_rows(shop, lake)] == ["m1"]
    assert {row["rule"] for row in lake.read(REJECTED_ROWS, day=FIRST).to_pylist()} == {"cost_is_given", "currency_is_the_companys"}


def test_blank_texts_are_unknown_and_spelt_as_declared(tmp_path: Path) -> None:
    declaration = EMAIL + 'device = {kind = "text", spelling = "title"}\n'
    shop = write_email_shop(tmp_path / "shop", [], declaration=declaration)
    rows = ["m1,sent,ann,2024-03-26 10:00,,,,,, old  PHONE", 'm2,sent,ann,2024-03-26 10:00,,,,,,"  "']
    write_event(shop, "email", EMAIL_SQL.replace("FROM", ", device FROM"), [f"{HEADER},device", *rows])
    lake = ran(shop, Lake(tmp_path / "lake"), FIRST)
    assert [row["device"] for row in event_rows(shop, lake)] == ["Old Phone", None]


def test_a_company_adds_rules_and_replaces_one_by_its_name(tmp_path: Path) -> None:
    shop = write_email_shop(tmp_path / "shop", ROWS[:3] + ROWS[8:9], settings=ANY_SHARE)
    own = [
        ("score_is_a_share", "expect_column_values_to_be_between", {"column": "score", "max_value": 0.4}, True, "critical"),
        (
            "numbers_are_finite",
            "expect_column_values_to_be_in_set",
            {"column": "are_numbers_finite", "value_set": [True]},
            False,
            "warning",
        ),
    ]
    entries = [
        {"type": kind, "kwargs": arguments, "severity": severity, "meta": {"rule": rule, "rejects_rows": rejects}}
        for rule, kind, arguments, rejects, severity in own
    ]
    (shop / "expectations").mkdir()
    (shop / "expectations" / "raw_email.json").write_text(json.dumps({"expectations": entries}), "utf-8")
    lake = ran(shop, Lake(tmp_path / "lake"), FIRST)
    rejected = [row for row in lake.read(REJECTED_ROWS, day=FIRST).to_pylist() if row["source_table"] == "raw_email"]
    assert {(json.loads(row["row"])["message_id"], row["rule"]) for row in rejected} == {("m1", "score_is_a_share")}
    # What a company lets pass is no number that a reader could take for one.
    assert {row["message_id"]: row["score"] for row in event_rows(shop, lake, known_on=FIRST)} == {"m1": None, "m8": None}


# Days, nights and versions


def test_a_row_of_a_day_inside_the_lookback_is_learned_later_and_earlier_nights_keep_what_they_knew(tmp_path: Path) -> None:
    shop, lake = write_email_shop(tmp_path / "shop", [SENT]), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST)
    write_event(shop, "email", EMAIL_SQL, [HEADER, SENT, OPENED])
    ran(shop, lake, SECOND)
    assert [[row["action"] for row in event_rows(shop, lake, known_on=night)] for night in (FIRST, SECOND)] == [
        ["sent"],
        ["sent", "opened"],
    ]


def test_a_night_run_again_gives_the_same_bytes(tmp_path: Path) -> None:
    shop, lake = write_email_shop(tmp_path / "shop", ROWS[:3]), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST, SECOND)
    before = tree_bytes(lake, "tables/raw_email", "tables/email")
    write_event(shop, "email", EMAIL_SQL, [HEADER, *reversed(ROWS[:3])])
    STEPS["extract"](night_of(shop, lake, SECOND), reread=True)
    ran(shop, lake, SECOND, FIRST)
    assert tree_bytes(lake, "tables/raw_email", "tables/email") == before
    assert before


def test_late_rows_before_the_lookback_are_named_and_reading_since_their_day_learns_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    shop, lake = write_email_shop(tmp_path / "shop", [SENT]), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST)
    late = "m0,sent,bob,2024-03-20 10:00,1,1e16,2.5,false,2024-03-19"
    write_event(shop, "email", EMAIL_SQL, [HEADER, SENT, late])
    ran(shop, lake, SECOND)
    [row] = lake.read(LATE_DAYS, day=SECOND).to_pylist()
    assert row == {
        "source_table": "raw_email",
        "event_day": date(2024, 3, 20),
        "source_row_count": 1,
        "known_row_count": 0,
        "source_net_amount": None,
        "known_net_amount": None,
    }
    assert "raw_email: 1 late row of 1 day before the lookback, 2024-03-20 to 2024-03-20: segments backfill --reread" in caplog.text
    STEPS["extract"](night_of(shop, lake, SECOND), since=date(2024, 3, 20))
    ran(shop, lake, SECOND)
    assert [row["message_id"] for row in event_rows(shop, lake)] == ["m0", "m1"]
    assert not lake.has(LATE_DAYS, day=SECOND)


def test_what_no_night_reads_is_counted(tmp_path: Path) -> None:
    shop, lake = write_email_shop(tmp_path / "shop", [SENT]), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST)
    write_event(shop, "email", EMAIL_SQL, [HEADER, SENT, "m0,sent,bob,1970-01-01 10:00,,,,,", "m9,sent,bob,2042-01-01 10:00,,,,,"])
    ran(shop, lake, SECOND)
    assert [(row["source_table"], row["event_day"].year) for row in lake.read(MISDATED_DAYS, day=SECOND).to_pylist()] == [
        ("raw_email", 1970),
        ("raw_email", 2042),
    ]


def test_a_source_that_gives_the_new_day_alone_is_refused_unless_it_appends(tmp_path: Path) -> None:
    shop, lake = write_email_shop(tmp_path / "shop", [SENT]), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST)
    write_event(shop, "email", EMAIL_SQL, [HEADER, "m2,sent,bob,2024-03-28 10:00,,,,,"])
    with pytest.raises(GateClosed, match="none of the 1 email known") as refused:
        ran(shop, lake, SECOND)
    assert 'write `email = "append"` under [source]' in str(refused.value)
    toml = shop / "company.toml"
    toml.write_text(toml.read_text() + '[source]\nemail = "append"\n', "utf-8")
    ran(shop, lake, SECOND)
    assert [row["message_id"] for row in event_rows(shop, lake)] == ["m1", "m2"]


# What a query gives


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("CAST(links AS BIGINT) AS link_count,", "", "email lacks link_count"),
        ("AS link_count", "AS links_count", "email lacks link_count (did you mean `links_count`?)"),
        ("CAST(cost AS DECIMAL(18, 4)) AS cost", "CAST(cost AS DOUBLE) AS cost", "email.cost is DOUBLE, declared exact decimal"),
        (
            "CAST(cost AS DECIMAL(18, 4)) AS cost",
            "CAST(cost AS DOUBLE) AS cost",
            'or declare `kind = "number"` under [events.email.columns.cost] of company.toml',
        ),
        (
            "CAST(moment AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin'",
            "CAST(moment AS TIMESTAMP)",
            "AT TIME ZONE 'Europe/Berlin' AS happened_at`",
        ),
        ("what AS action,", "what AS action, what AS action,", "email has two columns named action"),
    ],
)
def test_a_query_that_does_not_fit_its_declaration_is_refused(tmp_path: Path, old: str, new: str, what: str) -> None:
    shop = write_email_shop(tmp_path / "shop", [SENT])
    query = EMAIL_SQL.replace(old, new)
    assert query != EMAIL_SQL
    (shop / "sources" / "email.sql").write_text(query, "utf-8")
    with pytest.raises((SchemaDrift, ConfigError)) as refused:
        ran(shop, Lake(tmp_path / "lake"), FIRST)
    assert what in refused.value.what
    assert refused.value.where == str(shop / "sources" / "email.sql")


# A declaration that changes


def redeclared(shop: Path, old: str, new: str, *, query: tuple[str, str] = ("", "")) -> None:
    """Change the declaration and the query of e-mails."""
    for file, change in ((shop / "company.toml", (old, new)), (shop / "sources" / "email.sql", query)):
        file.write_text(file.read_text("utf-8").replace(*change), "utf-8")


def with_device(shop: Path) -> None:
    redeclared(
        shop,
        'send_date = "date"',
        'send_date = "date"\ndevice = "text"',
        query=("CAST(sent AS DATE)", "'phone' AS device, CAST(sent AS DATE)"),
    )


@pytest.fixture
def old(tmp_path: Path) -> tuple[Path, Lake]:
    """Return a shop and its lake after a night, long after which its lookback begins."""
    shop = write_email_shop(tmp_path / "shop", [SENT, "m0,sent,bob,2024-02-01 10:00,,,,,", "m00,sent,bob,2024-01-31 10:00,,,,,"])
    return shop, ran(shop, Lake(tmp_path / "lake"), FIRST)


def test_an_added_column_is_unknown_on_days_already_read_until_they_are_read_again(old: tuple[Path, Lake]) -> None:
    shop, lake = old
    with_device(shop)
    ran(shop, lake, SECOND)
    assert {row["message_id"]: row["device"] for row in event_rows(shop, lake)} == {"m00": None, "m0": None, "m1": "phone"}
    assert {row["message_id"]: row["device"] for row in event_rows(shop, lake, known_on=FIRST)} == {"m00": None, "m0": None, "m1": None}
    # Days within `late_check_days` are even named, with the command that reads them.
    STEPS["extract"](night_of(shop, lake, SECOND), since=date(2024, 2, 1))
    ran(shop, lake, SECOND)
    assert {row["message_id"]: row["device"] for row in event_rows(shop, lake)} == {"m00": None, "m0": "phone", "m1": "phone"}


def test_old_and_new_files_are_read_together_by_an_engine_and_compacted_into_one(old: tuple[Path, Lake]) -> None:
    shop, lake = old
    with_device(shop)
    STEPS["extract"](night_of(shop, lake, SECOND), since=date(2024, 2, 1))
    ran(shop, lake, SECOND)
    table = load_company(shop).events["email"].table
    before = [event_rows(shop, lake, known_on=night) for night in (FIRST, SECOND)]

    def read_by_engine() -> list[tuple[str, str | None]]:
        with closing(DuckDBEngine(lake.store)) as engine:
            engine.register(table, lake.parts(table, lake.versions(table)))
            rows = engine.run(parse_one("SELECT message_id, device FROM email ORDER BY 1, 2 NULLS LAST", into=exp.Select), {}).read_all()
        return [tuple(row.values()) for row in rows.to_pylist()]

    told = read_by_engine()
    assert told == [("m0", "phone"), ("m0", None), ("m00", None), ("m1", "phone"), ("m1", None)]
    assert compact_months(lake, [table, load_company(shop).events["email"].raw_table], before=date(2024, 6, 1)) == 4
    assert [event_rows(shop, lake, known_on=night) for night in (FIRST, SECOND)] == before
    assert read_by_engine() == told


def test_a_removed_column_is_read_no_more_and_nothing_else_changes(old: tuple[Path, Lake]) -> None:
    shop, lake = old
    redeclared(shop, 'send_date = "date"\n', "")
    ran(shop, lake, SECOND)
    assert [(row["message_id"], row.get("send_date", "gone")) for row in event_rows(shop, lake)] == [
        ("m00", "gone"),
        ("m0", "gone"),
        ("m1", "gone"),
    ]


CHANGED = {
    "another type": (
        'score = "number"',
        'score = "money"',
        ("AS DOUBLE) AS score", "AS DECIMAL(18, 4)) AS score"),
        "email.score` is declared as exact decimal, but days that were read before have it as number",
    ),
    "another key": (
        '"action"]',
        '"device"]\n',
        ("CAST(sent", "'phone' AS device, CAST(sent"),
        "email.device` is declared as text, but days that were read before lack it",
    ),
    "another instant": (
        '"happened_at"',
        '"sent_at"',
        ("AS happened_at", "AS sent_at"),
        "email.sent_at` is declared as instant (UTC), but days that were read before lack it",
    ),
}


@pytest.mark.parametrize("change", CHANGED)
def test_a_change_that_days_already_read_do_not_fit_is_refused_and_its_remedy_works(old: tuple[Path, Lake], change: str) -> None:
    shop, lake = old
    before, after, query, what = CHANGED[change]
    if change == "another key":
        redeclared(shop, 'send_date = "date"', 'send_date = "date"\ndevice = "text"')
    redeclared(shop, before, after, query=query)
    kept = tree_bytes(lake, "tables")
    with pytest.raises(ConfigError) as refused:
        ran(shop, lake, SECOND)
    assert what in refused.value.what
    assert "move the folders raw_email and email out of lake/tables" in refused.value.todo
    assert tree_bytes(lake, "tables") == kept
    for folder in ("raw_email", "email"):
        shutil.move(lake.root / "tables" / folder, shop.parent / folder)
    ran(shop, lake, SECOND)
    assert [row["message_id"] for row in event_rows(shop, lake)] == ["m00", "m0", "m1"]
    # An older night, too, can be run again.
    ran(shop, lake, FIRST)


def test_an_older_night_goes_by_the_declaration_of_its_time(old: tuple[Path, Lake]) -> None:
    shop, lake = old
    before = tree_bytes(lake, "tables/email/month=2024-03/known=2024-03-27")
    with_device(shop)
    ran(shop, lake, SECOND, FIRST)
    assert tree_bytes(lake, "tables/email/month=2024-03/known=2024-03-27") == before
    assert before


def test_the_newest_night_is_read_again_where_only_the_declaration_changed(old: tuple[Path, Lake]) -> None:
    shop, lake = old
    query = (shop / "sources" / "email.sql").read_text("utf-8")
    (shop / "sources" / "email.sql").write_text(query.replace("CAST(sent", "'phone' AS device, CAST(sent"), "utf-8")
    ran(shop, lake, SECOND)
    redeclared(shop, 'send_date = "date"', 'send_date = "date"\ndevice = "text"')
    ran(shop, lake, SECOND)
    assert {row["message_id"]: row["device"] for row in event_rows(shop, lake)} == {"m00": None, "m0": None, "m1": "phone"}


def test_the_first_night_of_an_event_reads_its_whole_history_also_when_it_is_run_again(tmp_path: Path) -> None:
    shop = write_email_shop(tmp_path / "shop", [SENT, "m0,sent,bob,2024-02-01 10:00,,,,,"])
    declaration, query = (shop / "company.toml").read_text(), (shop / "sources" / "email.sql").read_text()
    redeclared(shop, EMAIL, "")
    (shop / "sources" / "email.sql").unlink()
    lake = ran(shop, Lake(tmp_path / "lake"), FIRST)
    (shop / "company.toml").write_text(declaration, "utf-8")
    (shop / "sources" / "email.sql").write_text(query, "utf-8")
    ran(shop, lake, SECOND)
    assert [row["message_id"] for row in event_rows(shop, lake)] == ["m0", "m1"]
    before = tree_bytes(lake, "tables/raw_email", "tables/email")
    STEPS["extract"](night_of(shop, lake, SECOND), reread=True)
    ran(shop, lake, SECOND)
    assert tree_bytes(lake, "tables/raw_email", "tables/email") == before


def test_an_event_has_days_to_compare_of_its_own(tmp_path: Path) -> None:
    declaration = EMAIL.replace('instant = "happened_at"', 'instant = "happened_at"\nlate_check_days = 2')
    earlier = "m10,sent,bob,2024-03-10 10:00,,,,,"  # of what lies before the two days, those up to this one have their turn
    shop, lake = write_email_shop(tmp_path / "shop", [earlier, SENT], declaration=declaration), Lake(tmp_path / "lake")
    ran(shop, lake, FIRST)
    late = [f"m{day},sent,bob,2024-03-{day} 10:00,,,,," for day in (22, 23, 24, 25)]
    write_event(shop, "email", EMAIL_SQL, [HEADER, earlier, SENT, *late])
    ran(shop, lake, SECOND)
    assert [row["event_day"].day for row in lake.read(LATE_DAYS, day=SECOND).to_pylist()] == [24, 25]
