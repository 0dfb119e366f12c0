"""Which clusters: as many as separate best, among those counts where every cluster is large, stable and tighter than chance.

The silhouette alone mostly picks two clusters, and finds some in pure noise. So a count is a candidate only where no cluster is
too small or too large; candidates are then tried by silhouette, best first, and the first one that has a gap to data without
structure and is found again in bootstrap samples is chosen. Cheap checks come first: a gap and twenty fits cost seconds each.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from pipeline.definitions.schemes.cluster_scheme import ClusterScheme
from pipeline.models.clusters.algorithms import (
    ANSWER_INITIALISATIONS,
    INITIALISATIONS,
    ClusteringTask,
    Labels,
    find_centres,
    mean_silhouette,
    nearest_centres,
)
from pipeline.models.clusters.assignment import nearest_clusters
from pipeline.models.clusters.encoding import CannotFitError, Numbers, Variable, round_figures
from pipeline.models.clusters.gap_statistic import GAP_FLOOR, Gap, gap_beyond_reference
from pipeline.models.clusters.model import ClusterModel
from pipeline.models.clusters.preparation import FEWEST_CUSTOMERS_PER_CLUSTER, PreparedSample
from pipeline.models.clusters.reference_distributions import smooth_ties
from pipeline.models.clusters.stability import bootstrap_jaccards
from pipeline.models.clusters.unimodality import has_several_peaks

# Below this the nearest centre, which is all that SQL can apply, no longer says what the algorithm found.
FIDELITY_FLOOR = 0.9
# Another number of clusters than now has to separate better by this much, since it gives many customers another cluster.
SAME_COUNT_BONUS = 0.05
PEAK_ROWS = 5_000
KINDS_PER_CLUSTER = 2  # of different answers
# Features are left out where the gap becomes larger by this much, which is by two fifths less dispersion; half as much keeps them out.
NARROWING_GAIN = 0.5


@dataclass(frozen=True, slots=True)
class CandidateClustering:
    """One possible clustering of the sample: a centroid per row, and for each customer the place of theirs in `labels`."""

    centroids: Numbers
    labels: Labels
    silhouette: float

    @property
    def count(self) -> int:
        return len(self.centroids)

    @property
    def sizes(self) -> Labels:
        return np.bincount(self.labels, minlength=self.count)


@dataclass(frozen=True, slots=True)
class ClusterCountTrial:
    """What became of one number of clusters; what was not measured any more is None, and `refusal` is empty for the chosen one.

    Shares are of the sample's customers, 0 to 1; `jaccard` is that of the least stable cluster.
    """

    count: int
    refusal: str
    smallest_share: float
    largest_share: float
    silhouette: float | None = None
    gap: float | None = None
    jaccard: float | None = None


@dataclass(frozen=True, slots=True)
class SelectionProblem:
    """In which sample, and by which scheme, clusters are to be found; `start` is the place of each customer's cluster now."""

    sample: PreparedSample
    scheme: ClusterScheme
    start: Labels | None
    current: ClusterModel | None

    @property
    def count_now(self) -> int:
        return 0 if self.current is None else len(self.current.clusters)

    @property
    def is_narrow_now(self) -> bool:
        """Whether the current model goes by these features alone."""
        return self.current is not None and [each.name for each in self.current.features] == [each.name for each in self.sample.features]

    def task(self, count: int) -> ClusteringTask:
        start = self.start if count == self.count_now else None
        starts = ANSWER_INITIALISATIONS if self.sample.are_answers else INITIALISATIONS
        return ClusteringTask(count, self.scheme.smallest_share, self.scheme.seed, start, starts)

    def merit(self, candidate: CandidateClustering) -> float:
        return candidate.silhouette + (SAME_COUNT_BONUS if candidate.count == self.count_now else 0)


@dataclass(frozen=True, slots=True)
class Selection:
    """The best clusters of a sample, the mean Jaccard overlap of each in bootstrap fits, their gap, and what was tried."""

    sample: PreparedSample
    candidate: CandidateClustering
    jaccards: Numbers
    gap: float
    trials: tuple[ClusterCountTrial, ...]


