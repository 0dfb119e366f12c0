"""The plan of a sync: one join of what is published with what the sink acknowledged, by the hash of each customer's row.

Only customers whose hash differs are looked at more closely: what the sink should hold of them is put into the outbox, unless it is
what the sink has already.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from pipeline.activation.field_sql import json_object
from pipeline.activation.opt_outs import OPTED_OUT
from pipeline.activation.outbox import Outbox
from pipeline.activation.sinks.sink import ManagedList
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CRM_MEMBERS, CRM_PROFILES, CUSTOMER_SURVIVORS, RAW_CUSTOMER_CONTACTS, Table
from pipeline.publication.current import Publication, current_publication

CONTACTS = "crm_contacts"
PART_CUSTOMERS = 20_000


@dataclass(frozen=True, slots=True)
class ListCount:
    """How many customers a plan lets enter a list, and leave it."""

    list_name: str
    entered_count: int
    left_count: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a sync would do, in customers; `waiting_count` were refused before and have not changed since."""

    managed_count: int
    added_count: int
    changed_count: int
    removed_count: int
    healed_count: int
    healed_changed_count: int
    waiting_count: int
    opted_out_count: int
    opted_out_elsewhere_count: int
    lists: tuple[ListCount, ...]

    @property
    def count(self) -> int:
        """How many customers would be written."""
        return self.added_count + self.changed_count + self.removed_count


def require_profiles(lake: Lake) -> Publication:
    """Return the live publication; raises ConfigError where there is none, or none with the tables of a CRM."""
    publication = current_publication(lake)
    if publication is None:
        raise ConfigError("nothing is published yet", where=lake.where(), todo="Run a night: segments run --day YYYY-MM-DD.")
    if not lake.exists(publication.file(CRM_PROFILES.name)):
        raise ConfigError(
            f"the live publication has no table {CRM_PROFILES.name}",
            where=lake.where(addresses.CURRENT),
            todo="Add [crm] to company.toml, then publish again: segments run --day YYYY-MM-DD.",
        )
    return publication


def register_publication(outbox: Outbox, lake: Lake, publication: Publication, contacts: Sequence[str], survivors: pa.Table) -> None:
    """Make the published tables, and the newest contacts if any, readable by the outbox, once they are found to be whole.

    `contacts` is the address of the newest contacts. `survivors` says of customers who were merged who is left of them, as rows of
    `customer_survivors`.
    """
    for table in (CRM_PROFILES, CRM_MEMBERS):
        _create_view(outbox, lake, table, [publication.file(table.name)])
    _create_view(outbox, lake, RAW_CUSTOMER_CONTACTS, contacts)
    outbox.connection.register(CUSTOMER_SURVIVORS.name, survivors)
    # One row a person, made once: it is looked at again and again.
    outbox.connection.execute(f"CREATE OR REPLACE TEMP TABLE {CONTACTS} AS {statement(CONTACTS).sql('duckdb')}")
    outbox.connection.execute(f"CREATE OR REPLACE TEMP TABLE survivors AS FROM {CUSTOMER_SURVIVORS.name}")
    outbox.connection.unregister(CUSTOMER_SURVIVORS.name)


def find_delta(outbox: Outbox, definition: SinkDefinition, lists: Sequence[ManagedList]) -> None:
    """Find the customers whose published row differs from what the sink acknowledged, and leave them in `delta`.

    To a sink that takes some of the schemes go those alone who are on one of its lists.
    """
    names = pa.table({"list_name": pa.array([each.name for each in lists], pa.string())})
    outbox.connection.register("given_lists", names)
    outbox.connection.execute("CREATE OR REPLACE TEMP TABLE managed_lists AS SELECT list_name FROM given_lists")
    outbox.connection.unregister("given_lists")
    listed = "true"
    if definition.schemes is not None:
        listed = "p.customer_id IN (SELECT customer_id FROM crm_members SEMI JOIN managed_lists USING (list_name))"
    consent = "p.is_consenting" if definition.consent == "given" else "p.is_consenting IS DISTINCT FROM false"
    outbox.connection.execute(f"""
        CREATE OR REPLACE TEMP VIEW wanted AS SELECT p.customer_id, p.row_hash FROM crm_profiles AS p
        WHERE p.is_member AND {consent} AND p.customer_id NOT IN (SELECT customer_id FROM {OPTED_OUT}) AND {listed}
    """)  # noqa: S608 - words of ours
    # By 64 bits of the hashes, of which a join of all customers holds an eighth: that two hashes of one customer agree in them has a
    # chance of 1 in 18 million million million.
    outbox.connection.execute("""
        CREATE OR REPLACE TEMP TABLE delta AS
        SELECT coalesce(w.customer_id, s.customer_id) AS customer_id,
          CASE WHEN w.customer_id IS NULL THEN 'remove' WHEN s.is_active THEN 'change' ELSE 'add' END AS operation, false AS is_healing
        FROM (SELECT customer_id, hash(row_hash) AS digest FROM wanted) AS w
        FULL JOIN (SELECT customer_id, is_active, hash(row_hash) AS digest FROM sync_state) AS s ON s.customer_id = w.customer_id
        WHERE (w.customer_id IS NULL AND s.is_active) OR (w.customer_id IS NOT NULL AND (s.is_active IS NOT TRUE OR s.digest <> w.digest))
    """)


