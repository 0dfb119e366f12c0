"""Syncs to a real Tryton on PostgreSQL: speed beside the CRM's own bulk call, and what kills at random moments leave behind.

python benchmarks/sync_to_tryton.py speed      5,000 new customers with categories, then a night with 1 % changes
python benchmarks/sync_to_tryton.py crashes    8,000 customers, 12 kills of the client and 7 of the CRM
python benchmarks/sync_to_tryton.py plan       the plan of 1,000,000 customers, 1 % of them changed, without a CRM
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.crm_publications import Person, publish_people, write_crm_company
from support.postgres import running_postgres
from support.sync_crashes import sync_under_kills
from support.tryton import Tryton, make_template, running_tryton

from pipeline.activation.opt_outs import gather_opted_out
from pipeline.activation.outbox import MEMORY_LIMIT, open_outbox
from pipeline.activation.plan import fill_outbox, find_delta, register_publication
from pipeline.activation.vocabulary import managed_lists
from pipeline.definitions.sinks import load_sinks
from pipeline.lake.tables import CUSTOMER_SURVIVORS
from pipeline.operations.deployment import Deployment
from pipeline.operations.sync import sync_sinks
from pipeline.publication.current import current_publication

SINK = 'kind = "tryton"\nconnection = "crm"\n'
STATE = """
INSERT INTO sync_state
SELECT customer_id, customer_id, CASE WHEN hash(customer_id) % 100 = 0 THEN '[]' ELSE '["lifecycle.active"]' END, '{"note":""}',
  CASE WHEN hash(customer_id) % 100 = 0 THEN 'x' ELSE row_hash END, 1, true
FROM crm_profiles
"""
LIFECYCLE = ("active", "at_risk", "dormant", "new")
ROOT = "Customer segments / Lifecycle"


def a_person(number: int, *, action: str | None = "At risk") -> Person:
    segments = {"lifecycle": LIFECYCLE[number % 4]}
    return Person(f"c{number:07}", segments, action=action, name=f"Müşteri {number} 😀", email=f"c{number}@example.org")


def a_deployment(folder: Path, address: str) -> Deployment:
    return Deployment.of(write_crm_company(folder / "company", tryton=SINK), folder / "lake", connections=lambda _: address)


def measure_speed(crm: Tryton, folder: Path) -> None:
    people = [a_person(number, action=None) for number in range(5_000)]
    [category] = crm.call("model.party.category.create", [{"name": "Bulk"}])
    rows: list[dict[str, Any]] = [
        {
            "name": one.name,
            "contact_mechanisms": [["create", [{"type": "email", "value": one.email}]]],
            "addresses": [],
            "categories": [["add", [category]]],
        }
        for one in people
    ]
    started = time.monotonic()
    for start in range(0, len(rows), 250):
        crm.call("model.party.party.create", rows[start : start + 250])
    bulk = len(rows) / (time.monotonic() - started)
    deployment = a_deployment(folder, crm.address)
    publish_people(deployment.lake, people)
    started = time.monotonic()
    [report] = sync_sinks(deployment)
    ours = report.written_count / (time.monotonic() - started)
    print(f"new customers per second: {ours:.0f} by sync, {bulk:.0f} by the CRM's own call in batches of 250: {ours / bulk:.0%}")
    publish_people(
        deployment.lake,
        [replace(one, segments={"lifecycle": "gone"}) if place % 100 == 0 else one for place, one in enumerate(people)],
        day=date(2024, 3, 2),
    )
    started = time.monotonic()
    [report] = sync_sinks(deployment)
    print(f"a night with 1 % changes: {report.written_count} written in {time.monotonic() - started:.1f} s, everything read back")


def crash(crm: Tryton, folder: Path) -> None:
    deployment = a_deployment(folder, crm.address)
    people = [replace(a_person(number), is_consenting=number % 25 != 0) for number in range(8_000)]
    publish_people(deployment.lake, people)
    started = time.monotonic()
    sync_under_kills(deployment, crm, folder, clients=8, crms=5, seed=1)
    compare(crm, people, "8 kills of the client, 5 of the CRM")
    changed = [
        replace(one, is_consenting=False)
        if place % 67 == 0
        else replace(one, segments={"lifecycle": "gone"}, action="Gone")
        if place % 13 == 0
        else one
        for place, one in enumerate(people)
    ]
    publish_people(deployment.lake, changed, day=date(2024, 3, 2))
    sync_under_kills(deployment, crm, folder, clients=4, crms=2, seed=2)
    compare(crm, changed, "4 kills of the client, 2 of the CRM")
    [report] = sync_sinks(deployment)
    print(f"a further run: {report.plan.count} planned, {report.written_count} written; {time.monotonic() - started:.0f} s in all")


def compare(crm: Tryton, people: list[Person], words: str) -> None:
    found = crm.parties()
    count = len(crm.call("model.party.party.search", [], context={"active_test": False}))
    wanted = {
        one.customer_id: [f"{ROOT} / {one.segments['lifecycle'].replace('_', ' ').capitalize()}"] for one in people if one.is_consenting
    }
    differing = sum(found.get(code, {}).get("categories") != categories for code, categories in wanted.items())
    differing += sum(len(found.get(code, {}).get("notes", ())) != 1 for code in wanted)
    extra = sum(bool(party["categories"] or party["notes"]) for code, party in found.items() if code not in wanted)
    print(f"{words}: {len(wanted)} customers, {differing} differences, {extra} extra, {count - len(found)} duplicates")


def measure_plan(folder: Path) -> None:
    """Time the join of one million profiles with the state, beside DuckDB reading both sides."""
    deployment = a_deployment(folder, "")
    people = [Person(f"c{number:07}") for number in range(1_000_000)]
    publish_people(deployment.lake, people)
    definition = load_sinks(deployment.company)["tryton"]
    publication = current_publication(deployment.lake)
    if publication is None:
        raise SystemExit("nothing is published")
    lists = managed_lists(deployment.company, definition, deployment.lake, publication)
    state = folder / "state" / "state.duckdb"
    with open_outbox(state, folders=[deployment.lake.local(publication.prefix)], memory_limit=MEMORY_LIMIT) as outbox:
        register_publication(outbox, deployment.lake, publication, [], CUSTOMER_SURVIVORS.schema.empty_table())
        outbox.connection.execute(STATE)
        gather_opted_out(outbox)
        for _ in range(3):
            started = time.monotonic()
            for side, flag in (("crm_profiles", "is_member"), ("sync_state", "is_active")):
                digests = ", ".join(f"bit_xor(hash({column}))" for column in ("customer_id", "row_hash", flag))
                outbox.connection.execute(f"SELECT {digests} FROM {side}").fetchall()
            read = time.monotonic() - started
            started = time.monotonic()
            find_delta(outbox, definition, lists)
            found = time.monotonic() - started
            started = time.monotonic()
            plan = fill_outbox(outbox, definition, is_full=False)
            filled = time.monotonic() - started
            words = f"{found:.2f} s to find the delta, {filled:.2f} s to fill the outbox, {read:.2f} s to read both sides"
            print(f"1,000,000 profiles: {words}; {plan.count:,} planned")


def main() -> None:
    task = sys.argv[1]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        if task == "plan":
            measure_plan(folder)
            return
        with running_postgres() as uri:
            config = make_template(uri, folder)
            (folder / "crm").mkdir()
            with running_tryton(uri, config, folder / "crm") as crm:
                {"speed": measure_speed, "crashes": crash}[task](crm, folder)


if __name__ == "__main__":
    main()
