from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pipeline.lake import Lake

sys.path.insert(0, str(Path(__file__).parent))

SHARED_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    if not SHARED_DATA.is_dir():
        pytest.skip("needs datasets that may not be committed: ../shared/data beside the checkout")
    return SHARED_DATA
