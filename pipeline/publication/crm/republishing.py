"""A publication that goes live out of turn: its tables are what they were, but those of the CRM go on from what readers saw.

A rollback must reach whoever reads changes by their number. Were the old numbers shown again, they would lie before all that these readers
have read, and nothing would be taken back there.
"""

from __future__ import annotations

import logging
from pathlib import Path

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import CRM_TABLES
from pipeline.publication.crm.seen_tables import CRM_NOTE, seen_tables
from pipeline.publication.current import Publication, publication_from_manifest, read_published_manifest
from pipeline.publication.manifests import content_based_id, manifest_text

log = logging.getLogger("pipeline.publication")


def continued(
    company: Company, lake: Lake, publication: Publication, shown: Publication | None, *, memory_limit: str = MEMORY_LIMIT
) -> Publication:
    """Return what goes live in the place of `publication`, written beside it: itself where the company has no tables for a CRM.

    `shown` is what readers saw last. The same call gives the same publication, also after it went live.
    """
    if company.crm is None or shown is None or shown.publication_id == publication.publication_id:
        return publication
    with lake.private_folder() as private, lake.disk_errors("publish"):
        staged = private / "publication"
        try:
            return _write_continued(company, lake, publication, shown, staged, memory_limit)
        except (DataError, OSError) as error:
            # Something of the night may be damaged or gone, and going back is the way out of that.
            what = error.what if isinstance(error, DataError) else type(error).__name__
            log.warning("crm: whoever reads changes by their number has to read everything anew: %s", what)
            return publication


def _write_continued(  # noqa: PLR0913, PLR0917
    company: Company, lake: Lake, publication: Publication, shown: Publication, staged: Path, memory_limit: str
) -> Publication:
    from pipeline.publication.crm.crm_inputs import CrmInputs
    from pipeline.publication.crm.writing import write_crm_tables

    manifest = read_published_manifest(lake, publication.publication_id)
    others = {name: said for name, said in manifest["tables"].items() if name not in {table.name for table in CRM_TABLES}}
    for name in others:
        lake.store.link_to(publication.file(name), staged / f"{name}.parquet")
    seen = seen_tables(lake, shown)
    written, note = write_crm_tables(CrmInputs(company, lake, publication.day, staged, seen, memory_limit, is_rollback=True))
    manifest |= {"tables": others | written, CRM_NOTE: note}
    manifest["publication_id"] = content_based_id(manifest)
    lake.store.install_folder(addresses.publication(manifest["publication_id"]), staged, manifest_text(manifest))
    return publication_from_manifest(manifest)
