from __future__ import annotations

import pytest
from support.deployments import Deployment, a_small_company


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    """Return a company whose every value is a canary."""
    folder = tmp_path_factory.mktemp("small")
    return Deployment.of(a_small_company(folder / "company"), folder)
