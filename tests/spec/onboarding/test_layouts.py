"""Exports that shops have: each becomes a company whose sums, worked out by hand from the file, come out to the cent."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import EXPORTS, columns_of, export, init, lines_of, net_by_order, people_of, query_lines

from pipeline.errors import ConfigError
from pipeline.onboarding.new_company import NewCompany

BERLIN = {"time_zone": "Europe/Berlin"}


def made_of(folder: Path, names: Sequence[str], settings: dict[str, str]) -> NewCompany:
    folder.mkdir(exist_ok=True)
    return init(folder / "shop", {name: (EXPORTS / name).read_bytes() for name in names}, settings)


def consents_of(made: NewCompany) -> dict[str, bool]:
    return {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}


@pytest.mark.parametrize(
    ("name", "settings", "orders", "currency"),
    [
        # 901: 18 + 26; 902: 10 + 20 less 10 given back; 903 is on hold, 904 cancelled.
        ("woocommerce_orders.csv", BERLIN, {"901": "44", "902": "20"}, "EUR"),
        ("woocommerce_items.csv", BERLIN, {"901": "44", "902": "20"}, "EUR"),
        ("woocommerce_advanced.csv", {**BERLIN, "currency": "EUR"}, {"901": "44", "902": "20"}, "EUR"),
        ("woocommerce_analytics.csv", BERLIN, {"901": "44", "902": "20"}, "EUR"),
        # ch_3: 50 less 12.34; ch_4 failed.
        ("stripe_payments.csv", BERLIN, {"ch_1": "1200.50", "ch_2": "0", "ch_3": "37.66", "ch_5": "19.99"}, "EUR"),
        ("stripe_charges.csv", BERLIN, {"ch_1": "1200.50", "ch_2": "0", "ch_3": "37.66"}, "EUR"),
        # T1: 1020 less 20, and 9; T3 is of nobody known.
        ("square_items.csv", {"currency": "USD"}, {"T1": "1009", "T2": "-4.50", "T4": "12.25"}, "USD"),
        ("square_transactions.csv", {"currency": "USD"}, {"T1": "1009", "T2": "-4.50", "T4": "12.25"}, "USD"),
        # 3001: 10 less 1, and 12 less 1.20.
        ("etsy_items.csv", {"time_zone": "America/Chicago"}, {"3001": "19.80", "3002": "12"}, "USD"),
        ("etsy_orders.csv", {"time_zone": "America/Chicago"}, {"3001": "19.80", "3002": "12"}, "USD"),
        # 19.98 less 2; 111-2 is cancelled.
        ("amazon_all_orders.txt", {**BERLIN, "orders.customer": "order"}, {"111-1": "17.98", "111-3": "26"}, "EUR"),
        ("amazon_new_orders.txt", BERLIN, {"111-1": "19.98", "111-3": "26"}, "EUR"),
    ],
)
def test_each_order_comes_out_to_the_cent(
    tmp_path: Path, name: str, settings: dict[str, str], orders: dict[str, str], currency: str
) -> None:
    made = made_of(tmp_path, [name], settings)
    assert net_by_order(made) == {order: Decimal(amount) for order, amount in orders.items()}
    assert made.net_amount == sum(map(Decimal, orders.values()))
    assert made.draft.currency == currency
    assert made.broken == []


def test_stripe_counts_in_utc_and_its_days_are_those_of_the_company(tmp_path: Path) -> None:
    made = made_of(tmp_path, ["stripe_payments.csv"], BERLIN)
    assert str(made.draft.first_day) == "2024-02-01"  # 23:30 on 31 January in UTC
    assert set(people_of(made)) == {"ana@example.de", "bo@example.de", "cus_3"}


def test_payments_of_stripe_that_a_later_export_brings_count_by_their_status_though_the_first_has_no_such_one() -> None:
    header, first, *_ = export("stripe_payments.csv").splitlines()
    captured = {"paid": "true", "Refunded": "true", "Partially Refunded": "true", "Failed": "true", "Incomplete": "true", "Paid": "false"}
    rows = [
        first.replace("ch_1,", f"{status},").replace(",Paid,", f",{status},").replace(",true,", f",{cell},")
        for status, cell in captured.items()
    ]
    lines = query_lines(columns_of(f"{header}\n{first}"), later=columns_of("\n".join([header, *rows])))
    assert [line["order_id"] for line in lines] == ["Partially Refunded", "Refunded", "paid"]


def test_stripe_takes_what_it_converted_where_payments_are_in_several_currencies(tmp_path: Path) -> None:
    text = (EXPORTS / "stripe_payments.csv").read_text("utf-8")
    foreign = text.replace("50.00,12.34,eur,50.00,12.34", "60.00,14.81,usd,50.00,12.34")
    made = init(tmp_path / "shop", {"payments.csv": foreign}, BERLIN)
    assert net_by_order(made)["ch_3"] == Decimal("37.66")
    assert made.draft.currency == "EUR"


@pytest.mark.parametrize("status", ["Incomplete", "Unpaid", "not_paid", "Not completed", "requires_payment_method", "Canceled"])
def test_payments_that_did_not_go_through_are_left_out_and_counted(tmp_path: Path, status: str) -> None:
    text = export("stripe_payments.csv").replace("Live,Paid,cus_1,,Ana@", f"Live,{status},cus_1,,Ana@")
    made = init(tmp_path / "shop", {"payments.csv": text}, BERLIN)
    assert set(net_by_order(made)) == {"ch_2", "ch_3", "ch_5"}
    said = next(sentence for sentence in made.draft.assumptions if "did not go through" in sentence)
    assert ": 2 with the status " in said
    assert status in said


@pytest.mark.parametrize("status", ["Succeeded", "Partially refunded", "partial_refund", "Complete", "paid"])
def test_payments_that_went_through_count_whatever_their_status_is_called(tmp_path: Path, status: str) -> None:
    text = export("stripe_payments.csv").replace("Live,Paid,cus_3", f"Live,{status},cus_3")
    assert net_by_order(init(tmp_path / "shop", {"payments.csv": text}, BERLIN))["ch_3"] == Decimal("37.66")


@pytest.mark.parametrize(
    ("captured", "is_sale"), [("", True), ("true", True), ("t", True), ("false", False), ("f", False), ("FALSE", False)]
)
def test_a_payment_counts_unless_it_says_that_it_was_not_captured(tmp_path: Path, captured: str, *, is_sale: bool) -> None:
    payments = export("stripe_payments.csv").replace("cus_3,,,true", f"cus_3,,,{captured}")
    assert ("ch_3" in net_by_order(init(tmp_path / "shop", {"payments.csv": payments}, BERLIN))) == is_sale
    charges = export("stripe_charges.csv").replace("true,true,cus_3", f"true,{captured},cus_3")
    assert ("ch_3" in net_by_order(init(tmp_path / "charged", {"charges.csv": charges}, BERLIN))) == is_sale


@pytest.mark.parametrize(
    ("currency", "amount", "refunded"),
    # As Stripe has them: ISK and UGX with cents, MGA without.
    [("jpy", "5000", "1234"), ("kwd", "5.000", "1.234"), ("isk", "50.00", "12.34"), ("ugx", "50.00", "12.34"), ("mga", "5000", "1234")],
)
def test_charges_are_in_the_smallest_unit_of_their_own_currency(tmp_path: Path, currency: str, amount: str, refunded: str) -> None:
    charges = export("stripe_charges.csv").replace("ch_3,5000,1234,eur", f"ch_3,5000,1234,{currency}")
    made = init(tmp_path / "shop", {"charges.csv": charges}, {**BERLIN, "currency": "EUR"})
    assert net_by_order(made) == {"ch_1": Decimal("1200.50"), "ch_2": Decimal(0)}
    assert [(each.reason, each.amount) for each in made.left_out] == [(f"in {currency.upper()}", Decimal(amount) - Decimal(refunded))]
    own = init(tmp_path / "own", {"charges.csv": charges.replace(",eur,", f",{currency},")}, BERLIN)
    assert net_by_order(own)["ch_3"] == Decimal(amount) - Decimal(refunded)


SALES = sorted(path.name for path in EXPORTS.iterdir() if not path.name.startswith(("mailchimp", "hubspot", "shopify_customers")))


@pytest.mark.parametrize("name", SALES)
def test_the_lines_of_an_export_are_the_same_in_whatever_order_its_rows_come(name: str) -> None:
    # As files are read: DuckDB takes no space before an offset.
    text = export(name).replace(" -0", "-0")
    header, *rows = csv.reader(text.splitlines(), delimiter="\t" if name.endswith(".txt") else ",")
    cells = [[cell or None for cell in row] for row in rows]
    one, other = (dict(zip(header, map(list, zip(*order, strict=True)), strict=True)) for order in (cells, cells[::-1]))
    assert len(query_lines(one)) >= len({row[0] for row in rows})
    assert query_lines(other) == query_lines(one)


def test_of_two_equal_lines_the_refund_is_of_the_same_one_in_whatever_order_they_come() -> None:
    header, *rows = (line.split(",") for line in export("woocommerce_items.csv").splitlines())
    cup = next(row for row in rows if row[0] == "902")
    whole = [cell.replace("-10.00", "0.00").replace("-1", "0") for cell in cup]
    one, other = (dict(zip(header, map(list, zip(*lines, strict=True)), strict=True)) for lines in ([cup, whole], [whole, cup]))
    found = query_lines(one)
    assert [(line["line_number"], line["net_amount"]) for line in found] == [(1, 30), (2, 30), (10002, -10)]
    assert query_lines(other) == found


def test_square_names_its_time_zone_and_dates_its_refunds(tmp_path: Path) -> None:
    made = made_of(tmp_path, ["square_items.csv"], {"currency": "USD"})
    assert made.draft.zone == "America/Los_Angeles"
    refund = next(line for line in lines_of(made) if line["net_amount"] < 0)
    assert (str(refund["event_day"]), refund["quantity"]) == ("2024-03-10", Decimal(-1))
    assert [(each.reason, each.amount) for each in made.left_out] == [("of nobody known", Decimal("4.50"))]


def test_rows_of_square_are_in_the_time_zone_that_each_names_and_in_the_company_s_where_it_is_unknown(tmp_path: Path) -> None:
    text = export("square_items.csv").splitlines()
    text[3] = text[3].replace("09:00:00,Pacific Time (US & Canada)", "01:30:00,Eastern Time (US & Canada)")
    text[5] = text[5].replace("10:00:00,Pacific Time (US & Canada)", "01:30:00,Mars Time")
    made = init(tmp_path / "shop", {"items.csv": "\n".join([*text, ""])}, {"currency": "USD", "time_zone": "America/Los_Angeles"})
    days = {line["order_id"]: str(line["event_day"]) for line in lines_of(made)}
    assert days == {"T1": "2024-03-09", "T2": "2024-03-09", "T4": "2024-03-11"}  # 01:30 in New York is 22:30 of the day before


def test_what_square_gave_back_by_amount_is_taken_off_on_its_own_day(tmp_path: Path) -> None:
    text = (EXPORTS / "square_transactions.csv").read_text("utf-8")
    sale = next(line for line in text.splitlines() if ",T4," in line)
    refund = sale.replace(
        "$12.25,$0.00,$0.00,$12.25,$0.00,$0.98,$0.00,$0.00,$13.23", "$0.00,$0.00,$0.00,$0.00,$0.00,$0.00,$0.00,-$3.33,-$3.33"
    )
    refund = refund.replace("2024-03-11", "2024-03-12").replace(",P4,Payment", ",P5,Refund")
    made = init(tmp_path / "shop", {"transactions.csv": f"{text.rstrip()}\n{refund}\n"}, {"currency": "USD"})
    assert made.net_amount == Decimal("1013.42")  # 1016.75 less 3.33
    [line] = [line for line in lines_of(made) if line["net_amount"] == Decimal("-3.33")]
    assert (str(line["event_day"]), line["quantity"], line["order_id"]) == ("2024-03-12", Decimal(0), "T4")
    assert made.broken == []
    assert any("`Partial Refunds`" in sentence for sentence in made.draft.assumptions)


def test_a_dollar_sign_is_a_question_and_a_euro_sign_is_none(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set currency=USD"):
        made_of(tmp_path, ["square_items.csv"], {})


@pytest.mark.parametrize(
    ("names", "settings", "total"),
    [
        (["square_items.csv", "square_transactions.csv"], {"currency": "USD"}, "1016.75"),
        (["etsy_orders.csv", "etsy_items.csv"], {"time_zone": "America/Chicago"}, "31.80"),
    ],
)
def test_orders_that_two_exports_tell_of_are_counted_once(tmp_path: Path, names: list[str], settings: dict[str, str], total: str) -> None:
    assert made_of(tmp_path, names, settings).net_amount == Decimal(total)


def test_sales_that_two_files_may_both_tell_of_are_a_question(tmp_path: Path) -> None:
    names = ["woocommerce_orders.csv", "stripe_payments.csv"]
    with pytest.raises(ConfigError, match=r"--set sales=orders"):
        made_of(tmp_path, names, BERLIN)
    assert made_of(tmp_path / "one", names, {**BERLIN, "sales": "orders"}).net_amount == Decimal(64)
    both = made_of(tmp_path / "both", names, {**BERLIN, "sales": "all"})
    assert both.net_amount == Decimal("1322.15")  # 64 and 1258.15
    assert set(people_of(both)) == {"ana@example.de", "bo@example.de", "cy@example.de", "cus_3"}


def test_without_a_buyer_amazon_orders_are_a_question(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--set orders.customer=order"):
        made_of(tmp_path, ["amazon_all_orders.txt"], BERLIN)


def test_pending_orders_of_amazon_are_no_sales_yet(tmp_path: Path) -> None:
    text = export("amazon_all_orders.txt").replace("2024-02-06T00:00:00+00:00\tShipped", "2024-02-06T00:00:00+00:00\tPending")
    settings = {**BERLIN, "orders.customer": "order"}
    made = init(tmp_path / "shop", {"orders.txt": text}, settings)
    assert net_by_order(made) == {"111-1": Decimal("17.98")}
    assert any(sentence.startswith("Pending orders are not paid yet") for sentence in made.draft.assumptions)
    counted = init(tmp_path / "counted", {"orders.txt": text}, {**settings, "orders.unpaid": "counted"})
    assert net_by_order(counted) == {"111-1": Decimal("17.98"), "111-3": Decimal(26)}


def test_amazon_writes_addresses_in_several_cases(tmp_path: Path) -> None:
    assert set(people_of(made_of(tmp_path, ["amazon_new_orders.txt"], BERLIN))) == {"x1@marketplace.amazon.de"}


def test_shopify_customers_know_more_of_people_than_their_orders(tmp_path: Path) -> None:
    settings = {"time_zone": "America/New_York", "currency": "USD"}
    made = made_of(tmp_path, ["shopify_orders.csv", "shopify_customers.csv"], settings)
    people = people_of(made)
    assert set(people) == {"kim@example.com", "lee@example.com", "max@example.com", "zoe@example.com", "+4930123"}
    assert (people["kim@example.com"]["city"], people["kim@example.com"]["tags"]) == ("Chicago", "vip, coffee")
    assert people["max@example.com"]["city"] == "Bonn", "who is in no list has the place of the newest order"
    # max@example.com is in no list, and said no with his order.
    expected = {"kim@example.com": False, "lee@example.com": True, "zoe@example.com": True, "+4930123": False, "max@example.com": False}
    assert consents_of(made) == expected
    assert made.net_amount == Decimal("44.99")


def test_mailchimp_says_who_may_be_written_to_and_what_they_opened(tmp_path: Path) -> None:
    names = ["woocommerce_orders.csv", "mailchimp_subscribed.csv", "mailchimp_unsubscribed.csv", "mailchimp_activity.csv"]
    made = made_of(tmp_path, names, BERLIN)
    people = people_of(made)
    assert people["ana@example.de"] | {"created_at": None} == {
        "customer_id": "ana@example.de", "created_at": None, "city": "Berlin", "region": "BE", "country": "DE", "interest": "coffee",
        "tags": "vip,blog",
    }  # fmt: skip
    assert consents_of(made) == {f"{name}@example.de": name != "bo" for name in ("ana", "bo", "cy", "di", "ed")}
    activity = made.read["email_activity"].rows.to_pylist()
    assert sorted((row["customer_id"], row["action"], row["url"]) for row in activity) == [
        ("ana@example.de", "click", "https://shop.example/mug"),
        ("ana@example.de", "open", None),
    ]
    assert made.broken == []


@pytest.mark.parametrize(
    ("name", "settings", "missing"),
    [
        ("amazon_new_orders.txt", {}, ["item-promotion-discount", "order-status"]),
        ("amazon_all_orders.txt", {"orders.customer": "order"}, ["buyer-email"]),
        ("etsy_orders.csv", {}, ["Adjusted Order Total"]),
        ("etsy_items.csv", {}, ["Adjusted Order Total", "Status", "Order Value"]),
        ("stripe_payments.csv", {}, ["Disputed Amount", "Dispute Date (UTC)", "Refunded date (UTC)"]),
        ("square_items.csv", {"currency": "USD"}, ["Partial Refunds"]),
        ("shopify_orders.csv", {"currency": "USD"}, ["Vendor"]),
    ],
)
def test_nothing_is_said_by_a_column_that_the_export_lacks(tmp_path: Path, name: str, settings: dict[str, str], missing: list[str]) -> None:
    said = " ".join(made_of(tmp_path, [name], BERLIN | settings).draft.assumptions)
    assert not [column for column in missing if f"`{column}`" in said]


def test_what_an_amazon_report_lacks_is_said(tmp_path: Path) -> None:
    lacking = " ".join(made_of(tmp_path / "new", ["amazon_new_orders.txt"], BERLIN).draft.assumptions)
    assert "no column says what promotions took off" in lacking
    assert "Nor does it say which were cancelled" in lacking
    settings = {**BERLIN, "orders.customer": "order"}
    having = " ".join(made_of(tmp_path / "all", ["amazon_all_orders.txt"], settings).draft.assumptions)
    assert "`item-price` less `item-promotion-discount`" in having
    assert "Cancelled ones are kept" in having


@pytest.mark.parametrize("name", ["nonsubscribed_members_export_1.csv", "Nonsubscribed_email_audience_export_1.csv", "non-subscribed.csv"])
def test_non_subscribed_contacts_of_mailchimp_did_not_agree(tmp_path: Path, name: str) -> None:
    text = export("mailchimp_subscribed.csv")
    header, row, *_ = text.splitlines()
    never = f"{header}\n{row.replace('Ana@Example.de,Ana,Ray', 'bo@example.de,Bo,Lee')}\n"
    files = {"orders.csv": export("woocommerce_orders.csv"), "subscribed_members_export_1.csv": text, name: never}
    made = init(tmp_path / "shop", files, BERLIN)
    assert consents_of(made) == {f"{name}@example.de": name != "bo" for name in ("ana", "bo", "cy", "di", "ed")}
    assert people_of(made)["bo@example.de"]["tags"] == "vip,blog"
    assert any("never agreed" in sentence for sentence in made.draft.assumptions)
    assert made.broken == []


def test_hubspot_contacts_are_found_again_among_payments(tmp_path: Path) -> None:
    made = made_of(tmp_path, ["stripe_payments.csv", "hubspot_contacts.csv"], BERLIN)
    people = people_of(made)
    assert set(people) == {"ana@example.de", "bo@example.de", "cus_3", "3"}
    assert (people["bo@example.de"]["city"], people["bo@example.de"]["country"]) == ("Bonn", "Germany")
    assert consents_of(made) == {"ana@example.de": True, "bo@example.de": False}
    assert any("says nothing (1): nobody knows, and they are published." in sentence for sentence in made.draft.assumptions)
