"""The features of those who moved, of the night before and of tonight beside each other.

Tonight's are those that they would have without what they did themselves since, where they did anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from sqlglot import exp

from pipeline.features import part_name
from pipeline.lake.expressions import union_all
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAYS, CUSTOMER_FEATURES, EVENT_DAY, ORDER_LINES, Column, Kind, Table

BEFORE, NOW, WITHOUT_EVENTS, PAIRS = "features_before", "features_now", "features_without_events", "moved_features"
OWN_EVENTS = Table(
    "own_events",
    "Worked out aside: what those who moved did since the previous night.",
    (
        *(column for column in CUSTOMER_FEATURES.columns if column.name in CUSTOMER_FEATURES.key),
        Column("has_merge", Kind.FLAG, "Somebody was merged into them, or is not any more.", required=True),
        Column("has_event", Kind.FLAG, "Came by, or did something else than ordering.", required=True),
        Column("has_late_data", Kind.FLAG, "Lines of earlier days were learned, changed or dropped.", required=True),
        Column("has_refund", Kind.FLAG, "Gave back.", required=True),
        Column("has_purchase", Kind.FLAG, "Ordered.", required=True),
    ),
    CUSTOMER_FEATURES.key,
    CUSTOMER_FEATURES.partition,
)
EVENT_FLAGS = tuple(column.name for column in OWN_EVENTS.columns if column.kind is Kind.FLAG)
MOVERS = replace(OWN_EVENTS, name="movers", columns=OWN_EVENTS.columns[:1])
# Those who did anything, and those who did more than one of these, so that it must be told which.
DOERS = replace(OWN_EVENTS, name="doers")
COMPARED_MOVERS = replace(
    OWN_EVENTS,
    name="compared_movers",
    columns=(
        *MOVERS.columns,
        Column("is_relearned", Kind.FLAG, "Whether lifetime figures differ and no event says why.", required=True),
        Column("is_tried", Kind.FLAG, "Whether it must be tried what moved them.", required=True),
    ),
)
# Figures of a whole life do not change by age: where they did and no event says why, something was learned of late.
LIFETIME = ("first_order_date", "last_order_date", "lifetime_order_day_count", "lifetime_order_count", "lifetime_spend_amount")


def own_events_statement(tables: Iterable[Table]) -> exp.Query:
    """Build the statement of own_events: of rollups as its file says, of the others of `tables` what happened since or is known late."""
    query = statement(OWN_EVENTS.name).copy()
    found = next(part for part in query.find_all(exp.CTE) if part.alias == "found")
    for table in tables:
        if table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES):
            continue
        event = "late_data" if table is ORDER_LINES else "own_event"  # an order or a refund of tonight is in the rollups
        columns = [exp.column(name, quoted=True) for name in (EVENT_DAY.name, *table.column_names)]
        before, now = (exp.select(*columns).from_(part_name(table, part)) for part in ("before", "now"))
        parts: list[exp.Query] = [exp.except_(before, now), exp.except_(now, before)]
        if event == "own_event":
            parts.append(exp.select("customer_id").from_(part_name(table, "new")))
        rows = [exp.select("customer_id", exp.alias_(exp.Literal.string(event), "event")).from_(part.subquery("changed")) for part in parts]
        found.set("this", union_all([found.this, *rows]))
    return query


def doers_statement(*, of_several: bool = False) -> exp.Query:
    """Select the rows of own_events, or of those customers only who did several kinds of things."""
    query = exp.select(*OWN_EVENTS.column_names).from_(OWN_EVENTS.name)
    counts = [f"CASE WHEN {flag} THEN 1 ELSE 0 END" for flag in EVENT_FLAGS]
    return query.where(f"{' + '.join(counts)} > 1") if of_several else query


def without_events_statement(table: Table, stored: str) -> exp.Query:
    """Select everybody's features tonight, but from table `stored` those of customers who did anything."""
    columns = [exp.column(column.name, quoted=True) for column in table.columns]
    is_doer = exp.column("customer_id").isin(query=exp.select("customer_id").from_(OWN_EVENTS.name))
    others = exp.select(*columns).from_(NOW).where(exp.not_(is_doer))
    return union_all([others, exp.select(*columns).from_(stored)])


