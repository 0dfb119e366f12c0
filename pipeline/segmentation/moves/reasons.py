"""Why customers moved: tonight's rules, tried on features that become tonight's in steps; the first step that moves a customer tells.

    rules       the previous night's features           rule_change, model_refit, erasure (of others)
    own         of whom did something: tonight's        own_purchase, refund, late_data, own_visit
    attributes  and tonight's attributes                attribute_change
    limits      and tonight's frozen limits             threshold_refreeze
    age         and all but the scores by rank          ageing

What none of these moves was moved by the scores and ranks of others: population_shift. So nobody is left without a reason.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce

from sqlglot import exp

from pipeline.definitions.schemes.sql import NEW_THIS_MONTH
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, SEGMENT_MOVES, Column, Table

REASONS = (
    "rule_change",
    "model_refit",
    "erasure",
    "new_customer",
    "left",
    "own_purchase",
    "refund",
    "late_data",
    "own_visit",
    "attribute_change",
    "threshold_refreeze",
    "ageing",
    "population_shift",
)
TRIALS = ("rules", "own", "attributes", "limits", "age")
LIMITS = MONTHLY_FEATURES
# What is weighed against such a limit: of whom the own figures stayed the same, the limit alone moved.
WEIGHED: Mapping[str, tuple[str, ...]] = {"shrunk_discount_share": ("line_count", "discounted_line_count")}
# What each rank among customers is a rank of: one whose own figure left the window moved by age, not by what others did.
RANKED: Mapping[str, tuple[str, ...]] = {
    "r_score": ("is_in_window",),
    "f_score": ("order_day_count",),
    "m_score": ("is_in_window", "spend_amount"),
    "fm_score": ("order_day_count", "spend_amount"),
    "value_rank_share": ("spend_amount",),
}
# A visit alone changes nothing else: whatever else moved the visitor was something else.
VISIT, VISITED = "own_visit", frozenset({"visit_count_90_days", "conversion_share"})
# Nobody's figures of a whole life change by age: where no rollup tells why they did, what happened was learned of late.
LIFETIME = ("first_order_date", "last_order_date", "lifetime_order_day_count", "lifetime_order_count", "lifetime_spend_amount")
# How the statement of a scheme of values calls the values of everybody, which it counts.
RANKED_VALUES = "attribute_values"
BEFORE, NOW, PAIRS, DOING = "features_before", "features_now", "moved_features", "doing"


@dataclass(frozen=True, slots=True)
class SchemeChange:
    """What became of a scheme since the previous night: whether both have it, and what moved those whom rules alone move.

    `is_resettled` says that features are counted otherwise, such as over another window, `is_new_month` that tiers are frozen anew.
    """

    scheme: str
    is_on_both: bool
    reason: str
    is_resettled: bool
    is_new_month: bool = False


def moved_statement() -> exp.Query:
    """Return customer_id, scheme, from_segment and to_segment of all whose membership differs, in the order of the key."""
    return statement("moved_memberships")


def looked_at(table: Table, memberships: Iterable[exp.Query]) -> Table:
    """Return the company's CUSTOMER_FEATURES with those columns that these schemes, or the reasons, look at."""
    figures = {figure for names in (*RANKED.values(), *WEIGHED.values()) for figure in names if figure in table.column_names}
    names = {*table.key, *LIFETIME, "order_day_count", *figures}.union(*(_names(query, table) for query in memberships))
    return replace(table, columns=tuple(column for column in table.columns if column.name in names))


