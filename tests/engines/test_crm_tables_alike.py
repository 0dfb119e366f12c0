"""The tables of a CRM have the same bytes whichever engine works them out: joins without a partner, hashes, numbers."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

from support.builders import a_company, write_rows
from support.local_spark import SparkOver
from support.published_nights import no_connections, write_night

from pipeline.definitions.company_sections import CrmSettings
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import CRM_TABLES, CUSTOMER_PREDICTIONS, RAW_CONSENTS, RAW_CUSTOMER_CONTACTS
from pipeline.publication.crm.crm_inputs import CrmInputs
from pipeline.publication.crm.seen_tables import seen_tables
from pipeline.publication.crm.writing import write_crm_tables
from pipeline.publication.current import current_publication
from pipeline.publication.publish import publish

MONDAY, TUESDAY = date(2025, 3, 3), date(2025, 3, 4)
ANSWERS = {"ada": True, "Ada": False, "ı": None}


def test_every_engine_writes_the_same_tables_of_a_crm(lake: Lake, tmp_path: Path, spark: SparkOver) -> None:
    (tmp_path / "sources").mkdir()
    company = a_company(tmp_path, crm=CrmSettings(phone_region="TR"))
    for source in ("consents", "customer_contacts"):
        company.source_file(source).write_text("SELECT 1")
    says = [{"customer_id": name, "is_consenting": each} for name, each in ANSWERS.items()]
    write_rows(lake, RAW_CONSENTS, says, known_on=TUESDAY)
    write_rows(lake, RAW_CUSTOMER_CONTACTS, [{"customer_id": " ada", "language": "text"}, {"customer_id": "ada"}], known_on=MONDAY)
    write_night(lake, company, MONDAY, {"ada": "loyal", "Bo": "it's", "gone": "new", "i": "loyal"})
    publish(replace(company, crm=CrmSettings()), lake, MONDAY, connections=no_connections)
    seen = seen_tables(lake, current_publication(lake))
    write_night(lake, company, TUESDAY, {"ada": "lost", "Bo": "it's", "i": "loyal", "new ქ": "new"})
    predicted = [{"customer_id": name, "expected_spend_amount": 12.345, "evidence": "m"} for name in ("ada", "Bo", "i", "new ქ")]
    write_rows(lake, CUSTOMER_PREDICTIONS, predicted, day=TUESDAY)
    publish(company, lake, TUESDAY, connections=no_connections)
    here = lake.root / "current"
    there = lake.root / "by_spark"
    shutil.copytree(here, there, ignore=shutil.ignore_patterns("crm_*"))
    write_crm_tables(CrmInputs(company, lake, TUESDAY, there, seen, MEMORY_LIMIT), spark(lake))
    for table in CRM_TABLES:
        assert (there / f"{table.name}.parquet").read_bytes() == (here / f"{table.name}.parquet").read_bytes(), table.name