def fill_outbox(outbox: Outbox, definition: SinkDefinition, *, is_full: bool) -> Plan:
    """Put what the sink should hold of the customers of `delta` into the outbox, and return the plan.

    Who was refused as they are now, addresses included, waits until they change, unless the sync `is_full`.
    """
    with outbox.transaction():
        outbox.connection.execute("DELETE FROM sync_outbox")
        planned = _OUTBOX.format(
            fields=json_object(definition.profile_fields, emptied="d.operation = 'remove'"),
            contacts=json_object(definition.contact_fields),
        )
        # Part by part: what is joined for all at once would grow with the number of customers.
        for part in outbox.customer_ranges("delta", PART_CUSTOMERS):
            outbox.connection.execute(planned, part)
        # Same lists and fields as acknowledged: another column of the profile changed, which does not go there.
        outbox.connection.execute("""
            UPDATE sync_state SET row_hash = o.row_hash FROM sync_outbox AS o JOIN delta AS d USING (customer_id)
            WHERE o.customer_id = sync_state.customer_id AND o.operation = 'change' AND NOT d.is_healing
              AND o.lists = sync_state.lists AND o.fields = sync_state.fields
        """)
        outbox.connection.execute("""
            DELETE FROM sync_outbox USING sync_state AS s, delta AS d
            WHERE s.customer_id = sync_outbox.customer_id AND d.customer_id = sync_outbox.customer_id
              AND sync_outbox.operation = 'change' AND NOT d.is_healing AND s.lists = sync_outbox.lists AND s.fields = sync_outbox.fields
        """)
        before = outbox.count("SELECT count(*) FROM sync_outbox")
        if not is_full:
            outbox.connection.execute("""
                DELETE FROM sync_outbox USING rejected_rows AS r
                WHERE r.customer_id = sync_outbox.customer_id AND r.content_hash = sync_outbox.content_hash
            """)
        # Who left before the sink ever took them is no open question any more.
        outbox.connection.execute("""
            DELETE FROM rejected_rows WHERE customer_id IN (
              SELECT customer_id FROM rejected_rows ANTI JOIN wanted USING (customer_id) ANTI JOIN delta USING (customer_id)
            )
        """)
    return _plan(outbox, waiting=before - outbox.count("SELECT count(*) FROM sync_outbox"))


def add_to_delta(outbox: Outbox, healing: Collection[str], orphans: Collection[str]) -> None:
    """Add customers to `delta`: whose record in the sink is not what it acknowledged, and who is on our lists there and should not be.

    Who is to be changed anyway is marked as one whose record differs: what was acknowledged says nothing of it.
    """
    for ids, select in (
        (healing, "SELECT f.customer_id, 'change', true FROM found AS f JOIN wanted AS w USING (customer_id)"),
        (orphans, "SELECT f.customer_id, 'remove', true FROM found AS f WHERE customer_id NOT IN (SELECT customer_id FROM wanted)"),
    ):
        outbox.connection.register("found", pa.table({"customer_id": pa.array(sorted(ids), pa.string())}))
        outbox.connection.execute(
            "UPDATE delta SET is_healing = true FROM found WHERE found.customer_id = delta.customer_id AND operation = 'change'"
        )
        outbox.connection.execute(
            f"""
                INSERT INTO delta
                SELECT * FROM ({select}) AS a (customer_id, operation, is_healing) ANTI JOIN delta USING (customer_id)
            """  # noqa: S608 - words of ours
        )
        outbox.connection.unregister("found")


