"""What the state of an order says, whatever its column is called and in which language: which rows count."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init, lines_of, net_by_order, part_of, query_lines

from pipeline.errors import ConfigError
from pipeline.onboarding.column_names import state_of
from pipeline.onboarding.roles import plain_name


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("called_off", "Void PaymentError Cancelled İptal İPTAL storniert annullata annulé Anulado Failed Abgebrochen"),
        ("unpaid", "pending on-hold offen unpaid Beklemede Ödenmedi impayé Ausstehend Openstaand"),
        ("given_back", "Refunded İade returned Erstattet Remboursé devuelto Gutschrift"),
        ("counts", "Complete Tamamlandı Kargoda bezahlt shipped Geliefert Versendet processing payé"),
        ("", "PaymentReview Wholesale returning VIP Open Hamburg Avoidance"),
    ],
)
def test_words_for_states_are_known_in_several_languages(kind: str, words: str) -> None:
    assert {word: state_of(plain_name(word)) for word in words.split()} == dict.fromkeys(words.split(), kind)


def test_a_column_of_states_is_found_by_its_values(tmp_path: Path) -> None:
    text = (
        "Receipt,When,Client no,Paid,State\n1,2024-03-01,a,1.50,Complete\n2,2024-03-02,b,2.50,Void\n3,2024-03-03,b,4.00,Refunded\n"
        "4,2024-03-04,a,8.00,Complete\n"
    )
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert net_by_order(made) == {"1": Decimal("1.50"), "3": Decimal(0), "4": Decimal(8)}
    said = next(sentence for sentence in made.draft.assumptions if "`State`" in sentence)
    assert "Complete (2) count" in said
    assert "Void (1) are kept and count nowhere" in said
    assert "Refunded (1) are sales of which nothing is left" in said


def test_a_state_of_unknown_meaning_is_a_question_and_every_answer_can_be_changed() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2", "3"], "date": ["2024-03-01"] * 3, "customer": ["a1", "b2", "a1"],
        "amount": ["1.00", "2.00", "4.00"], "status": ["paid", "pending", "Parked lot"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert [(question.key, question.likeliest) for question in reading.questions] == [("orders.status.parked-lot", "...")]
    part, reading = part_of(columns, {"orders.status.parked-lot": "left-out", "orders.status.pending": "counts"})
    assert reading.questions == []
    assert "IN ('Parked lot')" in part.lines
    assert "'pending'" not in part.lines


def test_rows_that_take_off_what_another_row_added_count_as_they_are(tmp_path: Path) -> None:
    text = "No,Date,Client no,Amount,Kind\n1,2024-03-01,a,5.00,Verkauf\n2,2024-03-02,a,-5.00,Storno\n3,2024-03-03,a,2.00,Verkauf\n"
    made = init(tmp_path / "shop", {"list.csv": text}, ANSWERS)
    assert made.net_amount == Decimal(2)
    assert len(lines_of(made)) == 3


def test_whether_a_refund_beside_sales_is_a_row_of_its_own_is_asked() -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2"], "date": ["2024-03-01"] * 2, "customer": ["a1", "a1"], "amount": ["5.00", "2.00"], "type": ["Sale", "Refund"],
    }  # fmt: skip
    _, reading = part_of(columns)
    assert [(question.key, [choice.value for choice in question.choices]) for question in reading.questions] == [
        ("orders.status.refund", ["negative", "given-back"]),
    ]
    part, _ = part_of(columns, {"orders.status.refund": "negative"})
    assert "-abs(" in part.lines


def test_partial_refunds_are_sales_in_each_language() -> None:
    words = ("Partially refunded", "Rimborso parziale", "Teilweise erstattet", "Kısmi iade", "Remboursement partiel", "Reembolso parcial")
    assert {state_of(plain_name(word)) for word in words} == {"given_back_in_part"}


@pytest.mark.parametrize(
    ("name", "cells", "counted"),
    [
        ("Cancelled", ("no", "yes", "no"), "13"),
        ("Storniert am", ("", "2024-03-05", ""), "13"),
        ("Bezahlt", ("ja", "nein", "ja"), "13"),
        ("İptal", ("Hayır", "Evet", ""), "13"),
        ("Bezahlt am", ("2024-03-02", "", "2024-03-02"), "13"),
        ("Fulfillment status", ("fulfilled", "pending", "fulfilled"), "123"),
        ("Returns", ("0", "1", "0"), "123"),
        ("Shipped", ("yes", "no", "yes"), "123"),
    ],
)
def test_a_column_named_after_a_state_says_it_by_yes_and_no_or_a_date(name: str, cells: tuple[str, ...], counted: str) -> None:
    columns: dict[str, list[str | None]] = {
        "order": ["1", "2", "3"], "date": ["2024-03-01"] * 3, "client no": ["a1", "b2", "c3"], "amount": ["1.00", "2.00", "4.00"],
        name: [cell or None for cell in cells],
    }  # fmt: skip
    assert "".join(line["order_id"] for line in query_lines(columns) if not line.get("is_cancelled")) == counted


PRESTASHOP = {
    "counts": "Paiement accepté|Paiement à distance accepté|Zahlung eingegangen|Pago aceptado|Pago remoto aceptado|"
    "Pagamento accettato|Preparación en curso",
    "called_off": "Erreur de paiement|Fehler bei der Bezahlung|Zahlung fehlgeschlagen|Error en pago|"
    "Errore di pagamento|Pagamento non riuscito",
    "unpaid": "En attente de virement bancaire|Warten auf Zahlungseingang Scheck|Warten auf Überweisung|En espera de pago por cheque|"
    "En espera de pago por transferencia bancaria|In attesa di pagamento con bonifico bancario|Zahlung noch nicht eingegangen",
    "": "Warten auf Lieferung|En espera de envío",
}


@pytest.mark.parametrize("kind", PRESTASHOP)
def test_prestashop_s_own_states_are_known_in_each_language(kind: str) -> None:
    words = PRESTASHOP[kind].split("|")
    assert {word: state_of(plain_name(word)) for word in words} == dict.fromkeys(words, kind)


def test_what_an_unknown_state_means_is_left_to_be_written_unless_most_rows_have_it(tmp_path: Path) -> None:
    rows = [f"{place},2024-03-01,a,1.00,{state}" for place, state in enumerate(["Zorp"] * 5 + ["paid", "Angebot", "suspected fraud"])]
    text = "\n".join(["No,Date,Client no,Amount,Status", *rows]) + "\n"
    with pytest.raises(ConfigError) as refused:
        init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "currency": ""})
    assert "(write yours for TRY and each `...`)" in refused.value.todo
    assert refused.value.todo.endswith(
        "--set currency=TRY --set orders.status.zorp=counts --set orders.status.angebot=... --set orders.status.suspected-fraud=..."
    )
    with pytest.raises(ConfigError, match=r"`orders\.status\.angebot`"):
        init(tmp_path / "shop", {"list.csv": text}, {**ANSWERS, "orders.status.angebot": "..."})


@pytest.mark.parametrize(
    ("first", "later", "left"),
    [
        (["Completed", "Cancelled"], ["Refunded", "Pending", "voided", "Shipped", "Gift wrapped"], ["Shipped", "Gift wrapped"]),
        (["Bezahlt", "Storniert"], ["Erstattet", "OFFEN", "Geliefert"], ["Geliefert"]),
        (["Tamamlandı", "İptal"], ["Iade edildi", "Kargoda"], ["Kargoda"]),
    ],
)
def test_states_that_a_later_export_brings_are_known_in_its_language(first: list[str], later: list[str], left: list[str]) -> None:
    net = dict.fromkeys(later, Decimal())
    for line in query_lines(orders_of([*first, first[0]]), later=orders_of(later)):
        net[later[int(line["order_id"]) - 1]] += Decimal(0) if line["is_cancelled"] else line["net_amount"]
    assert [state for state in later if net[state]] == left


@pytest.mark.parametrize("state", ["İptal edildi", "Beklemede", "İADE"])
def test_a_state_that_counts_as_somebody_said_counts_though_the_usual_word_says_otherwise(state: str) -> None:
    settings = {f"orders.status.{plain_name(state).replace(' ', '-')}": "counts"}
    lines = query_lines(orders_of(["Tamamlandı", state, "Tamamlandı"]), settings)
    assert [(line["order_id"], line["net_amount"]) for line in lines if not line["is_cancelled"]] == [
        (order, Decimal(1)) for order in "123"
    ]


def orders_of(states: list[str]) -> dict[str, list[str | None]]:
    numbers = range(1, len(states) + 1)
    return {
        "order": [str(number) for number in numbers], "date": [f"2024-03-0{number}" for number in numbers],
        "customer": ["a1" for _ in numbers], "amount": ["1.00" for _ in numbers], "status": [*states],
    }  # fmt: skip
