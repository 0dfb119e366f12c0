"""How a column becomes coordinates: fitted on a sample of customers, and applied to others just as the statement does it.

number  filled, its logarithm taken where the scheme says so, limited to its 1st and 99th percentile (winsorised), standardised
flag    (1 or 0 - share of yes) / 0.5
text    for each frequent text (1 or 0 - its share) / (0.5 * sqrt 2)

A flag is not standardised: a question to which few say yes would count for more than one that divides customers in halves. By
half of its range, two customers who answer differently are as far apart in any question: 2, and so in a text, where two
coordinates differ. After Dolnicar, Grün & Leisch (2018), "Market Segmentation Analysis", which clusters answers as they are.
Every figure is rounded as the model stores it before it is used, so that the stored model gives the very same coordinates.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.fields import LARGEST_NUMBER
from pipeline.definitions.schemes.cluster_features import ClusterFeature
from pipeline.models.clusters.model import LONGEST_VALUE, SMALLEST_SCALE, ModelFeature

DECIMALS = 6  # beyond that, sums differ with the number of threads that add them up
WINSOR_QUANTILES = (0.01, 0.99)
# What nearly everyone shares separates nobody: standardised, it would only put the few others far away from all.
SHARED_BY_NEARLY_ALL = 0.95
CUT_QUANTILES = tuple(place / 10 for place in range(1, 10))
FLAG_SCALE, TEXT_SCALE = 0.5, 0.707107
# A text of fewer customers tells of nobody in particular, and has no coordinate of its own.
FEWEST_OF_TEXT, SMALLEST_TEXT_SHARE = 10, 0.01
MOST_TEXTS, LARGEST_REST_SHARE = 12, 0.2
MOST_DISCRETE_VALUES = 10
FEWEST_EFFECTIVE_VALUES = 20
TWO_VALUES = 2

Numbers = npt.NDArray[np.float64]


class CannotFitError(Exception):
    """There is nothing to fit; the message is the reason."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One thing that is known of customers, as the places of its `columns` among the coordinates.

    A discrete one has few values. Its distribution tells nothing of groups: two values are not two groups of customers. `is_spread`
    tells whether equal values may be spread over the room they have; the parts of a whole may not. An answer is an attribute of few
    values: groups show in how answers go together, and nowhere else.
    """

    columns: tuple[int, ...]
    is_discrete: bool = False
    is_spread: bool = True
    is_answer: bool = False


@dataclass(frozen=True, slots=True)
class EncodedColumn:
    """A column of the sample as coordinates: one `ModelFeature` per column of `points`; none where nearly all customers share a value.

    `variable` counts its columns from 0; `content` is what the column holds, as bytes for a digest.
    """

    name: str
    features: tuple[ModelFeature, ...]
    points: Numbers
    variable: Variable
    content: bytes


def encode_column(sample: pa.Table, feature: ClusterFeature) -> EncodedColumn:
    """Fit how the column of `feature` becomes coordinates, and return these; no value of it may be unknown, or it has a `fill`.

    Raises CannotFitError for numbers that are not finite, and for a text of too many values.
    """
    if feature.encoding == "text":
        return _encode_text(_plain_texts(sample[feature.name]).to_pylist(), feature.name)
    if feature.encoding == "flag":
        return _encode_flag(_numbers(sample[feature.name], 0.0), feature.name)
    return _encode_numbers(_finite_numbers(sample, feature), feature)


def feature_coordinates(table: pa.Table, features: Sequence[ModelFeature]) -> Numbers:
    """Coordinates as the statement of a model computes them: a row per customer, a column per feature, in its scale.

    An attribute that is not known of a customer, or that the table lacks or has of another kind, is 0, the mean of all. The statement
    puts such customers in no cluster; here they are compared by the rest of what is known.
    """
    columns = [_coordinates_of(table[feature.name] if feature.name in table.column_names else None, feature) for feature in features]
    return np.column_stack([np.zeros(table.num_rows) if column is None else column for column in columns])


def has_value(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return where the column has a value; a text of spaces alone is none."""
    if not pa.types.is_string(column.type):
        return pc.is_valid(column)
    return pc.fill_null(pc.not_equal(_plain_texts(column), ""), fill_value=False)