def select_clusters(
    sample: PreparedSample, scheme: ClusterScheme, current: ClusterModel | None, trials: list[ClusterCountTrial]
) -> Selection:
    """Select the best clusters of the sample, and put what was tried for them into `trials`.

    Groups that show in two features are lost among five that say nothing. So the features that show groups by themselves are
    tried too, and win where all features together show no groups, or none nearly as tight. Raises CannotFitError.
    """
    # `trials` is filled rather than returned: whoever catches the error wants to show what was tried.
    start = None if current is None else nearest_clusters(sample.table, current)
    problem = SelectionProblem(sample, scheme, start, current)
    narrower = replace(problem, sample=_features_with_peaks(problem))
    by_all = _select_or_reason(problem, trials)
    # Its trials go into a list of their own: what is told to people is how the clusters came about that they get.
    by_some = _select_or_reason(narrower, []) if 0 < len(narrower.sample.features) < len(sample.features) else None
    gain = NARROWING_GAIN / 2 if narrower.is_narrow_now else NARROWING_GAIN
    if isinstance(by_some, Selection) and (not isinstance(by_all, Selection) or by_some.gap > by_all.gap + gain):
        trials[:] = by_some.trials
        return by_some
    if isinstance(by_all, Selection):
        return by_all
    # The reason against all features: that some of them fail too says nothing more.
    raise by_all


def _select_or_reason(problem: SelectionProblem, trials: list[ClusterCountTrial]) -> Selection | CannotFitError:
    try:
        candidate, jaccards = _best_candidate(problem, trials)
    except CannotFitError as reason:
        return reason
    return Selection(problem.sample, candidate, jaccards, trials[-1].gap or 0.0, tuple(trials))


def _features_with_peaks(problem: SelectionProblem) -> PreparedSample:
    """Return the sample with those features alone that have more than one peak."""
    sample, points = problem.sample, problem.sample.points
    random = np.random.default_rng([problem.scheme.seed, len(points)])
    rows = smooth_ties(points[random.permutation(len(points))[:PEAK_ROWS]], sample.variables, random)
    continuous = [variable.columns[0] for variable in sample.variables if not variable.is_discrete]
    peaked = [place for place in continuous if has_several_peaks(rows[:, place], random)]
    variables = tuple(Variable((place,)) for place in range(len(peaked)))
    return replace(sample, features=tuple(sample.features[place] for place in peaked), points=points[:, peaked], variables=variables)


def _best_candidate(problem: SelectionProblem, trials: list[ClusterCountTrial]) -> tuple[CandidateClustering, Numbers]:
    """Return the best candidate with the stability of its clusters; gap and stability, which are costly, are measured best first."""
    candidates = list(_candidate_clusterings(problem, trials))
    for attempt, candidate in enumerate(sorted(candidates, key=lambda candidate: -problem.merit(candidate)), 1):
        sample, seed = problem.sample, problem.scheme.seed
        gap = gap_beyond_reference(sample.points, sample.variables, candidate.count, seed, attempt=attempt)
        # What was structure once stays structure while there is a gap at all, or chance would make clusters come and go.
        is_structure = gap.gap > (GAP_FLOOR if candidate.count == problem.count_now else gap.needed)
        jaccards = bootstrap_jaccards(problem.sample.points, candidate.labels, problem.scheme) if is_structure else None
        trial = _judge_trial(candidate, problem.scheme, gap, jaccards)
        trials.append(trial)
        if jaccards is not None and not trial.refusal:
            return candidate, jaccards
    scheme = problem.scheme
    raise CannotFitError(
        f"no clusters: with {scheme.cluster_count_min} to {scheme.cluster_count_max} of them, one always holds under "
        f"{scheme.smallest_share:.1%} of customers, or has a bootstrap Jaccard under {scheme.jaccard_floor:g}, or customers are no "
        "more alike in them than in data without structure"
    )


