"""The guide to declared features says what is computed."""

from __future__ import annotations

import re
from datetime import date

from support.builders import a_company, an_order_line, features_by_customer, write_order_lines
from support.documentation import require_same, tables_of

from pipeline.definitions.company import PROJECT_ROOT, with_declared_features
from pipeline.definitions.rules.aggregate_calls import FUNCTIONS
from pipeline.definitions.rules.functions import FUNCTIONS as RULE_FUNCTIONS
from pipeline.lake.lake import Lake

PAGE = PROJECT_ROOT / "docs" / "guides" / "features.md"
NIGHT = date(2024, 3, 31)


def test_the_features_of_the_guide_are_what_it_says(lake: Lake) -> None:
    text = PAGE.read_text("utf-8")
    folder = lake.root / "features"
    folder.mkdir(parents=True)
    (folder / "wine.toml").write_text(re.findall(r"```toml\n(.*?)```", text, re.DOTALL)[0], "utf-8")
    company = with_declared_features(a_company(lake.root))
    lines, expected = list(tables_of(text))[:2]
    rows = [an_order_line(int(row["line_number"]), **{**row, "line_number": int(row["line_number"])}) for row in lines]
    write_order_lines(lake, rows, known_on=NIGHT)
    found = features_by_customer(company, lake, NIGHT)
    expected = [{name.strip("*"): cell for name, cell in row.items()} for row in expected]
    require_same("features of the guide", expected, [found[row["customer_id"]] for row in expected])


def test_the_guide_tells_of_every_aggregate() -> None:
    [table] = [table for table in tables_of(PAGE.read_text("utf-8")) if "of a customer without rows" in table[0]]
    named = {name for row in table for name in re.findall(r"`([A-Z_]+)\(", row["write"])}
    # What is asked of an aggregate, such as DAYS_SINCE, is none itself.
    assert named - RULE_FUNCTIONS.keys() == FUNCTIONS.keys()
