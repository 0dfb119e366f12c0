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

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from pipeline.definitions.rules import PREDICTIONS, StayColumn, joined_column
from pipeline.definitions.schemes.score_methods import AXES
from pipeline.definitions.schemes.score_methods_sql import RANKED_BUYERS
from pipeline.definitions.schemes.sql import NEW_THIS_MONTH
from pipeline.features import buyers_beside
from pipeline.lake.expressions import union_all
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, SEGMENT_MOVES, Table
from pipeline.segmentation.moves.moved_features import BEFORE, LIFETIME, NOW, PAIRS

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
TRIALS = ("rules", "attributes", "limits", "age")
Schemes = tuple[str, ...]
FIRST_LEFT_OUT = 10  # step of the trial that leaves out all own events
STEP_DIGITS = 2
TRIED = "tried_features"  # table of the features of all trials
LIMITS = MONTHLY_FEATURES
# A share that is drawn towards such a limit: where the customer's own figures stayed the same, the limit alone moved it.
# So with scores that somebody clusters by; a scheme works out its own from figures and limits.
WEIGHED: Mapping[str, tuple[str, ...]] = {
    "shrunk_discount_share": ("discount_known_line_count", "discounted_line_count"),
    "r_score": ("order_day_count", "recency_days"),
    "f_score": ("order_day_count",),
    "m_score": ("order_day_count", "spend_amount"),
    "fm_score": ("order_day_count", "spend_amount"),
    "value_score": ("spend_amount",),
}
# What each rank among customers ranks: where the own figure changed because days left the window, age moved the rank, not others.
RANKED: Mapping[str, tuple[str, ...]] = {"value_rank_share": ("spend_amount",)}
# How statements call the values of everybody, which they count; the buyers among whom a score ranks are RANKED_BUYERS.
RANKED_VALUES = "attribute_values"


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


def table_looked_at(table: Table, memberships: Iterable[exp.Query]) -> Table:
    """Return the company's CUSTOMER_FEATURES with the columns that these schemes, or the reasons themselves, look at."""
    figures = {figure for names in (*RANKED.values(), *WEIGHED.values()) for figure in names if figure in table.column_names}
    names = {*table.key, *LIFETIME, "order_day_count", *figures}.union(*(_features_named(query, table) for query in memberships))
    return replace(table, columns=tuple(column for column in table.columns if column.name in names))


def tried_statement(table: Table, left_out: Mapping[int, str], *, limits_aged: int = 0) -> exp.Query:
    """Select the features of every trial, with the trial's step before the customer's id, so that one statement tries them all.

    `table` and `left_out` are those of `moves_statement`. Days since the last order age with the nights, and so do limits of them that
    are tonight's: `limits_aged` is by how many days, 0 for frozen ones. For time alone moves nobody there: all wait together.
    """
    others = [exp.column(name, quoted=True) for name in table.column_names if name not in table.key]
    trials = enumerate(TRIALS)
    tried: dict[int, exp.Expr] = {step: _trial_features(trial, table, limits_aged=limits_aged).subquery("trial") for step, trial in trials}
    tried |= {FIRST_LEFT_OUT + kept: exp.to_table(name) for kept, name in left_out.items()}
    prefixed = {step: exp.DPipe(this=exp.Literal.string(_step_code(step)), expression=exp.column("customer_id")) for step in tried}
    return union_all(exp.select(exp.alias_(prefixed[step], "customer_id"), *others).from_(rows) for step, rows in tried.items())


def _step_code(step: int) -> str:
    """Return the step in STEP_DIGITS digits."""
    return f"{step:0{STEP_DIGITS}}"


def _trial_features(trial: str, table: Table, *, limits_aged: int) -> exp.Select:
    """Select the columns of `table` for those who moved, some of them still as they were on the previous night."""
    names = [name for name in table.column_names if name not in table.key]
    attributes = _attributes_of(table)
    values = {name: _trial_value(trial, name, is_attribute=name in attributes) for name in names}
    if trial == "limits":
        values |= {name: values[name] - exp.Literal.number(limits_aged) for name in AXES["r_score"].limits if name in values}
    columns = [exp.alias_(value, name, quoted=True) for name, value in values.items()]
    return exp.select(exp.column("customer_id"), *columns).from_(PAIRS)


def _trial_value(trial: str, name: str, *, is_attribute: bool) -> exp.Expr:
    """Pick what a feature is in a trial: as before, as now, or as now for those only of whom something explains it."""
    before, now = (_column_on(side, name) for side in ("before", "now"))
    if TRIALS.index(trial) >= (TRIALS.index("attributes") if is_attribute else _first_step(name)):
        return now
    figures = RANKED.get(name, ()) if trial == "age" else ()
    explained = [_figure_differs(figure) for figure in figures]
    if trial == "limits" and name in WEIGHED:
        explained.append(exp.not_(exp.or_(*(_figure_differs(figure) for figure in WEIGHED[name]))))
    return exp.Case().when(exp.or_(*explained), now).else_(before) if explained else before


def _first_step(name: str) -> int:
    """Return the first trial in which everybody has tonight's value; one beyond the last for ranks among others."""
    if name in LIMITS:
        return TRIALS.index("limits")
    return len(TRIALS) if name in RANKED else TRIALS.index("age")


def _is_of_night(name: str) -> bool:
    """Return whether a column is worked out every night, and no attribute: a feature, an earlier stay in a segment, a prediction."""
    return name in CUSTOMER_FEATURES.column_names or name in PREDICTIONS or isinstance(joined_column(name), StayColumn)