def _judge_trial(candidate: CandidateClustering, scheme: ClusterScheme, gap: Gap, jaccards: Numbers | None) -> ClusterCountTrial:
    lowest = None if jaccards is None else float(jaccards.min())
    if lowest is None:
        refusal = "no tighter than data without structure"
    elif lowest < scheme.jaccard_floor:
        refusal = f"a cluster has a bootstrap Jaccard under {scheme.jaccard_floor:g}"
    else:
        refusal = ""
    return ClusterCountTrial(candidate.count, refusal, *_smallest_and_largest_share(candidate.sizes), candidate.silhouette, gap.gap, lowest)


def _smallest_and_largest_share(sizes: Labels) -> tuple[float, float]:
    return float(round_figures(sizes.min() / sizes.sum())), float(round_figures(sizes.max() / sizes.sum()))


def _candidate_clusterings(problem: SelectionProblem, trials: list[ClusterCountTrial]) -> Iterator[CandidateClustering]:
    """Yield a candidate per count whose clusters are neither too small nor too large; note the other counts in `trials`."""
    points, scheme = problem.sample.points, problem.scheme
    for count in _cluster_counts(problem.sample, scheme):
        centres = find_centres(points, scheme.algorithm, problem.task(count))
        labels = nearest_centres(points, centres.centres) if len(centres.centres) else np.zeros(len(points), np.int64)
        sizes = np.bincount(labels, minlength=len(centres.centres))
        if refusal := _reason_against(count, centres.centres, sizes, centres.fidelity, scheme):
            trials.append(ClusterCountTrial(len(sizes), refusal, *_smallest_and_largest_share(sizes)))
        else:
            yield CandidateClustering(centres.centres, labels, mean_silhouette(points, labels, scheme.seed))


def _reason_against(count: int, centres: Numbers, sizes: Labels, fidelity: float, scheme: ClusterScheme) -> str:
    """Return why these clusters are no candidate; an empty text where they are one."""
    smallest, largest = _smallest_and_largest_share(sizes)
    if scheme.algorithm == "hdbscan":
        is_count = scheme.cluster_count_min <= len(centres) <= scheme.cluster_count_max
    else:
        is_count = len(centres) == count
    if not is_count:
        return f"only {len(centres)} clusters differ" if len(centres) < count else f"{len(centres)} clusters are too many"
    if smallest < scheme.smallest_share:
        return f"a cluster holds under {scheme.smallest_share:.1%} of customers"
    if largest > scheme.largest_share:
        return f"a cluster holds over {scheme.largest_share:.1%} of customers"
    if fidelity < FIDELITY_FLOOR:
        return f"only {fidelity:.0%} of customers are nearest to the centre of the group that {scheme.algorithm} put them in"
    return ""


def _cluster_counts(sample: PreparedSample, scheme: ClusterScheme) -> Sequence[int]:
    if sample.are_answers and len(sample.variables) == 1:
        what = f"{sample.features[0].name} alone has a few values, and each is a group by itself"
        raise CannotFitError(f'{what}: a scheme of kind = "values" makes segments of them, clusters need another attribute')
    kinds = len(np.unique(round_figures(sample.points), axis=0))
    # A cluster for each kind of answers would list them, and find nothing.
    room = kinds // KINDS_PER_CLUSTER if sample.are_answers else kinds
    if room < scheme.cluster_count_min:
        needed = scheme.cluster_count_min * (KINDS_PER_CLUSTER if sample.are_answers else 1)
        raise CannotFitError(f"too few kinds of customers: fewer than {needed} differ in any feature")
    most = min(scheme.cluster_count_max, room, len(sample.points) // FEWEST_CUSTOMERS_PER_CLUSTER)
    counts = range(scheme.cluster_count_min, most + 1)
    return counts[:1] if scheme.algorithm == "hdbscan" else counts  # it decides by itself how many there are: one run says all
