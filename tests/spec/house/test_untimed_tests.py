"""No test fails because the machine is busy."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).resolve().parents[2]


def test_no_property_has_a_deadline_for_its_examples() -> None:
    """Hypothesis fails an example that takes 200 ms unless somebody says otherwise."""
    drawing = [path for path in TESTS.rglob("test_*.py") if "\n@given(" in path.read_text("utf-8")]
    assert len(drawing) > 20
    assert [path.name for path in drawing if "deadline=None" not in path.read_text("utf-8")] == []