def round_figures(values: Numbers | float) -> Numbers:
    """Round `values` to the digits that a model keeps."""
    # Adding zero turns a negative zero into a positive one, which JSON would tell apart.
    return np.asarray(np.round(values, DECIMALS) + 0.0)


def shares_between(values: Numbers, cuts: Sequence[float]) -> Numbers:
    """Share of values below, between and above the cuts: one share more than cuts; a value on a cut counts as below it."""
    counts = np.bincount(np.searchsorted(np.asarray(cuts), values, side="left"), minlength=len(cuts) + 1)
    return round_figures(counts / max(len(values), 1))


def _coordinates_of(column: pa.ChunkedArray | None, feature: ModelFeature) -> Numbers | None:
    if column is None or _encoding_of(column.type) != feature.encoding:
        return None
    if feature.encoding == "text":
        held = _numbers(pc.equal(_plain_texts(column), feature.value), 0.0)
    elif feature.encoding == "flag":
        held = _numbers(column, 0.0)
    else:
        values = _transform_values(_numbers(column, feature.fill or 0.0), feature.transform)
        held = np.clip(values, feature.low, feature.high)
    points = (held - feature.mean) / feature.scale
    if not feature.is_attribute:
        return np.asarray(points)
    return np.asarray(np.where(has_value(column).to_numpy(), points, 0.0))


def _encoding_of(kind: pa.DataType) -> str:
    return "text" if pa.types.is_string(kind) else "flag" if pa.types.is_boolean(kind) else "number"


def _encode_numbers(values: Numbers, feature: ClusterFeature) -> EncodedColumn:
    transformed = _transform_values(values, feature.transform)
    low, high = (float(limit) for limit in round_figures(np.quantile(transformed, WINSOR_QUANTILES)))
    held = np.clip(transformed, low, high)
    counts = np.unique(held, return_counts=True)[1]
    if counts.max() >= SHARED_BY_NEARLY_ALL * len(held):
        return _constant_column(feature.name, values.tobytes())
    is_answer = feature.is_attribute and len(counts) <= MOST_DISCRETE_VALUES
    # Of an attribute with two values, such as 0 and 1, the numbers are names: it is a flag.
    is_flag = is_answer and len(counts) == TWO_VALUES
    # Rounding may put the mean just outside the limits, which a model that is read again would refuse.
    mean = min(max(float(round_figures(held.mean())), low), high)
    scale = float(round_figures((high - low) / 2 if is_flag else held.std()))
    if scale < SMALLEST_SCALE:
        return _constant_column(feature.name, values.tobytes())
    points = (held - mean) / scale
    cuts = tuple(np.unique(round_figures(np.quantile(points, CUT_QUANTILES))).tolist())
    shares = tuple(shares_between(points, cuts).tolist())
    fitted = ModelFeature(feature.name, feature.transform, feature.fill, low, high, mean, scale, cuts, shares)
    variable = Variable((0,), is_discrete=True, is_spread=False, is_answer=True) if is_answer else _variable_of(values)
    return EncodedColumn(feature.name, (fitted,), points[:, None], variable, values.astype("<f8").tobytes())


def _variable_of(values: Numbers) -> Variable:
    """Return the variable of a single column: counts on a scale are spread, shares of a few orders (0, 1/3, 1/2 ...) are not.

    How many values count is the inverse Simpson index, 1 / sum of squared shares.
    """
    distinct, counts = np.unique(values, return_counts=True)
    is_whole = bool((distinct == np.round(distinct)).all())
    effective = len(values) ** 2 / (counts.astype(np.float64) ** 2).sum()
    is_lumpy = not is_whole and bool(effective < FEWEST_EFFECTIVE_VALUES)
    return Variable((0,), is_discrete=is_lumpy or len(distinct) <= MOST_DISCRETE_VALUES, is_spread=not is_lumpy)


