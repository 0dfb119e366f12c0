"""What became of each scheme, and of each audience, since the night before: who was moved by its rules, and by which change of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from sqlglot import exp

from pipeline.definitions.schemes import Scheme, decisions_statement, quantiles_of, scheme_digest
from pipeline.features import DECLARED
from pipeline.lake import addresses
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, POPULATION_BASELINES, Table
from pipeline.models.refits.model_store import with_clusters_of
from pipeline.segmentation.moves.audience_moves import audience_facts, expired_audiences, refitted_audiences
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.moves.reasons import SchemeChange

# A company that counts otherwise than yesterday, such as over another window, moves customers who did nothing.
COUNTING_SETTINGS = ("states", "time_zone", "currency", "window_days", "counts_as_order")


def schemes_with_clusters_of(comparison: MoveComparison, night: date) -> Mapping[str, Scheme]:
    """Return tonight's schemes by name, with the clusters that they look at as the models of `night` assign them."""
    return {scheme.name: scheme for scheme in with_clusters_of(comparison.lake, comparison.company, night, comparison.schemes)}


def scheme_changes(comparison: MoveComparison) -> Iterator[SchemeChange]:
    """Tell what became of each scheme that either night has."""
    before, now = _facts_of_nights(comparison)
    digests = before.get("schemes", {}), now.get("schemes", {})
    refitted = {*before.get("models", {}), *now.get("models", {}), *_refitted_schemes(comparison, digests[0])}
    refitted |= {*refitted_audiences(comparison, refitted, *digests)}
    # Definitions are read for it only where something is gone, which is rare.
    expired = expired_audiences(comparison) if digests[0].keys() - digests[1].keys() else set()
    features_before, features_now = (_manifest_of(comparison, CUSTOMER_FEATURES, night) for night in (comparison.before, comparison.day))
    is_resettled = any(features_before.get(name) != features_now.get(name) for name in COUNTING_SETTINGS)
    declared_before, declared_now = (facts.get(DECLARED, {}) for facts in (features_before, features_now))
    redeclared = _schemes_of_features(comparison, {name for name, digest in declared_now.items() if declared_before.get(name) != digest})
    is_new_month = comparison.is_new_month
    by_name = {scheme.name: scheme for scheme in (*comparison.schemes, *comparison.audiences)}
    monthly = {name for name, scheme in by_name.items() if quantiles_of(by_name[each] for each in (name, *scheme.references))}
    limits = reason_of_limits(comparison)
    for name in sorted(set(digests[0]) | set(digests[1])):
        is_on_both = name in digests[0] and name in digests[1]
        is_same = is_on_both and digests[0][name] == digests[1][name]
        rules = "model_refit" if name in refitted and is_on_both else _rules_reason(name, before, now)
        rules = "expiry" if name in expired else rules
        # What a month sets anew stands in the rules as numbers.
        if (
            name in monthly
            and is_new_month
            and is_on_both
            and rules == "rule_change"
            and before.get("definitions") == now.get("definitions")
        ):
            rules = "threshold_refreeze"
        # The same rules say something else of the night before only if its features hold fewer customers now than they did then:
        # somebody was erased, which moves others where ranks or cut points depend on everybody.
        is_counted_otherwise = is_resettled or name in redeclared
        yield SchemeChange(name, is_on_both, "erasure" if is_same else rules, is_counted_otherwise, is_new_month, limits)


def _schemes_of_features(comparison: MoveComparison, features: set[str]) -> set[str]:
    """Return the names of tonight's schemes and audiences that look at one of the features, themselves or through another scheme."""
    if not features:  # on nearly every night: then no statement is built
        return set()
    by_name = schemes_with_clusters_of(comparison, comparison.day)
    trees = {name: decisions_statement(scheme, by_name) for name, scheme in by_name.items()}
    found = {name for name, tree in trees.items() if any(column.name in features for column in tree.find_all(exp.Column))}
    audiences = comparison.audiences
    return found | {each.name for each in audiences if features.intersection(each.declared) or found.intersection(each.references)}


def _facts_of_nights(comparison: MoveComparison) -> list[dict[str, Any]]:
    """Return what the footers of the memberships of both nights say, audiences among the schemes."""
    facts = [_manifest_of(comparison, CUSTOMER_SEGMENTS, night) for night in (comparison.before, comparison.day)]
    return [
        {
            **of_schemes,
            "schemes": {**of_schemes.get("schemes", {}), **of_audiences.get("audiences", {})},
            "not_computed": {**of_schemes.get("not_computed", {}), **of_audiences.get("not_computed", {})},
        }
        for of_schemes, of_audiences in zip(facts, audience_facts(comparison), strict=True)
    ]


def reason_of_limits(comparison: MoveComparison) -> str:
    """Tell why limits may be others than the night before: a new month; not frozen yet; or somebody was erased who had made them."""
    if comparison.is_new_month:
        return "threshold_refreeze"
    [row] = comparison.lake.read(POPULATION_BASELINES, day=comparison.day).to_pylist()
    return "population_shift" if row["limits_day"] == comparison.day else "erasure"


def _rules_reason(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Tell a scheme that people changed from one that is computed otherwise as the source began, or ceased, to give a column."""
    lacking = [
        {each: needs for each, needs in facts.get("not_computed", {}).items() if each.partition(".")[0] == name} for facts in (before, now)
    ]
    is_source = before.get("definitions") == now.get("definitions") and lacking[0] != lacking[1]
    return "source_change" if is_source else "rule_change"


def _refitted_schemes(comparison: MoveComparison, before: Mapping[str, str]) -> Iterator[str]:
    """Yield the schemes that look at clusters and whose own rules did not change.

    With the clusters as the night before assigned them, these have the statement that they had then.
    """
    by_name = schemes_with_clusters_of(comparison, comparison.before)
    with_clusters = (scheme for scheme in by_name.values() if scheme.clusters)
    yield from (scheme.name for scheme in with_clusters if before.get(scheme.name) == scheme_digest(scheme, by_name))


def _manifest_of(comparison: MoveComparison, table: Table, night: date) -> dict[str, Any]:
    return comparison.lake.manifest(addresses.partition(table, day=night))
