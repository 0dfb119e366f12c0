"""How well clusters are apart, measured on a sample that does not depend on the order of anything but the customers' ids."""

from __future__ import annotations

import numpy as np

from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.preparation import Numbers, rounded

SILHOUETTE_ROWS = 4_000
BLOCK_ROWS = 500


def silhouette(points: Numbers, labels: Labels, seed: int, *, rows: int = SILHOUETTE_ROWS) -> float:
    """Return the mean silhouette of at most `rows` points, -1 to 1; 0 where fewer than two labels are among them."""
    chosen = np.random.default_rng(seed).permutation(len(points))[:rows]
    sample, groups = points[chosen], np.unique(labels[chosen], return_inverse=True)[1]
    sizes = np.bincount(groups)
    if len(sizes) < 2:  # noqa: PLR2004 - one group is next to none
        return 0.0
    blocks = [_of_block(slice(start, start + BLOCK_ROWS), sample, groups, sizes) for start in range(0, len(sample), BLOCK_ROWS)]
    return float(rounded(np.concatenate(blocks).mean()))


def _of_block(block: slice, sample: Numbers, groups: Labels, sizes: Labels) -> Numbers:
    """Return the silhouette of the points of a block; a point that is alone in its group has 0."""
    own = groups[block]
    squares = (sample[block] ** 2).sum(axis=1)[:, None] + (sample**2).sum(axis=1) - 2 * sample[block] @ sample.T
    distances = np.sqrt(np.maximum(squares, 0))
    sums = distances @ np.eye(len(sizes))[groups]
    places = np.arange(len(own))
    within = sums[places, own] / np.maximum(sizes[own] - 1, 1)
    others = sums / sizes
    others[places, own] = np.inf
    between = others.min(axis=1)
    widest = np.maximum(np.maximum(within, between), np.finfo(float).tiny)
    return np.asarray(np.where(sizes[own] > 1, (between - within) / widest, 0.0))
