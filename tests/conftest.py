from __future__ import annotations

import gc
import logging
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess
from typing import TYPE_CHECKING

import pytest

from pipeline.lake.lake import Lake

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.killing import Killer
    from support.object_store import ObjectStore
    from xdist.scheduler import LoadFileScheduling

sys.path.insert(0, str(Path(__file__).parent))
from support.deployments import DEMO, Deployment

# Nights of tests run where tests say, whatever lake and cluster were exported in this shell; what executors need of keys, they are given.
for name in [name for name in os.environ if name.startswith(("SEGMENTS_", "AWS_")) or name == "SPARK_REMOTE"]:
    del os.environ[name]

gc.disable()  # until all is collected: looking through all that is imported is a third of that

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
SPARK, DEMO_NIGHT = "tests/engines", "tests/dags/test_run_night.py"
# Runs of DAGs in forks of a process that has Airflow loaded: one process for all of them.
AIRFLOW = "tests/dags/test_notifications.py"
FORKED = (
    "backfill_days",
    "cluster_wait",
    "connections",
    "crm_sync",
    "declared_events",
    "erase_customers",
    "failing_nights",
    "last_day",
    "nightly_segments",
    "openlineage",
    "refit_clusters",
    "schedule",
    "small_night",
)
# What takes long to set up is set up once where all that reads it is handed out together.
TOGETHER = {
    **{f"tests/dags/test_{name}.py": AIRFLOW for name in FORKED},
    "tests/golden/test_companies.py": DEMO_NIGHT,
    "tests/golden/test_marketers_segments.py": DEMO_NIGHT,
    "tests/integration/test_company_from_postgresql.py": DEMO_NIGHT,
    "tests/integration/test_commands_on_pages.py": DEMO_NIGHT,
}
# Begun first, longest first: a file of minutes that is begun last runs on beside idle workers.
LONGEST = (
    SPARK,
    DEMO_NIGHT,
    "tests/dags/test_week.py",
    "tests/dags/test_killed_tasks.py",
    "tests/dags/test_scheduler.py",
    AIRFLOW,
    "tests/spec/segmentation/test_rules_beyond_features.py",
    "tests/browser/test_page_in_browsers.py",
    "tests/benchmarks/test_benchmarks.py",
    "tests/security/test_erasure.py",
    "tests/spec/operations/test_backfill.py",
    "tests/spec/segmentation/test_audiences.py",
    "tests/property/test_flat_nights.py",
    "tests/integration/test_sync_tryton.py",
    "tests/spec/segmentation/test_thresholds.py",
    "tests/property/test_merge_laws.py",
    "tests/spec/models/test_clusters.py",
    "tests/property/test_night_laws.py",
    "tests/golden/test_moves_of_the_demo.py",
    "tests/faults/test_gates_keep_last_good.py",
    "tests/property/test_campaign_statistics.py",
    "tests/integration/test_nights_on_a_bucket.py",
    "tests/faults/test_night_crashes.py",
    "tests/golden/test_stored_lakes.py",
    "tests/spec/onboarding/test_layouts.py",
    "tests/spec/models/test_refits.py",
    "tests/faults/test_damaged_compacted_files.py",
    "tests/spec/reporting/test_plan.py",
    "tests/spec/definitions/test_definition_history.py",
    "tests/spec/operations/test_conformance.py",
    "tests/spec/ingestion/test_late_rows.py",
    "tests/spec/measurement/test_campaigns.py",
    "tests/faults/test_runs_at_once.py",
    "tests/faults/test_publish_crashes.py",
    "tests/property/test_feature_laws.py",
    "tests/faults/test_extract_faults.py",
    "tests/faults/test_full_disks.py",
    "tests/faults/test_failed_nights.py",
    "tests/faults/test_damaged_tables.py",
    "tests/faults/test_event_crashes.py",
    "tests/integration/test_extract_postgresql.py",
    "tests/property/test_cluster_model.py",
    "tests/security/test_tls.py",
)


def unit_of(nodeid: str) -> str:
    """Return what a test is handed out with: its file, or all that share a Spark session, a loaded Airflow or the night of the demo."""
    file = nodeid.partition("::")[0]
    return SPARK if file.startswith(f"{SPARK}/") else TOGETHER.get(file, file)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {unit: place for place, unit in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(unit_of(item.nodeid), len(places)))


def pytest_collection_finish() -> None:
    """Collect garbage seldom: looking through all that is imported, again and again, is a fifth of what nights cost here."""
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    gc.enable()


def pytest_sessionfinish() -> None:
    gc.unfreeze()


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
def own_logging() -> Iterator[None]:
    """Give the root logger back as it was: a command line sets it up for its process."""
    handlers = logging.root.handlers[:]
    yield
    logging.root.handlers[:] = handlers


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def killing() -> Iterator[Killer]:
    from support.killing import killer  # loads what nights load

    with killer() as chosen:
        yield chosen


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    return Deployment.of(DEMO, tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="session")
def demo_night(demo: Deployment) -> CompletedProcess[str]:
    """Return how the last night of the demo company ended, run through Airflow as people run it; nobody changes its lake."""
    return demo.run_night()


@pytest.fixture(scope="session")
def demo_lake(demo: Deployment, demo_night: CompletedProcess[str]) -> Lake:
    assert demo_night.returncode == 0, demo_night.stderr
    return Lake(demo.lake)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("needs datasets that may not be committed: ../shared/data beside the checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """Yield a server that speaks S3, the same for all tests of a worker."""
    from support.object_store import running_object_store

    with running_object_store() as store:
        yield store
