"""What SQL measures of a night beside the last good one."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from support.builders import a_company, an_attribute, an_order_line, write_order_lines, write_rows
from support.published_nights import a_row, no_connections, write_night

from pipeline.definitions.company import load_company
from pipeline.definitions.gate_limits import GateLimits
from pipeline.errors import ConfigError, DataError, GateClosed
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.tables import CUSTOMER_FEATURES, GATE_RESULTS, RAW_CONSENTS, Column, Kind
from pipeline.publication.epoch import stamp_epoch
from pipeline.publication.gates import GateResult, GateState, Override, require_open
from pipeline.publication.gates.audit import audit_night
from pipeline.publication.gates.results import stored_gates
from pipeline.publication.publish import publish
from pipeline.publication.rollback import roll_back

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake

MONDAY = date(2025, 3, 3)
TUESDAY, WEDNESDAY = MONDAY + timedelta(1), MONDAY + timedelta(2)
LOYAL = {f"c{n:03}": "loyal" for n in range(100)}
REACHABLE = an_attribute(Column("is_reachable", Kind.FLAG, "Whether we may write."))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path)


def judged(company: Company, lake: Lake, day: date, asked: Override | None = None) -> dict[tuple[str, str], GateResult]:
    stamp_epoch(lake, day)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        results = audit_night(company, lake, engine, day, asked or Override())
    require_open(day, results, where="page")
    record = stored_gates(lake, day)
    assert record is not None
    return {(result.gate, result.subject): result for result in record.results}


def published(company: Company, lake: Lake, day: date, segments: dict[str, str]) -> None:
    write_night(lake, company, day, segments)
    publish(company, lake, day, connections=no_connections)


def first_night(company: Company, lake: Lake) -> dict[tuple[str, str], GateResult]:
    write_night(lake, company, MONDAY, LOYAL)
    said = judged(company, lake, MONDAY)
    publish(company, lake, MONDAY, connections=no_connections)
    return said


def with_lines(lake: Lake, days: dict[date, int], *, known_on: date) -> None:
    write_order_lines(
        lake, [an_order_line(n, day=day, customer_id="c001") for day, count in days.items() for n in range(count)], known_on=known_on
    )


def test_shares_are_counted_by_customer_and_scheme(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    write_night(
        lake, company, TUESDAY, {**dict.fromkeys(list(LOYAL)[10:80], "loyal"), **dict.fromkeys(list(LOYAL)[80:], "lost"), "new": "lost"}
    )
    found = judged(replaced(company, smallest_population=50), lake, TUESDAY)
    assert found["vanished", "customers"].measured == 0.1
    assert found["churn", "rfm"].measured == pytest.approx(20 / 90)
    assert found["swallowed", "rfm"].measured == pytest.approx(70 / 91)
    assert "100.00% on 2025-03-03" in found["swallowed", "rfm"].words


def test_order_lines_are_counted_as_the_night_knows_them(company: Company, lake: Lake) -> None:
    weeks = {TUESDAY - timedelta(7 * week): 10 for week in range(1, 9)}
    with_lines(lake, {**weeks, TUESDAY: 5}, known_on=TUESDAY)
    with_lines(lake, {TUESDAY: 500}, known_on=WEDNESDAY)
    published(company, lake, MONDAY, LOYAL)
    write_night(lake, company, TUESDAY, LOYAL)
    found = judged(company, lake, TUESDAY)
    assert found["volume", "too_few"].measured == 0.5
    assert found["freshness", "order_lines"].measured == 0


def test_whom_we_can_write_to_is_an_attribute_of_the_company(tmp_path: Path, lake: Lake) -> None:
    company = replaced(a_company(tmp_path, attributes=(REACHABLE,)), reachable_attribute="is_reachable")
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    for day, count in ((MONDAY, 80), (TUESDAY, 72)):
        write_night(lake, company, day, LOYAL)
        table = company.table(CUSTOMER_FEATURES)
        flags: list[dict[str, Any]] = [a_row(table, customer_id=who, is_reachable=place < count or None) for place, who in enumerate(LOYAL)]
        write_rows(lake, table, flags, day=day)
        if day == MONDAY:
            publish(company, lake, day, connections=no_connections)
    found = judged(company, lake, TUESDAY)["reachability", "is_reachable"]
    assert (found.state, found.measured) == (GateState.OPEN, 0.1)
    assert "72.00% of customers can be reached, 80.00% on 2025-03-03" in found.words


def test_who_was_left_out_of_the_last_publication_is_not_counted_as_reachable_no_more(tmp_path: Path, lake: Lake) -> None:
    company = asking_for_consent(replaced(a_company(tmp_path, attributes=(REACHABLE,)), reachable_attribute="is_reachable"))
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    people = {f"c{n:03}": n < 100 for n in range(200)}
    write_rows(lake, RAW_CONSENTS, [{"customer_id": who, "is_consenting": answer} for who, answer in people.items()], known_on=MONDAY)
    for day in (MONDAY, TUESDAY):
        write_night(lake, company, day, dict.fromkeys(people, "loyal"))
        table = company.table(CUSTOMER_FEATURES)
        write_rows(lake, table, [a_row(table, customer_id=who, is_reachable=answer) for who, answer in people.items()], day=day)
        if day == MONDAY:
            publish(company, lake, day, connections=no_connections)
    found = judged(company, lake, TUESDAY)["reachability", "is_reachable"]
    assert (found.state, found.measured) == (GateState.OPEN, 0)


def test_customers_who_would_no_longer_be_published_have_vanished(company: Company, lake: Lake) -> None:
    company = asking_for_consent(company)
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    for day, agreeing in ((MONDAY, 100), (TUESDAY, 40)):
        answers = [{"customer_id": who, "is_consenting": place < agreeing or None} for place, who in enumerate(LOYAL)]
        write_rows(lake, RAW_CONSENTS, answers, known_on=day)
    published(company, lake, MONDAY, LOYAL)
    write_night(lake, company, TUESDAY, LOYAL)
    with pytest.raises(GateClosed, match=r"vanished \(customers\): 60.00% of the 100 customers"):
        judged(company, lake, TUESDAY)


def test_an_attribute_that_was_not_published_yet_has_not_fallen(tmp_path: Path, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(a_company(tmp_path), lake, MONDAY, LOYAL)
    company = replaced(a_company(tmp_path, attributes=(REACHABLE,)), reachable_attribute="is_reachable")
    write_night(lake, company, TUESDAY, LOYAL)
    assert judged(company, lake, TUESDAY)["reachability", "is_reachable"].state is GateState.NOT_MEASURED


def test_a_rerun_is_compared_with_the_day_before_and_not_with_itself(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    published(company, lake, TUESDAY, dict.fromkeys(LOYAL, "lost"))
    with pytest.raises(GateClosed, match=r"100.00% of 100 customers changed segment since 2025-03-03, 1 night ago"):
        judged(company, lake, TUESDAY)


def test_a_night_run_again_after_a_rollback_to_it_is_compared_with_what_is_live(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1, WEDNESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    for day in (TUESDAY, WEDNESDAY):
        write_night(lake, company, day, LOYAL)
        judged(company, lake, day)
        publish(company, lake, day, connections=no_connections)
    roll_back(company, lake, connections=no_connections)
    judged(company, lake, TUESDAY)
    write_night(lake, company, TUESDAY, dict.fromkeys(list(LOYAL)[:50], "loyal"))
    with pytest.raises(GateClosed, match=r"50.00% of the 100 customers of 2025-03-04 are gone"):
        judged(company, lake, TUESDAY)


def test_a_recorded_override_holds_until_something_worse_is_measured(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    for moved in (30, 30, 29):
        write_night(lake, company, TUESDAY, {who: "lost" if place < moved else "loyal" for place, who in enumerate(LOYAL)})
        asked = Override(frozenset({"churn"}), "new shop opened") if moved == 30 and stored_gates(lake, TUESDAY) is None else None
        assert judged(company, lake, TUESDAY, asked)["churn", "rfm"].reason == "new shop opened"
        publish(company, lake, TUESDAY, connections=no_connections)
    write_night(lake, company, TUESDAY, {who: "lost" if place < 60 else "loyal" for place, who in enumerate(LOYAL)})
    with pytest.raises(GateClosed, match=r"60\.00%"):
        judged(company, lake, TUESDAY)


def test_another_run_of_the_very_first_night_is_judged_beside_the_one_that_is_live(company: Company, lake: Lake) -> None:
    first = first_night(company, lake)
    write_night(lake, company, MONDAY, dict.fromkeys(list(LOYAL)[:50], "loyal"))
    with pytest.raises(GateClosed, match=r"50.00% of the 100 customers of 2025-03-03 are gone"):
        judged(company, lake, MONDAY)
    write_night(lake, company, MONDAY, LOYAL)
    assert judged(company, lake, MONDAY) == first


def test_an_old_source_closes_no_gate_on_another_run_of_the_very_first_night(company: Company, lake: Lake) -> None:
    first = first_night(company, lake)
    assert judged(company, lake, MONDAY) == first
    assert first["freshness", "order_lines"].state is GateState.NOT_MEASURED


def test_what_a_person_let_pass_on_the_very_first_night_stays_told(company: Company, lake: Lake) -> None:
    first_night(company, lake)
    write_night(lake, company, MONDAY, dict.fromkeys(list(LOYAL)[:50], "loyal"))
    passed = judged(company, lake, MONDAY, Override(frozenset({"vanished"}), "test customers purged"))
    publish(company, lake, MONDAY, connections=no_connections)
    assert judged(company, lake, MONDAY) == passed
    assert passed["vanished", "customers"].reason == "test customers purged"


def test_an_override_stands_from_its_audit_on_until_the_night_is_taken_back(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    write_night(lake, company, TUESDAY, dict.fromkeys(list(LOYAL)[:50], "loyal"))
    passed = judged(company, lake, TUESDAY, Override(frozenset({"vanished"}), "test customers purged"))
    assert judged(company, lake, TUESDAY) == passed
    publish(company, lake, TUESDAY, connections=no_connections)
    roll_back(company, lake, connections=no_connections)
    with pytest.raises(GateClosed, match="vanished"):
        judged(company, lake, TUESDAY)


def test_a_damaged_record_of_an_earlier_audit_is_written_again(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    write_night(lake, company, TUESDAY, LOYAL)
    said = judged(company, lake, TUESDAY)
    lake.path(GATE_RESULTS, day=TUESDAY).write_bytes(b"torn")
    assert judged(company, lake, TUESDAY) == said


def test_gates_need_no_column_of_the_last_publication_that_they_do_not_look_at(company: Company, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    published(company, lake, MONDAY, LOYAL)
    for name, column in (("segment_profiles", "title"), ("customer_segments", "evidence")):
        address = f"{lake.store.read_pointer('current')}{name}.parquet"
        rows = pq.read_table(lake.local(address)).drop_columns(column)
        lake.write_file(rows.schema.remove_metadata(), rows.to_batches(), address, {})
    write_night(lake, company, TUESDAY, LOYAL)
    assert judged(company, lake, TUESDAY)["swallowed", "rfm"].state is GateState.OPEN


def test_a_pointer_that_leads_nowhere_is_no_first_night(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, LOYAL)
    (lake.root / "current").unlink()
    (lake.root / "current").symlink_to("publications/gone")
    write_night(lake, company, TUESDAY, LOYAL)
    with pytest.raises(DataError, match="manifest cannot be read"):
        judged(company, lake, TUESDAY)


def test_a_publication_whose_columns_cannot_be_read_is_told_as_damaged(tmp_path: Path, lake: Lake) -> None:
    company = replaced(a_company(tmp_path, attributes=(REACHABLE,)), reachable_attribute="is_reachable")
    published(company, lake, MONDAY, LOYAL)
    (lake.root / "current" / "customer_features.parquet").write_bytes(b"torn")
    write_night(lake, company, TUESDAY, LOYAL)
    with pytest.raises(DataError, match="customer_features"):
        judged(company, lake, TUESDAY)


def test_an_attribute_that_was_text_when_it_was_published_has_not_fallen(tmp_path: Path, lake: Lake) -> None:
    with_lines(lake, {TUESDAY: 1}, known_on=TUESDAY)
    before = an_attribute(Column("is_reachable", Kind.TEXT, "Whether we may write."))
    company = a_company(tmp_path, attributes=(before,))
    write_night(lake, company, MONDAY, LOYAL)
    table = company.table(CUSTOMER_FEATURES)
    write_rows(lake, table, [a_row(table, customer_id=who, is_reachable="by post") for who in LOYAL], day=MONDAY)
    publish(company, lake, MONDAY, connections=no_connections)
    company = replaced(a_company(tmp_path, attributes=(REACHABLE,)), reachable_attribute="is_reachable")
    write_night(lake, company, TUESDAY, LOYAL)
    assert judged(company, lake, TUESDAY)["reachability", "is_reachable"].state is GateState.NOT_MEASURED


@pytest.mark.parametrize(
    ("gates", "words"),
    [
        ('off = ["chrun"]', "`gates.off` names `chrun` (did you mean `churn`?)"),
        ("churn_share_limit = 25", "`gates.churn_share_limit` must lie between 0 and 1"),
        ("quiet_days = -1", "`gates.quiet_days` must lie between 0 and 366"),
        ("quiet_days = 1.5", "`gates.quiet_days` has the wrong type: float"),
        ("swallowed_share_limit = 0.3", "must lie between 0.5 and 1"),
        ("quiet_days = 1000000", "`gates.quiet_days` must lie between 0 and 366"),
        ("volume_weeks = 3", "`gates.volume_weeks` must lie between 4 and 52"),
        ("volume_high_factor = nan", "`gates.volume_high_factor` must be a number from 1 on"),
        ("volume_high_factor = inf", "`gates.volume_high_factor` must be a number from 1 on"),
        ('reachable_attribute = "email"', "must name a true-or-false attribute"),
        ("churn_limit = 0.3", "did you mean `churn_share_limit`?"),
    ],
)
def test_a_setting_that_makes_no_sense_is_told(tmp_path: Path, gates: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_company(settings_folder(tmp_path, gates))
    assert words in str(caught.value)


def test_every_limit_can_be_set_and_every_gate_switched_off(tmp_path: Path) -> None:
    company = load_company(settings_folder(tmp_path, 'quiet_days = 9\nchurn_share_limit = 1\noff = ["volume", "rejected"]'))
    assert company.limits == GateLimits(quiet_days=9, churn_share_limit=1, off=("volume", "rejected"))
    assert company.rejected_share_limit == 1


def settings_folder(folder: Path, gates: str) -> Path:
    (folder / "sources").mkdir()
    for source in ("customers", "order_lines"):
        (folder / "sources" / f"{source}.sql").write_text("SELECT 1")
    base = 'name = "Shop"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n'
    (folder / "company.toml").write_text(f'{base}[gates]\n{gates}\n[attributes.email]\nlevel = "demographic"\n')
    return folder


def asking_for_consent(company: Company) -> Company:
    (company.folder / "sources").mkdir(parents=True)
    company.source_file("consents").write_text("SELECT 1")
    return company


def replaced(company: Company, **limits: Any) -> Company:
    return replace(company, limits=GateLimits(**limits))
