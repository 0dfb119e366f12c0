"""A refit: a candidate fitted to the customers of a night, matched with the current model, and judged beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import numpy as np

from pipeline.definitions.schemes import ClusterScheme
from pipeline.errors import ConfigError
from pipeline.models.clusters import ClusterCountTrial, ClusterModel, NotFitted, fit_with_report, nearest_clusters, to_json
from pipeline.models.clusters.algorithms import mean_silhouette
from pipeline.models.clusters.drift import stability_index
from pipeline.models.clusters.encoding import round_figures
from pipeline.models.clusters.fitting import FitReport
from pipeline.models.clusters.title_words import shares_of_clusters, title_features
from pipeline.models.clusters.titles import lasting_titles
from pipeline.models.refits import alignment
from pipeline.models.refits.backtest import backtest_candidate
from pipeline.models.refits.model_store import RefitContext, current_model, last_number
from pipeline.models.refits.verdict import Backtest, RefitMeasures, RefitVerdict, verdict
from pipeline.models.sample import sample_customers


@dataclass(frozen=True, slots=True)
class ClusterShares:
    """The share of the sampled customers, 0 to 1, in a cluster of the current model and in the candidate's of the same id."""

    cluster: str
    title: str
    share_now: float
    share_then: float


@dataclass(frozen=True, slots=True)
class ClusterRefit:
    """The outcome of a refit: a candidate, or none, what was tried for it, what would become of the clusters, and the verdict."""

    scheme: str
    day: date
    verdict: RefitVerdict
    reason: str
    candidate: ClusterModel | None = None
    current: ClusterModel | None = None
    trials: tuple[ClusterCountTrial, ...] = ()
    sizes: tuple[ClusterShares, ...] = ()
    events: tuple[alignment.ClusterEvent, ...] = ()
    measures: RefitMeasures | None = None


@dataclass(frozen=True, slots=True)
class CandidateComparison:
    """A candidate with lasting ids and titles beside the current model."""

    candidate: ClusterModel
    measures: RefitMeasures
    sizes: tuple[ClusterShares, ...]
    events: tuple[alignment.ClusterEvent, ...]


def fit_candidate(context: RefitContext) -> ClusterRefit:
    """Fit a candidate to the night's customers and judge it; nothing is written.

    Raises DataError where the night has no features, ConfigError where the current model was fitted to a later night.
    """
    scheme, day = context.scheme, context.day
    current, highest = current_model(context.lake, scheme.name), last_number(context.lake, scheme.name)
    if current and current.day > day:
        what = f"the current model was fitted to the later night {current.day}"
        raise ConfigError(what, where=scheme.name, todo=f"Refit to {current.day} or later.")
    # The current model's features too, though the scheme may name others by now: whom it would move is counted on the same sample.
    columns = context.held_columns(feature.name for feature in current.features) if current else []
    context.register_features(day, columns)
    sample = sample_customers(context.engine, scheme, columns=columns)
    fit = fit_with_report(sample.features, scheme, day=day, customer_count=sample.customer_count, current=current)
    if isinstance(fit.model, NotFitted):
        return ClusterRefit(scheme.name, day, RefitVerdict.NO_CLUSTERS, fit.model.reason, current=current, trials=fit.trials)
    if current is None:
        clusters, total = fit.model.clusters, sum(cluster.size for cluster in fit.model.clusters)
        sizes = tuple(ClusterShares(each.id, each.title, 0.0, float(round_figures(each.size / total))) for each in clusters)
        return ClusterRefit(scheme.name, day, RefitVerdict.PROMOTE, "it is the first model", fit.model, trials=fit.trials, sizes=sizes)
    comparison = compare_candidate(fit, current, scheme, highest)
    # Last, for it reads another night: the registered `customer_features` are those of that night from here on.
    backtest = backtest_candidate(context, (current, comparison.candidate))
    return _judge_candidate(_with_backtest(comparison, backtest), scheme, day, fit.trials, current)


def _with_backtest(comparison: CandidateComparison, backtest: Backtest | str) -> CandidateComparison:
    """Return the comparison with its backtest, or with why there is none."""
    if isinstance(backtest, str):
        return replace(comparison, measures=replace(comparison.measures, backtest_missing=backtest))
    return replace(comparison, measures=replace(comparison.measures, backtest=backtest))


