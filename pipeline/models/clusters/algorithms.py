"""Algorithms that find centres. Whichever finds them, a customer belongs to the nearest centre: that is what SQL can apply.

`k-means`           finds centres that customers are nearest to: applied exactly as found
`gaussian-mixture`  finds normal distributions of any width; their means become the centres
`hdbscan`           finds dense regions, and how many there are; their means become the centres, and noise goes to the nearest

For the last two `fidelity` is the share of customers who stay in the group that the algorithm itself put them in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.encoding import Numbers, round_figures

INITIALISATIONS = 10
# Answers have many solutions nearly as good as the best; from ten starts the seed would decide which of them is found.
ANSWER_INITIALISATIONS = 40
# A cold start is searched on so many points: ten searches on all of them cost minutes and find the same start. From there
# k-means converges on all points.
START_ROWS = 30_000
MIXTURE_INITIALISATIONS = 3
MOST_ITERATIONS = 3_000
MIXTURE_ROWS, DENSITY_ROWS = 10_000, 4_000
SILHOUETTE_ROWS = 4_000  # its cost grows with the square of them
BLOCK_ROWS = 500  # of the distances between all of them, so many rows are in memory at a time
# Starting from the current clusters keeps customers where they are, so it is given up only for a sum of squares over 1 % smaller.
COLD_START_GAIN = 0.99

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClusteringTask:
    """How many clusters to find, each of at least `smallest_share` of customers; `start` is a label per point to start from.

    `initialisations` is from how many cold starts k-means takes the best.
    """

    count: int
    smallest_share: float
    seed: int
    start: Labels | None = None
    initialisations: int = INITIALISATIONS


@dataclass(frozen=True, slots=True)
class Centres:
    """Centres, a row each, and the share of customers, 0 to 1, whom the algorithm put with the centre they are nearest to."""

    centres: Numbers
    fidelity: float = 1.0


def nearest_centres(points: Numbers, centroids: Numbers) -> Labels:
    """Place of the nearest centroid, a row of `centroids`, for each row of `points`; on a tie the first."""
    # |x - c|² without |x|², which is the same for every centroid.
    labels: Labels = np.argmin((centroids**2).sum(axis=1) - 2 * points @ centroids.T, axis=1)
    return labels


def sum_of_squares(points: Numbers, centres: Numbers) -> float:
    """Sum of squared distances of all points to their nearest centre, which k-means minimises."""
    return float(((points - centres[nearest_centres(points, centres)]) ** 2).sum())


def mean_silhouette(points: Numbers, labels: Labels, seed: int, *, rows: int = SILHOUETTE_ROWS) -> float:
    """Return the mean silhouette of at most `rows` points, -1 to 1; 0 where they have one label, or each has its own.

    The silhouette of a point is how much nearer it is to the points of its own cluster than to those of the next one. Rousseeuw
    (1987), "Silhouettes: a graphical aid to the interpretation and validation of cluster analysis", Journal of Computational and
    Applied Mathematics 20. Worked out here, because every night measures it: scikit-learn's gives the same digits, and a second
    of import with them.
    """
    chosen = np.random.default_rng(seed).permutation(len(points))[:rows]
    sample, groups = points[chosen], np.unique(labels[chosen], return_inverse=True)[1]
    if groups.max(initial=0) == 0:
        return 0.0
    blocks = range(0, len(sample), BLOCK_ROWS)
    silhouettes = [_silhouettes_of_block(slice(start, start + BLOCK_ROWS), sample, groups) for start in blocks]
    return float(round_figures(np.concatenate(silhouettes).mean()))


def _silhouettes_of_block(block: slice, sample: Numbers, groups: Labels) -> Numbers:
    """Return the silhouette of each point of a block of the sample; a point that is alone in its group has 0."""
    own, sizes = groups[block], np.bincount(groups)
    # |x - y|² = |x|² + |y|² - 2 x·y as one product of matrices; rounding may leave less than nothing between equal points.
    squares = (sample[block] ** 2).sum(axis=1)[:, None] + (sample**2).sum(axis=1) - 2 * sample[block] @ sample.T
    sums = np.sqrt(np.maximum(squares, 0)) @ np.eye(len(sizes))[groups]
    places = np.arange(len(own))
    # Mean distance to the others of the own group, without the point itself; and to the nearest other group.
    within = sums[places, own] / np.maximum(sizes[own] - 1, 1)
    others = sums / sizes
    others[places, own] = np.inf
    between = others.min(axis=1)
    widest = np.maximum(np.maximum(within, between), np.finfo(float).tiny)
    return np.asarray(np.where(sizes[own] > 1, (between - within) / widest, 0.0))


def label_means(points: Numbers, labels: Labels, count: int) -> Numbers:
    """Mean of the points of each label, a row for each of `count` labels; NaN where a label has no point."""
    sums = np.column_stack([np.bincount(labels, weights=column, minlength=count) for column in points.T])
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.bincount(labels, minlength=count)[:, None])


def find_centres(points: Numbers, algorithm: str, task: ClusteringTask) -> Centres:
    """Find centres with the named algorithm; they are rounded and in canonical order, from the largest first coordinate down.

    There may be fewer than `task.count`, where centres coincide, or where the algorithm decides how many there are.
    """
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A resample may hold fewer different points than clusters; the overlap then says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        raw = _ALGORITHMS[algorithm](points, task)
    return Centres(np.unique(round_figures(raw.centres), axis=0)[::-1], raw.fidelity)


def fit_k_means(points: Numbers, count: int, seed: int, *, initialisations: int = INITIALISATIONS) -> Numbers:
    """Find centres by k-means from a cold start, the best of several initialisations: a row per centre."""
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=initialisations, random_state=seed).fit(points).cluster_centers_)


def _find_by_k_means(points: Numbers, task: ClusteringTask) -> Centres:
    rows = _sampled_points(points, START_ROWS, task.seed)
    cold = _converged_centres(points, fit_k_means(rows, task.count, task.seed, initialisations=task.initialisations))
    initial = None if task.start is None else label_means(points, task.start, task.count)
    if initial is None or np.isnan(initial).any():
        return Centres(cold)
    warm = _converged_centres(points, initial)
    return Centres(cold if sum_of_squares(points, cold) < COLD_START_GAIN * sum_of_squares(points, warm) else warm)


def _converged_centres(points: Numbers, centres: Numbers) -> Numbers:
    """Run k-means from these centres to the very end.

    No tolerance: a run that stopped early would go on when a refit starts from its result, and the same data would move customers.
    """
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(len(centres), init=centres, n_init=1, tol=0, max_iter=MOST_ITERATIONS).fit(points).cluster_centers_)


def _find_by_gaussian_mixture(points: Numbers, task: ClusteringTask) -> Centres:
    from sklearn.mixture import GaussianMixture

    rows = _sampled_points(points, MIXTURE_ROWS, task.seed)
    mixture = GaussianMixture(task.count, n_init=MIXTURE_INITIALISATIONS, random_state=task.seed, reg_covar=1e-3).fit(rows)
    return _centres_of_groups(rows, np.asarray(mixture.predict(rows)))


def _find_by_hdbscan(points: Numbers, task: ClusteringTask) -> Centres:
    from sklearn.cluster import HDBSCAN

    rows = _sampled_points(points, DENSITY_ROWS, task.seed)
    # A group of one is none to this algorithm, which refuses it.
    fewest = max(2, round(task.smallest_share * len(rows)))
    return _centres_of_groups(rows, np.asarray(HDBSCAN(min_cluster_size=fewest, copy=True).fit_predict(rows)))


def _centres_of_groups(points: Numbers, labels: Labels) -> Centres:
    """Return the means of the groups, and the share of grouped customers who are nearest to the mean of their own group."""
    grouped, groups = points[labels >= 0], labels[labels >= 0]
    if not len(groups):
        return Centres(np.empty((0, points.shape[1])))
    distinct, groups = np.unique(groups, return_inverse=True)
    centres = label_means(grouped, groups, len(distinct))
    return Centres(centres, float(round_figures((nearest_centres(grouped, centres) == groups).mean())))


def _sampled_points(points: Numbers, rows: int, seed: int) -> Numbers:
    return points if len(points) <= rows else points[np.random.default_rng(seed).permutation(len(points))[:rows]]


_ALGORITHMS: Mapping[str, Callable[[Numbers, ClusteringTask], Centres]] = {
    "k-means": _find_by_k_means,
    "gaussian-mixture": _find_by_gaussian_mixture,
    "hdbscan": _find_by_hdbscan,
}
