"""Titles hold against the other clusters of their model, whatever the centres."""

from __future__ import annotations

import re

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.definitions.schemes.cluster_scheme import ClusterFeature
from pipeline.models.clusters.titles import SMALLEST_DIFFERENCE, TYPICAL, distinct_titles, lasting_titles

NAMES = ("spend", "orders", "recency", "range", "discount")
LEAST = 1e-9


def features_named(*names: str) -> list[ClusterFeature]:
    return [ClusterFeature(name, "none", 0, f"high {name}", f"low {name}") for name in names]


@st.composite
def centres(draw: st.DrawFn) -> np.ndarray:
    """Return centres whose mean, weighted by sizes as that of all customers is, is 0."""
    clusters, width = draw(st.integers(2, 8)), draw(st.integers(1, len(NAMES)))
    coordinate = st.integers(-30, 30).map(lambda tenths: tenths / 10)
    rows = st.lists(coordinate, min_size=width, max_size=width)
    points = np.array(draw(st.lists(rows, min_size=clusters, max_size=clusters)))
    sizes = np.array(draw(st.lists(st.integers(1, 20), min_size=clusters, max_size=clusters)))
    return points - sizes @ points / sizes.sum()


def words_of(title: str) -> list[tuple[str, str]]:
    """Return (degree, name) of each word of a title."""
    text = re.sub(r"( \([^()]*\))+$", "", title[0].lower() + title[1:])
    return [] if text == TYPICAL else [(degree, name) for degree, name in (word.split(" ", 1) for word in text.split(", "))]


def assert_true_beside_each_other(titles: tuple[str, ...], points: np.ndarray, *, slack: float = 0.0) -> None:
    said = [words_of(title) for title in titles]
    assert len(set(titles)) == len(titles)
    for place, words in enumerate(said):
        names = [name for _, name in words]
        assert len(set(names)) == len(names), f"{titles[place]} says two things of one feature"
        for degree, name in words:
            column = points[:, NAMES.index(name)] * (1 if degree.startswith("high") else -1)
            others = np.delete(column, place)
            if degree.endswith("est"):
                assert column[place] > others.max() - LEAST, titles
                continue
            assert column[place] >= SMALLEST_DIFFERENCE - slack - LEAST, titles
            assert column[place] > np.median(others) - LEAST, titles
            for other in np.flatnonzero(column > column[place] + slack + LEAST):
                assert {(degree, name), (f"{degree}est", name)} & set(said[other]), titles


@settings(max_examples=400, deadline=None, derandomize=True)
@given(centres())
def test_every_word_is_true_beside_the_other_clusters(points: np.ndarray) -> None:
    features = features_named(*NAMES[: points.shape[1]])
    assert_true_beside_each_other(distinct_titles(points, features), points)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(centres())
def test_titles_are_numbered_only_where_clusters_are_really_alike(points: np.ndarray) -> None:
    titles = distinct_titles(points, features_named(*NAMES[: points.shape[1]]))
    for place, title in enumerate(titles):
        if found := re.fullmatch(r"(.*) \(([0-9]+)\)", title):
            twins = [other for other, text in enumerate(titles) if text == found[1]]
            assert twins, titles
            assert np.abs(points[place] - points[twins[0]]).max() < SMALLEST_DIFFERENCE + LEAST or " SD)" in found[1], titles


@settings(max_examples=200, deadline=None, derandomize=True)
@given(centres())
def test_features_that_go_together_are_one_thing(points: np.ndarray) -> None:
    width = points.shape[1]
    titles = distinct_titles(points, features_named(*NAMES[:width]), np.full((width, width), -0.95))
    assert all(len(words_of(title)) <= 1 for title in titles)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(centres(), st.integers(0, 2**31))
def test_titles_that_outlive_a_refit_hold_beside_the_others_too(points: np.ndarray, seed: int) -> None:
    features = features_named(*NAMES[: points.shape[1]])
    earlier = distinct_titles(points, features)
    moved = points + np.random.default_rng(seed).normal(0, 0.3, points.shape)
    assert_true_beside_each_other(lasting_titles(distinct_titles(moved, features), earlier, moved, features), moved, slack=0.2)


def test_titles_stay_where_centres_hardly_move() -> None:
    features = features_named("spend", "orders")
    points = np.array([[1.2, 0.9], [-1.0, 0.2], [0.1, -1.3]])
    earlier = distinct_titles(points, features)
    assert earlier == ("High spend, high orders", "Low spend", "Low orders")
    assert lasting_titles(distinct_titles(points + 0.1, features), earlier, points + 0.1, features) == earlier


def test_clusters_of_the_same_words_are_told_apart_by_what_one_has_most() -> None:
    points = np.array([[1.0, 1.0], [3.0, 1.1], [-2.0, 0.1]])
    assert distinct_titles(points, features_named("spend", "days")) == ("High spend, high days", "High days, highest spend", "Low spend")


def test_two_names_of_one_word_never_stand_in_one_title() -> None:
    features = [ClusterFeature("spend", "none", 0, "big", "small"), ClusterFeature("orders", "none", 0, "small", "big")]
    assert distinct_titles(np.array([[1.0, 1.0], [-1.0, -1.0]]), features) == ("Big", "Small")
