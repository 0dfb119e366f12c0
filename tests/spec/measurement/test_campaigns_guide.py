"""The campaign of the guide runs as written: planned, started once, due on its day."""

from __future__ import annotations

import re
import shlex
from datetime import date
from pathlib import Path

from support.campaigns import arms_of
from support.nights import NO_GATES, run_night
from typer.testing import CliRunner, Result

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake

GUIDE = PROJECT_ROOT / "docs" / "guides" / "campaigns.md"
PAGES = (PROJECT_ROOT / "docs" / "get-started" / "your-company.md", GUIDE)
FILES = re.compile(r"```\w+\n(?:#|--) (?P<how>file|add to): (?P<path>my_shop/\S+)\n(?P<text>.*?)```", re.DOTALL)
COMMANDS = re.compile(r"^\.venv/bin/segments (campaign .*)$", re.MULTILINE)
EVE, EARLY, DUE = date(2024, 3, 31), date(2024, 4, 16), date(2024, 4, 17)


def test_the_campaign_of_the_guide_runs_as_written(tmp_path: Path, lake: Lake) -> None:
    for page in PAGES:
        for found in FILES.finditer(page.read_text("utf-8")):
            path = tmp_path / found["path"]
            path.parent.mkdir(parents=True, exist_ok=True)
            before = path.read_text("utf-8") if found["how"] == "add to" else ""
            path.write_text(before + found["text"], "utf-8")
    shop = tmp_path / "my_shop"
    settings = shop / "company.toml"
    settings.write_text(settings.read_text("utf-8") + NO_GATES, "utf-8")  # nobody orders in the guide's April
    plan, start, results = COMMANDS.findall(GUIDE.read_text("utf-8"))

    def run(command: str) -> Result:
        words = [word.replace("my_shop", str(shop)).replace("my_lake", str(lake.root)) for word in shlex.split(command)]
        return CliRunner().invoke(app, words)

    run_night(shop, lake, EVE)
    said = run(plan)
    assert (said.exit_code, "Nothing was written" in said.stdout) == (0, True), said.exception
    assert not lake.list_addresses("tables/campaign_assignments/")
    assert run(start).exit_code == 0
    assert sorted(arms_of(lake, "tea_letter").values()) == ["control", "control", "treated", "treated"], "four customers ordered"
    assert "was started already" in str(run(start).exception)
    for night, code in ((None, 2), (EARLY, 2), (DUE, 0)):
        if night:
            run_night(shop, lake, night)
        assert run(results).exit_code == code