def pairs_statement(table: Table) -> exp.Query:
    """Return what was and is known of each customer who moved within a scheme, and what they did meanwhile, if anything.

    `table` is what `looked_at` returns; a column `c` of it becomes `before_c` and `now_c`.
    """
    named = [
        exp.alias_(exp.column(column.name, side, quoted=True), f"{side}_{column.name}", quoted=True)
        for column in table.columns
        for side in ("before", "now")
        if column.name not in table.key
    ]
    lived = exp.or_(*(exp.NullSafeNEQ(this=exp.column(name, "before"), expression=exp.column(name, "now")) for name in LIFETIME))
    learned = exp.Case().when(lived, exp.Literal.string("late_data"))
    doing = exp.alias_(exp.Coalesce(this=exp.column(DOING, "doings"), expressions=[learned]), DOING)
    moved = exp.select("customer_id").distinct().from_("moved").where("from_segment IS NOT NULL AND to_segment IS NOT NULL")
    query = exp.select(exp.column("customer_id", "movers"), doing, *named).from_(moved.subquery("movers"))
    for name, alias, side in ((BEFORE, "before", "inner"), (NOW, "now", "inner")):
        query = query.join(exp.to_table(name).as_(alias), on=_same_customer(alias), join_type=side)
    return query.join(statement("doings").subquery("doings"), on=_same_customer("doings"), join_type="left")


def _same_customer(table: str) -> exp.Expr:
    return exp.column("customer_id", table).eq(exp.column("customer_id", "movers"))


def pair_columns(table: Table) -> tuple[Column, ...]:
    """Return the columns that `pairs_statement` gives."""
    [key] = (column for column in table.columns if column.name in table.key)
    kinds = [column for column in table.columns if column.name not in table.key]
    sides = [Column(f"{side}_{column.name}", column.kind, column.description) for column in kinds for side in ("before", "now")]
    doing = next(column for column in SEGMENT_MOVES.columns if column.name == "reason")
    return (key, Column(DOING, doing.kind, doing.description), *sides)


def trial_name(trial: str) -> str:
    """Return the name of the table that holds the features of a trial."""
    return f"features_of_{trial}"


def trial_features(trial: str, table: Table) -> exp.Query:
    """Return the columns of `table` for those who moved, some of them still as they were on the previous night."""
    columns = [exp.alias_(_tried(trial, column.name), column.name, quoted=True) for column in table.columns if column.name not in table.key]
    return exp.select(exp.column("customer_id"), *columns).from_(PAIRS)


def _tried(trial: str, name: str) -> exp.Expr:
    before, now = (_side(side, name) for side in ("before", "now"))
    step = TRIALS.index(trial)
    is_attribute = name not in CUSTOMER_FEATURES.column_names
    if step >= _first_step(name):
        return now
    if is_attribute or trial == "rules":
        return before
    is_anything = exp.not_(exp.Is(this=exp.column(DOING), expression=exp.null()))
    does: exp.Expr = is_anything if name in VISITED else exp.column(DOING).neq(exp.Literal.string(VISIT))
    figures = RANKED.get(name, ()) if trial == "age" else ()
    weighed = [exp.not_(exp.or_(*(_is_aged(figure) for figure in WEIGHED[name])))] if trial == "limits" and name in WEIGHED else []
    return exp.Case().when(exp.or_(does, *weighed, *(_is_aged(figure) for figure in figures)), now).else_(before)


def _first_step(name: str) -> int:
    """Return the first trial in which everybody has tonight's value; one beyond the last for ranks among others."""
    if name not in CUSTOMER_FEATURES.column_names:
        return TRIALS.index("attributes")
    if name in LIMITS:
        return TRIALS.index("limits")
    return len(TRIALS) if name in RANKED else TRIALS.index("age")


def _is_aged(figure: str) -> exp.Expr:
    before, now = (_figure(side, figure) for side in ("before", "now"))
    return exp.NullSafeNEQ(this=before, expression=now)


def _figure(side: str, figure: str) -> exp.Expr:
    if figure == "is_in_window":
        return exp.Paren(this=exp.GT(this=_side(side, "order_day_count"), expression=exp.Literal.number(0)))
    return _side(side, figure)


def _side(side: str, name: str) -> exp.Column:
    return exp.column(f"{side}_{name}", quoted=True)


