"""What a role lacks to run a query of PostgreSQL, as the statements that grant it.

It is asked of the catalogue, which everybody may read, and not of the words of an error, which differ by language and name no schema.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing, suppress

import sqlglot
from adbc_driver_manager import dbapi
from sqlglot import exp
from sqlglot.errors import SqlglotError

from pipeline.ingestion.sources import SourceQuery, quote_name
from pipeline.spelling import printable_line

# Tables, views and their like, wherever a name of the query may mean them; whether the role may read any column, and which it may not.
_UNREADABLE = """
    SELECT current_user::text, space.nspname::text, relation.relname::text, has_schema_privilege(space.oid, 'USAGE'),
        has_any_column_privilege(relation.oid, 'SELECT'),
        array_to_string(array_agg(attribute.attname::text ORDER BY attribute.attnum)
            FILTER (WHERE NOT has_column_privilege(relation.oid, attribute.attnum, 'SELECT')), chr(31))
    FROM pg_class AS relation
    JOIN pg_namespace AS space ON space.oid = relation.relnamespace
    JOIN pg_attribute AS attribute ON attribute.attrelid = relation.oid AND attribute.attnum > 0 AND NOT attribute.attisdropped
    WHERE relation.relkind IN ('r', 'v', 'm', 'f', 'p')
        AND (space.nspname || chr(30) || relation.relname = ANY (string_to_array($1, chr(31)))
            OR (chr(30) || relation.relname = ANY (string_to_array($1, chr(31)))
                AND space.nspname IN (
                    SELECT replace(btrim(place, ' "'), '$user', current_user::text)
                    FROM unnest(string_to_array(current_setting('search_path'), ',')) AS place)))
        AND (NOT has_schema_privilege(space.oid, 'USAGE') OR NOT has_column_privilege(relation.oid, attribute.attnum, 'SELECT'))
    GROUP BY space.oid, space.nspname, relation.oid, relation.relname
    ORDER BY 2, 3
"""


def missing_grants(connection: dbapi.Connection, query: SourceQuery) -> list[str]:
    """Return the statements that let the role of `connection`, whose transaction has failed, run `query`; none where that is unknown."""
    with suppress(SqlglotError, RecursionError, dbapi.Error):
        tree = sqlglot.parse_one(query.authored or query.text, read=query.dialect)
        names = {f"{_stored_name(table.args.get('db'))}\x1e{_stored_name(table.this)}" for table in tree.find_all(exp.Table)}
        has_star = any(not isinstance(star.parent, exp.Count) for star in tree.find_all(exp.Star))
        wanted = None if has_star else {_stored_name(column.this) for column in tree.find_all(exp.Column)}
        connection.rollback()
        with closing(connection.cursor()) as cursor:
            cursor.execute(_UNREADABLE, ("\x1f".join(sorted(names)),))
            return list(dict.fromkeys(_statements(cursor.fetchall(), wanted)))
    return []


def _statements(rows: Iterable[tuple[str, str, str, bool, bool, str | None]], wanted: set[str] | None) -> Iterator[str]:
    for role, schema, table, is_schema_open, is_partly_readable, columns in rows:
        user, space = _shown(role), _shown(schema)
        if not is_schema_open:
            yield f"GRANT USAGE ON SCHEMA {space} TO {user};"
        unreadable = columns.split("\x1f") if columns else []
        named = [_shown(name) for name in unreadable if wanted is None or name in wanted]
        if named and wanted is not None:
            yield f"GRANT SELECT ({', '.join(named)}) ON {space}.{_shown(table)} TO {user};"
        # Whoever counts rows names no column, and may do so with any.
        elif named or (unreadable and not is_partly_readable):
            yield f"GRANT SELECT ON {space}.{_shown(table)} TO {user};"


def _stored_name(identifier: exp.Expr | None) -> str:
    """Return a name as the catalogue has it: in small letters, unless it is quoted."""
    if identifier is None:
        return ""
    return identifier.name if identifier.args.get("quoted") else identifier.name.lower()


def _shown(name: str) -> str:
    return printable_line(quote_name(name))
