"""How large each audience is beside the last good publication."""

from __future__ import annotations

from datetime import date

import pyarrow.parquet as pq

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCES
from pipeline.publication.gates.last_good import LastGoodPublication
from pipeline.publication.gates.measures import AudienceSize

COLUMNS = ["audience", "customer_count"]


def measure_audiences(lake: Lake, day: date, good: LastGoodPublication) -> list[AudienceSize]:
    """Return the sizes of the audiences of the night of `day` now and before; one that is new has had nobody."""
    if not lake.has(AUDIENCES, day=day):
        return []
    published = f"{good.prefix}{AUDIENCES.name}.parquet"
    before: dict[str, int] = {}
    if lake.exists(published):
        with lake.reading(AUDIENCES.name, published, piece="publication") as path:
            rows = pq.read_table(path, columns=COLUMNS, page_checksum_verification=True).to_pylist()
        before = {row["audience"]: row["customer_count"] for row in rows}
    digests = lake.manifest(addresses.partition(AUDIENCE_MEMBERS, day=day))["audiences"]
    return [
        AudienceSize(name, row["customer_count"], before.get(name, 0), digests.get(name) != good.audiences.get(name))
        for row in lake.read(AUDIENCES, day=day).select(COLUMNS).to_pylist()
        for name in [row["audience"]]
    ]
