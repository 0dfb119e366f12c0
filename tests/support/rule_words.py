"""Words that rules of tests may use: a column of each kind, numbers and texts by name, a scheme, a list and an audience."""

from __future__ import annotations

from datetime import date

from sqlglot import exp

from pipeline.definitions.rules import Vocabulary
from pipeline.definitions.rules.event_sources import event_sources
from pipeline.lake.tables import VISITS, Kind

COLUMNS = {
    "r_score": Kind.INTEGER,
    "spend_amount": Kind.MONEY,
    "share": Kind.NUMBER,
    "city": Kind.TEXT,
    "is_prospect": Kind.FLAG,
    "born": Kind.DATE,
    "as_of_date": Kind.DATE,
    "customer_id": Kind.TEXT,
    "tags": Kind.TEXT,
}
WORDS = Vocabulary(
    {**COLUMNS, "rfm.segment": Kind.TEXT},
    {"most": 3, "least": -0.5, "place": "'; DROP TABLE x --", "since": date(2024, 1, 31), "wanted": False},
    {"rfm.segment": {"Champions": "champions", "champions": "champions"}},
    separators={"tags": ","},
    lists={"vip": "0123456789ab"},
    schemes={"rfm": {"champions": "champions"}, "groups": None},
    audiences={"regulars": exp.column("is_prospect", quoted=True)},
    sources=event_sources([VISITS]),
)
