"""What sets a cluster apart, in figures: as a night stored it, and as it reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CLUSTER_PROFILES
from pipeline.models.clusters import FeatureProfile, feature_profiles

MOST_LINES = 8
NOTE = "figures are means as the model compares customers: of skewed amounts near the median"
Profiles = dict[tuple[str, str], tuple[FeatureProfile, ...]]


def stored_profiles(lake: Lake, day: date) -> Profiles:
    """Return what sets each cluster of a night apart, by scheme and cluster; nothing of a night that an older version computed."""
    return feature_profiles(lake.read(CLUSTER_PROFILES, day=day)) if lake.has(CLUSTER_PROFILES, day=day) else {}


def profile_lines(profile: Sequence[FeatureProfile]) -> list[str]:
    """Say what sets a cluster apart most, a line per figure; a survey may have hundreds."""
    lines = [profile_words(each) for each in profile[:MOST_LINES]]
    left = len(profile) - len(lines)
    return [*lines, f"and {left:,} more in {CLUSTER_PROFILES.name}"] if left else lines


def profile_words(profile: FeatureProfile) -> str:
    """Say what a cluster is like in one feature, beside all customers in a cluster of the scheme."""
    name = profile.feature if profile.value is None else f"{profile.feature} = {profile.value}"
    if profile.cluster_mean is None:
        return f"{name} {'withheld: fewer than five customers have it' if profile.is_withheld else 'unknown'}"
    return f"{name} {_number_text(profile.cluster_mean)} (all customers {_number_text(profile.overall_mean)})"


def _number_text(value: float | None) -> str:
    """Write a number with the four digits that matter most; of a large one all before the point, of a small one four after it."""
    if value is None:
        return "unknown"
    text = f"{value:,.4g}"
    return text if "e" not in text else f"{value:,.0f}" if abs(value) > 1 else f"{value:.4f}"
