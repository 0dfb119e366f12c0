from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.killing import Killer, killer


@pytest.fixture(scope="session")
def killing() -> Iterator[Killer]:
    with killer() as chosen:
        yield chosen
