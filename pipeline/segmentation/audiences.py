"""Who is in which audience on a night, how large each is, and what to do about it.

The conditions in all rules are worked out in one look at the customers, each once; what rules make of them follows from that. Where a rule
is true the customer is a member. What is stored follows from the night alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.audiences import (
    Formula,
    RuleFormulas,
    all_members_statement,
    conditions_statement,
    formula_flags,
    load_audiences,
    rule_formulas,
    rule_of,
    unknown_counts_statement,
)
from pipeline.definitions.company import Company
from pipeline.definitions.history import definitions_digest
from pipeline.definitions.schemes import Scheme, Schemes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_STRATEGIES,
    AUDIENCES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
)
from pipeline.log_fields import Count
from pipeline.segmentation.joined_columns import NightFeatures, has_stays
from pipeline.segmentation.memberships import write_intervals_before
from pipeline.segmentation.night_schemes import audiences_of_night, schemes_beside

log = logging.getLogger("pipeline.segmentation.audiences")
PLACE_BITS = 20  # for a million audiences
_NOBODY = ""  # the name under which `audiences.sql` tells the size of an audience without anybody


def write_audiences(company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Write the members of every audience, its size and its card; nothing where the company declares none.

    It reads the night's features, and goes by the clusters that its memberships went by.
    """
    declared = load_audiences(company)
    if not (declared.schemes or declared.uncomputed):
        _remove_earlier(lake, day, known_on)
        return
    found = audiences_of_night(company, lake, day, known_on)
    for name, reason in found.not_computed.items():
        log.warning("audience %s: not published: %s", name, reason)
    # Earlier nights are read only where a rule asks about them.
    if has_stays(found.schemes):
        write_intervals_before(lake, engine, day)
    schemes = schemes_beside(company, lake, day, found.schemes, known_on)
    table = company.table(CUSTOMER_FEATURES)
    with NightFeatures([company], lake, engine, day, known_on).registered(schemes.values(), table) as features:
        # Files of a night are sorted by their key; what was joined to the features is not.
        is_in_order = engine.keeps_order and features == table
        _write_audiences(company, lake, engine, day, found, schemes, known_on=known_on, is_in_order=is_in_order)


def _write_audiences(  # noqa: PLR0913, PLR0917 - what every step is given, and what was found of audiences
    company: Company,
    lake: Lake,
    engine: Engine,
    day: date,
    found: Schemes,
    schemes: Mapping[str, Scheme],
    *,
    known_on: date | None,
    is_in_order: bool,
) -> None:
    memberships = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day, known_on=known_on))
    audiences = [schemes[audience.name] for audience in found.schemes]
    manifest = {
        "audiences": {audience.name: audience_digest(audience, memberships.get("schemes", {})) for audience in audiences},
        "not_computed": dict(found.not_computed),
        "definitions": definitions_digest(company),
        "features": lake.content_digest(addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)),
        "inputs": lake.digest([addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)]),
    }
    unknown = np.zeros(len(audiences), dtype=np.int64)
    names = pa.array([audience.name for audience in audiences], pa.string())
    rows: Iterable[pa.RecordBatch] = ()
    if audiences and engine.needs_slices:
        rules = rule_formulas([rule_of(audience) for audience in audiences])
        said = conditions_statement(rules.conditions, audiences, schemes, is_in_order=is_in_order)
        rows = _member_rows(engine.run(said, {}), rules, names, unknown)
    elif audiences:
        # Where the members are written elsewhere, nothing passes by that could be counted.
        [counts] = engine.run(unknown_counts_statement(audiences, schemes), {}).read_all().to_pylist()
        unknown = np.array([counts[audience.name] for audience in audiences])
        rows = engine.run(all_members_statement(audiences, schemes), {})
    count = lake.write(AUDIENCE_MEMBERS, rows, day=day, known_on=known_on, manifest=manifest)
    fields = {"table": AUDIENCE_MEMBERS.name, "rows": Count(count), "audiences": len(audiences)}
    log.info("%(table)s: %(rows)s memberships in %(audiences)s audiences", fields)
    # Counted from what was written, and not from the flags: sizes then cannot differ from the members that readers see.
    engine.register(AUDIENCE_MEMBERS, [addresses.partition(AUDIENCE_MEMBERS, day=day, known_on=known_on)])
    sizes = _size_rows(engine, audiences, unknown.tolist())
    lake.write(AUDIENCES, sizes.to_batches(), day=day, known_on=known_on)
    cards = _strategy_rows(audiences, company.language)
    lake.write(AUDIENCE_STRATEGIES, cards.to_batches(), day=day, known_on=known_on, manifest={"definitions": manifest["definitions"]})


