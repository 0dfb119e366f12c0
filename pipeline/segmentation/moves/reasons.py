"""Why customers moved: tonight's rules are tried on features that differ from tonight's.

First, features become tonight's step by step, without what the customer did since. The first step that moves a customer tells why:

    rules       the previous night's features           rule_change, source_change, model_refit, erasure (of others)
    attributes  and tonight's attributes                attribute_change
    limits      and tonight's frozen limits             threshold_refreeze (population_shift, erasure in mid-month)
    age         and all but the scores by rank          ageing

Then what the customer did is left out of tonight's features: an order (own_purchase), and a refund, what was learned late (late_data),
a visit or another event (own_event), and a merge with another customer (identity_merge). What is left out when the customer no longer
arrives in the new segment is the reason, before any step but the rules. Whom nothing of this moved was moved by the scores and ranks of
others: population_shift. So nobody is left without a reason.

Where only age can have moved a customer nothing is tried: see `TriedDecision`.

Say Ann went from `active` (recency_days <= 30) to `dormant`, and gave back a shirt that day. Tonight's rules on yesterday's features
leave her in `active`, so no rule moved her. Without the refund she is `dormant` all the same, so it is no reason. The trial of age
takes tonight's 31 days and moves her: ageing.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.definitions.schemes.score_methods_sql import RANKED_BUYERS
from pipeline.definitions.schemes.sql import NEW_THIS_MONTH
from pipeline.features import buyers_beside
from pipeline.lake.statements import statement
from pipeline.lake.tables import SEGMENT_MOVES, Table
from pipeline.segmentation.moves.moved_features import BEFORE, NOW
from pipeline.segmentation.moves.trials import (
    FIRST_LEFT_OUT,
    RANKED_VALUES,
    TRIALS,
    attributes_of,
    features_named,
    features_of_trial,
    membership_on_trials,
)

REASONS = (
    "rule_change",
    "expiry",
    "source_change",
    "model_refit",
    "erasure",
    "new_customer",
    "left",
    "identity_merge",
    "own_purchase",
    "refund",
    "late_data",
    "own_event",
    "attribute_change",
    "threshold_refreeze",
    "ageing",
    "population_shift",
)
Schemes = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SchemeChange:
    """What became of a scheme since the previous night: whether both nights have it, and the reason of those whom its rules alone move.

    `is_resettled`: features are counted otherwise, such as over another window. `is_new_month`: limits of tiers are frozen anew.
    `limits` is the reason of those whom tonight's limits move.
    """

    scheme: str
    is_on_both: bool
    reason: str
    is_resettled: bool
    is_new_month: bool = False
    limits: str = "threshold_refreeze"


def moved_statement() -> exp.Query:
    """Select customer_id, scheme, from_segment and to_segment of all whose membership differs."""
    return statement("moved_memberships")


def schemes_moved_statement() -> exp.Query:
    """Select from `moved` each scheme once or twice: `is_within`, whether somebody went there from one segment to another."""
    known = (exp.not_(exp.column(side).is_(exp.null())) for side in ("from_segment", "to_segment"))
    return exp.select("scheme", exp.alias_(exp.Paren(this=exp.and_(*known)), "is_within")).distinct().from_("moved")


@dataclass(frozen=True, slots=True)
class TriedDecision:
    """Tonight's statement of some schemes in which somebody moved, and what has to be tried to tell why.

    `steps` are the trials in which the features that it looks at may differ. `only_ages`: whoever did nothing and has the same attributes
    and limits as before was moved by age, which needs no trial: the rules are the same, and said the one segment of the night before's
    features, the other of tonight's.
    """

    names: Schemes
    query: exp.Query
    named: frozenset[str]
    is_ranking: bool
    steps: tuple[int, ...]
    only_ages: bool

    @classmethod
    def of(cls, names: Schemes, query: exp.Query, changes: Iterable[SchemeChange], table: Table, *, are_limits_aged: bool) -> TriedDecision:
        """Return what has to be tried of a statement; `table` is what it looks at."""
        is_changed, is_ranking = not changed_schemes(changes).isdisjoint(names), _ranks_values(query)
        named = frozenset(features_named(query, table))
        # Unchanged rules move nobody on the features of the night before, unless they rank what others have.
        is_by_rules_alone = {"rules": is_changed} if not is_ranking else {}
        is_tried = {trial: bool(named & features_of_trial(trial, table)) for trial in TRIALS} | is_by_rules_alone
        steps = tuple(step for step, trial in enumerate(TRIALS) if is_tried[trial])
        only_ages = is_tried["age"] and not (is_changed or is_ranking or are_limits_aged)
        return cls(names, query, named, is_ranking, steps, only_ages)


def changed_schemes(changes: Iterable[SchemeChange]) -> set[str]:
    """Return the schemes whose rules are not those of the night before."""
    return {each.scheme for each in changes if each.reason != "erasure"}


def moves_statement(
    decisions: Sequence[TriedDecision], changes: Sequence[SchemeChange], table: Table, left_out: Mapping[int, str]
) -> exp.Query:
    """Build the statement of segment_moves: every move with its reason.

    `decisions` are those of the schemes in which somebody moved; `table` is what they look at. `left_out` names the tables of features
    without own events, by how many of the first ones of EVENTS they keep.
    """
    query = statement(SEGMENT_MOVES.name).copy()
    tiered = {name for each in decisions if NEW_THIS_MONTH in each.named for name in each.names}
    ageing = {name for each in decisions if each.only_ages for name in each.names}
    trials: exp.Query = exp.select("0 AS step", "customer_id", "scheme", "to_segment AS segment").from_("moved").where(exp.false())
    for each in decisions:
        steps = [*each.steps]
        kept = {FIRST_LEFT_OUT + place: name for place, name in left_out.items()} if each.named - attributes_of(table) else {}
        if each.is_ranking:  # among others, and other ones in each of the trials that leave something out
            tried = [(steps, {RANKED_VALUES: BEFORE, RANKED_BUYERS: BEFORE})]
            tried += [([step], {RANKED_VALUES: NOW, RANKED_BUYERS: buyers_beside(name)}) for step, name in kept.items()]
        else:
            tried = [([*steps, *kept], {})]
        for together, others in tried:
            if together:
                trials = exp.union(trials, membership_on_trials(each.query, each.names[0], together, others), distinct=False, copy=False)
    for each_table in list(query.find_all(exp.Table)):
        if each_table.name in ("trials", "scheme_changes"):
            content = trials if each_table.name == "trials" else _scheme_change_rows(changes, tiered, ageing)
            each_table.replace(exp.alias_(content.subquery(copy=False), each_table.alias, table=True, copy=False))
    return query


def _scheme_change_rows(changes: Sequence[SchemeChange], tiered: Container[str], ageing: Container[str]) -> exp.Select:
    shifts = ["threshold_refreeze" if each.is_new_month and each.scheme in tiered else "population_shift" for each in changes]
    known = zip(changes, shifts, strict=True)
    rows = [
        (each.scheme, each.is_on_both, each.reason, each.is_resettled, shift, each.limits, each.scheme in ageing) for each, shift in known
    ]
    columns = ["scheme", "is_on_both", "reason", "is_resettled", "shift", "limits", "only_ages"]
    return exp.select("*").from_(exp.values(rows, alias="known", columns=columns))


def _ranks_values(membership: exp.Query) -> bool:
    return any(subquery.alias in (RANKED_VALUES, RANKED_BUYERS) for subquery in membership.find_all(exp.Subquery))