def _figure_differs(figure: str) -> exp.Expr:
    """Compare a figure of the customer's own with what it was."""
    return exp.NullSafeNEQ(this=_column_on("before", figure), expression=_column_on("now", figure))


def _column_on(side: str, name: str) -> exp.Column:
    return exp.column(f"{side}_{name}", quoted=True)


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
        named = frozenset(_features_named(query, table))
        # Unchanged rules move nobody on the features of the night before, unless they rank what others have.
        is_by_rules_alone = {"rules": is_changed} if not is_ranking else {}
        is_tried = {trial: bool(named & _features_of_trial(trial, table)) for trial in TRIALS} | is_by_rules_alone
        steps = tuple(step for step, trial in enumerate(TRIALS) if is_tried[trial])
        only_ages = is_tried["age"] and not (is_changed or is_ranking or are_limits_aged)
        return cls(names, query, named, is_ranking, steps, only_ages)


def changed_schemes(changes: Iterable[SchemeChange]) -> set[str]:
    """Return the schemes whose rules are not those of the night before."""
    return {each.scheme for each in changes if each.reason != "erasure"}


def compared_columns(table: Table) -> list[str]:
    """Return the columns of `table` that some other trial than that of age changes, or that age changes for some alone."""
    return [name for name in table.column_names if name in {*_attributes_of(table), *LIMITS, *WEIGHED, *RANKED}.difference(table.key)]


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
        kept = {FIRST_LEFT_OUT + place: name for place, name in left_out.items()} if each.named - _attributes_of(table) else {}
        if each.is_ranking:  # among others, and other ones in each of the trials that leave something out
            tried = [(steps, {RANKED_VALUES: BEFORE, RANKED_BUYERS: BEFORE})]
            tried += [([step], {RANKED_VALUES: NOW, RANKED_BUYERS: buyers_beside(name)}) for step, name in kept.items()]
        else:
            tried = [([*steps, *kept], {})]
        for together, others in tried:
            if together:
                trials = exp.union(trials, _membership_on_trials(each.query, each.names[0], together, others), distinct=False, copy=False)
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


def _features_named(membership: exp.Query, table: Table) -> set[str]:
    return {column.name for column in membership.find_all(exp.Column)}.intersection(table.column_names)


def _features_of_trial(trial: str, table: Table) -> set[str]:
    """Return the features in which a trial may differ from the one before it: a scheme that names none of them needs no such trial."""
    attributes = _attributes_of(table)
    others = {*CUSTOMER_FEATURES.column_names, *table.column_names} - attributes
    return {"rules": attributes | others, "attributes": attributes, "limits": {*LIMITS, *WEIGHED}, "age": others}[trial]


def _attributes_of(table: Table) -> set[str]:
    return {column.name for column in table.columns if not (column.is_declared or _is_of_night(column.name))}


def _ranks_values(membership: exp.Query) -> bool:
    return any(subquery.alias in (RANKED_VALUES, RANKED_BUYERS) for subquery in membership.find_all(exp.Subquery))


def _membership_on_trials(membership: exp.Query, scheme: str, steps: Sequence[int], ranked: Mapping[str, str]) -> exp.Query:
    """Select step, customer_id, scheme and segment of these trials; `ranked` is as in `_with_features`."""
    # One statement for all of them: planning it for each takes longer than running it, as few customers move.
    tried = _with_features(membership, TRIED, ranked)
    tried.set("expressions", [column for column in tried.selects if column.alias_or_name != "evidence"])
    code = exp.Substring(this=exp.column("customer_id"), start=exp.Literal.number(1), length=exp.Literal.number(STEP_DIGITS))
    customer = exp.Substring(this=exp.column("customer_id"), start=exp.Literal.number(1 + STEP_DIGITS))
    # A rule, whose names are quoted, may look at the id itself: it must see the customer's own.
    for column in [each for each in tried.find_all(exp.Column) if each.name == "customer_id" and each.this.quoted]:
        column.replace(exp.Substring(this=column.copy(), start=exp.Literal.number(1 + STEP_DIGITS)))
    named = exp.alias_(exp.cast(code, "bigint"), "step"), exp.alias_(customer, "customer_id")
    rows = _with_unique_ctes(tried, f"{scheme}_{steps[0]}").subquery("tried", copy=False)
    is_one_of_them = code.isin(*map(_step_code, steps))
    return exp.select(*named, "scheme", "segment").where(is_one_of_them, copy=False).from_(rows, copy=False)


def _with_unique_ctes(query: exp.Query, suffix: str) -> exp.Query:
    """Rename the CTEs of `query`: Spark gathers those of all parts of a union at its top, where equal names would clash."""
    names = {part.alias: f"{part.alias}_{suffix}" for part in query.find_all(exp.CTE)}
    for part in query.find_all(exp.CTE):
        part.args["alias"].set("this", exp.to_identifier(names[part.alias]))
    for table in query.find_all(exp.Table):
        if table.name in names:
            table.set("this", exp.to_identifier(names[table.name]))
    return query


def _with_features(query: exp.Query, name: str, ranked: Mapping[str, str]) -> exp.Query:
    """Return `query` on the features in table `name`; `ranked` has the table of everybody, by what a part calls those whom it ranks."""
    tried = query.copy()
    for table in list(tried.find_all(exp.Table)):
        if table.name == CUSTOMER_FEATURES.name:
            among = (ranked[parent.alias] for parent in _ancestors_of(table) if isinstance(parent, exp.Subquery) and parent.alias in ranked)
            table.set("this", exp.to_identifier(next(among, name)))
    return tried


def _ancestors_of(node: exp.Expr) -> Iterator[exp.Expr]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent
