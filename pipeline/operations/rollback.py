"""The way back from what was published last: an earlier publication becomes live again, in files and in the database target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.operations.deployment import Deployment

if TYPE_CHECKING:
    from pipeline.publication.rollback import Rollback


def roll_back(deployment: Deployment, *, to: str | None = None, reason: str = "") -> Rollback:
    """Make the publication before the live one, or the one whose id is `to`, live again, and return what was done.

    Raises DataError where there is no such publication, or it is damaged.
    """
    from pipeline.publication.rollback import roll_back as lead_back

    return lead_back(deployment.company, deployment.lake, to=to, reason=reason, connections=deployment.connections)
