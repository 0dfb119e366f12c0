"""The way back from what was published last: an earlier publication becomes live again, in files and in the database target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.operations.deployment import Deployment

if TYPE_CHECKING:
    from pipeline.publication.rollback import Rollback


def roll_back(deployment: Deployment, *, to: str | None = None, reason: str = "") -> Rollback:
    """Make the publication before the live one, or the one whose id is `to`, live again, say so on its page, and return what was done.

    Raises DataError where there is no such publication, or it is damaged; TransientError where all that is done, and a catalogue of
    Iceberg tables did not answer: the next night brings it forward.
    """
    from pipeline.lake.tables import SEGMENT_PROFILES
    from pipeline.publication.iceberg import register_live
    from pipeline.publication.rollback import roll_back as lead_back
    from pipeline.reporting.pages.morning import write_morning_pages

    done = lead_back(deployment.company, deployment.lake, to=to, reason=reason, connections=deployment.connections)
    taken_back = [day for day in deployment.lake.nights(SEGMENT_PROFILES) if done.takes_back(day)]
    write_morning_pages(deployment.company, deployment.lake, taken_back)
    register_live(deployment.company, deployment.lake, catalogs=deployment.catalogs)
    return done
