"""The status of a lake in the text format that Prometheus reads: gauges alone, all of what is stored.

No gauge is an age: a monitor computes that from an instant, so a file that nobody writes any more grows old too. A segment of 1 to 9
customers is withheld; where those of a scheme have fewer than 10 together, or there is one alone, so is the next larger one: else
subtraction would tell.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from zoneinfo import ZoneInfo

from pipeline.calendar import ONE_DAY, first_instant
from pipeline.lake.lake import Lake
from pipeline.lake.tables import FEWEST_PUBLISHED, SEGMENT_PROFILES
from pipeline.publication.gates import GateState
from pipeline.reporting.status.status import LakeStatus, NightState

SegmentSizes = Mapping[str, Mapping[str, int]]
_Samples = Iterable[tuple[Mapping[str, str], float]]
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


def segment_sizes(lake: Lake, status: LakeStatus) -> SegmentSizes:
    """Return how many customers each segment of each scheme has in the live night; none where that night is not stored."""
    sizes: dict[str, dict[str, int]] = defaultdict(dict)
    if status.live and lake.has(SEGMENT_PROFILES, day=status.live.day):
        for row in lake.read(SEGMENT_PROFILES, day=status.live.day).to_pylist():
            sizes[row["scheme"]][row["segment"]] = row["customer_count"]
    return sizes


def to_prometheus(status: LakeStatus, zone: ZoneInfo, sizes: SegmentSizes) -> str:
    """Return the gauges; `zone` is that of the company, in which days end."""
    return "".join(_gauges(status, zone, sizes))


def _gauges(status: LakeStatus, zone: ZoneInfo, sizes: SegmentSizes) -> Iterator[str]:
    live, newest = status.live, status.newest
    if live:
        end = first_instant(live.day + ONE_DAY, zone).timestamp()
        yield _gauge("live_until_timestamp_seconds", "End of the business day that is live, in seconds since 1970.", [({}, end)])
        rows = [({"table": name}, count) for name, count in sorted(live.row_counts.items())]
        yield _gauge("live_rows", "Rows of each published table.", rows)
    if newest:
        end = first_instant(newest.day + ONE_DAY, zone).timestamp()
        yield _gauge("newest_night_until_timestamp_seconds", "End of the business day of the newest night, live or not.", [({}, end)])
        states = [({"state": state.name.lower()}, int(newest.outcome is state)) for state in NightState]
        yield _gauge("newest_night_state", "What became of the newest night: 1 for the state it is in.", states)
        counts = Counter(gate.state for gate in newest.gates)
        gates = [({"state": state.value}, counts[state]) for state in GateState]
        yield _gauge("gates", "Gates of the newest night in each state.", gates)
        rejected = [({"table": name}, count) for name, count in sorted(status.rejected_rows.items())]
        yield _gauge("rejected_rows", "Rows that the newest night set aside, per source table.", rejected)
    yield _gauge("status_code", "Exit code of `segments status`: 0 where all is well.", [({}, status.exit_code)])
    yield _gauge("late_days", "Days for which rows arrived late.", [({}, len(status.late_days))])
    yield _gauge("requested_refits", "Cluster schemes whose customers drifted from their model.", [({}, len(status.requested_refits))])
    yield _gauge("bytes", "Size of each folder of the lake.", [({"folder": name}, size) for name, size in sorted(status.sizes.items())])
    shown = {scheme: _shown_sizes(segments) for scheme, segments in sorted(sizes.items())}
    customers = [({"scheme": scheme, "segment": name}, size) for scheme, each in shown.items() for name, size in sorted(each.items())]
    yield _gauge("customers", "Customers of each segment in the live night; small ones are withheld.", customers)
    withheld = [({"scheme": scheme}, len(sizes[scheme]) - len(each)) for scheme, each in shown.items()]
    yield _gauge("withheld", "Segments whose size is withheld, as few customers are in them.", withheld)


def _shown_sizes(segments: Mapping[str, int]) -> dict[str, int]:
    """Return the sizes that may be told."""
    by_size = sorted((size, name) for name, size in segments.items() if size > 0)
    hidden: dict[str, int] = {}
    for size, name in by_size:
        if size >= FEWEST_PUBLISHED and not 0 < sum(hidden.values()) < FEWEST_PUBLISHED:
            break
        hidden[name] = size
    return {name: size for name, size in segments.items() if name not in hidden}


def _gauge(name: str, meaning: str, samples: _Samples) -> str:
    lines = [f"segments_{name}{_labels(labels)} {value:.15g}\n" for labels, value in samples]
    return f"# HELP segments_{name} {meaning}\n# TYPE segments_{name} gauge\n{''.join(lines)}" if lines else ""


def _labels(labels: Mapping[str, str]) -> str:
    pairs = ",".join(f'{name}="{value.translate(_ESCAPES)}"' for name, value in labels.items())
    return f"{{{pairs}}}" if pairs else ""
