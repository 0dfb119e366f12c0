"""`.ci/install-packages`: CI's machine is new, and a test that finds no program is skipped without anybody noticing."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
SCRIPT = REPO / ".ci" / "install-packages"
# Another name of a program that is looked for first, and what every Debian has.
OTHERS = {"google-chrome", "cc", "mariadb-install-db"}


def programs() -> set[str]:
    [listed] = re.findall(r"<<'LIST'\n(.*?)LIST\n", SCRIPT.read_text(), re.DOTALL)
    return {line.split()[0] for line in listed.splitlines()}


def test_each_program_that_a_test_looks_for_is_installed() -> None:
    texts = [path.read_text() for path in (REPO / "tests").rglob("*.py") if path != Path(__file__)]
    looked_for = {name for text in texts for name in re.findall(r'\bwhich\("([\w-]+)"', text)}
    assert looked_for
    assert looked_for - OTHERS <= programs()


def test_where_all_is_there_it_says_nothing_and_asks_nobody(tmp_path: Path) -> None:
    run = _run(tmp_path, programs())
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")


def test_without_apt_it_says_what_is_skipped_and_does_not_fail(tmp_path: Path) -> None:
    run = _run(tmp_path, programs() - {"chromium", "jq"})
    assert run.returncode == 0
    assert "nothing is installed" in run.stderr
    assert "not installed: chromium; skipped: pages in a browser: tests/browser" in run.stderr
    assert "not installed: jq" in run.stderr


def _run(folder: Path, present: set[str]) -> subprocess.CompletedProcess[str]:
    """Run it on a machine that has these programs, and no apt."""
    for name in present:
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(0o755)
    for name in ("cat", "id", "bash"):
        (folder / name).symlink_to(shutil.which(name) or "")
    return subprocess.run([folder / "bash", SCRIPT], env={"PATH": str(folder)}, capture_output=True, text=True, check=False)
