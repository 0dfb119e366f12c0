"""Ids that match nobody: how many ids of each source belong to no customer, and what their form is beside that of customers' ids.

A list that names people by another spelling (`7.0` for `7`, an e-mail address) fits nobody, so that all who said no are published and
all who bought are strangers. What is shown of an id is its form, never the id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.definitions.gate_limits import GateLimits
from pipeline.ingestion.departures import departed_files
from pipeline.ingestion.validation import stored_results
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_MERGES, CUSTOMERS, DEPARTED_CUSTOMERS, RAW_CONSENTS, Table
from pipeline.publication.consent import CONSENT_SOURCE
from pipeline.publication.gates.id_forms import common_form
from pipeline.publication.gates.measures import UnmatchedIds, VanishedAnswers

KNOWN_RULE = "customer_is_known"
_ID = ("customer_id",)
_COUNTS = """
SELECT COUNT(*) AS id_count, CAST(COALESCE(SUM(CASE WHEN known.customer_id IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS unmatched_count
FROM given LEFT JOIN known ON known.customer_id = given.customer_id
"""
_STRANGERS = """
SELECT given.customer_id FROM given LEFT JOIN known ON known.customer_id = given.customer_id
WHERE known.customer_id IS NULL ORDER BY given.customer_id LIMIT 1000
"""
# The first thousand in order, so that the same night names the same forms, however its rows are read.
_CUSTOMERS = "SELECT customer_id FROM known ORDER BY customer_id LIMIT 1000"
# Who bought should be on the list of customers; any other list may name whoever is or was a customer.
_LISTED = """
SELECT customer_id FROM customers UNION SELECT customer_id FROM departed_customers UNION SELECT TRIM(customer_id) FROM customer_merges
"""
_EVERYBODY = f"{_LISTED} UNION SELECT customer_id FROM customer_features"  # noqa: S608 - tables that we declare
_SURVIVORS = "SELECT DISTINCT TRIM(merged_into) AS customer_id FROM customer_merges"
_BUYERS = "SELECT customer_id FROM customer_features WHERE first_order_date IS NOT NULL"


def measure_unmatched(company: Company, lake: Lake, engine: Engine, day: date) -> list[UnmatchedIds]:
    """Return, per source that names customers, how many of its ids are nobody's on the night of `day`.

    Of orders those of all customers are counted, of consents all, of merges who is left, of events those of the night, once per event.
    """
    for table, files in (
        *((table, lake.snapshot_files(table, day)) for table in (CUSTOMERS, CUSTOMER_MERGES)),
        (DEPARTED_CUSTOMERS, departed_files(lake, day)),
        (CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=day)]),
    ):
        engine.register(table.only(("customer_id", "first_order_date", "merged_into")), files)
    found = [_count_unmatched(engine, company.limits, "order_lines", _BUYERS, _LISTED)]
    if company.source_file(CONSENT_SOURCE).is_file():
        engine.register(RAW_CONSENTS.only(_ID), lake.snapshot_files(RAW_CONSENTS, day))
        found.append(_count_unmatched(engine, company.limits, CONSENT_SOURCE, _trimmed(RAW_CONSENTS), _EVERYBODY))
    if company.source_file("customer_merges").is_file():
        # Not among those with features: what was merged into a stranger gives the stranger some.
        found.append(_count_unmatched(engine, company.limits, "customer_merges", _SURVIVORS, _LISTED))
    return [*found, *_unmatched_events(company, lake, engine, day)]


def measure_vanished_answers(company: Company, lake: Lake, engine: Engine, day: date, before: date) -> VanishedAnswers | None:
    """Return how many customers on the consent list of the night `before` are not on that of `day`; None where both have one list."""
    now, then = (lake.snapshot_files(RAW_CONSENTS, night) for night in (day, before))
    if not company.source_file(CONSENT_SOURCE).is_file() or now == then:
        return None
    for name, files in (("answers", now), ("answers_before", then)):
        engine.register(replace(RAW_CONSENTS.only(_ID), name=name), files)
    given, known = (_trimmed(replace(RAW_CONSENTS, name=name)) for name in ("answers_before", "answers"))
    [counts] = engine.run(_among(_COUNTS, given, known), {}).read_all().to_pylist()
    return VanishedAnswers(counts["id_count"], counts["unmatched_count"])


def _count_unmatched(engine: Engine, limits: GateLimits, source: str, given: str, known: str) -> UnmatchedIds:
    [counts] = engine.run(_among(_COUNTS, given, known), {}).read_all().to_pylist()
    found = UnmatchedIds(source, counts["id_count"], counts["unmatched_count"])
    return replace(found, forms=_forms(engine, given, known)) if found.is_beyond(limits.unmatched_share_limit) else found


def _unmatched_events(company: Company, lake: Lake, engine: Engine, day: date) -> Iterator[UnmatchedIds]:
    """Yield what validation counted among the events of the night; their ids are looked at only where the gate will close."""
    # Respondents of a panel are no customers, and need not be.
    panels = {survey.event.name for survey in company.surveys if survey.is_panel}
    events = {event.raw_table.name: event for event in company.events.values() if event.name not in panels}
    for row in stored_results(lake, day).rule_results:
        event = events.get(row["source_table"])
        if event and row["rule"] == KNOWN_RULE and row["checked_count"]:
            found = UnmatchedIds(event.name, row["checked_count"], row["failed_count"], is_of_night=True, rows=event.title.lower())
            if found.is_beyond(company.limits.unmatched_share_limit):
                raw = event.raw_table
                versions = [version for version in lake.versions(raw) if version.known_on == day]
                engine.register(raw.only(_ID), lake.parts(raw, versions))
                found = replace(found, forms=_forms(engine, _trimmed(raw), _EVERYBODY))
            yield found


def _forms(engine: Engine, given: str, known: str) -> tuple[str, str]:
    """Return the most frequent form of ids that match nobody, and of those of customers, each in a sample."""
    samples = (_among(query, given, known) for query in (_STRANGERS, _CUSTOMERS))
    strangers, customers = (common_form(engine.run(query, {}).read_all()["customer_id"].to_pylist()) for query in samples)
    return strangers, customers


def _among(query: str, given: str, known: str) -> exp.Select:
    counted = parse_one(query, into=exp.Select, read="duckdb")
    return counted.with_("given", as_=given, dialect="duckdb").with_("known", as_=known, dialect="duckdb")


def _trimmed(table: Table) -> str:
    return f"SELECT DISTINCT TRIM(customer_id) AS customer_id FROM {table.name} WHERE TRIM(customer_id) <> ''"  # noqa: S608 - a name that we declare
