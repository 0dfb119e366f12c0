"""Are clusters found again? Each is compared with the fits to customers drawn anew."""

from __future__ import annotations

import numpy as np

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import ClusteringTask, Labels, find_centres, nearest_centres
from pipeline.models.clusters.preparation import Numbers, round_figures

BOOTSTRAP_FITS = 20
BOOTSTRAP_ROWS = 10_000


def bootstrap_jaccards(points: Numbers, labels: Labels, scheme: ClusterScheme) -> Numbers:
    """Return, per cluster, its mean Jaccard overlap with the most similar cluster of fits to resampled customers."""
    count = int(labels.max()) + 1
    random = np.random.default_rng([scheme.seed, count])
    overlaps = np.zeros((BOOTSTRAP_FITS, count))
    for each in overlaps:
        rows = random.integers(len(points), size=min(len(points), BOOTSTRAP_ROWS))
        centres = find_centres(
            points[rows], scheme.algorithm, ClusteringTask(count, scheme.smallest_share, int(random.integers(2**31)))
        ).centres
        if len(centres):
            each[:] = _best_overlaps(labels, nearest_centres(points, centres), count)
    return round_figures(overlaps.mean(axis=0))


def _best_overlaps(ours: Labels, theirs: Labels, count: int) -> Numbers:
    """Return, per label of ours, the Jaccard overlap with the most similar label of theirs."""
    width = int(theirs.max()) + 1
    shared = np.bincount(ours * width + theirs, minlength=count * width).reshape(count, width)
    united = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    return np.asarray((shared / united).max(axis=1))
