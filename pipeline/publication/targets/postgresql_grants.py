"""What a role lacks to keep the tables of a target in PostgreSQL, as the statements that grant it.

It is asked of the catalogue, which everybody may read, and not of the words of an error, which differ by language.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import psycopg

from pipeline.publication.targets.sessions import quote_identifier
from pipeline.spelling import printable_line

_RIGHTS = """
    SELECT current_user, current_database(), has_database_privilege(current_database(), 'TEMPORARY'),
        has_database_privilege(current_database(), 'CREATE')
"""
_SCHEMA = "SELECT has_schema_privilege(oid, 'USAGE') AND has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = %s"
_OF_OTHERS = """
    SELECT relation.relname FROM pg_class AS relation
    JOIN pg_namespace AS space ON space.oid = relation.relnamespace
    CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS needed
    WHERE space.nspname = %s AND relation.relname = ANY(%s) AND relation.relkind IN ('r', 'p')
    GROUP BY 1, relation.oid HAVING NOT bool_and(has_table_privilege(relation.oid, needed)) ORDER BY 1
"""


def missing_target_grants(connection: psycopg.Connection, schemas: Sequence[str], tables: Sequence[str]) -> list[str]:
    """Return the statements that let the role of `connection` keep its `tables` in `schemas`; none where it lacks nothing.

    What failed in the transaction is rolled back before.
    """
    connection.rollback()
    with connection.cursor() as cursor:
        # A schema that is for some companies alone is named where nothing else is lacking.
        for schema in schemas:
            if grants := list(_missing_grants(cursor, schema, tables)):
                return grants
    return []


def _missing_grants(cursor: psycopg.Cursor, schema: str, tables: Sequence[str]) -> Iterator[str]:
    [(role, database, may_stage, may_create)] = cursor.execute(_RIGHTS).fetchall()
    user = _shown(role)
    if not may_stage:
        yield f"GRANT TEMPORARY ON DATABASE {_shown(database)} TO {user};"
    found = cursor.execute(_SCHEMA, [schema]).fetchone()
    if found is None and not may_create:
        yield f"CREATE SCHEMA {_shown(schema)} AUTHORIZATION {user};"
    elif found == (False,):
        yield f"GRANT USAGE, CREATE ON SCHEMA {_shown(schema)} TO {user};"
    for (name,) in cursor.execute(_OF_OTHERS, [schema, list(tables)]).fetchall():
        yield f"GRANT SELECT, INSERT, UPDATE, DELETE ON {_shown(schema)}.{_shown(name)} TO {user};"


def _shown(name: str) -> str:
    return printable_line(quote_identifier(name))
