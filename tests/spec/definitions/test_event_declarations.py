"""`[events.<name>]`: what a declaration says, and what is wrong with one, by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.events import EMAIL, EMAIL_SQL
from support.nights import SHOP, write_shop

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.rules.event_sources import event_sources
from pipeline.errors import ConfigError
from pipeline.lake.tables import RAW_VISITS, VISITS, Kind


def a_shop(folder: Path, declaration: str, *, queries: tuple[str, ...] = ("email",)) -> Path:
    shop = write_shop(folder / "shop", [], customers=[], settings=declaration)
    for name in queries:
        (shop / "sources" / f"{name}.sql").write_text(EMAIL_SQL, "utf-8")
    return shop


def declared(folder: Path, declaration: str = EMAIL) -> Company:
    return load_company(a_shop(folder, declaration))


def test_a_declared_event_is_a_table_of_event_days_with_key_customer_and_instant_before_other_columns(tmp_path: Path) -> None:
    table = declared(tmp_path).events["email"].table
    assert [column.name for column in table.stored_columns] == [
        "event_day",
        "known_on",
        "message_id",
        "action",
        "customer_id",
        "happened_at",
        "link_count",
        "score",
        "cost",
        "is_mobile",
        "send_date",
    ]
    assert (table.name, table.key, table.instant) == ("email", ("message_id", "action"), "happened_at")
    kinds = [Kind.TEXT, Kind.TEXT, Kind.TEXT, Kind.INSTANT, Kind.INTEGER, Kind.NUMBER, Kind.MONEY, Kind.FLAG, Kind.DATE]
    assert [column.kind for column in table.columns] == kinds


def test_visits_are_an_event_that_is_built_in_whether_or_not_the_company_has_their_query(tmp_path: Path) -> None:
    company = declared(tmp_path)
    assert list(company.events) == ["visits", "email"]
    assert (company.events["visits"].table, company.events["visits"].raw_table) == (VISITS, RAW_VISITS)
    assert company.source_tables["email"].name == "raw_email"


def test_a_column_says_more_in_a_table_of_its_own(tmp_path: Path) -> None:
    more = EMAIL + (
        '[events.email.columns.device]\nkind = "text"\ndescription = "On what."\nspelling = "lower"\n'
        '[events.email.columns.address]\nkind = "text"\npii = true\nrequired = true\n'
    )
    columns = {column.name: column for column in declared(tmp_path, more).events["email"].columns}
    device, address = columns["device"], columns["address"]
    assert (device.description, device.required, device.spelling) == ("On what.", False, "lower")
    assert (address.required, address.pii) == (True, True)


def test_key_may_name_the_customer_and_the_instant(tmp_path: Path) -> None:
    answers = '[events.email]\nkey = ["customer_id", "question", "happened_at"]\ninstant = "happened_at"\ncolumns = {question = "text"}\n'
    event = declared(tmp_path, answers).events["email"]
    assert event.table.column_names == ("question", "customer_id", "happened_at")
    assert (event.title, event.description) == ("Email", "Email.")


@pytest.mark.parametrize(
    ("old", "new", "what", "line"),
    [
        ("[events.email]", "[events.Email]", "the name of the event is `Email`", "[events.Email]"),
        ("[events.email]", '[events."e-mail"]', "the name of the event is `e-mail`", '[events."e-mail"]'),
        ("[events.email", f"[events.{'e' * 51}", "is longer than 50 characters", f"[events.{'e' * 51}]"),
        ("[events.email", "[events.order_lines", "has the name of a table of ours", "[events.order_lines]"),
        ("[events.email", "[events.customer_features", "has the name of a table of ours", "[events.customer_features]"),
        ("[events.email", "[events.customers", "has the name of a table of ours", "[events.customers]"),
        ("[events.email", "[events.erasures", "has the name of a table of ours", "[events.erasures]"),
        ("[events.email", "[events.raw_email", "has the name of a table of ours", "[events.raw_email]"),
        ("[events.email", "[events.visits", "the event `visits` is built in", "[events.visits]"),
        ("[events.email", "[events.order", "has the name of a word of SQL", "[events.order]"),
        ("[events.email", "[events.days", "has the name of a word of SQL", "[events.days]"),
        ('instant = "happened_at"', "", "`events.email.instant` is missing", "[events.email]"),
        ('instant = "happened_at"', 'instant = "happened_at"\nlate_check_days = -1', "must be a whole number from 0", "[events.email]"),
        ('instant = "happened_at"', 'instant = "customer_id"', "a name that is taken", "[events.email]"),
        ('instant = "happened_at"', 'instant = "action"', "is declared under [events.email.columns] as well", "[events.email]"),
        ('instant = "happened_at"', 'instant = "happened_at"\nunit = "x"', "`events.email.unit` is not a known setting", "[events.email]"),
        ('instant = "happened_at"', 'instant = "happened_at"\ndescripton = "x"', "(did you mean `description`?)", "[events.email]"),
        ('key = ["message_id", "action"]', "", "`events.email.key` is missing", "[events.email]"),
        ('key = ["message_id", "action"]', "key = []", "`events.email.key` is empty", "[events.email]"),
        ('key = ["message_id", "action"]', 'key = "action"', "`events.email.key` must be a list", "[events.email]"),
        ('"message_id", "action"]', '"mesage_id"]', "names `mesage_id`, which is no column (did you mean `message_id`?)", "[events.email]"),
        ('"message_id", "action"]', '"action", "action"]', "names `action` twice", "[events.email]"),
        ('"message_id", "action"]', '"cost"]', "names `cost`, whose kind is exact decimal", "[events.email]"),
        ('action = "text"', 'action = "txt"', "is `txt` (did you mean `text`?)", "action ="),
        ('action = "text"', "action = 1", "it must be one of text, integer", "action ="),
        ('action = "text"', 'Action = "text"', "the name of the column is `Action`", "Action ="),
        ('action = "text"', 'action = "text"\nselect = "text"', "`select` cannot be declared as a column of `email`", "select ="),
        ('action = "text"', 'action = "text"\nevent_day = "date"', "that name is taken", "event_day ="),
        ('action = "text"', 'action = "text"\ncustomer_id = "text"', "every event has it", "customer_id ="),
        ('action = "text"', 'action = {kind = "text", pi = true}', "(did you mean `pii`?)", "action ="),
        ('cost = "money"', 'cost = {kind = "money", spelling = "lower"}', "is for texts alone", "cost ="),
        ('action = "text"', 'action = {kind = "text", spelling = "lower"}', "names `action`, which has a `spelling`", "[events.email]"),
        ('action = "text"', 'action = "text"\nfriend_customer_id = "text"', "", ""),
        (
            'key = ["message_id", "action"]',
            'key = ["message_id", "action"]\n[events.email.columns.friend_customer_id]\nkind = "text"\n',
            "`events.email.columns.friend_customer_id.instant` is not a known setting",
            "[events.email.columns.friend_customer_id]",
        ),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, old: str, new: str, what: str, line: str) -> None:
    text = EMAIL.replace(old, new)
    assert text != EMAIL
    shop = a_shop(tmp_path, text)
    if not what:
        load_company(shop)
        return
    with pytest.raises(ConfigError) as refused:
        load_company(shop)
    number = next(number for number, each in enumerate((SHOP + text).splitlines(), 1) if each.startswith(line))
    assert what in refused.value.what
    assert refused.value.where == f"{shop / 'company.toml'}:{number}"


def test_an_id_of_somebody_else_is_no_part_of_a_key(tmp_path: Path) -> None:
    text = EMAIL.replace('action = "text"', 'action = "text"\nfriend_customer_id = "text"').replace('"action"]', '"friend_customer_id"]')
    with pytest.raises(ConfigError, match="may name another customer"):
        declared(tmp_path, text)


def test_a_declaration_without_query_names_the_columns_to_give_and_the_query_that_may_be_meant(tmp_path: Path) -> None:
    shop = a_shop(tmp_path, EMAIL, queries=("emails",))
    with pytest.raises(ConfigError) as refused:
        load_company(shop)
    assert refused.value.what == "`[events.email]` has no query: sources/email.sql is missing (did you mean `emails`?)"
    assert refused.value.where == f"{shop / 'company.toml'}:{(SHOP + EMAIL).splitlines().index('[events.email]') + 1}"
    assert "message_id, action, customer_id, happened_at, link_count" in refused.value.todo


def test_a_query_without_declaration_would_never_be_read(tmp_path: Path) -> None:
    shop = a_shop(tmp_path, EMAIL, queries=("email", "xy"))
    with pytest.raises(ConfigError) as refused:
        load_company(shop)
    assert refused.value.what == "`sources/xy.sql` would never be read"
    assert "email.sql" in refused.value.todo
    assert "declare it as an event: [events.xy] in company.toml" in refused.value.todo


def test_an_event_may_append_and_have_rules_of_its_own(tmp_path: Path) -> None:
    shop = a_shop(tmp_path, EMAIL + '[source]\nemail = "append"\n')
    (shop / "expectations").mkdir()
    (shop / "expectations" / "raw_email.json").write_text('{"expectations": []}', "utf-8")
    assert load_company(shop).source.appended == {"email"}


def test_an_event_on_one_line_is_named_with_that_line(tmp_path: Path) -> None:
    shop = a_shop(tmp_path, 'events.email = {key = ["who"], instant = "sent_at"}\n')
    with pytest.raises(ConfigError, match="names `who`, which is no column") as refused:
        load_company(shop)
    assert refused.value.where == f"{shop / 'company.toml'}:{len(SHOP.splitlines()) + 1}"


def test_features_and_rules_may_name_what_is_declared_but_no_personal_data(tmp_path: Path) -> None:
    company = declared(tmp_path, EMAIL + 'address = {kind = "text", pii = true}\n')
    names = event_sources(event.table for event in company.events.values())["email"].names
    assert names.keys() == {"event_day", "message_id", "action", "link_count", "score", "cost", "is_mobile", "send_date"}


def test_a_column_is_never_named_with_the_line_of_another_event(tmp_path: Path) -> None:
    calls = '[events.calls]\nkey = ["score"]\ninstant = "called_at"\ncolumns = {score = "txt"}\n'
    shop = a_shop(tmp_path, calls + EMAIL, queries=("email", "calls"))
    with pytest.raises(ConfigError, match="is `txt`") as refused:
        load_company(shop)
    assert refused.value.where == f"{shop / 'company.toml'}:{len(SHOP.splitlines()) + 1}"
