"""Ids that match nobody hold the night back, with their form beside that of customers' ids and without any of them."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path

import pytest
from support.events import write_event
from support.nights import run_night, write_shop
from support.published_nights import published_segments

from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.publication.gates.results import stored_gates

MONDAY = date(2024, 3, 4)
TUESDAY = MONDAY + timedelta(days=1)
IDS = [str(17850 + number) for number in range(12)]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def a_shop(tmp_path: Path, buyers: list[str], customers: list[str] = IDS, **files: list[str]) -> Path:
    orders = [f"o{number},1,{buyer},2024-03-0{1 + number % 4} 12:00:00,1,10,tea" for number, buyer in enumerate(buyers)]
    shop = write_shop(tmp_path / "shop", orders, customers=customers, settings="[gates]\nquiet_days = 30\nvolume_low_factor = 0\n")
    queries = {
        "consents": "SELECT id AS customer_id, CAST(ok AS BOOLEAN) AS is_consenting FROM consents",
        "visits": "SELECT visit AS visit_id, id AS customer_id, CAST(seen AS TIMESTAMPTZ) AS visited_at FROM visits",
    }
    for name, rows in files.items():
        (shop / "sources" / f"{name}.sql").write_text(queries[name])
        (shop / "data" / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return shop


def unmatched(lake: Lake, day: date = MONDAY) -> dict[str, tuple[str, float | None]]:
    record = stored_gates(lake, day)
    assert record
    return {result.subject: (result.state.value, result.measured) for result in record.results if result.gate == "unmatched"}


def refusal(shop: Path, lake: Lake, day: date = MONDAY) -> str:
    with pytest.raises(GateClosed) as refused:
        run_night(shop, lake, day)
    assert not any(each in str(refused.value) for each in IDS)
    return str(refused.value)


def test_buyers_who_are_all_written_otherwise_than_customers_hold_the_night_back(tmp_path: Path, lake: Lake) -> None:
    said = refusal(a_shop(tmp_path, [f"{each}.0" for each in IDS]), lake)
    assert "unmatched (order_lines): 100.00% of 12 ids belong to no customer; the limit is 50.00%" in said
    assert "they are digits with a decimal point, 7 long, those of customers digits, 5 long" in said


def test_a_tiny_shop_is_held_back_when_nobody_matches_and_not_for_a_guest(tmp_path: Path, lake: Lake) -> None:
    assert "unmatched (order_lines): 100.00% of 2 ids" in refusal(a_shop(tmp_path, ["1.0", "2.0"], ["1", "2"]), lake)
    run_night(a_shop(tmp_path, ["1", "guest", "other guest"], ["1", "2"]), Lake(tmp_path / "other"), MONDAY, until="audit")


@pytest.mark.parametrize(("strangers", "is_open"), [(6, True), (7, False)])
def test_up_to_half_of_the_buyers_may_be_on_no_list(tmp_path: Path, lake: Lake, strangers: int, *, is_open: bool) -> None:
    shop = a_shop(tmp_path, [*IDS[strangers:], *(f"guest {number}" for number in range(strangers))])
    if is_open:
        run_night(shop, lake, MONDAY, until="audit")
        assert unmatched(lake) == {"order_lines": ("open", 0.5)}
    else:
        assert "small letters then a blank then digits, 7 long" in refusal(shop, lake)


@pytest.mark.parametrize(
    "answers", [[f"{each}.0,false" for each in IDS], ["a@b.c,false"], ["GUEST,false", *(f"x{n},true" for n in range(9))]]
)
def test_a_consent_list_that_fits_nobody_publishes_nobody(tmp_path: Path, lake: Lake, answers: list[str]) -> None:
    said = refusal(a_shop(tmp_path, IDS, consents=["id,ok", *answers]), lake)
    assert f"unmatched (consents): 100.00% of {len(answers)} ids belong to no customer" in said
    assert not (lake.root / "current").exists()


def test_a_consent_list_of_known_ids_passes_and_may_name_who_departed_and_who_only_bought(tmp_path: Path, lake: Lake) -> None:
    answers = ["id,ok", *(f"{each},true" for each in IDS), "guest,false"]
    run_night(a_shop(tmp_path, [*IDS, "guest"], consents=answers), lake, MONDAY)
    assert unmatched(lake)["consents"] == ("open", 0.0)
    assert "guest" not in published_segments(lake)
    run_night(a_shop(tmp_path, [*IDS, "guest"], IDS[1:], consents=answers), lake, TUESDAY)
    assert unmatched(lake, TUESDAY) == {"order_lines": ("open", 1 / 13), "consents": ("open", 0.0)}


@pytest.mark.parametrize(("count", "is_open"), [(9, True), (10, False)])
def test_a_nights_visits_by_nobody_hold_it_back_when_they_are_many(tmp_path: Path, lake: Lake, count: int, *, is_open: bool) -> None:
    visits = ["visit,id,seen", *(f"v{n},cookie-{n},2024-03-04 10:00+00" for n in range(count))]
    shop = a_shop(tmp_path, IDS, visits=visits)
    if is_open:
        run_night(shop, lake, MONDAY, until="audit")
    else:
        said = refusal(shop, lake)
        assert "unmatched (visits): 100.00% of 10 visits belong to no customer" in said
        assert "small letters then - then digits, 8 long, those of customers digits, 5 long" in said


def test_lines_that_are_paid_back_though_units_were_sold_hold_the_night_back(tmp_path: Path, lake: Lake) -> None:
    shop = a_shop(tmp_path, [*IDS, *IDS])
    orders = shop / "data" / "orders.csv"
    orders.write_text(orders.read_text().replace(",1,10,tea", ",1,-10,tea"))
    said = refusal(shop, lake)
    assert "implausible (raw_order_lines.sale_is_not_paid_back): 100.00% of 24 rows break `sale_is_not_paid_back`" in said


def test_a_consent_list_that_loses_answers_holds_the_night_back_and_one_that_appends_keeps_them(tmp_path: Path, lake: Lake) -> None:
    answers = ["id,ok", *(f"{each},false" for each in IDS[:6]), *(f"{each},true" for each in IDS[6:])]
    run_night(a_shop(tmp_path, IDS, consents=answers), lake, MONDAY)
    delta = a_shop(tmp_path, IDS, consents=["id,ok", f"{IDS[6]},false"])
    said = refusal(delta, lake, TUESDAY)
    assert "vanished (consents): 91.67% of the 12 answers of 2024-03-04 are gone, so that who said no would be published" in said
    settings = delta / "company.toml"
    settings.write_text(f'{settings.read_text()}[source]\nconsents = "append"\n')
    run_night(delta, lake, TUESDAY)
    assert set(published_segments(lake)) == set(IDS[7:])


def test_customers_given_as_changes_are_noticed_and_none_is_lost_by_having_been_read_as_all(tmp_path: Path, lake: Lake) -> None:
    run_night(a_shop(tmp_path, IDS), lake, MONDAY)
    delta = a_shop(tmp_path, IDS, customers=["new"])
    assert 'write `customers = "append"` under [source]' in refusal(delta, lake, TUESDAY)
    settings = delta / "company.toml"
    settings.write_text(f'{settings.read_text()}[source]\ncustomers = "append"\n')
    run_night(delta, lake, TUESDAY)
    assert set(published_segments(lake)) == {*IDS, "new"}


@pytest.mark.parametrize(("count", "is_open"), [(9, True), (10, False)])
def test_a_nights_declared_events_of_nobody_hold_it_back_when_they_are_many(
    tmp_path: Path, lake: Lake, count: int, *, is_open: bool
) -> None:
    shop = a_shop(tmp_path, IDS)
    with (shop / "company.toml").open("a") as file:
        file.write('[events.calls]\ntitle = "Phone calls"\nkey = ["call_id"]\ninstant = "called_at"\ncolumns = {call_id = "text"}\n')
    query = "SELECT call AS call_id, id AS customer_id, CAST(called AS TIMESTAMPTZ) AS called_at FROM calls"
    write_event(shop, "calls", query, ["call,id,called", *(f"c{n},cookie-{n},2024-03-04 10:00+00" for n in range(count))])
    if is_open:
        run_night(shop, lake, MONDAY, until="audit")
        assert unmatched(lake)["calls"] == ("open", 1.0)
    else:
        said = refusal(shop, lake)
        assert "unmatched (calls): 100.00% of 10 phone calls belong to no customer" in said
        assert "small letters then - then digits, 8 long, those of customers digits, 5 long" in said
