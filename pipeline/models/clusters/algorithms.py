"""Algorithms that find centres. Whatever finds them, a customer belongs to the nearest one: that is what a model in SQL can say.

`k-means`           finds centres that customers are nearest to: applied exactly as found
`gaussian-mixture`  finds bells of any width; their means become the centres
`hdbscan`           finds dense places, and how many there are; their means become the centres, and noise goes to the nearest

For the last two `fidelity` tells how many customers stay with the group that the algorithm itself put them in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.preparation import Numbers, rounded

INITIALISATIONS = 10
# Where k-means starts anew is found on so many points; from there it comes to rest on all of them.
START_ROWS = 30_000
MIXTURE_INITIALISATIONS = 3
MOST_ITERATIONS = 3_000
MIXTURE_ROWS, DENSITY_ROWS = 10_000, 4_000
SILHOUETTE_ROWS = 4_000  # its cost grows with the square of them
# A warm start is left where starting anew finds centres that customers are nearer to by more than this.
WORTH_A_COLD_START = 0.99

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Task:
    """What an algorithm is asked for: so many clusters, each of at least a share of customers; `start` is a label per point."""

    count: int
    smallest_share: float
    seed: int
    start: Labels | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Centres, a row each, and the share of customers that the algorithm had put with the centre they are nearest to."""

    centres: Numbers
    fidelity: float = 1.0


def nearest(points: Numbers, centroids: Numbers) -> Labels:
    """Return the place of the nearest centroid for each point; on a tie the first."""
    labels: Labels = np.argmin((centroids**2).sum(axis=1) - 2 * points @ centroids.T, axis=1)
    return labels


def dispersion(points: Numbers, centres: Numbers) -> float:
    """Return the sum of squared distances to the nearest centre."""
    return float(((points - centres[nearest(points, centres)]) ** 2).sum())


def silhouette(points: Numbers, labels: Labels, seed: int, *, rows: int = SILHOUETTE_ROWS) -> float:
    """Return the mean silhouette of at most `rows` points, -1 to 1; 0 where they have one label, or each has its own."""
    from sklearn.metrics import silhouette_score

    # Not scikit-learn's own sample: this one stays the same whatever its version.
    chosen = np.random.default_rng(seed).permutation(len(points))[:rows]
    if not 1 < len(np.unique(labels[chosen])) < len(chosen):
        return 0.0
    return float(rounded(silhouette_score(points[chosen], labels[chosen])))


def means(points: Numbers, labels: Labels, count: int) -> Numbers:
    """Return the mean of the points of each label; not a number where a label has none."""
    sums = np.column_stack([np.bincount(labels, weights=column, minlength=count) for column in points.T])
    with np.errstate(invalid="ignore"):
        return np.asarray(sums / np.bincount(labels, minlength=count)[:, None])


def found(points: Numbers, algorithm: str, task: Task) -> Found:
    """Return what the algorithm finds, the centres rounded and in canonical order: from the largest first coordinate down."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # A resample may hold fewer different points than clusters; the overlap then says so.
        warnings.simplefilter("ignore", ConvergenceWarning)
        raw = _ALGORITHMS[algorithm](points, task)
    return Found(np.unique(rounded(raw.centres), axis=0)[::-1], raw.fidelity)


def k_means(points: Numbers, count: int, seed: int, *, initialisations: int = INITIALISATIONS) -> Numbers:
    """Return the centres of k-means started anew."""
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(count, n_init=initialisations, random_state=seed).fit(points).cluster_centers_)


def _by_k_means(points: Numbers, task: Task) -> Found:
    cold = _settled(points, k_means(_some(points, START_ROWS, task.seed), task.count, task.seed))
    initial = None if task.start is None else means(points, task.start, task.count)
    if initial is None or np.isnan(initial).any():
        return Found(cold)
    warm = _settled(points, initial)
    return Found(cold if dispersion(points, cold) < WORTH_A_COLD_START * dispersion(points, warm) else warm)


def _settled(points: Numbers, centres: Numbers) -> Numbers:
    """Return where the centres come to rest: one that stops on the way would go on when it is started from there again."""
    from sklearn.cluster import KMeans

    return np.asarray(KMeans(len(centres), init=centres, n_init=1, tol=0, max_iter=MOST_ITERATIONS).fit(points).cluster_centers_)


def _by_mixture(points: Numbers, task: Task) -> Found:
    from sklearn.mixture import GaussianMixture

    rows = _some(points, MIXTURE_ROWS, task.seed)
    mixture = GaussianMixture(task.count, n_init=MIXTURE_INITIALISATIONS, random_state=task.seed, reg_covar=1e-3).fit(rows)
    return _centred(rows, np.asarray(mixture.predict(rows)))


def _by_density(points: Numbers, task: Task) -> Found:
    from sklearn.cluster import HDBSCAN

    rows = _some(points, DENSITY_ROWS, task.seed)
    fewest = max(2, round(task.smallest_share * len(rows)))
    return _centred(rows, np.asarray(HDBSCAN(min_cluster_size=fewest, copy=True).fit_predict(rows)))


def _centred(points: Numbers, labels: Labels) -> Found:
    """Return the means of the groups found, with the share of customers in a group who are nearest to its own mean."""
    grouped, groups = points[labels >= 0], labels[labels >= 0]
    if not len(groups):
        return Found(np.empty((0, points.shape[1])))
    kept, groups = np.unique(groups, return_inverse=True)
    centres = means(grouped, groups, len(kept))
    return Found(centres, float(rounded((nearest(grouped, centres) == groups).mean())))


def _some(points: Numbers, rows: int, seed: int) -> Numbers:
    return points if len(points) <= rows else points[np.random.default_rng(seed).permutation(len(points))[:rows]]


_ALGORITHMS: Mapping[str, Callable[[Numbers, Task], Found]] = {
    "k-means": _by_k_means,
    "gaussian-mixture": _by_mixture,
    "hdbscan": _by_density,
}
