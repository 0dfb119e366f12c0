from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest
from support.object_store import ObjectStore

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SAME_MEANING = ("first_order_date", "last_order_date", "order_day_count", "order_count", "line_count", "main_channel", "favourite_category")


@pytest.fixture(autouse=True)
def _benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)


def test_a_bench_runs_end_to_end_and_judges_itself(tmp_path: Path) -> None:
    import full_recompute
    from generate import Shop
    from lakes import stored_lake

    lake = stored_lake(Shop(lines=3_000, customers=200, days=150), tmp_path)
    ratio, peak, *_ = full_recompute.results(lake, tmp_path, rounds=1, names=())
    assert min(ratio.ours, ratio.reference) > 0
    assert ratio.verdict in ("met", "MISSED")
    assert peak.verdict == "met"


def test_peers_and_we_compute_the_same_features_from_a_generated_shop(tmp_path: Path) -> None:
    import peers
    from full_recompute import recompute
    from generate import LAST_DAY, Shop
    from lakes import stored_lake

    from pipeline.lake.tables import CUSTOMER_FEATURES

    lake = stored_lake(Shop(lines=3_000, customers=200, days=20), tmp_path)
    recompute(lake)
    found = {"ours": lake.path(CUSTOMER_FEATURES, day=LAST_DAY)}
    for peer in (peers.duckdb_by_hand, peers.polars_by_hand, peers.pandas_by_hand):
        folder = tmp_path / peer.__name__
        folder.mkdir()
        peer(lake.root, folder)
        found[peer.__name__] = folder / peers.OUTPUT
    rows = {name: _rows(path) for name, path in found.items()}
    assert len(rows["ours"]) > 100
    assert all(other == rows["ours"] for other in rows.values())


def test_clusters_are_measured_from_planted_ones_to_assignment_at_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import refit_sameness
    import refits

    smallest = refits.stored_shops()[1:]
    monkeypatch.setattr(refits, "stored_shops", lambda: smallest)
    # That all of them give the same bytes is a law of its own, in tests/property.
    monkeypatch.setattr(refit_sameness, "WAYS", refit_sameness.WAYS[:1])
    found = {result.name: result for result in refits.results(tmp_path, customers=1_500, nights=1, rounds=1)}
    assert found["planted clusters: 1 - adjusted Rand index"].verdict == "met"
    assert found["clusters made of noise"].verdict == "met"
    assert found["labels that differ from scikit-learn's"].ours == 0


def _rows(path: Path) -> list[tuple[object, ...]]:
    columns = ", ".join(f"CAST({name} AS VARCHAR)" for name in SAME_MEANING if not name.endswith("date"))
    dates = "CAST(first_order_date AS DATE), CAST(last_order_date AS DATE)"
    query = f"""SELECT customer_id, {dates}, {columns}, CAST(ROUND(spend_amount, 2) AS DECIMAL(18, 2)), ROUND(gap_median_days, 6)
        FROM read_parquet('{path}') WHERE order_day_count > 0 ORDER BY customer_id"""
    with duckdb.connect() as connection:
        return connection.sql(query).fetchall()


def test_a_longer_history_ends_on_the_same_day_and_twice_is_the_same(tmp_path: Path) -> None:
    from generate import LAST_DAY, Shop, write_shop

    from pipeline.lake.lake import Lake
    from pipeline.lake.tables import ORDER_LINES

    first, second = Lake(tmp_path / "first"), Lake(tmp_path / "second")
    for lake in (first, second):
        write_shop(Shop(lines=2_000, customers=100, days=10), lake)
    paths = [first.path(ORDER_LINES, day=version.day, known_on=version.known_on) for version in first.versions(ORDER_LINES)]
    assert len(paths) == 10
    assert LAST_DAY in {version.day for version in first.versions(ORDER_LINES)}
    assert all(path.read_bytes() == (second.root / path.relative_to(first.root)).read_bytes() for path in paths)


def test_a_first_night_is_measured_from_the_files_of_a_made_up_shop(tmp_path: Path) -> None:
    from first_night import run_step, stored_source
    from generate import LAST_DAY, Shop

    from pipeline.lake.lake import Lake
    from pipeline.lake.tables import EXTRACTIONS, ORDER_LINES, REJECTED_ROWS

    company = stored_source(Shop(lines=10_000, customers=300, days=20), tmp_path)
    for step in ("extract", "validate"):
        run_step(step, company, tmp_path / "lake")
    lake = Lake(tmp_path / "lake")
    read = {row["source_table"]: row["row_count"] for row in lake.read(EXTRACTIONS, day=LAST_DAY).to_pylist()}
    clean = sum(rows.num_rows for _, rows in lake.rows(ORDER_LINES, lake.versions(ORDER_LINES)))
    rejected = lake.read(REJECTED_ROWS, day=LAST_DAY).num_rows
    assert (read["raw_customers"], read["raw_order_lines"]) == (300, clean + rejected)
    assert 0 < rejected < clean / 500


def test_memory_of_all_processes_is_added_up(tmp_path: Path) -> None:
    from first_night import peak_of_children

    held = "held = bytearray(100 << 20); open('{}', 'w').close(); import sys; sys.stdin.read()"
    files = [tmp_path / "one", tmp_path / "other"]
    with peak_of_children() as peak:
        processes = [subprocess.Popen([sys.executable, "-c", held.format(file)], stdin=subprocess.PIPE) for file in files]
        while not all(file.exists() for file in files):
            time.sleep(0.01)
        time.sleep(0.5)
        for process in processes:
            process.communicate()
    assert peak() > 2 * 100 << 20


def test_results_of_campaigns_are_measured_beside_reading_their_members(tmp_path: Path) -> None:
    import campaigns

    [found] = campaigns.results(tmp_path, customers=1_000, rounds=1)
    assert min(found.ours, found.reference) > 0


def test_registering_a_publication_is_measured_beside_writing_it(tmp_path: Path) -> None:
    import publication_ends

    [found] = publication_ends.iceberg_results(tmp_path, memberships=1_000, rounds=1)
    assert min(found.ours, found.reference) > 0


def test_races_of_publishers_and_the_check_of_a_bucket_are_measured(
    object_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import bucket_lake

    for name, value in object_store.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(bucket_lake, "RACES", 20)
    assert bucket_lake.undecided_races(object_store.endpoint, tmp_path) == 0
    assert bucket_lake.check_seconds(object_store.endpoint, tmp_path) > 0
