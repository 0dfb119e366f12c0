"""Which moves a database target keeps: those of the last publications, and of nights before them that were not published."""

from __future__ import annotations

from typing import Final

from pipeline.publication.targets.tables import PUBLICATIONS_WITH_MOVES, TargetTable

_KEEP_MOVES: Final = (
    # What no earlier publication tells is told by this one: moves of nights that were held back, or are taken back, too.
    """
    DELETE FROM {moves} WHERE NOT EXISTS (
        SELECT 1 FROM publications AS told WHERE told.day >= {moves}.day AND told.day < (SELECT day FROM night))
    """,
    "INSERT INTO {moves} SELECT * FROM staged_{moves}",
    f"""
    DELETE FROM {{moves}} WHERE day < (
        SELECT min(kept.day) FROM (SELECT day FROM publications ORDER BY day DESC LIMIT {PUBLICATIONS_WITH_MOVES}) AS kept)
    """,  # noqa: S608 - a number that we declare
    # Who does not agree any more is not told of; that somebody left is.
    """
    DELETE FROM {moves} WHERE reason <> 'left' AND NOT EXISTS (
        SELECT 1 FROM customer_profiles AS profile WHERE profile.customer_id = {moves}.customer_id)
    """,
)


def keep_moves_statements(table: TargetTable) -> list[str]:
    """Return the statements that bring a table of moves to the night, whose rows are staged."""
    return [statement.format(moves=table.name) for statement in _KEEP_MOVES]
