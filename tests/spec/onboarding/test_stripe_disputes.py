"""A lost dispute took the money away; a won or open one did not."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import columns_of, export, init, lines_of, net_by_order, query_lines

BERLIN = {"time_zone": "Europe/Berlin"}


def disputed(text: str, cells: dict[str, str], names: str = "Disputed Amount,Dispute Status,Dispute Date (UTC)") -> str:
    header, *rows = text.splitlines()
    empty = "," * names.count(",")
    return "\n".join([f"{header},{names}", *(f"{row},{cells.get(row.partition(',')[0], empty)}" for row in rows), ""])


@pytest.mark.parametrize(
    ("status", "first", "third"),
    # ch_1 is worth 1200.50, ch_3 37.66 after 12.34 given back of 50: no more can be lost.
    [("lost", "1000.50", "0"), ("won", "1200.50", "37.66"), ("needs_response", "1200.50", "37.66")],
)
def test_what_a_lost_dispute_took_is_given_back_on_its_day(tmp_path: Path, status: str, first: str, third: str) -> None:
    cells = {"ch_1": f"200.00,{status},2024-03-01 23:30:00", "ch_3": f"50.00,{status},2024-03-05 10:00:00"}
    made = init(tmp_path / "shop", {"payments.csv": disputed(export("stripe_payments.csv"), cells)}, BERLIN)
    assert {order: net for order, net in net_by_order(made).items() if order in ("ch_1", "ch_3")} == {
        "ch_1": Decimal(first),
        "ch_3": Decimal(third),
    }
    days = [str(line["event_day"]) for line in lines_of(made) if line["order_id"] == "ch_1" and line["net_amount"] < 0]
    assert days == (["2024-03-02"] if status == "lost" else [])
    said = next(sentence for sentence in made.draft.assumptions if "dispute" in sentence)
    assert ("(2 are)" if status == "lost" else "(none is)") in said
    assert said.endswith("on the day that `Dispute Date (UTC)` says.")


def test_a_lost_dispute_without_a_date_counts_for_the_day_of_its_payment(tmp_path: Path) -> None:
    text = disputed(export("stripe_payments.csv"), {"ch_1": "200.00,lost"}, "Disputed Amount,Dispute Status")
    made = init(tmp_path / "shop", {"payments.csv": text}, BERLIN)
    assert {str(line["event_day"]) for line in lines_of(made) if line["order_id"] == "ch_1"} == {"2024-02-01"}
    said = next(sentence for sentence in made.draft.assumptions if "dispute" in sentence)
    assert said.endswith("on the day of the payment, as the export does not say when.")


def test_without_its_outcome_a_dispute_counts_in_full(tmp_path: Path) -> None:
    text = disputed(export("stripe_payments.csv"), {"ch_1": "200.00"}, "Disputed Amount")
    made = init(tmp_path / "shop", {"payments.csv": text}, BERLIN)
    assert net_by_order(made)["ch_1"] == Decimal("1200.50")
    assert any("does not say for good" in sentence for sentence in made.draft.assumptions)


def test_a_dispute_in_another_currency_is_taken_off_as_stripe_converted_the_payment(tmp_path: Path) -> None:
    text = export("stripe_payments.csv").replace("50.00,12.34,eur,50.00,12.34", "60.00,0.00,usd,50.00,0.00")
    made = init(tmp_path / "shop", {"payments.csv": disputed(text, {"ch_3": "20.00,lost,2024-03-01 23:30:00"})}, BERLIN)
    assert net_by_order(made)["ch_3"] == Decimal("33.33")  # a third of 50.00 went back


@pytest.mark.parametrize("blank", [",,", "0.00,,"])
def test_a_lost_dispute_of_a_later_export_is_given_back_though_the_first_has_none(blank: str) -> None:
    first = disputed(export("stripe_payments.csv"), dict.fromkeys(("ch_1", "ch_2", "ch_3", "ch_4", "ch_5"), blank))
    later = disputed(export("stripe_payments.csv"), {"ch_1": '"1,100.50",lost,2024-03-01 23:30:00', "ch_3": "5.00,won,2024-03-01 23:30:00"})
    given_back = [line for line in query_lines(columns_of(first), later=columns_of(later)) if line["net_amount"] < 0]
    assert [(line["order_id"], line["net_amount"], f"{line['ordered_at']:%Y-%m-%d}") for line in given_back] == [
        ("ch_1", Decimal("-1100.50"), "2024-03-01"),
        ("ch_2", Decimal(-100), "2024-02-10"),
        ("ch_3", Decimal("-12.34"), "2024-02-11"),
    ]


def test_nothing_is_said_of_disputes_where_there_are_none(tmp_path: Path) -> None:
    made = init(tmp_path / "shop", {"payments.csv": disputed(export("stripe_payments.csv"), {})}, BERLIN)
    assert not [sentence for sentence in made.draft.assumptions if "dispute" in sentence.lower()]
