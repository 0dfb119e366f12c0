"""Are clusters found again when customers are drawn anew? What only chance put together falls apart in another sample.

Clusterwise stability by the bootstrap: Hennig (2007), "Cluster-wise assessment of cluster stability", Computational Statistics
& Data Analysis 52, which calls a mean Jaccard overlap of 0.75 and more stable. High overlap is necessary, not sufficient: on
pure noise it can reach 0.84, hence the gap statistic beside it.
"""

from __future__ import annotations

import numpy as np

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import ClusteringTask, Labels, find_centres, nearest_centres
from pipeline.models.clusters.encoding import Numbers, round_figures

BOOTSTRAP_FITS = 20
BOOTSTRAP_ROWS = 10_000


def bootstrap_jaccards(points: Numbers, labels: Labels, scheme: ClusterScheme) -> Numbers:
    """Mean Jaccard overlap of each cluster with the most similar cluster of BOOTSTRAP_FITS fits to resampled customers, 0 to 1.

    `points` has a row per customer, `labels` a place of a cluster for each of them; the result has one number per cluster.
    """
    count = int(labels.max()) + 1
    random = np.random.default_rng([scheme.seed, count])
    overlaps = np.zeros((BOOTSTRAP_FITS, count))
    for each in overlaps:
        # With replacement, as the bootstrap has it: some customers are drawn twice and a third not at all.
        rows = random.integers(len(points), size=min(len(points), BOOTSTRAP_ROWS))
        centres = find_centres(
            points[rows], scheme.algorithm, ClusteringTask(count, scheme.smallest_share, int(random.integers(2**31)))
        ).centres
        if len(centres):  # HDBSCAN may find no group at all: then every overlap stays 0
            # All customers are compared, not the drawn ones alone: any customer can be put with the nearest centre of any fit.
            each[:] = _best_overlaps(labels, nearest_centres(points, centres), count)
    return round_figures(overlaps.mean(axis=0))


def _best_overlaps(ours: Labels, theirs: Labels, count: int) -> Numbers:
    """Return, per label of ours, the Jaccard overlap with the most similar label of theirs."""
    width = int(theirs.max()) + 1
    shared = np.bincount(ours * width + theirs, minlength=count * width).reshape(count, width)
    united = shared.sum(axis=1, keepdims=True) + shared.sum(axis=0, keepdims=True) - shared
    return np.asarray((shared / united).max(axis=1))
