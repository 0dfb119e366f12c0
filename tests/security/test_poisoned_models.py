from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company

from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.errors import DataError
from pipeline.models.clusters import (
    Cluster,
    ClusterModel,
    ModelFeature,
    assignment_statement,
    model_from_json,
    to_json,
)

DATABASE = duckdb.connect(config={"threads": 1})
WATCHED = ("exec", "compile", "import", "open", "os.", "subprocess.", "socket.", "pickle.", "marshal.", "ctypes.")


class Watch:
    """Hears what Python does: code, imports, files, processes, sockets. Python keeps such a listener for ever."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._is_on = False
        sys.addaudithook(self._listen)

    def _listen(self, event: str, _: tuple[Any, ...]) -> None:
        if self._is_on and event.startswith(WATCHED):
            self.heard.append(event)

    @contextmanager
    def on(self) -> Iterator[None]:
        self.heard.clear()
        self._is_on = True
        try:
            yield
        finally:
            self._is_on = False


@pytest.fixture(scope="module")
def watch() -> Watch:
    return Watch()


def a_model() -> ClusterModel:
    return ClusterModel(
        scheme="behaviour_clusters",
        day=date(2024, 3, 31),
        algorithm="k-means",
        library="scikit-learn 1.9.1",
        seed=1,
        inputs_digest="ab" * 32,
        customer_count=30,
        silhouette=0.4,
        features=(
            ModelFeature("spend_amount", "log1p", 0.0, 0.0, 9.0, 4.0, 1.5),
            ModelFeature("recency_days", "none", 0.0, 0.0, 365.0, 100.0, 90.0),
        ),
        constant_features=("return_share",),
        clusters=(Cluster("cluster_1", "High spend", 10, 0.9, (1.0, -0.5)), Cluster("cluster_2", "Low spend", 20, 0.8, (-0.5, 0.25))),
    )


def poisoned(path: str, value: Any) -> str:
    """Return a document whose value at the dotted `path` is replaced, or added."""
    document = json.loads(to_json(a_model()))
    *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
    target = document
    for step in parents:
        target = target[step]
    target[last] = value
    return json.dumps(document)


def without(path: str) -> str:
    document = json.loads(to_json(a_model()))
    *parents, last = (int(step) if step.isdigit() else step for step in path.split("."))
    target = document
    for step in parents:
        target = target[step]
    del target[last]
    return json.dumps(document)


class Attack:
    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, ("raise SystemExit",))


HOSTILE = {
    "empty": "",
    "a pickle": pickle.dumps(Attack(), protocol=0).decode("latin-1"),
    "no object": "[]",
    "text": '"model"',
    "cut short": to_json(a_model())[:-40],
    "two documents": to_json(a_model()) * 2,
    "a bottomless list": "[" * 200_000,
    "a bottomless object": '{"a":' * 200_000,
    "megabytes": to_json(a_model()) + " " * 1_000_000,
    "an endless number": poisoned("seed", 1).replace('"seed": 1', '"seed": ' + "9" * 10_000),
    "a name twice": to_json(a_model()).replace('"seed": 1', '"seed": 1, "seed": 2'),
    "NaN": poisoned("clusters.0.centroid.0", float("nan")),
    "infinity": poisoned("clusters.0.centroid.0", float("inf")),
    "infinity in digits": to_json(a_model()).replace('"silhouette": 0.4', '"silhouette": 1e999'),
    "a huge whole number": poisoned("features.0.mean", 10**400),
    "a number as text": poisoned("features.0.mean", "4.0"),
    "true as a number": poisoned("features.0.mean", True),
    "nothing as a number": poisoned("features.0.mean", None),
    "a scale of zero": poisoned("features.0.scale", 0.0),
    "a scale of almost zero": poisoned("features.0.scale", 1e-300),
    "a negative scale": poisoned("features.0.scale", -1.0),
    "a scale that makes coordinates too large to add up": poisoned("features.0.scale", 1e-5),
    "limits the wrong way round": poisoned("features.0.low", 10.0),
    "a mean outside the limits": poisoned("features.0.mean", 9.5),
    "a feature that is SQL": poisoned("features.0.name", "spend_amount) FROM customer_features; DROP TABLE customers --"),
    "a feature of text": poisoned("features.0.name", "main_channel"),
    "a feature that is a list": poisoned("features.0.name", ["spend_amount"]),
    "a feature twice": poisoned("features.1.name", "spend_amount"),
    "an unknown transform": poisoned("features.0.transform", "__import__('os').system('id')"),
    "no features": poisoned("features", []),
    "features that are an object": poisoned("features", {"0": {}}),
    "a thousand features": poisoned("features", json.loads(to_json(a_model()))["features"] * 500),
    "one cluster": poisoned("clusters", json.loads(to_json(a_model()))["clusters"][:1]),
    "a cluster that is a number": poisoned("clusters.0", 1),
    "an id twice": poisoned("clusters.1.id", "cluster_1"),
    "an id that is SQL": poisoned("clusters.0.id", "cluster_1' OR 1=1 --"),
    "an id with a line break": poisoned("clusters.0.id", "cluster_1\n"),
    "the id of nobody's cluster": poisoned("clusters.0.id", "unclustered"),
    "an id with a leading zero": poisoned("clusters.0.id", "cluster_01"),
    "a title twice": poisoned("clusters.1.title", "High spend"),
    "an empty title": poisoned("clusters.0.title", ""),
    "a title that commands a terminal": poisoned("clusters.0.title", "\x1b]0;gone\x07"),
    "half a character": poisoned("clusters.0.title", "\ud800"),
    "an endless title": poisoned("clusters.0.title", "x" * 1_001),
    "a centre twice": poisoned("clusters.1.centroid", [1.0, -0.5]),
    "a centre of one number": poisoned("clusters.0.centroid", [1.0]),
    "a centre of three numbers": poisoned("clusters.0.centroid", [1.0, 2.0, 3.0]),
    "a centre that is text": poisoned("clusters.0.centroid", "12"),
    "an empty cluster": poisoned("clusters.0.size", 0),
    "half a customer": poisoned("clusters.0.size", 10.5),
    "a Jaccard above one": poisoned("clusters.0.jaccard", 1.01),
    "an unknown field": poisoned("__reduce__", "os.system"),
    "an unknown field with commands": poisoned("\x1b[2J" + "x" * 9_000, 1),
    "an unknown field of a feature": poisoned("features.0.code", "1"),
    "a day that is none": poisoned("day", "2024-02-30"),
    "a day of another form": poisoned("day", "20240331"),
    "a digest that is none": poisoned("inputs_digest", "../../etc"),
    "a constant feature that is no text": poisoned("constant_features", [1]),
    "no scheme": without("scheme"),
    "no silhouette": without("silhouette"),
    "no scale": without("features.0.scale"),
    "no centre": without("clusters.1.centroid"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_document_is_refused_in_words_and_nothing_of_it_runs(case: str, watch: Watch) -> None:
    with pytest.raises(DataError) as refusal, watch.on():
        model_from_json(HOSTILE[case], where="models/behaviour_clusters/2024-03-31.json")
    assert watch.heard == []
    assert refusal.value.what.startswith("not a cluster model: ")
    assert refusal.value.where == "models/behaviour_clusters/2024-03-31.json"
    assert refusal.value.todo
    assert refusal.value.what.isprintable()
    assert len(refusal.value.what) < 1_500
    assert refusal.value.__cause__ is None


def test_the_untouched_document_is_accepted(watch: Watch) -> None:
    text = to_json(a_model())
    with watch.on():
        model = model_from_json(text, where="here")
    assert watch.heard == []
    assert model == a_model()


def test_the_watch_hears_what_a_pickle_does(watch: Watch) -> None:
    with pytest.raises(SystemExit), watch.on():
        pickle.loads(pickle.dumps(Attack()))  # noqa: S301
    assert "exec" in watch.heard


def test_a_misspelt_field_is_named_with_a_suggestion() -> None:
    with pytest.raises(DataError, match=r"`features\[0\]\.scal` is not a known field \(did you mean `scale`\?\)"):
        model_from_json(poisoned("features.0.scal", 1), where="here")


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(max_size=300))
def test_text_that_is_no_model_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        model_from_json(text, where="here")


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["cluster_2", "discount_share", "log1p", 0, 1e15]),
)
values = st.recursive(leaves, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=2)))


def _paths(value: Any, path: str = "") -> Iterator[str]:
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, inner in steps:
        yield f"{path}{step}"
        yield from _paths(inner, f"{path}{step}.")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(list(_paths(json.loads(to_json(a_model()))))), values)
def test_a_changed_document_is_refused_or_is_a_model_that_works(path: str, value: Any) -> None:
    try:
        model = model_from_json(poisoned(path, value), where="here")
    except DataError:
        return
    assert model_from_json(to_json(model), where="here") == model
    (scheme,) = load_cluster_schemes(a_company(Path("no such folder")))
    if model.scheme == scheme.name:
        table = pa.table(
            {"customer_id": ["a", "b"], "order_day_count": [1, 0], **{f.name: pa.array([2.5, None], pa.float64()) for f in model.features}}
        )
        DATABASE.register("customer_features", table)
        rows = DATABASE.sql(assignment_statement(scheme, model).sql("duckdb")).fetchall()
        assert {row[2] for row in rows} <= {"unclustered", *(cluster.id for cluster in model.clusters)}
