from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipeline.lake import Lake

if TYPE_CHECKING:
    from xdist.scheduler import LoadFileScheduling

sys.path.insert(0, str(Path(__file__).parent))

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SPARK = "tests/engines"
# Begun first, longest first: a file of minutes that is begun last runs on beside idle workers.
LONGEST = (
    SPARK,
    "tests/property/test_flat_nights.py",
    "tests/dags/test_run_night.py",
    "tests/faults/test_publish_crashes.py",
    "tests/faults/test_night_crashes.py",
    "tests/dags/test_scheduler.py",
    "tests/property/test_night_laws.py",
    "tests/faults/test_runs_at_once.py",
    "tests/golden/test_companies.py",
    "tests/golden/test_moves_of_the_demo.py",
    "tests/spec/test_backfill.py",
    "tests/security/test_erasure.py",
    "tests/faults/test_gates_keep_last_good.py",
    "tests/property/test_feature_laws.py",
    "tests/faults/test_extract_faults.py",
    "tests/integration/test_company_from_postgresql.py",
    "tests/dags/test_refit_clusters.py",
    "tests/faults/test_full_disks.py",
    "tests/spec/test_benchmarks.py",
    "tests/faults/test_failed_nights.py",
    "tests/faults/test_damaged_tables.py",
    "tests/spec/test_definition_history.py",
    "tests/integration/test_extract_postgresql.py",
    "tests/golden/test_cdnow.py",
    "tests/faults/test_rollback.py",
    "tests/spec/test_plan.py",
    "tests/property/test_cluster_model.py",
    "tests/spec/test_status.py",
)


def unit_of(nodeid: str) -> str:
    """Return what a test is handed out with: its file, or all that shares the one Spark session."""
    return SPARK if nodeid.startswith(f"{SPARK}/") else nodeid.partition("::")[0]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {unit: place for place, unit in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(unit_of(item.nodeid), len(places)))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> LoadFileScheduling | None:
    """Return the plugin's own scheduler, which hands out by `unit_of` in the order of collection."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Units(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return unit_of(nodeid)

    config.option.loadscopereorder = False
    return Units(config, log)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("needs datasets that may not be committed: ../shared/data beside the checkout")
    return SHARED_DATA