def _remove_earlier(lake: Lake, day: date, known_on: date | None) -> None:
    """Remove what an earlier run of the night wrote, when audiences were declared; moves are told anew in any case."""
    for table in (AUDIENCE_MEMBERS, AUDIENCES, AUDIENCE_STRATEGIES):
        if lake.has(table, day=day, known_on=known_on):
            lake.delete(addresses.partition(table, day=day, known_on=known_on))


def audience_digest(audience: Scheme, schemes: Mapping[str, str]) -> str:
    """Digest what an audience decides by.

    That is its rule, what the declared features in it mean, how scores come about, and what the schemes that it looks at decide by.
    """
    rule = audience.applies_to.sql("duckdb", comments=False) if audience.applies_to else ""
    looked_at = [[name, schemes.get(name)] for name in (*audience.clusters, *audience.references)]
    methods = sorted((name, str(method)) for name, method in audience.score_methods.items())
    return short_digest(rule, sorted(audience.declared.items()), looked_at, methods)


def _member_rows(
    said: Iterable[pa.RecordBatch], rules: RuleFormulas, names: pa.Array, unknown: np.ndarray[tuple[int], np.dtype[np.int64]]
) -> Iterator[pa.RecordBatch]:
    """Yield the members, sorted by customer and audience, of what conditions say of each customer, who come in order.

    `names` are those of the audiences, in order and as their `rules`; of each, `unknown` counts those of whom its rule is unknown.
    """
    for batch in said:
        conditions = {name: batch[name] for name in rules.conditions}
        worked_out: dict[Formula, pa.Array] = {}
        # A member as one number: the row of the customer, and below it the place of the audience. So they are sorted as numbers are.
        pieces = []
        for place, formula in enumerate(rules.formulas):
            flags = formula_flags(formula, conditions, worked_out)
            # Counted as they pass by: a second look at the customers would cost as much as the first.
            unknown[place] += flags.null_count
            pieces.append((pc.indices_nonzero(flags).to_numpy().astype(np.int64) << PLACE_BITS) + place)
        found = np.concatenate(pieces)
        found.sort()
        columns = [batch["customer_id"].take(pa.array(found >> PLACE_BITS)), names.take(pa.array(found & ((1 << PLACE_BITS) - 1)))]
        yield pa.RecordBatch.from_arrays(columns, names=AUDIENCE_MEMBERS.column_names)


def _size_rows(engine: Engine, audiences: Sequence[Scheme], unknown: Sequence[int]) -> pa.Table:
    """Return the rows of AUDIENCES; `unknown` counts of each the customers of whom its rule is unknown."""
    sizes = {row["audience"]: row for row in engine.run(statement(AUDIENCES.name), {}).read_all().to_pylist()}
    rows = []
    for audience, count in zip(audiences, unknown, strict=True):
        said = {"audience": audience.name, "title": audience.title, "purpose": audience.question, "rule": audience.applies_to_text}
        terms = audience.audience
        owned = {"owner": terms.owner, "expires_date": terms.expires} if terms else {}
        rows.append({**sizes.get(audience.name, sizes[_NOBODY]), **said, **owned, "unknown_count": count})
        if count:
            log.info("audience %s: of %s customers the rule is unknown, so they are not in it", audience.name, f"{count:,}")
    return pa.Table.from_pylist(rows, schema=AUDIENCES.schema)


def _strategy_rows(audiences: Sequence[Scheme], language: str) -> pa.Table:
    """Return the rows of AUDIENCE_STRATEGIES: each audience in each language that any of them is translated into."""
    # The same languages for each, so that a join by language loses no audience that is not translated.
    languages = sorted({language}.union(*(audience.languages for audience in audiences)))
    rows = [_strategy_row(audience, each) for audience in audiences for each in languages]
    return pa.Table.from_pylist(rows, schema=AUDIENCE_STRATEGIES.schema)


def _strategy_row(audience: Scheme, language: str) -> dict[str, object]:
    row: dict[str, object] = {
        "audience": audience.name,
        "language": language,
        "title": audience.titles.get(language, audience.title),
        "purpose": audience.questions.get(language, audience.question),
    }
    card = audience.strategy
    if card is None:
        return row
    return {**row, **card.texts(language), "priority": card.priority, "budget_share": card.budget_share, "assumes": card.assumes or None}
