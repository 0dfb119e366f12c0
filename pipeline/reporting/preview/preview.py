"""A rule counted among the customers of the live night, or of the last stored one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.audiences import MEMBER, UNNAMED, audience_of_rule, members_statement
from pipeline.definitions.company import Company, with_declared_features
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.schemes import Scheme
from pipeline.errors import ConfigError, DataError
from pipeline.features import features_as_declared, with_stored_attributes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCES, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_PROFILES, Column, Kind
from pipeline.publication.current import current_publication
from pipeline.segmentation import NightFeatures, columns_named, computable_audiences, register_memberships, schemes_beside

SAMPLE_SIZE = 20
_SIZE = ["title", "customer_count"]
_FLAG = Column("is_member", Kind.FLAG, "What the rule says of the customer.")
_EVERYBODY = replace(CUSTOMER_FEATURES, name="everybody").only({"spend_amount"})
_PREVIEWED = replace(
    CUSTOMER_FEATURES,
    name="previewed_customers",
    columns=(*(column for column in CUSTOMER_FEATURES.columns if column.name in ("customer_id", "spend_amount")), _FLAG),
)


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many of those whom the rule takes are in a segment, or in an audience, of how many that are in it."""

    scheme: str
    segment: str
    title: str
    customer_count: int
    size: int
    is_audience: bool


@dataclass(frozen=True, slots=True)
class Preview:
    """Whom a rule takes on the night of `day`: customers, spend in the window, and both as shares of everybody's, 0 to 1.

    Of `unknown_count` customers it is unknown, as a value is: it does not take them. `customer_ids` are the first by id.
    """

    rule: str
    day: date
    customer_count: int
    customer_share: float | None
    spend_amount: Decimal
    spend_share: float | None
    unknown_count: int
    customer_ids: tuple[str, ...]
    overlaps: tuple[Overlap, ...]


def preview_rule(company: Company, lake: Lake, rule: str, *, memory_limit: str = MEMORY_LIMIT) -> Preview:
    """Count whom `rule` takes on the live night, or on the last stored one where nothing is live.

    Raises ConfigError, with a caret, for a wrong rule, or where the night lacks what it needs; DataError where no night is stored.
    """
    day = _night_to_count(lake)
    # As the stored night has them: what company.toml declares since then, no file holds yet.
    live = with_stored_attributes(company, lake, day)
    # Aggregates within the rule are features of their own, worked out from stored events.
    known = with_declared_features(live, Definition(Path(UNNAMED), f"rule = {json.dumps(rule)}"))
    read = audience_of_rule(known, rule)
    engine = open_engine(lake, memory_limit=memory_limit, remembers_footers=True)
    with closing(engine), features_as_declared(known, lake, engine, day) as night:
        audience = _computable(known, lake, day, read, night.unknown)
        by_name = schemes_beside(known, lake, day, [audience])
        query = members_statement(by_name[audience.name], by_name)
        stored = NightFeatures([known], lake, engine, day, since=night.features)
        # Only what the statement names: a Parquet file is read by column, and others are not touched.
        names = columns_named([query])
        if night.features:
            night.features.work_out(names)
        with stored.defined(by_name.values(), night.table.only({"customer_id", "spend_amount", *names})):
            # Of most customers the rule is false: how many they are and what they spent is known without asking it.
            is_asked = exp.func("COALESCE", exp.column("is_member"), exp.true())
            engine.materialize(_PREVIEWED, exp.select("*").from_(query.subquery("decided")).where(is_asked))
            engine.register(_EVERYBODY, [addresses.partition(CUSTOMER_FEATURES, day=day)])
            [size] = engine.run(statement("preview_size"), {"sample": SAMPLE_SIZE}).read_all().to_pylist()
            overlaps = _overlaps(lake, engine, day)
    return Preview(
        rule=rule,
        day=day,
        customer_count=size["customer_count"],
        customer_share=_share(size["customer_count"], size["everybody_count"]),
        spend_amount=size["spend_amount"],
        spend_share=_share(size["spend_amount"], size["everybody_amount"]),
        unknown_count=size["unknown_count"],
        customer_ids=tuple(size["customer_ids"] or ()),
        overlaps=overlaps,
    )


def _night_to_count(lake: Lake) -> date:
    live, nights = current_publication(lake), lake.nights(CUSTOMER_SEGMENTS)
    if live is None and not nights:
        raise DataError("no night is stored, so there is nobody to count", where=lake.where(), todo="Run a night first: segments run.")
    return live.day if live else nights[-1]


def _computable(company: Company, lake: Lake, day: date, audience: Scheme, unknown: Mapping[str, str]) -> Scheme:
    found = computable_audiences(company, lake, day, [audience], unknown=unknown)
    needs = ", ".join(audience.missing) or found.not_computed.get(audience.name, "").removeprefix("needs ")
    if not found.schemes or needs:
        what = f"the night of {day} cannot tell: the rule needs {needs}"
        raise ConfigError(what, where="RULE", todo="Name what the company's queries give: segments catalog shows it.")
    return found.schemes[0]


def _overlaps(lake: Lake, engine: Engine, day: date) -> tuple[Overlap, ...]:
    register_memberships(lake, engine, day)
    rows = engine.run(statement("preview_overlap"), {}).read_all().to_pylist()
    sizes = _titles_and_sizes(lake.read_columns(SEGMENT_PROFILES, ["scheme", "segment", *_SIZE], day=day))
    audiences = {}
    if lake.has(AUDIENCES, day=day):
        members = lake.read_columns(AUDIENCES, ["audience", *_SIZE], day=day)
        audiences = {(audience, MEMBER): size for (audience,), size in _titles_and_sizes(members).items()}
    known = sizes | audiences
    keys = ((row, (row["scheme"], row["segment"])) for row in rows)
    return tuple(Overlap(*key, known[key][0], row["customer_count"], known[key][1], key in audiences) for row, key in keys if key in known)


def _titles_and_sizes(rows: pa.Table) -> dict[tuple[str, ...], tuple[str, int]]:
    """Return title and size by the other columns."""
    keys = zip(*(column.to_pylist() for column in rows.drop_columns(_SIZE).columns), strict=True)
    return dict(zip(keys, zip(*(rows[name].to_pylist() for name in _SIZE), strict=True), strict=True))


def _share(part: Decimal | int, whole: Decimal | int) -> float | None:
    return float(part) / float(whole) if whole > 0 else None
