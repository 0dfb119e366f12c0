"""All that `segments status` tells a monitor: the live night, the newest one, the last syncs, the lake.

A segment of 1 to 9 customers is withheld; where those of a scheme have fewer than 10 together, or there is one alone, so is the next
larger one: else subtraction would tell.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from pipeline.definitions.company import Company
from pipeline.definitions.sinks import sink_names
from pipeline.lake.lake import Lake
from pipeline.lake.tables import FEWEST_PUBLISHED, SEGMENT_PROFILES
from pipeline.publication.current import Publication, day_of_publication
from pipeline.reporting.metrics import declarations
from pipeline.reporting.metrics.declarations import Sample
from pipeline.reporting.metrics.night_samples import Samples, end_of_day, live_samples, night_samples
from pipeline.reporting.metrics.run_records import SyncState, read_sync_record
from pipeline.reporting.status.status import LakeStatus

SegmentSizes = Mapping[str, Mapping[str, int]]


def status_samples(company: Company, lake: Lake, status: LakeStatus) -> Samples:
    """Yield all samples; `status` is that of the company's lake."""
    if status.live:
        yield from live_samples(company, status.live)
    if status.newest:
        yield from night_samples(company, lake, status.newest)
    for sink in sink_names(company):
        yield from sync_samples(company, lake, sink)
    yield Sample(declarations.STATUS_CODE, status.exit_code)
    for folder, size in sorted(status.sizes.items()):
        yield Sample(declarations.BYTES, size, (folder,))
    free = lake.store.free_bytes()
    if free is not None:
        yield Sample(declarations.FREE_BYTES, free)
    yield from segment_size_samples(_segment_sizes(lake, status.live))


def sync_samples(company: Company, lake: Lake, sink: str) -> Samples:
    """Yield what is told of the last sync of a sink; nothing of one that was never synced."""
    record = read_sync_record(lake, sink)
    if record is None:
        return
    for state in SyncState:
        yield Sample(declarations.SYNC_STATE, int(record.state is state), (sink, state.value))
    for change, count in record.planned.items():
        yield Sample(declarations.SYNC_PLANNED_CUSTOMERS, count, (sink, change))
    for outcome, count in record.outcomes.items():
        yield Sample(declarations.SYNC_CUSTOMERS, count, (sink, outcome))
    if record.synced_id:
        yield Sample(declarations.SYNCED_UNTIL, end_of_day(company, day_of_publication(record.synced_id)), (sink,))


def segment_size_samples(sizes: SegmentSizes) -> Samples:
    """Yield how many customers each segment has, and how many sizes are withheld."""
    for scheme, segments in sorted(sizes.items()):
        shown = _shown_sizes(segments)
        for segment, size in sorted(shown.items()):
            yield Sample(declarations.CUSTOMERS, size, (scheme, segment))
        yield Sample(declarations.WITHHELD, len(segments) - len(shown), (scheme,))


def _segment_sizes(lake: Lake, live: Publication | None) -> SegmentSizes:
    """Return how many customers each segment of each scheme has in the live night; none where that night is not stored."""
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    if live and lake.has(SEGMENT_PROFILES, day=live.day):
        for row in lake.read(SEGMENT_PROFILES, day=live.day).to_pylist():
            sizes[row["scheme"]][row["segment"]] = row["customer_count"]
    return sizes


def _shown_sizes(segments: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes that may be told."""
    by_size = sorted((size, name) for name, size in segments.items() if size > 0)
    hidden: dict[str, int] = {}
    for size, name in by_size:
        if size >= FEWEST_PUBLISHED and not 0 < sum(hidden.values()) < FEWEST_PUBLISHED:
            break
        hidden[name] = size
    return {name: size for name, size in segments.items() if name not in hidden}
