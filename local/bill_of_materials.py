"""`make sbom`: what is locked as bills of materials (CycloneDX), one per lock that something is installed by; the same bytes each time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
FOLDER = REPO / "build" / "sbom"
# Not what tests and checks need, nor what installs all of it: neither is delivered.
LOCKS = ("requirements", "requirements-deploy", "requirements-bucket", "requirements-iceberg", "requirements-spark")


def write_bill(lock: str, folder: Path) -> Path:
    """Write the bill of one lock, such as `requirements-deploy`, into `folder`, and return where it is."""
    bill = folder / f"{lock.replace('requirements', 'customer-segments', 1)}.cdx.json"
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(REPO / f"{lock}.txt")]
    options = ["--pyproject", str(REPO / "pyproject.toml"), "--output-reproducible", "--output-file", str(bill)]
    subprocess.run([*command, *options], check=True)  # noqa: S603 - our own words
    return bill


def main() -> None:
    """Write the bills and say where they are."""
    for lock in LOCKS:
        sys.stdout.write(f"{write_bill(lock, FOLDER).relative_to(REPO)}\n")


if __name__ == "__main__":
    main()
