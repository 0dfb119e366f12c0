"""Answers that go together by one common trait, such as how readily somebody says yes: what answers without groups look like.

Answers have no density that could show hollows, as each is one of a few values. How they go together is all that can show groups, so
a reference that kept all of it would hide any. It keeps one common trait instead: the one-factor model of Spearman (1904), "General
intelligence, objectively determined and measured", American Journal of Psychology 15. And it keeps questions that ask the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.encoding import Numbers, Variable

FACTOR_SWEEPS = 50
CALIBRATIONS, CALIBRATION_DRAWS, CALIBRATION_STEP, LARGEST_GROWTH = 8, 4, 0.6, 2.0
LARGEST_LOADING = 0.95
# From this correlation of what was answered on, two questions ask the same.
SAME_QUESTION = 0.75
TINY = 1e-9


def with_one_trait(covariance: Numbers, given: Numbers, variables: Sequence[Variable], random: np.random.Generator) -> Numbers:
    """Return the covariance of normal scores with answers going together by one common trait.

    Two of the `given` answers that go together almost exactly ask the same, and still do so: their scores get the correlation that
    two flags of a half of customers each need to go together as they do, the sine of 90 degrees times theirs.
    """
    answers = [place for place, variable in enumerate(variables) if variable.is_answer]
    if len(answers) < 2:  # noqa: PLR2004
        return covariance
    deviations = np.sqrt(np.diag(covariance))[answers]
    alike = np.asarray(np.corrcoef(given[:, answers].T))
    is_same = np.abs(alike) >= SAME_QUESTION
    # Those that ask the same have the trait alike: with loadings of their own, copies would not be drawn as copies.
    first = np.argmax(is_same, axis=1)
    loadings = _trait_loadings(given[:, answers], ~is_same, random)[first] * np.sign(alike[np.arange(len(first)), first])
    common = np.where(is_same, np.sin(np.pi / 2 * alike), np.outer(loadings, loadings))
    np.fill_diagonal(common, 1)
    simplified = covariance.copy()
    simplified[np.ix_(answers, answers)] = common * np.outer(deviations, deviations)
    return simplified


def _trait_loadings(given: Numbers, are_apart: npt.NDArray[np.bool_], random: np.random.Generator) -> Numbers:
    """Return how strongly each answer goes by the one common trait, -1 to 1.

    The trait is found by iterated principal factors. Answers of few values go together less than what lies behind them does, and by
    how much depends on their shares. So answers are drawn by the trait, and its loadings are raised until each goes together with the
    others, of which `are_apart` tells those that ask something else, as much as the given ones do.
    """
    observed = np.asarray(np.corrcoef(given.T))
    reduced = observed.copy()
    for _ in range(FACTOR_SWEEPS):
        values, vectors = np.linalg.eigh(reduced)
        loadings = np.clip(vectors[:, -1] * np.sqrt(max(values[-1], 0)), -LARGEST_LOADING, LARGEST_LOADING)
        np.fill_diagonal(reduced, loadings**2)
    signs = np.outer(np.sign(loadings), np.sign(loadings)) * are_apart
    wanted, ordered = (observed * signs).sum(axis=1), np.sort(given, axis=0)
    for _ in range(CALIBRATIONS):
        drawn = sum(np.corrcoef(_answers_by_trait(ordered, loadings, random).T) for _ in range(CALIBRATION_DRAWS)) / CALIBRATION_DRAWS
        reached = (drawn * signs).sum(axis=1)
        growth = np.clip(wanted / np.maximum(reached, TINY), 0, LARGEST_GROWTH) ** CALIBRATION_STEP
        loadings = np.clip(loadings * growth, -LARGEST_LOADING, LARGEST_LOADING)
    return np.asarray(loadings)


def _answers_by_trait(ordered: Numbers, loadings: Numbers, random: np.random.Generator) -> Numbers:
    """Draw answers whose values are those of each column, in order, by a trait with these loadings."""
    own = random.normal(size=ordered.shape) * np.sqrt(1 - loadings**2)
    scores = random.normal(size=(len(ordered), 1)) * loadings + own
    return np.take_along_axis(ordered, np.argsort(np.argsort(scores, axis=0), axis=0), axis=0)
