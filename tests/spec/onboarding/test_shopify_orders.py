"""A Shopify orders export becomes a company whose sums are those of the shop, to the cent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from support.nights import run_night
from support.onboarding import export, init, lines_of, net_by_order, part_of, people_of, query_lines

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.ingestion.sources.files import open_files
from pipeline.lake.lake import Lake
from pipeline.onboarding.company_preview import read_queries
from pipeline.onboarding.new_company import NewCompany

EXPORT = export("shopify_orders.csv")
ANSWERS = {"time_zone": "America/New_York", "currency": "USD"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> NewCompany:
    return init(tmp_path_factory.mktemp("shopify") / "my_shop", {"orders_export.csv": EXPORT}, ANSWERS)


def test_each_order_is_worth_what_was_paid_for_its_goods(made: NewCompany) -> None:
    # 1001: 30 less 5; 1002: given back whole, shipping is none of ours; 1004: 2 x 10 + 12.50 - 2.50 = 30, less 10.01.
    assert net_by_order(made) == {"#1001": Decimal(25), "#1002": Decimal(0), "#1004": Decimal("19.99")}
    assert made.net_amount == Decimal("44.99")


def test_the_discount_of_an_order_is_shared_out_over_its_lines(made: NewCompany) -> None:
    # In the order of names: Bowl, Cup, Mug. A third of 25.00 each, and the cent that is left goes to the last.
    lines = [(line["product_id"], line["net_amount"], line["discount_amount"]) for line in lines_of(made) if line["order_id"] == "#1001"]
    assert lines == [
        ("BOWL", Decimal("8.33"), Decimal("1.67")),
        ("CUP", Decimal("8.33"), Decimal("1.67")),
        ("MUG", Decimal("8.34"), Decimal("1.66")),
    ]


def test_what_was_given_back_is_a_line_of_its_own_on_the_day_of_the_order(made: NewCompany) -> None:
    refunds = [line for line in lines_of(made) if line["net_amount"] < 0]
    assert [(line["order_id"], line["quantity"], line["net_amount"]) for line in refunds] == [
        ("#1002", Decimal(-1), Decimal(-15)),
        ("#1004", Decimal(0), Decimal("-6.67")),
        ("#1004", Decimal(0), Decimal("-3.34")),
    ]
    assert {str(line["refunded_order_day"]) for line in refunds} == {"2024-03-10", "2024-03-11"}


def test_the_day_is_that_of_the_shop_and_not_of_london(made: NewCompany) -> None:
    days = {line["order_id"]: str(line["event_day"]) for line in lines_of(made)}
    assert days["#1001"] == "2024-01-05"  # 03:15 on the next day in UTC
    assert (str(made.draft.first_day), str(made.draft.last_day)) == ("2024-01-05", "2024-03-13")


def test_what_is_left_out_is_counted_with_what_it_is_worth(made: NewCompany) -> None:
    assert [(each.reason, each.line_count, each.amount) for each in made.left_out] == [
        ("cancelled, not paid or tests", 2, Decimal(20)),
        ("in EUR", 1, Decimal(90)),
        ("of nobody known", 1, Decimal(5)),
    ]
    assert made.broken == []


def test_customers_are_addresses_with_the_place_of_their_newest_order(made: NewCompany) -> None:
    people = people_of(made)
    assert {name: (row["city"], row["country"]) for name, row in people.items()} == {
        "kim@example.com": ("Salem", "US"),
        "lee@example.com": ("Austin", "US"),
        "max@example.com": ("Bonn", "DE"),
    }
    consents = {row["customer_id"]: row["is_consenting"] for row in made.read["consents"].rows.to_pylist()}
    assert consents == {"kim@example.com": True, "lee@example.com": False, "max@example.com": False}


def test_everything_that_was_assumed_is_said_and_kept_in_the_folder(made: NewCompany) -> None:
    said = " ".join(made.draft.assumptions)
    for word in ("Subtotal", "shipping", "refunds", "e-mail address", "pending", "category"):
        assert word in said, word
    assert "phone number" not in said, "the export has no column of them"
    note = (made.folder / "README.md").read_text("utf-8")
    assert all(sentence in note for sentence in made.draft.assumptions)


def test_the_night_that_init_ends_with_publishes_these_sums(made: NewCompany, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    assert made.draft.last_day is not None
    run_night(made.folder, lake, made.draft.last_day)
    features = pd.read_parquet(lake.root / "tables" / "customer_features" / f"day={made.draft.last_day}")
    assert dict(zip(features["customer_id"], features["lifetime_spend_amount"], strict=True)) == {
        "kim@example.com": Decimal("44.99"),
        "lee@example.com": Decimal(0),
        "max@example.com": Decimal(0),
    }
    segments = pd.read_parquet(lake.root / "current" / "customer_segments.parquet")
    assert set(segments["customer_id"]) == {"kim@example.com"}, "who did not agree is not published"


def test_all_that_is_open_is_asked_at_once_with_the_words_to_add(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        init(tmp_path / "my_shop", {"orders_export.csv": EXPORT})
    assert error.value.exit_code == 3
    said = str(error.value)
    assert "--set time_zone=America/New_York" in said
    assert "--set currency=USD" in said
    assert "--set currency=EUR" in said
    assert not (tmp_path / "my_shop").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["orders_export.csv"], "nothing is left behind"


def test_pending_orders_can_be_counted(tmp_path: Path) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": EXPORT}, {**ANSWERS, "orders.unpaid": "counted"})
    assert made.net_amount == Decimal("54.99")


def test_a_later_export_beside_the_first_replaces_the_orders_that_both_have(tmp_path: Path) -> None:
    later = EXPORT.replace(
        "#1001,Kim@Example.com,paid,yes,USD,25.00,5.00,2.00,32.00,5.00", "#1001,Kim@Example.com,paid,yes,USD,30.00,5.00,2.00,37.00,0.00"
    )
    made = init(tmp_path / "my_shop", {"orders_2024-03-14.csv": EXPORT, "orders_2024-03-15.csv": later}, ANSWERS)
    assert net_by_order(made)["#1001"] == Decimal(30)
    assert made.net_amount == Decimal("49.99")


def test_a_subtotal_from_before_the_discount_is_noticed_by_the_total(tmp_path: Path) -> None:
    before = EXPORT.replace("#1001,Kim@Example.com,paid,yes,USD,25.00", "#1001,Kim@Example.com,paid,yes,USD,30.00")
    made = init(tmp_path / "my_shop", {"orders_export.csv": before}, ANSWERS)
    assert net_by_order(made)["#1001"] == Decimal(25)
    assert any("before the discount" in sentence for sentence in made.draft.assumptions)


def test_an_order_without_a_subtotal_beside_those_from_before_the_discount_is_worth_its_lines_less_its_discount(tmp_path: Path) -> None:
    before = EXPORT.replace("#1001,Kim@Example.com,paid,yes,USD,25.00", "#1001,Kim@Example.com,paid,yes,USD,30.00")
    lacking = before.replace("partially_refunded,yes,USD,30.00,0.00,0.00,30.00,0.00", "partially_refunded,yes,USD,,0.00,0.00,28.00,2.00")
    made = init(tmp_path / "my_shop", {"orders_export.csv": lacking}, ANSWERS)
    assert net_by_order(made) == {"#1001": Decimal(25), "#1002": Decimal(0), "#1004": Decimal("17.99")}  # 30 less 2 and 10.01
    assert made.broken == []


@pytest.mark.parametrize("status", ["pending", "Authorized"])
def test_unpaid_orders_are_named_in_whatever_case_their_state_is_written(tmp_path: Path, status: str) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": EXPORT.replace(",pending,", f",{status},")}, ANSWERS)
    assert made.net_amount == Decimal("44.99")
    assert any(sentence.startswith("Orders pending or authorized are not paid") for sentence in made.draft.assumptions)


def of_tipped_order(subtotal: str, total: str) -> str:
    """Return the export with a Mug at 10.00 and a Tip of 3.00 in an order with shipping of 5.00 and taxes of 2.00."""
    amounts = f"{subtotal},5.00,2.00,{total},0.00"
    first = f"#1009,kim@example.com,paid,yes,USD,{amounts},2024-03-12 10:00:00 -0400,1,Mug - Blue,10.00,MUG,,,,0.00,web,"
    tip = "#1009,kim@example.com,,,,,,,,,2024-03-12 10:00:00 -0400,1,Tip,3.00,,,,,,,"
    return "\n".join([*EXPORT.splitlines(), first, tip, ""])


@pytest.mark.parametrize("total", ["18.00", "20.00"])  # with the taxes within the prices, or on top
def test_a_tip_beyond_the_subtotal_takes_no_part_of_it(tmp_path: Path, total: str) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": of_tipped_order("10.00", total)}, ANSWERS)
    lines = [(line["product_id"], line["category"], line["net_amount"]) for line in lines_of(made) if line["order_id"] == "#1009"]
    assert lines == [("MUG", "Mug", Decimal(10))]
    assert any(sentence.startswith("1 line is a tip, which `Subtotal` does not have") for sentence in made.draft.assumptions)


@pytest.mark.parametrize("total", ["18.00", "20.00"])
def test_a_tip_within_the_subtotal_is_a_line_as_any_other(tmp_path: Path, total: str) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": of_tipped_order("13.00", total)}, ANSWERS)
    lines = {line["product_id"]: line["net_amount"] for line in lines_of(made) if line["order_id"] == "#1009"}
    assert lines == {"MUG": Decimal(10), "Tip": Decimal(3)}
    assert not any("tip" in sentence.split() for sentence in made.draft.assumptions)


def test_gift_cards_count_as_sales_and_that_is_said(tmp_path: Path, made: NewCompany) -> None:
    sold = init(tmp_path / "my_shop", {"orders_export.csv": EXPORT.replace("Bowl", "Gift card - $10.00")}, ANSWERS)
    assert sold.net_amount == made.net_amount
    assert any(sentence.startswith("1 line is a gift card, which counts as a sale") for sentence in sold.draft.assumptions)
    assert not any("gift card" in sentence for sentence in made.draft.assumptions)


HEAD = {"Name": "1", "Email": "a@b.c", "Financial Status": "paid", "Created at": "2024-01-05 10:00:00+01:00", "Refunded Amount": "0"}


def columns_of(rows: Sequence[Mapping[str, str | None]]) -> dict[str, list[str | None]]:
    names = (
        "Name",
        "Email",
        "Financial Status",
        "Created at",
        "Subtotal",
        "Refunded Amount",
        "Lineitem quantity",
        "Lineitem name",
        "Lineitem price",
    )
    return {name: [row.get(name) for row in rows] for name in names}


def test_an_order_whose_goods_are_all_free_shares_nothing_out() -> None:
    rows = [{**HEAD, "Subtotal": "0.00", "Lineitem quantity": "1", "Lineitem name": "Gift", "Lineitem price": "0.00"}]
    [line] = query_lines(columns_of(rows))
    assert (line["net_amount"], line["discount_amount"]) == (0, 0)


def test_amounts_of_a_currency_without_cents_are_shared_out_in_whole_units() -> None:
    head = {**HEAD, "Subtotal": "1000"}
    rows = [
        {**(head if name == "A" else {"Name": "1"}), "Lineitem quantity": "1", "Lineitem name": name, "Lineitem price": "400"}
        for name in "ABC"
    ]
    assert [line["net_amount"] for line in query_lines(columns_of(rows), currency="JPY")] == [333, 333, 334]


def test_fractions_of_a_cent_are_shared_out_too() -> None:
    head = {**HEAD, "Subtotal": "10.0050", "Refunded Amount": "10.0050"}
    rows = [
        {**(head if name == "A" else {"Name": "1"}), "Lineitem quantity": "1", "Lineitem name": name, "Lineitem price": "3.335"}
        for name in "ABC"
    ]
    amounts = [line["net_amount"] for line in query_lines(columns_of(rows))]
    # 10.01 over three, rounded down so far: 3.33, 6.67; the last gets what is left of 10.005.
    assert amounts[:3] == [Decimal("3.33"), Decimal("3.34"), Decimal("3.335")]
    assert sum(amounts) == 0


def test_an_order_without_a_subtotal_is_worth_its_lines_less_its_discount() -> None:
    head = {**HEAD, "Subtotal": None, "Discount Amount": "1.00"}
    rows = [
        {**(head if name == "A" else {"Name": "1"}), "Lineitem quantity": "1", "Lineitem name": name, "Lineitem price": "2.00"}
        for name in "AB"
    ]
    columns = columns_of(rows) | {"Discount Amount": [row.get("Discount Amount") for row in rows]}
    assert [line["net_amount"] for line in query_lines(columns)] == [Decimal("1.50"), Decimal("1.50")]


def test_without_subtotals_net_amounts_are_prices_times_quantities_and_that_is_said(tmp_path: Path) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": EXPORT.replace("Subtotal", "Other")}, ANSWERS)
    assert net_by_order(made) == {"#1001": Decimal(25), "#1002": Decimal(0), "#1004": Decimal("19.99")}
    [said] = [sentence for sentence in made.draft.assumptions if "`Subtotal`" in sentence]
    assert "prices times quantities, as the export has no `Subtotal`, after all discounts" in said


def test_what_the_shop_does_not_export_is_left_unknown() -> None:
    part, _ = part_of(columns_of([{"Name": "1", "Email": "a@b.c", "Lineitem name": "Mug"}]))
    assert part.consents == ""


def test_a_new_export_beside_the_first_is_read_by_the_next_night(tmp_path: Path) -> None:
    made = init(tmp_path / "my_shop", {"orders_export.csv": EXPORT}, ANSWERS)
    header, *rows = EXPORT.splitlines()
    changed = [row.replace("25.00,5.00,2.00,32.00,5.00", "30.00,5.00,2.00,37.00,0.00") for row in rows if row.startswith("#1001")]
    new = rows[-2].replace("#1006", "#1008").replace("2024-03-13 11:00:00 -0400", "").replace("2024-03-13", "2024-03-14")
    (made.folder / "data" / "orders" / "orders_export (2).csv").write_text("\n".join([header, *changed, new, ""]), "utf-8")
    company = load_company(made.folder)
    with open_files(company.source, tmp_path, memory_limit="1GB") as snapshot:
        lines = read_queries(company, snapshot)["order_lines"].rows.to_pylist()
    net = {order: sum(line["net_amount"] for line in lines if line["order_id"] == order) for order in ("#1001", "#1004", "#1008")}
    assert net == {"#1001": Decimal(30), "#1004": Decimal("19.99"), "#1008": Decimal(10)}