def _create_view(outbox: Outbox, lake: Lake, table: Table, files: Sequence[str]) -> None:
    if not files:
        columns = ", ".join(f"NULL::{column.kind.sql} AS {column.name}" for column in table.columns)
        outbox.connection.execute(f"CREATE OR REPLACE TEMP VIEW {table.name} AS SELECT {columns} WHERE false")
        return
    found = []
    for address in files:
        with lake.reading(table.name, address) as path:
            found.append(str(path).replace("'", "''"))
    paths = ", ".join(f"'{path}'" for path in found)
    outbox.connection.execute(
        f"CREATE OR REPLACE TEMP VIEW {table.name} AS SELECT * FROM read_parquet([{paths}], hive_partitioning = false)"  # noqa: S608
    )


def _plan(outbox: Outbox, *, waiting: int) -> Plan:
    counts = dict(outbox.rows("SELECT operation, count(*) FROM sync_outbox GROUP BY operation"))
    lists = outbox.rows("""
        WITH planned AS (SELECT customer_id, unnest(from_json(lists, '["VARCHAR"]')) AS list_name FROM sync_outbox),
        held AS (
          SELECT customer_id, unnest(from_json(lists, '["VARCHAR"]')) AS list_name FROM sync_state
          WHERE is_active AND customer_id IN (SELECT customer_id FROM sync_outbox)
        )
        SELECT list_name, count(*) FILTER (WHERE h.customer_id IS NULL), count(*) FILTER (WHERE p.customer_id IS NULL)
        FROM planned AS p FULL JOIN held AS h USING (customer_id, list_name) GROUP BY list_name
        HAVING count(*) FILTER (WHERE h.customer_id IS NULL OR p.customer_id IS NULL) > 0 ORDER BY list_name
    """)
    return Plan(
        managed_count=outbox.count("SELECT count(*) FROM sync_state WHERE is_active"),
        added_count=counts.get("add", 0),
        changed_count=counts.get("change", 0),
        removed_count=counts.get("remove", 0),
        healed_count=outbox.count("SELECT count(*) FROM sync_outbox JOIN delta USING (customer_id) WHERE is_healing"),
        healed_changed_count=outbox.count(
            "SELECT count(*) FROM sync_outbox AS o JOIN delta AS d USING (customer_id) WHERE d.is_healing AND o.operation = 'change'"
        ),
        waiting_count=waiting,
        opted_out_count=outbox.count("SELECT count(*) FROM opt_outs"),
        opted_out_elsewhere_count=outbox.count(
            "SELECT count(*) FROM (SELECT customer_id FROM opt_outs_elsewhere EXCEPT SELECT customer_id FROM opt_outs)"
        ),
        lists=tuple(ListCount(*row) for row in lists),
    )


# Both sides are cut down to the delta first: joined whole, a million wide rows would be held for a hundred that changed.
_OUTBOX = """
INSERT INTO sync_outbox
WITH part AS (SELECT * FROM delta WHERE customer_id > $after AND customer_id <= $last)
SELECT *, md5(concat_ws('|', operation, lists, fields, contacts)) FROM (
  SELECT d.customer_id, d.operation, CASE WHEN d.operation = 'remove' THEN '[]' ELSE coalesce(l.lists, '[]') END AS lists,
    {fields} AS fields, {contacts} AS contacts,
    CASE WHEN d.operation <> 'remove' THEN p.row_hash END AS row_hash
  FROM part AS d
  LEFT JOIN (SELECT * FROM crm_profiles SEMI JOIN part USING (customer_id) WHERE customer_id > $after AND customer_id <= $last) AS p
    ON p.customer_id = d.customer_id
  LEFT JOIN (SELECT * FROM crm_contacts SEMI JOIN part USING (customer_id) WHERE customer_id > $after AND customer_id <= $last) AS c
    ON c.customer_id = d.customer_id
  LEFT JOIN (
    SELECT customer_id, CAST(to_json(list(list_name ORDER BY list_name)) AS VARCHAR) AS lists
    FROM crm_members SEMI JOIN part USING (customer_id) SEMI JOIN managed_lists USING (list_name)
    WHERE customer_id > $after AND customer_id <= $last GROUP BY customer_id
  ) AS l ON l.customer_id = d.customer_id
)
"""
