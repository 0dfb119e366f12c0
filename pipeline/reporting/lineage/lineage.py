"""Where a feature, a column, a scheme or a segment comes from, and what breaks where it goes.

The way up is the graph of columns: rule > features > tables on the way > source columns. The way down is the same graph read the other
way, then the schemes whose rules, evidence or clusters look at what was reached. `order_lines.net_amount`, say, makes `spend_amount`,
which makes `m_score`, by which `rfm` decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, Scheme
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES, RAW_CONSENTS, RAW_CUSTOMER_CONTACTS
from pipeline.reporting.lineage.columns import column_graph, described_fields, required_fields, source_fields
from pipeline.reporting.lineage.graph import ROWS, ColumnGraph, Field
from pipeline.reporting.lineage.source_queries import source_expressions
from pipeline.reporting.lineage.uses import SchemeUse, names_behind, scheme_names, scheme_uses, segment_names
from pipeline.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """One column that a source supplies: what it means, whether a night needs it, and whether it makes the value or chooses rows.

    `given_by` is the expression of the company's query that gives it, empty where the query does not, None where that cannot be told.
    """

    field: Field
    description: str
    is_required: bool
    is_value: bool
    given_by: str | None


@dataclass(frozen=True, slots=True)
class Lineage:
    """Where something comes from, what is calculated from it on the way to the features, and who uses those.

    `given_by` has for each of the `fields` what a source column has of that name; None for what is no source column.
    `steps` are the columns on the way, by table, the nearest first. `features` are the ones whose values change with it,
    `chosen_features` those for which it only chooses the rows that count. Without a source column that `is_required` no night can run.
    """

    name: str
    kind: str
    description: str
    fields: tuple[Field, ...]
    given_by: tuple[str | None, ...]
    sources: tuple[SourceColumn, ...]
    steps: tuple[tuple[str, tuple[str, ...]], ...]
    features: tuple[str, ...]
    chosen_features: tuple[str, ...]
    uses: tuple[SchemeUse, ...]
    is_required: bool = False

    @property
    def is_source(self) -> bool:
        """Whether it is a source column itself."""
        return bool(self.fields) and not self.sources


class CompanyLineage:
    """The lineage of everything that has a name in a company: columns, features, attributes, schemes and segments."""

    def __init__(self, company: Company, schemes: Sequence[Scheme], cluster_schemes: Sequence[ClusterScheme]) -> None:
        self._company, self._schemes, self._clusters = company, schemes, cluster_schemes
        self._graph: ColumnGraph = column_graph(company)
        self._described = described_fields(company)
        self._sources = source_fields(company)
        self._expressions = source_expressions(company)
        self._features = company.table(CUSTOMER_FEATURES).column_names

    def trace_name(self, name: str) -> Lineage:
        """Trace the lineage of `name`; raises ConfigError with the nearest name where nothing is called so."""
        # A feature often has the name of a column on the way to it: who types a bare name means the feature.
        if name in self._features:
            is_feature = name in CUSTOMER_FEATURES.column_names or name in {feature.name for feature in self._company.features}
            kind = "feature" if is_feature else "attribute"
            return self._lineage_of_fields(name, kind, [Field(CUSTOMER_FEATURES.name, name)])
        fields = self._columns_by_name.get(_raw_column_name(self._company, name)) or self._columns_by_name.get(name)
        if fields:
            return self._lineage_of_fields(name, "source column" if set(fields) <= self._sources.keys() else "column", fields)
        if name in self._names_deciding:
            return self._lineage_of_scheme(name)
        known = [*self._features, *self._columns_by_name, *self._names_deciding]
        todo = "Name a feature, an attribute, a column such as order_lines.net_amount, a scheme or a segment such as rfm.champions."
        raise ConfigError(f"nothing is called `{name}`{did_you_mean(name, known)}", where="--lineage", todo=todo)

    @cached_property
    def _columns_by_name(self) -> Mapping[str, list[Field]]:
        """Every column by its own name, the sources' before others, and by table and name."""
        declared = dict.fromkeys((*self._sources, *self._described))
        named: dict[str, list[Field]] = {str(field): [field] for field in declared}
        bare: dict[str, list[Field]] = {}
        for field in declared:
            if field in self._sources or not any(other in self._sources for other in bare.get(field.column, [])):
                bare.setdefault(field.column, []).append(field)
        return named | bare

    @cached_property
    def _names_deciding(self) -> Mapping[str, set[str]]:
        """What decides in every scheme and segment, by names such as `rfm`, `rfm.segment` and `rfm.champions`."""
        deciding = {name: set(scheme.columns) for scheme in self._clusters for name in (scheme.name, f"{scheme.name}{SEGMENT_SUFFIX}")}
        for scheme in self._schemes:
            deciding |= {f"{scheme.name}.{segment.id}": segment_names(scheme, segment) for segment in scheme.segments}
            deciding |= dict.fromkeys((scheme.name, f"{scheme.name}{SEGMENT_SUFFIX}"), scheme_names(scheme))
        return deciding

    def _lineage_of_fields(self, name: str, kind: str, fields: Sequence[Field]) -> Lineage:
        # A statement calculates with its parts, not with its own output: `spend_amount` of a CTE makes `average_order_amount`, and the
        # output of that name is a copy of it. So what is calculated from the copies counts as calculated from the field.
        values, rows = self._graph.readers_of(copy for field in fields for copy in self._graph.copies_of(field, CUSTOMER_FEATURES.name))
        changed = self._feature_names([*fields, *values])
        return Lineage(
            name,
            kind,
            self._described.get(fields[0], ""),
            tuple(fields),
            tuple(self._query_expression(field) for field in fields),
            *self._sources_and_steps(fields),
            changed,
            self._feature_names(rows),
            scheme_uses(changed, self._schemes, self._clusters),
            is_required=set(fields) <= required_fields(self._company),
        )

    def _lineage_of_scheme(self, name: str) -> Lineage:
        behind = names_behind(self._names_deciding[name], self._schemes, self._clusters)
        features = self._feature_names(Field(CUSTOMER_FEATURES.name, each) for each in behind)
        scheme = name.partition(".")[0]
        is_whole = name in (scheme, f"{scheme}{SEGMENT_SUFFIX}")
        titles = {each.name: each.title for each in self._schemes} | {each.name: each.title for each in self._clusters}
        fields = [Field(CUSTOMER_FEATURES.name, feature) for feature in features]
        kind = "scheme" if is_whole else "segment"
        dependents = scheme_uses([f"{scheme}{SEGMENT_SUFFIX}"], self._schemes, ())
        return Lineage(name, kind, titles[scheme], (), (), *self._sources_and_steps(fields), features, (), dependents)

    def _sources_and_steps(self, fields: Sequence[Field]) -> tuple[tuple[SourceColumn, ...], tuple[tuple[str, tuple[str, ...]], ...]]:
        values, rows = self._graph.sources_of(fields)
        required = required_fields(self._company)
        sources = [
            SourceColumn(field, description, field in required, field in values, self._query_expression(field))
            for field, description in self._sources.items()
            if field in values or field in rows
        ]
        return tuple(sorted(sources, key=lambda source: not source.is_value)), tuple(self._tables_on_the_way(values))

    def _query_expression(self, field: Field) -> str | None:
        expressions = self._expressions.get(field.table)
        return None if expressions is None else expressions.get(field.column, "")

    def _tables_on_the_way(self, values: set[Field]) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Yield the declared tables on the way, the sources last, with the columns that are read of each."""
        for table in dict.fromkeys(field.table for field in self._described):
            columns = tuple(field.column for field in self._described if field.table == table and field in values)
            if columns:
                yield table, columns

    def _feature_names(self, fields: Iterable[Field]) -> tuple[str, ...]:
        names = {field.column for field in fields if field.table == CUSTOMER_FEATURES.name and field.column != ROWS}
        return tuple(name for name in self._features if name in names)


def _raw_column_name(company: Company, name: str) -> str:
    """Translate a column as the source calls it, such as `order_lines.net_amount`, into the column of the raw table."""
    source, _, column = name.partition(".")
    # Consents decide who is published, contacts are for the CRM, and no column is made of either.
    beside = (RAW_CONSENTS, RAW_CUSTOMER_CONTACTS)
    tables = {name: table for name, table in company.source_tables.items() if table not in beside}
    return f"{tables[source].name}.{column}" if source in tables else name
