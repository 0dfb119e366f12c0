"""What a marketer waits for: a preview of a rule, and a plan of a new feature of 90 days, beside the statements by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from definitions_step import make_live
from generate import LAST_DAY
from lakes import MEMORY_LIMIT, linked_lake
from measure import Result, compared, cost

from pipeline.definitions.audiences import UNNAMED, audience_of_rule, load_audiences
from pipeline.definitions.company import load_company, with_declared_features
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, ORDER_LINES
from pipeline.reporting.plan import plan_change
from pipeline.reporting.preview import preview_rule

BAR, MOST_SECONDS = 1.2, 2.0
RULE = "spend_amount >= 300 AND recency_days <= 40 AND lifecycle.segment IS NOT NULL"
TAKEN = """
SELECT f.customer_id, f.spend_amount FROM '{features}' AS f
JOIN '{segments}' AS s ON s.customer_id = f.customer_id AND s.scheme = 'lifecycle'
WHERE f.spend_amount >= 300 AND f.recency_days <= 40
"""
ADDING_RULE = "COUNT(DISTINCT order_lines.order_id WHERE category = 'bakery' LAST 90 DAYS) >= 2"
ADDING_TAKEN = f"""
SELECT f.customer_id, f.spend_amount FROM '{{features}}' AS f JOIN (
  SELECT customer_id FROM read_parquet('{{lines}}', hive_partitioning = false)
  WHERE order_day > DATE '{LAST_DAY}' - 90 AND category = 'bakery' AND line_kind <> 'cancelled'
  GROUP BY customer_id HAVING COUNT(DISTINCT order_id) >= 2
) AS bakers ON bakers.customer_id = f.customer_id
"""
FEATURE = """
[bakery_orders_90_days]
from = "order_lines"
where = "category = 'bakery'"
value = "COUNT(DISTINCT order_id)"
last_days = 90
description = "Orders with bakery in the last 90 days."
"""
AUDIENCE = 'title = "Bakers"\npurpose = "P."\nowner = "O"\nrule = "bakery_orders_90_days >= 2"\n'


def results(lake: Lake, scratch: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return what previews and a plan cost over the order lines of `lake` and `customers` customers, and the seconds of the commands."""
    with TemporaryDirectory(dir=scratch) as folder:
        root = Path(folder)
        make_live(root, customers, lake=linked_lake(lake, root / "lake"), customer_id="printf('C%08d', n)")
        _declare_feature(root / "edited")
        pairs = {
            "preview of a rule": (partial(preview, root, RULE), partial(count_by_hand, root, TAKEN), partial(read_rule, root, RULE)),
            "preview of a rule that adds up 90 days": (
                partial(preview, root, ADDING_RULE),
                partial(count_by_hand, root, ADDING_TAKEN),
                partial(read_rule, root, ADDING_RULE),
            ),
            "plan of a new feature of 90 days": (partial(plan, root), partial(enter_by_hand, root), partial(read_both, root)),
        }
        found = []
        for name, (ours, by_hand, ready) in pairs.items():
            costs = [(cost(ours, ready=ready), cost(by_hand)) for _ in range(rounds)]
            found.append(compared(f"{name} / the statements by hand", [one for one, _ in costs], [other for _, other in costs], bar=BAR))
        commands = {
            "segments preview": (["preview", RULE, "--company", str(root / "shop")], 0),
            "segments preview, 90 days added up": (["preview", ADDING_RULE, "--company", str(root / "shop")], 0),
            "segments plan, a new feature": (["plan", "--company", str(root / "edited")], 2),
        }
        for name, (words, code) in commands.items():
            runs = [cost(partial(run_command, root, words, code)) for _ in range(rounds)]
            for clock, seconds in (("CPU s", [run.cpu_seconds for run in runs]), ("s by the clock", [run.wall_seconds for run in runs])):
                found.append(Result(f"{name}: the whole command", min(seconds), MOST_SECONDS, unit=clock, bar=1.0))
        return found


def read_rule(root: Path, rule: str) -> None:
    """Read the definitions and the rule: what is measured is what becomes of them."""
    company = with_declared_features(load_company(root / "shop"), Definition(Path(UNNAMED), f'rule = "{rule}"'))
    audience_of_rule(company, rule)


def read_both(root: Path) -> None:
    """Read the definitions as they were and as they are edited."""
    for name in ("shop", "edited"):
        company = load_company(root / name)
        load_schemes(company)
        load_cluster_schemes(company)
        load_audiences(company)


def preview(root: Path, rule: str) -> None:
    """Count whom the rule takes."""
    assert preview_rule(load_company(root / "shop"), Lake(root / "lake"), rule, memory_limit=MEMORY_LIMIT).customer_count  # noqa: S101


def plan(root: Path) -> None:
    """Plan the new feature, with an audience of those who have enough of it."""
    found = plan_change(load_company(root / "edited"), Lake(root / "lake"), memory_limit=MEMORY_LIMIT)
    assert found.changes.added == ("bakers",)  # noqa: S101


def run_command(root: Path, words: list[str], code: int) -> None:
    """Run the command as a shell does; it must end with this exit code."""
    command = [Path(sys.executable).with_name("segments"), *words, "--lake", str(root / "lake")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == code  # noqa: S101


def count_by_hand(root: Path, taken: str) -> None:
    """Count customers, revenue and segments by statements as somebody would write them."""
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as connection:
        files = _files(root)
        connection.execute(f"CREATE TEMP TABLE taken AS {taken.format(**files)}")
        connection.execute("SELECT COUNT(*), SUM(spend_amount), MIN(customer_id, 20) FROM taken").fetchall()
        connection.execute(f"SELECT COUNT(*), SUM(spend_amount) FROM '{files['features']}'").fetchall()
        overlap = "SELECT scheme, segment, COUNT(*) FROM '{segments}' WHERE customer_id IN (SELECT customer_id FROM taken) GROUP BY ALL"
        connection.execute(overlap.format(**files)).fetchall()


def enter_by_hand(root: Path) -> None:
    """Count who would enter the audience and who would not, as the plan does, by one statement."""
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as connection:
        files = _files(root)
        query = f"""
            SELECT t.customer_id IS NOT NULL AS enters, COUNT(*), SUM(f.spend_amount), MIN(f.customer_id, 20)
            FROM '{{features}}' AS f LEFT JOIN ({ADDING_TAKEN}) AS t ON t.customer_id = f.customer_id GROUP BY ALL
        """
        connection.execute(query.format(**files)).fetchall()


def _files(root: Path) -> dict[str, str]:
    lake = Lake(root / "lake")
    features, segments = (str(lake.path(table, day=LAST_DAY)) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
    return {"features": features, "segments": segments, "lines": str(lake.root / "tables" / ORDER_LINES.name / "**" / "*.parquet")}


def _declare_feature(company: Path) -> None:
    shutil.rmtree(company / "segments", ignore_errors=True)
    shutil.copytree(company.with_name("shop") / "segments", company / "segments")
    for folder, name, text in (("features", "bakery", FEATURE), ("audiences", "bakers", AUDIENCE)):
        (company / folder).mkdir()
        (company / folder / f"{name}.toml").write_text(text, "utf-8")
