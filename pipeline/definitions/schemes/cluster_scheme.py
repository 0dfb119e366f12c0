"""What a company wants clustered: the definition files of kind `clusters`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.fields import LONGEST_SHOWN, Document, Fields, printable_value
from pipeline.definitions.rules.cluster_ids import CLUSTER_ID, is_cluster_id
from pipeline.definitions.schemes.cluster_features import TODO, ClusterFeature, read_features
from pipeline.definitions.schemes.fixed_segments import TITLES, UNCLUSTERED, texts_of_fixed
from pipeline.definitions.schemes.loading import SchemeInputs, load_schemes
from pipeline.definitions.schemes.quantile_limits import quantiles_of
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE, Scheme, joined_columns_of
from pipeline.definitions.schemes.sql import membership_statement
from pipeline.definitions.schemes.strategies import LIFECYCLE, Strategy, read_card, read_strategy, require_budget_shares
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

KIND = "clusters"
ALGORITHMS = ("k-means", "gaussian-mixture", "hdbscan")
POPULATION_COLUMN = "order_day_count"
MOST_CLUSTERS = 20


@dataclass(frozen=True, slots=True)
class ClusterScheme:
    """What to cluster customers by, and which clusters are good enough.

    `moved_share_limit` is the share of customers that a refit may move to another cluster without a person's yes. A
    night asks for a refit where a feature's population stability index, the distance to the centres (as a multiple of that at
    the fit) or the fall of the silhouette is beyond its `drift_` limit. `within` is a segment of another scheme, such as
    `lifecycle.active`, whose customers alone are clustered; `within_sql` is the statement of their ids, and `within_rhythm` what the card
    of the segment assumes where it is one of the lifecycle. `strategies` has the card of each
    cluster, by id, that has one of its own; `strategy` is that of all others, where there is one. `fixed_titles` are what those in no
    cluster are called, by segment and language.
    """

    name: str
    title: str
    level: str
    question: str
    features: tuple[ClusterFeature, ...]
    cluster_count_min: int
    cluster_count_max: int
    smallest_share: float
    jaccard_floor: float
    seed: int
    sample_rows: int
    algorithm: str = "k-means"
    largest_share: float = 0.8
    moved_share_limit: float = 0.25
    drift_psi_limit: float = 0.25
    drift_distance_limit: float = 1.25
    drift_silhouette_limit: float = 0.1
    titles: Mapping[str, str] = field(default_factory=dict, hash=False)
    questions: Mapping[str, str] = field(default_factory=dict, hash=False)
    within: str = ""
    within_sql: str = ""
    within_rhythm: str | None = None
    strategy: Strategy | None = None
    strategies: Mapping[str, Strategy] = field(default_factory=dict, hash=False)
    fixed_titles: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)

    @property
    def members(self) -> exp.Query | None:
        """Return the statement of the customers that are clustered, by id, where they are those of a segment of another scheme."""
        return parse_one(self.within_sql, into=exp.Select, read="duckdb") if self.within_sql else None

    @property
    def member_columns(self) -> frozenset[str]:
        """Return the columns that tell who is clustered."""
        return frozenset(column.name for column in self.members.find_all(exp.Column)) if self.members else frozenset()

    @property
    def languages(self) -> frozenset[str]:
        """The languages that anything of the scheme is translated into."""
        words = (said for each in self.features for said in (each.highs, each.lows, each.highests, each.lowests))
        cards = (card.translations for card in (self.strategy, *self.strategies.values()) if card)
        return frozenset({*self.titles, *self.questions}).union(*words, *cards)

    @property
    def goes_by_orders(self) -> bool:
        """Whether it clusters by how customers buy: then those without an order in the window are in no cluster."""
        return not all(feature.is_attribute for feature in self.features)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Return the attributes that it clusters by."""
        return tuple(feature.name for feature in self.features if feature.is_attribute)

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the columns of `customer_features` that a fit reads besides `customer_id`, each once."""
        population = (POPULATION_COLUMN,) if self.goes_by_orders else ()
        return tuple(dict.fromkeys((*population, *(feature.name for feature in self.features))))


def load_cluster_schemes(company: Company) -> tuple[ClusterScheme, ...]:
    """Return the cluster schemes of `company`, by name: ours, each replaced by the company's file of the same name.

    Raises ConfigError naming file and field where something is missing, unknown or out of bounds.
    """
    return _cluster_schemes_of_inputs(SchemeInputs.of(company))


@lru_cache(maxsize=8)
def _cluster_schemes_of_inputs(inputs: SchemeInputs) -> tuple[ClusterScheme, ...]:
    """Return the cluster schemes; cached, as a night asks for them in several steps, and most files are no cluster schemes."""
    schemes, contents = [], inputs.contents()
    fixed = {each: texts_of_fixed(each, "title", TITLES, inputs.fixed) for each in (UNCLUSTERED, INSUFFICIENT_EVIDENCE)}
    for definition in sorted(inputs.definitions, key=lambda each: each.file.stem):
        values = contents[definition.file.stem]
        if values.get("kind") == KIND:
            scheme = read_cluster_scheme(definition.file.stem, definition, values, inputs.company)
            scheme = replace(scheme, fixed_titles=fixed)
            # What most companies do not need is not read: loading every other scheme takes longest.
            others = {each.name: each for each in load_schemes(inputs.company).schemes} if scheme.within else {}
            schemes.append(limit_to_segment(scheme, others, definition.file))
    return tuple(schemes)


def limit_to_segment(scheme: ClusterScheme, by_name: Mapping[str, Scheme], file: Path) -> ClusterScheme:
    """Return the scheme with the statement of the customers that it is `within`, if any; `by_name` are the schemes decided by rules.

    Raises ConfigError where there is no such segment, or a fit could not find its customers by features alone.
    """
    if not scheme.within:
        return scheme
    other, _, segment = scheme.within.partition(".")
    known = [f"{name}.{each.id}" for name, found in by_name.items() for each in found.segments]
    if scheme.within not in known:
        what = f"`within` is {printable_value(scheme.within)}, which is no segment of this company{did_you_mean(scheme.within, known)}"
        raise ConfigError(what, where=str(file), todo="Write it as scheme.segment, such as lifecycle.active.")
    if quantiles_of(by_name[name] for name in (other, *by_name[other].references)):
        what = f"`within` is {printable_value(scheme.within)}, whose limits are quantiles that each month sets anew"
        raise ConfigError(what, where=str(file), todo="Name a segment whose limits are fixed.")
    if by_name[other].clusters:
        what = f"`within` is {printable_value(scheme.within)}, which goes by clusters itself: {', '.join(by_name[other].clusters)}"
        raise ConfigError(what, where=str(file), todo="Name a segment that is decided by features alone.")
    if joined := joined_columns_of(by_name[name] for name in (other, *by_name[other].references)):
        what = f"`within` is {printable_value(scheme.within)}, which looks at more than features: {', '.join(sorted(joined))}"
        raise ConfigError(what, where=str(file), todo="Name a segment that is decided by features alone.")
    members = exp.select("customer_id").from_(membership_statement(by_name[other], by_name).subquery("memberships"))
    # Kept as text, since a scheme is hashed and compared, and a syntax tree of sqlglot may be changed in place.
    chosen = members.where(exp.column("segment").eq(exp.Literal.string(segment)))
    [card] = [each.strategy for each in by_name[other].segments if each.id == segment]
    rhythm = (card.assumes if card else "") if other == LIFECYCLE else None
    return replace(scheme, within_sql=chosen.sql("duckdb"), within_rhythm=rhythm)


def read_cluster_scheme(name: str, definition: Definition, values: dict[str, Any], company: Company) -> ClusterScheme:
    """Return the cluster scheme that a file defines; raises ConfigError naming the field that is wrong."""
    language = company.language
    document = Document(str(definition.file), todo=TODO, noun="field")
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise document.error("the file's name must be lower-case letters, digits and underscores, since it names the scheme")
    fields = Fields(values, document)
    fields.choice("kind", (KIND,))
    fewest = fields.integer("cluster_count_min", 2, MOST_CLUSTERS)
    title, titles = fields.words("title", language)
    question, questions = fields.words("question", language)
    scheme = ClusterScheme(
        name=name,
        title=title,
        level=fields.choice("level", LEVELS),
        question=question,
        features=read_features(fields, company, definition),
        cluster_count_min=fewest,
        cluster_count_max=fields.integer("cluster_count_max", fewest, MOST_CLUSTERS),
        smallest_share=fields.number("smallest_share", 0.01, 1 / fewest),
        jaccard_floor=fields.number("jaccard_floor", 0, 1),
        seed=fields.integer("seed", 0, 2**31 - 1),
        sample_rows=fields.integer("sample_rows", 1_000, 1_000_000),
        algorithm=fields.choice("algorithm", ALGORITHMS, default="k-means"),
        largest_share=fields.number("largest_share", 1 / fewest, 1, default=0.8),
        moved_share_limit=fields.number("moved_share_limit", 0, 1, default=0.25),
        drift_psi_limit=fields.number("drift_psi_limit", 0.01, 10, default=0.25),
        drift_distance_limit=fields.number("drift_distance_limit", 1, 10, default=1.25),
        drift_silhouette_limit=fields.number("drift_silhouette_limit", 0.01, 1, default=0.1),
        titles=titles,
        questions=questions,
        within=fields.text("within", pattern=r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*") if fields.has("within") else "",
        strategy=read_strategy(fields, language),
        strategies=_read_cluster_strategies(fields.section("strategies"), language),
    )
    if "applies_to" in values:
        raise fields.refusal("applies_to", "is for schemes of rules and values; clusters are those of customers `within` a segment of one")
    fields.refuse_unknown()
    return scheme


def _read_cluster_strategies(content: Fields, language: str) -> dict[str, Strategy]:
    """Return the cards of single clusters by id: titles change with a refit, ids last."""
    cards = {}
    for name, card in content.sections(CLUSTER_ID):
        if not is_cluster_id(name):
            raise content.refusal(name[:LONGEST_SHOWN], "names no cluster; write its id, as in [strategies.cluster_2]")
        cards[name] = read_card(card, language)
    require_budget_shares(list(cards.values()), content.where)
    return cards