def _encode_flag(values: Numbers, name: str) -> EncodedColumn:
    share = float(round_figures(values.mean()))
    if max(share, 1 - share) >= SHARED_BY_NEARLY_ALL:
        return _constant_column(name, values.tobytes())
    fitted = ModelFeature(name, "none", None, 0.0, 1.0, share, FLAG_SCALE, encoding="flag")
    return EncodedColumn(name, (fitted,), ((values - share) / FLAG_SCALE)[:, None], _ANSWER, values.astype("<f8").tobytes())


def _encode_text(texts: Sequence[str], name: str) -> EncodedColumn:
    values = np.array(texts, dtype=object)
    content = "\0".join(texts).encode()
    # Sorted by text, so that a model is the same whatever the order of rows.
    counted = {text: int(count) for text, count in zip(*np.unique(values.astype(str), return_counts=True), strict=True)}
    fewest = max(FEWEST_OF_TEXT, SMALLEST_TEXT_SHARE * len(values))
    frequent = [text for text, count in counted.items() if count >= fewest and text.isprintable() and len(text) <= LONGEST_VALUE]
    rest = 1 - sum(counted[text] for text in frequent) / len(values)
    if len(frequent) > MOST_TEXTS or rest > LARGEST_REST_SHARE:
        raise CannotFitError(
            f"not computed: `{name}` has {len(counted):,} different texts; clusters take at most {MOST_TEXTS} that "
            f"{SMALLEST_TEXT_SHARE:.0%} of customers and {FEWEST_OF_TEXT} have, and {LARGEST_REST_SHARE:.0%} of customers with others"
        )
    if max(counted.values()) >= SHARED_BY_NEARLY_ALL * len(values):
        return _constant_column(name, content)
    shares = [float(round_figures(counted[text] / len(values))) for text in frequent]
    fitted = [
        ModelFeature(name, "none", None, 0.0, 1.0, share, TEXT_SCALE, encoding="text", value=text)
        for text, share in zip(frequent, shares, strict=True)
    ]
    points = [((values == text).astype(np.float64) - share) / TEXT_SCALE for text, share in zip(frequent, shares, strict=True)]
    variable = Variable(tuple(range(len(fitted))), is_discrete=True, is_spread=False, is_answer=True)
    return EncodedColumn(name, tuple(fitted), np.column_stack(points), variable, content)


def _constant_column(name: str, content: bytes) -> EncodedColumn:
    return EncodedColumn(name, (), np.empty((0, 0)), Variable(()), content)


def _finite_numbers(sample: pa.Table, feature: ClusterFeature) -> Numbers:
    values = _numbers(sample[feature.name], feature.fill or 0.0)
    if not (np.abs(values) <= LARGEST_NUMBER).all():
        raise CannotFitError(f"{feature.name} has values that are not finite, or beyond {LARGEST_NUMBER:g}")
    return values


def _numbers(column: pa.ChunkedArray, fill: float) -> Numbers:
    # A truth value has no cast to a double of its own.
    numbers = column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column
    return np.asarray(numbers.cast(pa.float64()).fill_null(fill).to_numpy(), dtype=np.float64)


def _plain_texts(column: pa.ChunkedArray) -> pa.ChunkedArray:
    # Of all white space only spaces: what SQL's TRIM takes away.
    return pc.utf8_trim(column, " ")


def _transform_values(values: Numbers, transform: str) -> Numbers:
    return np.log(1 + np.maximum(values, 0)) if transform == "log1p" else values


_ANSWER = Variable((0,), is_discrete=True, is_spread=False, is_answer=True)


def places_from(start: int, variables: Sequence[Variable]) -> Iterator[Variable]:
    """Yield the variables with their columns counted on from `start`, one after the other."""
    for variable in variables:
        columns = tuple(start + place for place in range(len(variable.columns)))
        yield Variable(columns, variable.is_discrete, variable.is_spread, variable.is_answer)
        start += len(columns)
