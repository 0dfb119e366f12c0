"""Known vulnerabilities of what is locked fail, save those that a person let pass for a while; bills of materials can be made again."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from local.audit import EXCEPTIONS, REPO, faults, locked_versions, read_exceptions, unknown_packages, vulnerabilities
from local.bill_of_materials import write_bill

TODAY = date(2026, 11, 29)
REPORT: dict[str, Any] = {
    "dependencies": [
        {"name": "jinja2", "version": "2.4", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.5"], "aliases": ["CVE-2026-1"]}]},
        {"name": "rich", "version": "15.0", "vulns": []},
        {"name": "ours", "skip_reason": "Dependency not found on PyPI and could not be audited: ours (1.0)"},
    ],
    "fixes": [],
}


def an_exception(name: str, until: str) -> str:
    return f'[[exception]]\nid = "{name}"\nreason = "Nothing calls it."\nuntil = {until}\n'


@pytest.mark.parametrize(
    ("exceptions", "said"),
    [
        pytest.param("", ["jinja2 2.4: CVE-2026-1, PYSEC-1; fixed in 2.5"], id="none"),
        pytest.param(an_exception("PYSEC-1", "2026-11-29"), [], id="by its id"),
        pytest.param(an_exception("CVE-2026-1", "2027-01-01"), [], id="by another name"),
        pytest.param(
            an_exception("PYSEC-1", "2026-11-28"),
            ["jinja2 2.4: CVE-2026-1, PYSEC-1; fixed in 2.5", "PYSEC-1: the exception ended on 2026-11-28: update, or decide anew"],
            id="one that is over",
        ),
        pytest.param(
            an_exception("PYSEC-1", "2027-01-01") + an_exception("PYSEC-2", "2027-01-01"),
            ["PYSEC-2: nothing that is locked has it any more: remove the exception"],
            id="one that nothing needs",
        ),
    ],
)
def test_what_is_known_fails_unless_it_is_excepted_and_still_is(exceptions: str, said: list[str]) -> None:
    assert faults(vulnerabilities(REPORT), read_exceptions(exceptions), TODAY) == said


@pytest.mark.parametrize("left_out", ["id", "reason", "until"])
def test_an_exception_needs_a_reason_and_a_day(left_out: str) -> None:
    text = "\n".join(line for line in an_exception("PYSEC-1", "2027-01-01").splitlines() if not line.startswith(left_out))
    with pytest.raises(ValueError, match="needs `id`, `reason` and `until`"):
        read_exceptions(text)


def test_the_exceptions_of_this_repository_can_be_read() -> None:
    assert all(each.reason for each in read_exceptions(EXCEPTIONS.read_text("utf-8")))


def test_a_package_that_the_service_does_not_know_is_not_taken_for_sound() -> None:
    assert unknown_packages(REPORT) == ["ours"]


def test_every_locked_version_is_audited_once_whichever_system_it_is_for() -> None:
    locks = [path.read_text("utf-8") for path in REPO.glob("requirements*.txt")]
    versions = locked_versions(locks)
    assert len(versions) == len(set(versions))
    assert {line.split()[0] for lock in locks for line in lock.splitlines() if "==" in line.split(" ;")[0]} == set(versions)


def test_a_bill_of_materials_lists_what_is_locked_with_its_hashes_and_is_the_same_each_time(tmp_path: Path) -> None:
    first, second = (write_bill("requirements-bucket", tmp_path / name).read_bytes() for name in ("first", "second"))
    assert first == second
    bill = json.loads(first)
    locked = locked_versions([(REPO / "requirements-bucket.txt").read_text("utf-8")])
    assert sorted(f"{each['name']}=={each['version']}" for each in bill["components"]) == locked
    assert all("sha256" in json.dumps(each).lower() or "SHA-256" in json.dumps(each) for each in bill["components"])
    assert not {"serialNumber"} & bill.keys()
    assert "timestamp" not in bill["metadata"]
    assert str(REPO) not in first.decode()
