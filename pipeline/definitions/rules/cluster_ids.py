"""Ids of clusters: how rules write them, whichever of them a model happens to have."""

from __future__ import annotations

import re

from pipeline.spelling import did_you_mean

# Titles follow from what a model finds, so that a rule which names one would stop working with the next refit.
TODO = (
    "Write the id of a cluster, such as cluster_1, or unclustered or insufficient_evidence: a refit may change titles, and segments "
    "catalog shows both."
)
_OUTSIDE = ("unclustered", "insufficient_evidence")
_NUMBERED = r"cluster_[1-9][0-9]{0,3}"
CLUSTER_ID = "|".join((_NUMBERED, *_OUTSIDE))
_NUMBER = re.compile(r"(?<![0-9])0*([1-9][0-9]{0,3})(?![0-9])")


def is_cluster_id(text: str) -> bool:
    """Whether a model can have a cluster of this id, or `text` stands for customers in none."""
    return re.fullmatch(CLUSTER_ID, text) is not None


def nearest_cluster_id(text: str) -> str:
    """Return ` (did you mean `x`?)` for the nearest id, by its number if there is one, or an empty string."""
    numbers = _NUMBER.findall(text)
    return f" (did you mean `cluster_{numbers[0]}`?)" if len(numbers) == 1 else did_you_mean(text.lower(), _OUTSIDE)