def movers_statement(schemes: Collection[str]) -> exp.Query:
    """Select customers who moved within a scheme and were there on both nights.

    Who came to be among those whom a scheme applies to, or is not any more, counts for the `schemes` where that needs a reason.
    """
    is_within = exp.and_(*(exp.not_(exp.column(side).is_(exp.null())) for side in ("from_segment", "to_segment")))
    needs_reason = exp.or_(is_within, exp.column("scheme").isin(*sorted(schemes))) if schemes else is_within
    # Each customer once, before the features are looked up: one who moved may have done so in hundreds of audiences.
    moved = exp.select("customer_id").distinct().from_("moved").where(needs_reason).subquery("moved")
    query = exp.select(exp.column("customer_id", "moved")).from_(moved)
    for name in (BEFORE, NOW):
        query = query.join(name, on=exp.column("customer_id", name).eq(exp.column("customer_id", "moved")))
    return query


def compared_movers_statement(columns: Iterable[str], tried_schemes: Collection[str]) -> exp.Query:
    """Build the query of COMPARED_MOVERS.

    It must be tried what moved those who did something, those of whom one of the `columns` changed, and those who moved in one of the
    `tried_schemes`. All others just aged.
    """
    # Null-safe: a first order that was not there before is a difference, and `<>` would call it unknown.
    relearned, other = (
        [exp.NullSafeNEQ(this=_on("before", name), expression=_on("now", name)) for name in names] for names in (LIFETIME, columns)
    )
    moved = exp.select("customer_id").from_("moved").where(exp.column("scheme").isin(*sorted(tried_schemes)))
    did = exp.select("customer_id").from_(OWN_EVENTS.name)
    # Joined, as not every engine looks a row up in a query for a column. UNION gives each customer once.
    among = (exp.union(did, moved) if tried_schemes else did.distinct()).subquery("among", copy=False)
    is_tried = exp.or_(*other, exp.not_(_on("among", "customer_id").is_(exp.null())))
    return _beside(
        exp.select(
            _on(MOVERS.name, "customer_id"),
            *(exp.alias_(exp.Paren(this=each), name) for each, name in ((exp.or_(*relearned), "is_relearned"), (is_tried, "is_tried"))),
        ).from_(MOVERS.name)
    ).join(among, on=_on("among", "customer_id").eq(_on(MOVERS.name, "customer_id")), join_type="left", copy=False)


def pairs_statement(table: Table) -> exp.Query:
    """Build the query of the features before and now of each mover who is tried, without what they did themselves since.

    `table` is what `table_looked_at` returns; a column `c` of it becomes `before_c` and `now_c`.
    """
    names = [column.name for column in table.columns if column.name not in table.key]
    named = [exp.alias_(_on(side, name), f"{side}_{name}", quoted=True) for name in names for side in ("before", "now")]
    tried = exp.select("customer_id").from_(COMPARED_MOVERS.name).where("is_tried").subquery(MOVERS.name)
    return _beside(exp.select(_on(MOVERS.name, "customer_id"), *named).from_(tried))


def _on(side: str, name: str) -> exp.Column:
    return exp.column(name, side, quoted=True)


def _beside(query: exp.Select) -> exp.Select:
    """Add to a query of movers their features on both nights, as `before` and `now`."""
    for name, alias in ((BEFORE, "before"), (WITHOUT_EVENTS, "now")):
        query = query.join(exp.to_table(name).as_(alias), on=_on(alias, "customer_id").eq(_on(MOVERS.name, "customer_id")))
    return query


def pair_columns(table: Table) -> tuple[Column, ...]:
    """Declare the columns that `pairs_statement` gives."""
    [key] = (column for column in table.columns if column.name in table.key)
    kinds = [column for column in table.columns if column.name not in table.key]
    sides = [Column(f"{side}_{column.name}", column.kind, column.description) for column in kinds for side in ("before", "now")]
    return (key, *sides)
