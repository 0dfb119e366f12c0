"""What the customers of each segment buy more than customers who buy as much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.lake.rounding import rounded
from pipeline.lake.tables import SEGMENT_INSIGHTS
from pipeline.segmentation.insights.risk_ratios import Numbers, RiskRatios, benjamini_hochberg, mantel_haenszel

STRATA = 20
FEWEST_BUYERS = 10
FALSE_SHARE = 0.05
PRODUCT = "product"


@dataclass(frozen=True, slots=True)
class SegmentCounts:
    """How many of one segment of a scheme have each subject, by stratum: an array (subjects, strata); and of the others likewise.

    `size` and `others_size` count those of whom anything of the kind is known, an array (strata,).
    """

    segment: str
    subject_kind: str
    subjects: tuple[str, ...]
    with_it: Numbers
    others_with_it: Numbers
    size: Numbers
    others_size: Numbers


def insight_rows(counts: pa.Table) -> pa.Table:
    """Return the rows of SEGMENT_INSIGHTS from those of `sql/insight_counts.sql`."""
    rows: list[dict[str, Any]] = []
    for scheme in sorted(pc.unique(counts["scheme"]).to_pylist()):
        of_scheme = counts.filter(pc.equal(counts["scheme"], scheme))
        rows += [{"scheme": scheme, **row} for row in _rows_of_scheme(list(_segment_counts(of_scheme)))]
    return pa.Table.from_pylist(rows, schema=SEGMENT_INSIGHTS.schema).sort_by([(name, "ascending") for name in SEGMENT_INSIGHTS.key])


def _segment_counts(counts: pa.Table) -> Iterator[SegmentCounts]:
    """Yield the counts of each kind and segment of one scheme."""
    for kind in sorted(pc.unique(counts["subject_kind"]).to_pylist()):
        rows = counts.filter(pc.equal(counts["subject_kind"], kind))
        # The empty subject comes first: it stands for all of whom anything of the kind is known.
        subjects, segments = (sorted(pc.unique(rows[name]).to_pylist()) for name in ("subject", "segment"))
        places = [
            pc.index_in(rows[name], value_set=pa.array(names, pa.string())).to_numpy()
            for name, names in (("subject", subjects), ("segment", segments))
        ]
        table = np.zeros((len(subjects), len(segments), STRATA))
        table[places[0], places[1], rows["stratum"].to_numpy()] = rows["customer_count"].to_numpy()
        everybody = table.sum(axis=1)
        for place, segment in enumerate(segments):
            group = table[:, place, :]
            others = everybody - group
            yield SegmentCounts(segment, kind, tuple(subjects[1:]), group[1:], others[1:], group[0], others[0])


def _rows_of_scheme(counts: list[SegmentCounts]) -> Iterator[dict[str, Any]]:
    """Yield the rows of one scheme: what stands out is judged among all that enough of any of its segments bought."""
    kept = [each.with_it.sum(axis=1) >= FEWEST_BUYERS for each in counts]
    ratios = [_ratios(each, rows) for each, rows in zip(counts, kept, strict=True)]
    stands_out = benjamini_hochberg(np.concatenate([np.zeros(0), *(each.p_value for each in ratios)]), FALSE_SHARE)
    place = 0
    for each, rows, found in zip(counts, kept, ratios, strict=True):
        for index, subject_place in enumerate(np.nonzero(rows)[0]):
            is_significant = bool(stands_out[place] and found.low[index] > 1)
            place += 1
            if is_significant or each.subject_kind != PRODUCT:
                yield _row(each, int(subject_place), found, index, is_significant=is_significant)


def _ratios(counts: SegmentCounts, rows: np.ndarray) -> RiskRatios:
    shape = (int(rows.sum()), STRATA)
    size, others_size = (np.broadcast_to(each, shape) for each in (counts.size, counts.others_size))
    return mantel_haenszel(counts.with_it[rows], size, counts.others_with_it[rows], others_size)


def _row(counts: SegmentCounts, place: int, ratios: RiskRatios, index: int, *, is_significant: bool) -> dict[str, Any]:
    bought = int(counts.with_it[place].sum())
    share, lift = bought / float(counts.size.sum()), float(ratios.ratio[index])
    return {
        "segment": counts.segment,
        "subject_kind": counts.subject_kind,
        "subject": counts.subjects[place],
        "customer_count": bought,
        "share": share,
        "expected_share": rounded(share / lift) if lift > 0 else None,
        "lift": rounded(lift),
        "low": rounded(ratios.low[index]),
        "high": rounded(ratios.high[index]),
        "is_significant": is_significant,
    }
