"""The patterns of the guide to events run as written, beside the company of the first guide."""

from __future__ import annotations

import re
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.events import event_rows
from support.nights import run_night

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, REJECTED_ROWS

NIGHT = date(2024, 3, 31)
GUIDES = [PROJECT_ROOT / "docs" / page for page in ("get-started/your-company.md", "guides/events.md")]
BLOCKS = re.compile(r"```\w+\n(?:#|--) (?P<how>file|add to): (?P<path>\S+)\n(?P<text>.*?)```", re.DOTALL)


def write_company(folder: Path) -> Path:
    """Write the files that the guides show, and add what is to be added to one."""
    for found in (found for page in GUIDES for found in BLOCKS.finditer(page.read_text("utf-8"))):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_text("utf-8") if found["how"] == "add to" else ""
        path.write_text(before + found["text"], "utf-8")
    toml = folder / "my_shop" / "company.toml"
    toml.write_text(toml.read_text("utf-8") + "[gates]\nrejected_share_limit = 1.0\n", "utf-8")
    return folder / "my_shop"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Return the company and its lake after one whole night."""
    folder = tmp_path_factory.mktemp("events")
    company, lake = write_company(folder), Lake(folder / "lake")
    run_night(company, lake, NIGHT)
    return company, lake


def told(night: tuple[Path, Lake], event: str, *names: str) -> list[tuple[object, ...]]:
    return [tuple(row[name] for name in names) for row in event_rows(*night, event)]


def test_all_patterns_are_declared(night: tuple[Path, Lake]) -> None:
    assert load_company(night[0]).events.keys() == {"visits", "email", "cart_items", "tickets", "survey_answers"}


def test_e_mails_may_be_opened_twice_and_a_repeated_row_counts_once(night: tuple[Path, Lake]) -> None:
    assert told(night, "email", "event_day", "message_id", "action", "customer_id", "campaign") == [
        (date(2024, 3, 30), "N-1", "opened", "1", "spring"),
        (date(2024, 3, 30), "N-1", "opened", "1", "spring"),
        (date(2024, 3, 30), "N-1", "sent", "1", "spring"),
        (date(2024, 3, 30), "N-1", "sent", "2", "spring"),
        (date(2024, 3, 31), "N-1", "clicked", "1", "spring"),
        (date(2024, 3, 31), "N-2", "sent", "2", None),
    ]
    rejected = night[1].read(REJECTED_ROWS, day=NIGHT).to_pylist()
    assert [(row["source_table"], row["rule"]) for row in rejected] == [("raw_email", "row_is_not_repeated")]


def test_a_feature_counts_what_was_opened(night: tuple[Path, Lake]) -> None:
    features = night[1].read(load_company(night[0]).table(CUSTOMER_FEATURES), day=NIGHT).to_pylist()
    assert {row["customer_id"]: row["opened_60_days"] for row in features} == {"1": 2, "2": 0, "3": 0}


def test_carts_have_exact_prices_and_leave_out_who_is_nobody(night: tuple[Path, Lake]) -> None:
    assert told(night, "cart_items", "product_id", "customer_id", "quantity", "price", "is_bought") == [
        ("merlot", "1", 2, Decimal("19.9900"), True),
        ("merlot", "2", 1, Decimal("19.9900"), False),
    ]


def test_a_ticket_is_an_event_for_each_of_its_changes(night: tuple[Path, Lake]) -> None:
    assert told(night, "tickets", "event_day", "ticket_id", "status", "topic", "due_date") == [
        (date(2024, 3, 28), 17, "opened", "delivery", date(2024, 4, 2)),
        (date(2024, 3, 31), 17, "solved", "delivery", date(2024, 4, 2)),
        (date(2024, 3, 31), 18, "opened", "refund", date(2024, 4, 5)),
    ]


def test_answers_are_told_by_customer_question_and_instant(night: tuple[Path, Lake]) -> None:
    assert told(night, "survey_answers", "customer_id", "question", "answer", "score") == [
        ("1", "nps", "9", 9.0),
        ("1", "why", "The wine.", None),
        ("2", "nps", "4", 4.0),
    ]
