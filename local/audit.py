"""`make audit`: known vulnerabilities of all that is locked, less those that audit-exceptions.toml gives a reason for.

pip-audit asks the service. It counts a package that the service does not know as sound; here it is one that was not audited.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

REPO = Path(__file__).resolve().parents[1]
EXCEPTIONS = REPO / "audit-exceptions.toml"
PIN = re.compile(r"^(?P<name>[a-z0-9-]+)==(?P<version>[^\s;]+)", re.MULTILINE)
OUT_OF_REACH = "the locks are not audited: no vulnerability service within reach"


@dataclass(frozen=True, slots=True)
class AuditException:
    """A vulnerability that we live with until a day, and why."""

    id: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True)
class Vulnerability:
    """A known vulnerability of a locked package, under all of its names; `fixed_in` are versions without it."""

    package: str
    ids: frozenset[str]
    fixed_in: Sequence[str]

    @property
    def words(self) -> str:
        return f"{self.package}: {', '.join(sorted(self.ids))}; fixed in {', '.join(self.fixed_in) or 'no version yet'}"


def read_exceptions(text: str) -> list[AuditException]:
    """Return the exceptions that the file lists; raises ValueError for one without an id, a reason or a day."""
    entries: list[dict[str, Any]] = tomllib.loads(text).get("exception", [])
    found = []
    for entry in entries:
        match entry:
            case {"id": str(name), "reason": str(reason), "until": date() as until, **rest} if name and reason and not rest:
                found.append(AuditException(name, reason, until))
            case _:
                raise ValueError(f"an exception needs `id`, `reason` and `until`, and nothing else: {entry}")
    return found


def locked_versions(locks: Iterable[str]) -> list[str]:
    """Return every `name==version` of these locks once, for whichever system it is."""
    return sorted({f"{pin['name']}=={pin['version']}" for lock in locks for pin in PIN.finditer(lock)})


def vulnerabilities(report: Mapping[str, Any]) -> list[Vulnerability]:
    """Return what a report of pip-audit finds."""
    return [
        Vulnerability(f"{each['name']} {each['version']}", frozenset({found["id"], *found["aliases"]}), found["fix_versions"])
        for each in report["dependencies"]
        for found in each.get("vulns", ())
    ]


def unknown_packages(report: Mapping[str, Any]) -> list[str]:
    """Return the packages of which the service knows nothing."""
    return sorted(each["name"] for each in report["dependencies"] if "skip_reason" in each)


def faults(found: Sequence[Vulnerability], exceptions: Sequence[AuditException], today: date) -> list[str]:
    """Return in words what must not stay: vulnerabilities without a valid exception, and exceptions that are over or of no use."""
    excused = {each.id for each in exceptions if each.until >= today}
    known = {name for each in found for name in each.ids}
    return [
        *(each.words for each in found if not each.ids & excused),
        *expired(exceptions, today),
        *(f"{each.id}: nothing that is locked has it any more: remove the exception" for each in exceptions if each.id not in known),
    ]


def expired(exceptions: Sequence[AuditException], today: date) -> list[str]:
    """Return in words the exceptions whose day is over."""
    return [f"{each.id}: the exception ended on {each.until}: update, or decide anew" for each in exceptions if each.until < today]


def run_pip_audit(versions: Sequence[str]) -> Mapping[str, Any] | None:
    """Return pip-audit's report on these versions; None where its service does not answer, or knows none of them."""
    with TemporaryDirectory() as folder:
        requirements = Path(folder) / "requirements.txt"
        requirements.write_text("\n".join(versions) + "\n", "utf-8")
        command = [sys.executable, "-m", "pip_audit", "--requirement", str(requirements), "--no-deps", "--disable-pip"]
        options = ["--format", "json", "--progress-spinner", "off"]
        run = subprocess.run([*command, *options], capture_output=True, text=True, check=False)  # noqa: S603 - our own words
    try:
        report: Mapping[str, Any] = json.loads(run.stdout)
    except ValueError:
        return None
    return None if len(unknown_packages(report)) == len(report["dependencies"]) else report


def main() -> int:
    """Audit all locks, say what is wrong, and return 1 where something is."""
    today = datetime.now(UTC).date()
    exceptions = read_exceptions(EXCEPTIONS.read_text("utf-8"))
    versions = locked_versions(path.read_text("utf-8") for path in sorted(REPO.glob("requirements*.txt")))
    report = run_pip_audit(versions)
    if report is None:
        sys.stdout.write(f"{OUT_OF_REACH}\n")
        said = expired(exceptions, today)
    else:
        said = faults(vulnerabilities(report), exceptions, today)
        said += [f"{name}: the vulnerability service does not know it" for name in unknown_packages(report)]
        sys.stdout.write(f"{len(versions)} versions audited, {len(exceptions)} exceptions, {len(said)} faults\n")
    sys.stdout.write("".join(f"{line}\n" for line in said))
    return int(bool(said))


if __name__ == "__main__":
    sys.exit(main())
