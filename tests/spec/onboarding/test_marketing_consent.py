"""Who may be written to: columns in several languages, found by name and values, keyed as customers are."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init, part_of

from pipeline.errors import ConfigError

PEOPLE = ["1", "2", "3", "4"]


def consents(name: str, values: list[str]) -> dict[str, bool]:
    import duckdb

    columns: dict[str, list[str | None]] = {"customer id": list(PEOPLE), "city": ["Bonn"] * 4, name: [value or None for value in values]}
    part, reading = part_of(columns, {})
    if not part.consents:
        return {}
    with duckdb.connect() as connection:
        connection.register("orders", reading.sample.rows)
        return dict(connection.sql(f"WITH {part.consents} SELECT customer_id, is_consenting FROM orders_consents ORDER BY 1").fetchall())


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("İleti İzni", "Evet Hayır HAYIR EVET"),
        ("Werbung erlaubt", "ja nein Nein JA"),
        ("Newsletter OK?", "Y N n y"),
        ("Accepts Email Marketing", "yes no no yes"),
        ("Mailing (ja/nein)", "x - - x"),
        ("Status", "Subscribed Unsubscribed Non-subscribed subscribed"),
        ("Unsubscribed from all email", "false true TRUE false"),
        ("Opted out of emails", "0 1 1 0"),
        ("Do not email", "no yes yes no"),
        ("Keine Werbung", "nein ja ja nein"),
    ],
)
def test_yes_and_no_are_read_in_each_language_and_the_right_way_round(name: str, values: str) -> None:
    assert consents(name, values.split()) == {"1": True, "2": False, "3": False, "4": True}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("Opt-in/Opt-out", ["Opt in", "Opt out", "opt-out", "Opt-in"]),
        ("Subscribed or unsubscribed", ["Subscribed", "Unsubscribed", "Unsubscribed", "subscribed"]),
        ("E-mail blocked", ["no", "blocked", "BLOCKED", "no"]),
        ("Werbung abgelehnt", ["nein", "abgelehnt", "ja", "nein"]),
        ("Opted out of mail", ["0", "opted out", "1", "0"]),
        ("Withdrawn consent", ["no", "withdrawn", "yes", "no"]),
    ],
)
def test_a_value_that_says_no_itself_means_no_under_a_name_that_does_so_too(name: str, values: list[str]) -> None:
    assert consents(name, values) == {"1": True, "2": False, "3": False, "4": True}


def test_who_is_blocked_by_a_word_and_not_by_a_yes_did_not_agree() -> None:
    assert consents("Unsubscribed", ["", "unsubscribed", "Unsubscribed", ""]) == {"2": False, "3": False}


def test_a_column_of_who_said_no_takes_no_other_column_with_it() -> None:
    columns: dict[str, list[str | None]] = {"customer id": list(PEOPLE), "City": ["Bonn", "Ulm"] * 2, "Unsubscribed": ["yes", "no"] * 2}
    part, _ = part_of(columns)
    assert [each.name for each in part.attributes] == ["city"]


def test_a_column_of_consent_that_the_table_has_not_is_an_error_that_names_the_nearest() -> None:
    columns: dict[str, list[str | None]] = {"customer id": list(PEOPLE), "Newsletter": ["yes", "no", "no", "yes"]}
    with pytest.raises(ConfigError, match=r"no column `Newslettr`.*`Newsletter`"):
        part_of(columns, {"orders.consent": "Newslettr"})
    assert part_of(columns, {"orders.consent": "none"})[0].consents == ""


def test_an_answer_that_somebody_explained_is_found_whatever_its_case() -> None:
    columns: dict[str, list[str | None]] = {"customer id": ["1", "2"], "Newsletter": ["\u0130ki ayda bir", "no"]}
    part, reading = part_of(columns, {"orders.consent.iki-ayda-bir": "yes"})
    assert "'iki ayda bir'" in part.consents
    assert any("1 rows agree, 1 do not" in each for each in reading.assumptions)


def test_a_day_of_unsubscribing_is_a_no_and_a_day_of_opting_in_a_yes() -> None:
    assert consents("Unsubscribed at", ["", "2024-03-01", "2024-04-01", ""]) == {"2": False, "3": False}
    assert consents("Opt-in date", ["2024-03-01", "", "", "2024-03-01"]) == {"1": True, "2": False, "3": False, "4": True}


def test_who_has_no_day_of_opting_in_is_published_where_somebody_says_so() -> None:
    columns: dict[str, list[str | None]] = {"customer id": ["1", "2"], "city": ["Bonn"] * 2, "Opt-in date": ["2024-03-01", None]}
    said = {answer: part_of(columns, {"orders.consent.empty": answer})[1].assumptions for answer in ("no", "yes")}
    assert any("1 say nothing and are not published" in each for each in said["no"])
    assert any("1 say nothing and are published" in each for each in said["yes"])


def test_columns_about_mail_that_are_no_consent_are_none() -> None:
    assert consents("Email verified", ["yes", "no", "no", "yes"]) == {}
    assert consents("Club member", ["yes", "no", "no", "yes"]) == {}


def test_an_answer_that_is_neither_yes_nor_no_is_a_question() -> None:
    columns: dict[str, list[str | None]] = {"customer id": list(PEOPLE), "Newsletter": ["yes", "no", "monthly", None]}
    _, reading = part_of(columns)
    assert [question.key for question in reading.questions] == ["orders.consent.empty", "orders.consent.monthly"]


def test_who_said_no_is_found_whatever_they_are_known_by_and_whichever_file_says_it(tmp_path: Path) -> None:
    people = "Client no,Mail,Newsletter\n7,a@x.de,yes\n8,,no\n,c@x.de,no\n"
    orders = "order,date,client no,mail,amount,newsletter\n1,2024-03-01,7,a@x.de,5.00,no\n2,2024-03-01,9,d@x.de,5.00,no\n"
    made = init(tmp_path / "shop", {"people.csv": people, "orders.csv": orders}, ANSWERS)
    found = {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}
    assert found == {"7": True, "8": False, "c@x.de": False, "9": False}
    assert set(found) <= set(made.read["customers"].rows["customer_id"].to_pylist())


def test_an_empty_cell_beside_yes_and_no_is_a_question_and_likeliest_a_no(tmp_path: Path) -> None:
    text = "Customer number,City,Newsletter\n1,Bonn,ja\n2,Bonn,nein\n3,Bonn,\n4,Bonn,\nTotal,,\n"
    with pytest.raises(ConfigError, match=r"2 customers have an empty `Newsletter`") as refused:
        init(tmp_path / "shop", {"people.csv": text}, ANSWERS)
    assert "--set customers.consent.empty=no" in refused.value.todo
    made = init(tmp_path / "silent", {"people.csv": text}, {**ANSWERS, "customers.consent.empty": "no"})
    assert {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()} == {
        "1": True, "2": False, "3": False, "4": False,
    }  # fmt: skip
    assert any("say nothing and are not published" in each for each in made.draft.assumptions)
    made = init(tmp_path / "loud", {"people.csv": text}, {**ANSWERS, "customers.consent.empty": "yes"})
    assert {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()} == {"1": True, "2": False}


def test_a_firm_that_is_called_like_a_row_of_sums_can_be_silent_too() -> None:
    columns: dict[str, list[str | None]] = {
        "Customer name": ["Kim Ltd", "Ray Ltd", "Total Wine", "Total Kim Ltd", "Total"],
        "City": ["Bonn"] * 3 + [None] * 2,
        "Newsletter": ["yes", "no", *[None] * 3],
    }
    _, reading = part_of(columns)
    [question] = [each for each in reading.questions if each.key.endswith("consent.empty")]
    assert "1 customer has an empty `Newsletter`" in question.text


def test_who_answered_in_one_of_their_orders_is_not_silent_in_the_others(tmp_path: Path) -> None:
    head = "Order,Date,Email,Amount,Newsletter\n"
    rows = "1,2024-03-01,a@example.com,1.00,yes\n2,2024-03-02,a@example.com,1.00,\n3,2024-03-03,b@example.com,1.00,no\n"
    assert init(tmp_path / "shop", {"list.csv": head + rows}, ANSWERS).read["consents"].rows.num_rows == 2
    silent = "4,2024-03-04,c@example.com,1.00,\n"
    made = init(tmp_path / "other", {"list.csv": head + rows + silent}, {**ANSWERS, "orders.consent.empty": "no"})
    assert {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()} == {
        "a@example.com": True, "b@example.com": False, "c@example.com": False,
    }  # fmt: skip