def moves_statement(memberships: Mapping[str, exp.Query], changes: Sequence[SchemeChange], table: Table) -> exp.Query:
    """Return the rows of segment_moves.

    `memberships` are tonight's statements of the schemes in which somebody moved, `table` is what they look at.
    """
    query = statement(SEGMENT_MOVES.name).copy()
    changed = {each.scheme for each in changes if each.reason != "erasure"}
    tiered = {scheme for scheme, membership in memberships.items() if NEW_THIS_MONTH in _names(membership, table)}
    tried = [
        _tried_membership(membership, scheme, trial)
        for trial in TRIALS
        for scheme, membership in memberships.items()
        if (scheme in changed if trial == "rules" and not _is_ranking(membership) else _names(membership, table) & _group(trial, table))
    ]
    for each in list(query.find_all(exp.Table)):
        if each.name in ("trials", "scheme_changes"):
            content = _trials(tried) if each.name == "trials" else _known(changes, tiered)
            each.replace(exp.alias_(content.subquery(copy=False), each.alias, table=True))
    return query


def _known(changes: Sequence[SchemeChange], tiered: Container[str]) -> exp.Select:
    shifts = ["threshold_refreeze" if each.is_new_month and each.scheme in tiered else "population_shift" for each in changes]
    rows = [(each.scheme, each.is_on_both, each.reason, each.is_resettled, shift) for each, shift in zip(changes, shifts, strict=True)]
    columns = ["scheme", "is_on_both", "reason", "is_resettled", "shift"]
    return exp.select("*").from_(exp.values(rows, alias="known", columns=columns))


def _names(membership: exp.Query, table: Table) -> set[str]:
    return {column.name for column in membership.find_all(exp.Column)}.intersection(table.column_names)


def _group(trial: str, table: Table) -> set[str]:
    """Return the features that may make a trial another than the one before it: a scheme that names none of them needs no such trial."""
    attributes = set(table.column_names).difference(CUSTOMER_FEATURES.column_names)
    others = set(CUSTOMER_FEATURES.column_names)
    return {"rules": attributes | others, "own": others, "attributes": attributes, "limits": {*LIMITS, *WEIGHED}, "age": others}[trial]


def _is_ranking(membership: exp.Query) -> bool:
    return any(subquery.alias == RANKED_VALUES for subquery in membership.find_all(exp.Subquery))


def _trials(tried: Sequence[exp.Query]) -> exp.Query:
    nobody: exp.Query = exp.select("0 AS step", "customer_id", "scheme", "to_segment AS segment").from_("moved").where(exp.false())
    return reduce(_united, tried, nobody)


def _united(left: exp.Query, right: exp.Query) -> exp.Query:
    return exp.union(left, right, distinct=False, copy=False)


def _tried_membership(membership: exp.Query, scheme: str, trial: str) -> exp.Query:
    step = exp.alias_(exp.Literal.number(TRIALS.index(trial)), "step")
    return exp.select(step, "customer_id", "scheme", "segment").from_(
        _with_own_names(_on_trial(membership, trial), f"{scheme}_{trial}").subquery("tried", copy=False)
    )


def _with_own_names(query: exp.Query, suffix: str) -> exp.Query:
    """Rename what `query` defines before it selects: Spark gathers that of all parts of a union at its top."""
    names = {part.alias: f"{part.alias}_{suffix}" for part in query.find_all(exp.CTE)}
    for part in query.find_all(exp.CTE):
        part.args["alias"].set("this", exp.to_identifier(names[part.alias]))
    for table in query.find_all(exp.Table):
        if table.name in names:
            table.set("this", exp.to_identifier(names[table.name]))
    return query


def _on_trial(query: exp.Query, trial: str) -> exp.Query:
    """Return `query` on the features of a trial; how frequent values are among all is seen as on the previous night."""
    tried = query.copy()
    for table in list(tried.find_all(exp.Table)):
        if table.name == CUSTOMER_FEATURES.name:
            is_rank = any(isinstance(parent, exp.Subquery) and parent.alias == RANKED_VALUES for parent in _ancestors(table))
            table.set("this", exp.to_identifier(BEFORE if is_rank else trial_name(trial)))
    return tried


def _ancestors(node: exp.Expr) -> Iterator[exp.Expr]:
    parent = node.parent
    while parent is not None:
        yield parent
        parent = parent.parent
