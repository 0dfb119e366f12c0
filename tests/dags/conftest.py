from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.airflow_forks import AirflowForks, airflow_forks
from support.deployments import Deployment, a_small_company


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a company whose every value is a canary."""
    folder = tmp_path_factory.mktemp("small")
    return Deployment.of(a_small_company(folder / "company"), folder)


@pytest.fixture(scope="session")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AirflowForks]:
    """Yield what runs scripts and nights in processes that have Airflow loaded from their start."""
    with airflow_forks(tmp_path_factory.mktemp("airflow")) as forks:
        yield forks
