"""Trials of moves: features that are partly those of the night before, on which tonight's rules are tried.

What each trial is for, `reasons` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from sqlglot import exp

from pipeline.definitions.rules import PREDICTIONS, StayColumn, joined_column
from pipeline.definitions.schemes.score_methods import AXES
from pipeline.lake.expressions import union_all
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, Table
from pipeline.segmentation.moves.moved_features import LIFETIME, PAIRS

TRIALS = ("rules", "attributes", "limits", "age")
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
RANKED: Mapping[str, tuple[str, ...]] = {"value_rank_share": ("spend_amount",), "spend_rank_share": ("spend_amount",)}
# How statements call the values of everybody, which they count; the buyers among whom a score ranks are RANKED_BUYERS.
RANKED_VALUES = "attribute_values"


def table_looked_at(table: Table, memberships: Iterable[exp.Query]) -> Table:
    """Return the company's CUSTOMER_FEATURES with the columns that these schemes, or the reasons themselves, look at."""
    figures = {figure for names in (*RANKED.values(), *WEIGHED.values()) for figure in names if figure in table.column_names}
    names = {*table.key, *LIFETIME, "order_day_count", *figures}.union(*(features_named(query, table) for query in memberships))
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
    attributes = attributes_of(table)
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


def compared_columns(table: Table) -> list[str]:
    """Return the columns of `table` that some other trial than that of age changes, or that age changes for some alone."""
    return [name for name in table.column_names if name in {*attributes_of(table), *LIMITS, *WEIGHED, *RANKED}.difference(table.key)]


def features_named(membership: exp.Query, table: Table) -> set[str]:
    """Return the columns of `table` that a statement looks at."""
    return {column.name for column in membership.find_all(exp.Column)}.intersection(table.column_names)


def features_of_trial(trial: str, table: Table) -> set[str]:
    """Return the features in which a trial may differ from the one before it: a scheme that names none of them needs no such trial."""
    attributes = attributes_of(table)
    others = {*CUSTOMER_FEATURES.column_names, *table.column_names} - attributes
    return {"rules": attributes | others, "attributes": attributes, "limits": {*LIMITS, *WEIGHED}, "age": others}[trial]


def attributes_of(table: Table) -> set[str]:
    """Return the columns of `table` that the source gives, and no night works out."""
    return {column.name for column in table.columns if not (column.is_declared or _is_of_night(column.name))}


def membership_on_trials(membership: exp.Query, scheme: str, steps: Sequence[int], ranked: Mapping[str, str]) -> exp.Query:
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