def compare_candidate(fit: FitReport, current: ClusterModel, scheme: ClusterScheme, highest: int) -> CandidateComparison:
    """Give the fitted model the ids and titles of the clusters it continues, and measure it beside the current one.

    `highest` is the highest number that a cluster of the scheme ever had. The stability is the adjusted Rand index of Hubert &
    Arabie (1985), "Comparing partitions", Journal of Classification 2. Raises TypeError for a fit that found no model.
    """
    from sklearn.metrics import adjusted_rand_score

    if isinstance(fit.model, NotFitted) or fit.sample is None or fit.labels is None:
        raise TypeError
    raw, sample, then = fit.model, fit.sample, fit.labels
    now = nearest_clusters(sample.table, current)
    shared = alignment.cluster_overlap(now, then, (len(current.clusters), len(raw.clusters)))
    continued = alignment.match_clusters(shared, alignment.distances_between(current, raw))
    candidate = _keep_titles(alignment.with_lasting_ids(raw, current, continued, last_number=highest), current, continued, scheme)
    sizes = _cluster_shares(shared, current, candidate)
    ids_now, ids_then = (np.array([c.number for c in model.clusters])[labels] for model, labels in ((current, now), (candidate, then)))
    measures = RefitMeasures(
        moved_share=float(round_figures((ids_now != ids_then).mean())),
        stability=float(round_figures(adjusted_rand_score(now, then))),
        psi=stability_index(np.array([size.share_now for size in sizes]), np.array([size.share_then for size in sizes])),
        silhouette=candidate.silhouette,
        # In the candidate's coordinates, like its own: silhouettes in two different spaces cannot be compared.
        silhouette_now=mean_silhouette(sample.points, now, scheme.seed),
    )
    return CandidateComparison(candidate, measures, sizes, alignment.cluster_events(candidate, current, shared, continued))


def _keep_titles(candidate: ClusterModel, current: ClusterModel, continued: Mapping[int, int], scheme: ClusterScheme) -> ClusterModel:
    """Return the candidate with the titles that its clusters have now, as far as they are still true."""
    earlier = [current.clusters[continued[place]].title if place in continued else None for place in range(len(candidate.clusters))]
    centroids = np.array([cluster.centroid for cluster in candidate.clusters])
    titles = lasting_titles(
        [cluster.title for cluster in candidate.clusters],
        earlier,
        centroids,
        title_features(scheme, candidate.features),
        shares_of_clusters(centroids, candidate.features),
    )
    clusters = tuple(replace(cluster, title=title) for cluster, title in zip(candidate.clusters, titles, strict=True))
    return replace(candidate, clusters=clusters)


def _cluster_shares(overlap: alignment.ClusterOverlap, current: ClusterModel, candidate: ClusterModel) -> tuple[ClusterShares, ...]:
    now = {cluster.id: int(count) for cluster, count in zip(current.clusters, overlap.shared.sum(axis=1), strict=True)}
    then = {cluster.id: int(count) for cluster, count in zip(candidate.clusters, overlap.shared.sum(axis=0), strict=True)}
    titles = {cluster.id: cluster.title for model in (current, candidate) for cluster in model.clusters}
    order = sorted(titles, key=lambda name: int(name.removeprefix("cluster_")))
    shares = {name: [float(round_figures(side.get(name, 0) / max(overlap.total, 1))) for side in (now, then)] for name in order}
    return tuple(ClusterShares(name, titles[name], *shares[name]) for name in order)


def _judge_candidate(
    comparison: CandidateComparison, scheme: ClusterScheme, day: date, trials: Sequence[ClusterCountTrial], current: ClusterModel
) -> ClusterRefit:
    candidate, measures = comparison.candidate, comparison.measures
    is_same = to_json(_decisive_part(candidate)) == to_json(_decisive_part(current))
    outcome, reason = verdict(measures, scheme, is_same=is_same)
    return ClusterRefit(scheme.name, day, outcome, reason, candidate, current, tuple(trials), comparison.sizes, comparison.events, measures)


def _decisive_part(model: ClusterModel) -> ClusterModel:
    """Return the model with blanks for all that only describes its fit: the rest decides who is where and under which title."""
    clusters = tuple(replace(cluster, size=1, jaccard=0.0, spread=0.0) for cluster in model.clusters)
    features = tuple(replace(feature, cuts=(), shares=()) for feature in model.features)
    return replace(
        model,
        day=date.min,
        valid_from=None,
        library="-",
        algorithm="-",
        seed=0,
        inputs_digest="0" * 64,
        customer_count=1,
        silhouette=0.0,
        last_number=0,
        constant_features=(),
        features=features,
        clusters=clusters,
    )
