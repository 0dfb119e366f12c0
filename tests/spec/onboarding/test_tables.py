"""Tables that are no known export: what each column is, is told by its name and values, and what is unclear is a question."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import NOW, init, lines_of, net_by_order, parquet, part_of, people_of

from pipeline.errors import ConfigError, DataError
from pipeline.onboarding.new_company import make_company
from pipeline.onboarding.questions import Settings
from pipeline.onboarding.recognition import company_name
from pipeline.onboarding.roles import plain_name

ANSWERS = {"time_zone": "Europe/Berlin", "currency": "EUR"}


def refusal(folder: Path, text: str | bytes, settings: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as error:
        init(folder / "shop", {"list.csv": text}, ANSWERS | (settings or {}))
    assert not (folder / "shop").exists()
    return str(error.value)


def test_a_german_list_with_decimal_commas_and_a_row_of_sums(tmp_path: Path) -> None:
    text = (
        "Belegnr;Datum;Kundennr;Kunde;Artikel;Warengruppe;Menge;Einzelpreis;Betrag;Ort\n"
        "R-1;05.04.2024;017;Müller;Brot;Backwaren;2;3,50;7,00;Köln\n"
        "R-1;05.04.2024;017;Müller;Käse;Milch;1;1.004,25;1.004,25;Köln\n"
        "R-2;06.04.2024;018;Öztürk;Brot;Backwaren;1;3,50;3,50;Bonn\n"
        "Summe;;;;;;;;1.014,75;\n"
    )
    made = init(tmp_path / "shop", {"umsatz.csv": text.encode("windows-1252")}, ANSWERS)
    assert net_by_order(made) == {"R-1": Decimal("1011.25"), "R-2": Decimal("3.50")}
    assert people_of(made)["017"]["city"] == "Köln"
    assert {line["category"] for line in lines_of(made)} == {"Backwaren", "Milch"}
    said = " ".join(made.draft.assumptions)
    assert "Windows-1252" in said
    assert "1 row without a date" in said
    assert 'encoding = "windows-1252"' in (made.folder / "company.toml").read_text("utf-8")


def test_dates_that_read_both_ways_are_a_question(tmp_path: Path) -> None:
    text = "order,date,email,total\n1,05/04/2024,a@x.de,1.50\n2,06/04/2024,b@x.de,2.50\n"
    said = refusal(tmp_path, text)
    assert "--set orders.date_format=day-first" in said
    assert "--set orders.date_format=month-first" in said
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.date_format": "day-first"})
    assert (str(made.draft.first_day), str(made.draft.last_day)) == ("2024-04-05", "2024-04-06")


def test_a_row_of_sums_may_have_an_apostrophe(tmp_path: Path) -> None:
    text = "order,date,email,total\n1,2024-04-05,a@x.de,1.50\n2,2024-04-06,b@x.de,2.50\n,Total d'ao\u00fbt,,4.00\n"
    assert init(tmp_path / "shop", {"list.csv": text}, ANSWERS).net_amount == Decimal("4.00")


def test_cells_of_a_first_line_count_for_the_lines_of_its_order_alone(tmp_path: Path) -> None:
    text = (
        "order,date,email,product,total\n1,2024-04-05,a@x.de,Coat,1.50\n1,,,Hat,2.50\n,2024-04-06,b@x.de,Hat,3.50\n"
        ",2024-04-07,c@x.de,Hat,4.50\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert {line["customer_id"]: str(line["event_day"]) for line in lines_of(made)} == {
        "a@x.de": "2024-04-05", "b@x.de": "2024-04-06", "c@x.de": "2024-04-07",
    }  # fmt: skip
    assert [(each.rule, each.row_count) for each in made.broken] == [("order_id_is_given", 2)]


def test_two_columns_that_could_be_the_amount_are_a_question(tmp_path: Path) -> None:
    text = "order,date,customer,net,gross\n1,2024-04-05,a,10.00,11.90\n2,2024-04-06,b,20.00,23.80\n"
    said = refusal(tmp_path, text)
    assert "--set orders.amount=net" in said
    assert "--set orders.amount=gross" in said
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.amount": "gross"})
    assert made.net_amount == Decimal("35.70")


def test_a_column_that_is_quantity_times_price_is_the_amount_whatever_else_could_be(tmp_path: Path) -> None:
    text = "order,date,customer,qty,unit price,amount,order total\n1,2024-04-05,a,2,5.00,10.00,13.00\n1,2024-04-05,a,1,3.00,3.00,13.00\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert made.net_amount == Decimal(13)
    assert any("`qty` times `unit price` in every row" in sentence for sentence in made.draft.assumptions)


def test_whether_a_discount_was_taken_off_is_shown_by_the_numbers_or_asked(tmp_path: Path) -> None:
    shown = "order,date,customer,qty,price,discount,amount\n1,2024-04-05,a,2,5.00,1.00,10.00\n2,2024-04-06,b,1,3.00,0.00,3.00\n"
    assert init(tmp_path / "shown", {"list.csv": shown}, ANSWERS).net_amount == Decimal(12)
    open_text = "order,date,customer,discount,amount\n1,2024-04-05,a,1.00,10.00\n"
    assert "--set orders.discounts=taken-off" in refusal(tmp_path, open_text)
    made = init(tmp_path / "after", {"list.csv": open_text}, {**ANSWERS, "orders.discounts": "taken-off"})
    assert [(line["net_amount"], line["discount_amount"]) for line in lines_of(made)] == [(Decimal(10), Decimal(1))]


def test_numbers_whose_mark_may_be_of_thousands_are_a_question(tmp_path: Path) -> None:
    text = "order;date;customer;amount\n1;2024-04-05;a;1.500\n2;2024-04-06;b;2.250\n"
    assert "--set orders.decimal=thousands" in refusal(tmp_path, text)
    whole = init(tmp_path / "whole", {"list.csv": text}, {**ANSWERS, "orders.decimal": "thousands"})
    small = init(tmp_path / "small", {"list.csv": text}, {**ANSWERS, "orders.decimal": "decimal"})
    assert (whole.net_amount, small.net_amount) == (Decimal(3750), Decimal("3.75"))


def test_rows_without_a_date_that_are_no_sums_are_a_question(tmp_path: Path) -> None:
    text = "order,date,customer,amount\n1,2024-04-05,a,1.50\n2,,b,2.50\n"
    assert "--set orders.undated=left-out" in refusal(tmp_path, text)
    assert init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.undated": "left-out"}).net_amount == Decimal("1.50")


def test_sales_whose_customer_stands_in_a_heading_are_a_question(tmp_path: Path) -> None:
    text = "customer,date,order,amount\nKim Ltd,,,\n,2024-01-05,1,20.00\n,2024-02-05,2,30.50\nTotal Kim Ltd,,,50.50\n"
    assert "heading" in refusal(tmp_path, text)


def test_cells_on_the_first_line_of_an_order_alone_count_for_all_of_its_lines(tmp_path: Path) -> None:
    head = "Order ID,Order date,Email,Item,Qty,Price\n"
    text = f"{head}1,2024-03-01 10:00,A@x.de,Mug,2,3.50\n1,,,Pot,1,4.00\n2,2024-03-02 11:00,b@x.de,Mug,1,3.50\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal(11), "2": Decimal("3.50")}
    assert {line["customer_id"] for line in lines_of(made)} == {"a@x.de", "b@x.de"}


def test_orders_are_matched_with_customers_by_the_id_that_both_have(tmp_path: Path) -> None:
    orders = "order_no,sold_at,customer_id,email,amount\n1,2024-03-01,7,a@x.de,1.50\n2,2024-03-02,8,b@x.de,2.50\n"
    people = "id,email,city,date of birth,newsletter\n7,a@x.de,Bonn,1980-05-06,yes\n8,b@x.de,Köln,1990-07-08,no\n9,c@x.de,Ulm,,\n"
    made = init(tmp_path / "shop", {"orders.csv": orders, "people.csv": people}, {**ANSWERS, "customers.consent.empty": "yes"})
    assert {name: (row["city"], row["birth_year"]) for name, row in people_of(made).items()} == {
        "7": ("Bonn", 1980), "8": ("Köln", 1990), "9": ("Ulm", None),
    }  # fmt: skip
    consents = {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}
    assert consents == {"7": True, "8": False}


def test_orders_are_matched_with_customers_by_whichever_columns_share_their_values(tmp_path: Path) -> None:
    orders = "order,date,client no,customer,amount\n1,2024-03-01,X1,Meier,1.50\n2,2024-03-02,X2,Öztürk,2.50\n"
    people = "Nr,Name,City\n1,Meier,Bonn\n2,Öztürk,Köln\n3,Kim,Ulm\n"
    made = init(tmp_path / "shop", {"orders.csv": orders, "people.csv": people}, ANSWERS)
    assert {name: row["city"] for name, row in people_of(made).items()} == {"Meier": "Bonn", "Öztürk": "Köln", "Kim": "Ulm"}
    assert {line["customer_id"] for line in lines_of(made)} == {"Meier", "Öztürk"}


def test_a_status_says_which_orders_count(tmp_path: Path) -> None:
    text = "order,date,customer,amount,status\n1,2024-03-01,a,1.50,Completed\n2,2024-03-02,b,2.50,Storniert\n3,2024-03-03,b,4.00,Refunded\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert made.net_amount == Decimal("1.50")
    assert any("Storniert" in sentence and "Completed" in sentence for sentence in made.draft.assumptions)


def test_mixed_currencies_are_a_question_and_the_others_are_left_out(tmp_path: Path) -> None:
    text = "order,date,customer,amount,currency\n1,2024-03-01,a,1.50,eur\n2,2024-03-02,b,2.50,usd\n3,2024-03-02,b,3.50,eur\n"
    with pytest.raises(ConfigError, match=r"--set currency=EUR"):
        init(tmp_path / "shop", {"list.csv": text}, {"time_zone": "Europe/Berlin"})
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert made.net_amount == Decimal(5)
    assert [(each.reason, each.amount) for each in made.left_out] == [("in USD", Decimal("2.50"))]


@pytest.mark.parametrize(("sign", "code"), [("€", "EUR"), ("CHF ", "CHF"), ("US$", "USD"), ("£", "GBP")])
def test_a_sign_of_one_currency_alone_is_that_currency(tmp_path: Path, sign: str, code: str) -> None:
    text = f"order,date,customer,amount\n1,2024-03-01,a,{sign}1.50\n2,2024-03-02,b,{sign}2.50\n"
    made = init(tmp_path / "shop", {"list.csv": text}, {"time_zone": "Europe/Berlin"})
    assert (made.draft.currency, made.net_amount) == (code, Decimal(4))


def test_a_column_can_be_named_for_a_role_by_hand(tmp_path: Path) -> None:
    text = "a,b,c,d\n1,2024-03-01,x,1.50\n2,2024-03-02,y,2.50\n"
    assert "neither orders nor customers" in refusal(tmp_path, text)
    named = {"orders.date": "b", "orders.amount": "d", "orders.customer": "c"}
    assert init(tmp_path / "shop", {"list.csv": text}, ANSWERS | named).net_amount == Decimal(4)


def test_a_misspelt_setting_is_refused_with_the_one_that_was_meant(tmp_path: Path) -> None:
    text = "order,date,customer,amount\n1,2024-03-01,a,1.50\n"
    said = refusal(tmp_path, text, {"orders.amuont": "amount"})
    assert "did you mean `orders.amount`?" in said
    assert "did you mean `Europe/Berlin`?" in refusal(tmp_path, text, {"time_zone": "Europe/Berlim"})


def test_a_report_of_months_becomes_an_order_a_month_and_says_so(tmp_path: Path) -> None:
    rows = "Kim,10.50,,20.00,30.50\nLee,,5.00,,5.00\nTotal,10.50,5.00,20.00,35.50\n"
    text = f"Revenue 2024,,,,\nCustomer,Jan 2024,Feb 2024,März 2024,Total\n{rows}"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert [(line["customer_id"], str(line["event_day"]), line["net_amount"]) for line in lines_of(made)] == [
        ("Kim", "2024-01-01", Decimal("10.50")), ("Kim", "2024-03-01", Decimal(20)), ("Lee", "2024-02-01", Decimal(5)),
    ]  # fmt: skip
    assert any("no orders" in sentence for sentence in made.draft.assumptions)


@pytest.mark.parametrize(
    "content",
    [
        b"Customer;Jan 2024;Feb 2024\nKim;100;1.234,00\nLee;200;\n",
        parquet({"Customer": ["Kim", "Lee"], "Jan 2024": [100, 200], "Feb 2024": [1234, None]}),
    ],
)
def test_months_are_read_in_one_way_whatever_their_own_numbers_look_like(content: bytes, tmp_path: Path) -> None:
    name = "list.parquet" if content.startswith(b"PAR1") else "list.csv"
    assert init(tmp_path / "shop", {name: content}, ANSWERS).net_amount == Decimal(1534)


def test_dates_in_several_forms_are_told_by_their_forms(tmp_path: Path) -> None:
    text = "order,date,customer,amount\n1,2024-03-01,a,1.50\n2,soon,b,2.50\n3,03.03.2024,b,3.50\n"
    said = refusal(tmp_path, text)
    assert "`date` has 1 cells that are no dates, such as one of the form `aaaa`" in said
    assert "soon" not in said
    assert "written in several ways" in refusal(tmp_path, text.replace("soon", "02/03/2024"))


def test_a_list_of_people_with_what_they_spent_is_no_list_of_orders(tmp_path: Path) -> None:
    text = "Customer ID,Email,Signup Date,Last Order,Total Spent\n7,a@x.de,2023-01-01,2024-02-03,12.50\n8,b@x.de,2023-01-02,,0.00\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert "order_lines" not in made.read
    assert {name: str(row["created_at"])[:10] for name, row in people_of(made).items()} == {"7": "2022-12-31", "8": "2023-01-01"}


def test_letters_that_are_not_western_are_a_question_before_all_others(tmp_path: Path) -> None:
    text = "Sipariş No;Tarih;Müşteri;Şehir;Tutar\n1;13.01.2024;Ayşe Yılmaz;İstanbul;1.250,50\n".encode("windows-1254")
    said = refusal(tmp_path, text)
    assert "--set encoding=windows-1254" in said
    assert "Which one tells customers apart" not in said, "misread names say nothing"
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "encoding": "windows-1254"})
    assert [(line["customer_id"], line["net_amount"]) for line in lines_of(made)] == [("Ayşe Yılmaz", Decimal("1250.50"))]


def test_what_no_western_letter_is_written_with_is_a_question_with_the_encodings_that_have_it(tmp_path: Path) -> None:
    text = b"order,date,customer,net\n1,2024-04-15,M\x81x,10.00\n"
    said = refusal(tmp_path, text)
    assert re.findall(r"--set encoding=(\S+)  ", said) == ["mac-roman"]


def test_an_encoding_that_is_not_the_files_is_to_be_set_anew(tmp_path: Path) -> None:
    text = b"order,date,customer,net\n1,2024-04-15,M\x81x,10.00\n"
    with pytest.raises(DataError, match="text that is not WINDOWS-1254 in line 2") as raised:
        init(tmp_path / "shop", {"orders.csv": text}, {**ANSWERS, "encoding": "windows-1254"})
    assert "--set encoding=" in raised.value.todo
    assert "company.toml" not in raised.value.todo


def test_an_encoding_that_is_given_is_that_of_the_files_that_are_not_utf_8(tmp_path: Path) -> None:
    people = "customer id,name,city\na,Ayşe,İstanbul\nb,Kim,Muş\n".encode("windows-1254")
    orders = "order,date,customer id,net,product\n1,2024-04-05,a,10.00,Çay\n2,2024-05-16,b,20.00,Muz\n"
    made = init(tmp_path / "shop", {"people.csv": people, "orders.csv": orders}, {**ANSWERS, "encoding": "windows-1254"})
    assert [line["product_id"] for line in lines_of(made)] == ["Çay", "Muz"]
    assert {name: row["city"] for name, row in people_of(made).items()} == {"a": "İstanbul", "b": "Muş"}


def test_answers_of_several_words_are_quoted_for_a_shell(tmp_path: Path) -> None:
    text = "order,date,customer,line amount,order total\n1,2024-03-01,a,1.50,2.00\n2,2024-03-02,b,2.50,2.50\n"
    assert "--set 'orders.amount=line amount'" in refusal(tmp_path, text)


def test_answers_of_a_survey_are_customers(tmp_path: Path) -> None:
    text = "Timestamp,Email Address,City\n" + "".join(f"2024-01-1{n} 10:00:00,{n}@x.de,Bonn\n" for n in range(4))
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert len(people_of(made)) == 4
    assert "order_lines" not in made.read


def test_files_without_customers_are_refused(tmp_path: Path) -> None:
    said = refusal(tmp_path, "Email,Timestamp,URL\na@x.de,2024-01-10 10:00:00,https://x.de\n")
    assert "no customers" in said


def test_text_above_the_header_is_skipped_and_utf_16_is_read(tmp_path: Path) -> None:
    text = "Sales report\n\nOrder\tDate\tCustomer\tAmount\n1\t2024-03-01\tÖz\t1.50\n"
    made = init(tmp_path / "shop", {"list.txt": text.encode("utf-16")}, ANSWERS)
    assert [(line["customer_id"], line["net_amount"]) for line in lines_of(made)] == [("Öz", Decimal("1.50"))]
    settings = (made.folder / "company.toml").read_text("utf-8")
    assert 'encoding = "utf-16"' in settings
    assert "header_row = 3" in settings


def test_what_would_be_rejected_is_counted_by_rule(tmp_path: Path) -> None:
    text = "order,date,customer id,amount\n1,2024-03-01,a,1.50\n,2024-03-03,b,1.00\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert [(each.table, each.rule, each.row_count) for each in made.broken] == [("raw_order_lines", "order_id_is_given", 1)]


def test_a_damaged_cell_is_named_by_file_and_line_and_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="too few columns"):
        init(tmp_path / "shop", {"list.csv": "order,date,customer,amount\n1,2024-03-01,a,1.50\n2,2024-03-02\n"}, ANSWERS)
    assert [path.name for path in tmp_path.iterdir()] == ["list.csv"]


def test_a_table_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no rows"):
        init(tmp_path / "shop", {"list.csv": "order,date,customer,amount\n"}, ANSWERS)


def test_a_date_of_1970_is_no_beginning_but_a_row_that_is_set_aside(tmp_path: Path) -> None:
    days = [f"{number},2024-03-{number % 28 + 1:02},a,1.00\n" for number in range(40)]
    made = init(tmp_path / "shop", {"list.csv": "order,date,customer,amount\n41,1970-01-01,b,5.00\n" + "".join(days)}, ANSWERS)
    assert str(made.draft.first_day) == "2024-03-01"
    assert [(each.rule, each.row_count) for each in made.broken] == [("ordered_at_is_not_before_first_day", 1)]


def test_days_that_are_not_over_are_left_to_later_nights(tmp_path: Path) -> None:
    text = "order,date,customer,amount\n1,2026-01-13,a,1.00\n2,2026-01-15,a,2.00\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert (str(made.draft.last_day), made.later_rows) == ("2026-01-13", 1)


def test_a_folder_that_is_there_is_never_touched(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    with pytest.raises(ConfigError, match="is there already"):
        init(tmp_path / "shop", {"list.csv": "order,date,customer,amount\n1,2024-03-01,a,1.50\n"}, ANSWERS)
    assert list((tmp_path / "shop").iterdir()) == []


def test_the_queries_name_columns_that_need_quotes(tmp_path: Path) -> None:
    text = 'order,date,"the ""best"" customer",amount\n1,2024-03-01,a,1.50\n'
    made = init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.customer": 'the "best" customer'})
    assert [line["customer_id"] for line in lines_of(made)] == ["a"]


def test_words_of_people_are_attributes_and_names_and_phones_are_none() -> None:
    columns = {
        "customer id": [str(place) for place in range(8)],
        "name": ["A", "B"] * 4,
        "phone": ["1", "2"] * 4,
        "Club Level": ["gold", "silver"] * 4,
        "Land": ["DE", "FR"] * 4,
    }
    part, _ = part_of({name: list(values) for name, values in columns.items()})
    assert {each.name: each.level for each in part.attributes} == {"club_level": "demographic", "country": "geographic"}


def test_names_of_columns_are_compared_without_case_accents_and_marks() -> None:
    assert [plain_name(name) for name in ("E-Mail", "Kunden-Nr.", "Währung", "orderDate", "İl", "Größe")] == [
        "e mail", "kunden nr", "wahrung", "order date", "il", "grosse",
    ]  # fmt: skip
    assert company_name("my_shop") == "My shop"


def test_columns_that_are_not_read_are_named() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2"], "date": ["2024-03-01"] * 2, "client no": ["a1", "b2"], "amount": ["5.00", "2.00"], "fee": ["0.10", "0.20"],
        "item1": ["Mug", "Pot"], "empty": [None, None],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert [sentence for sentence in reading.assumptions if "not read" in sentence] == ["orders: not read: `fee`, `item1`."]


def test_when_a_sale_was_refunded_or_sent_is_never_when_it_was_made() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2"], "Refunded date": ["2024-03-01"] * 2, "Created date": ["2024-03-01"] * 2, "Due date": ["2024-03-01"] * 2,
        "client no": ["a1", "b2"], "amount": ["5.00", "2.00"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert reading.questions == []
    assert any("`Created date` is the date" in sentence for sentence in reading.assumptions)


def test_an_answer_about_one_file_leaves_the_others_what_they_are(tmp_path: Path) -> None:
    orders = "order,date,client no,net,gross\n1,2024-03-01,7,1.50,1.80\n2,2024-03-02,8,2.50,3.00\n"
    people = "client no,city,joined\n7,Bonn,2023-03-01\n8,Ulm,2023-03-01\n"
    made = init(tmp_path / "shop", {"orders.csv": orders, "people.csv": people}, {**ANSWERS, "orders.amount": "net"})
    assert [table.title for table in made.draft.tables] == ["A table of orders", "A table of customers"]


def test_what_else_lies_in_a_given_folder_is_not_read_and_named(tmp_path: Path) -> None:
    given = tmp_path / "export"
    given.mkdir()
    (given / "orders.csv").write_text("order,date,client no,amount\n1,2024-03-01,a1,1.50\n2,2024-03-02,b2,1.50\n", "utf-8")
    (given / "NOTES.md").write_text("# Notes\n", "utf-8")
    (given / "~$orders.xlsx").write_bytes(b"lock")
    made = make_company(tmp_path / "shop", [given], Settings(dict(ANSWERS)), ask=None, command="segments init shop", now=NOW)
    assert made.net_amount == Decimal(3)
    assert [sentence for sentence in made.draft.assumptions if "Not read" in sentence] == [
        "Not read, as they are no tables: NOTES.md, ~$orders.xlsx."
    ]


def test_sales_in_a_language_that_is_not_known_are_no_list_of_customers() -> None:
    columns: dict[str, list[str | None]] = {
        "xaa": ["1", "2", "3", "4"], "xbb": ["2024-03-01"] * 4, "xcc": ["a@x.de", "a@x.de", "b@x.de", "a@x.de"],
        "xdd": ["5.00", "2.50", "1.25", "7.00"], "xee": ["1.00", "0.50", "0.25", "1.75"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert [(question.key, [choice.value for choice in question.choices]) for question in reading.questions] == [
        ("orders.amount", ["xdd", "xee"]),
    ]


def test_finnish_sales_are_read(tmp_path: Path) -> None:
    head = "Tilausnumero;Tilauspäivä;Asiakasnumero;Sähköposti;Tuote;Määrä;Yksikköhinta;Rivisumma;Tila;Markkinointilupa\n"
    rows = "1;2.1.2024;1028;a@x.fi;Peitto;3;189,00;567,00;Toimitettu;Ei\n2;13.1.2024;1029;b@x.fi;Peitto;1;189,00;189,00;Peruttu;Kyllä\n"
    made = init(tmp_path / "shop", {"tilaukset.csv": head + rows}, ANSWERS)
    assert made.net_amount == Decimal(567)
    consents = {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}
    assert consents == {"1028": False, "1029": True}


def test_a_firm_whose_name_begins_as_a_row_of_sums_does_is_a_customer(tmp_path: Path) -> None:
    text = "Customer,Jan 2024,Feb 2024\nTotal Wine,5.00,1.00\nKim Ltd,2.00,\nTotal Kim Ltd,2.00,\nTotal,7.00,1.00\n"
    made = init(tmp_path / "shop", {"months.csv": text}, ANSWERS)
    assert sorted(line["net_amount"] for line in lines_of(made)) == [1, 2, 5]
    assert any("rows of sums (2) are left out" in each for each in made.draft.assumptions)
