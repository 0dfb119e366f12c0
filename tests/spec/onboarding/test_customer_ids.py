"""Who a customer is: numbers with and without leading zeros, guests, e-mail addresses where numbers are missing, names alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init, lines_of, part_of, people_of

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.customer_columns import padded_width


def customers(made_lines: list[dict[str, object]]) -> list[object]:
    return [line["customer_id"] for line in made_lines]


def test_leading_zeros_that_some_cells_lost_come_back_where_all_have_one_length() -> None:
    assert padded_width(["00100", "101", "00102"]) == 5
    assert padded_width(["000001", "123456"]) == 0
    assert padded_width(["1", "20"]) == 0
    assert padded_width(["0100", "00101", "100"]) is None
    assert padded_width(["0100", "100", "12345"]) is None


def test_numbers_with_and_without_zeros_are_one_customer_or_a_question(tmp_path: Path) -> None:
    head = "order,date,customer no,amount\n"
    made = init(tmp_path / "shop", {"list.csv": f"{head}1,2024-03-01,00100,1.50\n2,2024-03-02,100,1.50\n"}, ANSWERS)
    assert customers(lines_of(made)) == ["00100", "00100"]
    text = f"{head}1,2024-03-01,0100,1.50\n2,2024-03-02,100,1.50\n3,2024-03-02,12345,1.50\n"
    with pytest.raises(ConfigError, match="--set leading_zeros=same"):
        init(tmp_path / "open", {"list.csv": text}, ANSWERS)
    made = init(tmp_path / "same", {"list.csv": text}, {**ANSWERS, "leading_zeros": "same"})
    assert customers(lines_of(made)) == ["100", "100", "12345"]


def test_guests_are_nobody_and_known_by_their_address_where_there_is_one(tmp_path: Path) -> None:
    text = (
        "order,date,customer id,email,amount\n1,2024-03-01,0,Kim@x.de,1.00\n2,2024-03-02,7,kim@x.de,2.00\n"
        "3,2024-03-03,0,lee@x.de,4.00\n4,2024-03-04,guest,,8.00\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "customer": "id"})
    assert customers(lines_of(made)) == ["7", "7", "lee@x.de"]
    assert any("nobody in particular" in sentence for sentence in made.draft.assumptions)
    assert [(each.line_count, each.amount) for each in made.left_out] == [(1, 8)]


def test_names_alone_are_customers_with_a_warning() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2"], "date": ["2024-03-01"] * 2, "customer": ["John Smith", "Ana Diaz"], "amount": ["5.00", "2.00"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert any("Two people of one name become one" in sentence for sentence in reading.assumptions)
    _, reading = part_of({**columns, "e-mail": ["j@x.de", "a@x.de"]})
    assert any("e-mail address" in sentence for sentence in reading.assumptions)


def test_a_report_that_names_no_buyer_is_refused_and_never_offered_its_own_order_numbers() -> None:
    columns: dict[str, list[str | None]] = {
        "order id": ["1", "1", "2"], "date": ["2024-03-01"] * 3, "sku": ["x", "y", "x"], "amount": ["5.00", "2.00", "1.00"],
    }  # fmt: skip
    with pytest.raises(ConfigError, match="no column says who bought"):
        part_of(columns)
    _, reading = part_of({**columns, "order id": ["1", "2", "3"], "table": ["a", "a", "b"]})
    assert [[choice.value for choice in question.choices] for question in reading.questions] == [["table"]]


def test_plain_numbers_under_headings_of_groups_are_told_apart_by_what_depends_on_them() -> None:
    columns: dict[str, list[str | None]] = {
        "Number": ["1", "1", "2", "3"], "Day": ["2024-03-01", "2024-03-01", "2024-03-02", "2024-03-02"], "No.": ["7", "7", "8", "7"],
        "Name": ["Kim", "Kim", "Lee", "Kim"], "Line total": ["5.00", "2.00", "1.00", "3.00"],
    }  # fmt: skip
    part, reading = part_of(columns)
    assert "`Number` is the order" in " ".join(reading.assumptions)
    assert "`No.` is the customer" in " ".join(reading.assumptions)
    assert reading.questions == []
    assert part.lines


def test_guests_whose_address_a_list_knows_are_the_customers_there_and_their_no_counts(tmp_path: Path) -> None:
    orders = (
        "order,date,customer id,email,amount\n1,2024-03-01,7,old@x.de,1.00\n2,2024-03-02,0,Lee@x.de,2.00\n"
        "3,2024-03-03,0,new@x.de,4.00\n4,2024-03-04,9,zoe@x.de,4.00\n"
    )
    people = "customer id,email,newsletter\n7,kim@x.de,yes\n8,lee@x.de,no\n9,zoe@x.de,yes\n"
    made = init(tmp_path / "shop", {"orders.csv": orders, "people.csv": people}, ANSWERS)
    assert customers(lines_of(made)) == ["7", "8", "new@x.de", "9"]
    assert {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()} == {
        "7": True,
        "8": False,
        "9": True,
    }


def test_who_has_an_address_and_no_number_is_somebody() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2", "3"], "date": ["2024-03-01"] * 3, "customer no": ["a7", None, None], "email": ["a@x.de", "b@x.de", "c@x.de"],
        "amount": ["5.00", "2.00", "1.00"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert reading.questions == []


@pytest.mark.parametrize("others", ["", "4,2024-05-04,guest,C4,7.00\n5,2024-05-05,,C5,7.00\n"])
@pytest.mark.parametrize("name", ["Contact", "Customer Email", "Buyer"])
def test_addresses_are_people_whatever_their_case_also_where_a_person_names_the_column(tmp_path: Path, name: str, others: str) -> None:
    text = (
        f"order id,date,{name},customer id,net\n1,2024-05-01,Ana@x.de,C1,10.00\n2,2024-05-02,ana@X.de,C2,20.00\n3,2024-05-13,bo@x.de,C3,5\n"
    )
    settings = {"time_zone": "Europe/Berlin", "currency": "EUR", "orders.customer": name}
    people = people_of(init(tmp_path / "shop", {"orders.csv": text + others}, settings))
    assert {"ana@x.de", "bo@x.de"} <= set(people)
    assert not {"Ana@x.de", "ana@X.de", "guest"} & set(people)


def test_sales_to_nobody_in_particular_alone_make_no_company(tmp_path: Path) -> None:
    text = "order,date,customer,net\n1,2024-04-15,guest,10.00\n2,2024-06-04,guest,20.00\n"
    with pytest.raises(DataError, match=r"no customer comes out of the files: their lines are of nobody known \(2\)"):
        init(tmp_path / "shop", {"orders.csv": text}, ANSWERS)
    assert not (tmp_path / "shop").exists()
