"""What the rules of a scheme may name: features, parameters, and the segments of schemes that were loaded before."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.definitions.company import Company
from pipeline.definitions.field_records import ANY_NAME, TableKeys
from pipeline.definitions.fields import Fields
from pipeline.definitions.rules import PREDICTIONS, Quantile, Vocabulary, lists_of, require_parameters, take_quantiles
from pipeline.definitions.schemes.firms import IS_FIRM, firm_condition
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.score_methods import ScoreMethods
from pipeline.definitions.translations import Translations
from pipeline.definitions.value_lists import list_digests, require_list
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind


@dataclass(slots=True)
class LoadedSchemes:
    """The schemes loaded so far, for those that refer to them, with the names of cluster schemes.

    `score_methods` hold for a scheme that names a score and no method of its own. `stays` are all schemes by name, in whose segments
    customers were before; see `Vocabulary.schemes`. `fixed` are the translations of segments that no file names.
    """

    company: Company
    clusters: frozenset[str]
    score_methods: ScoreMethods
    stays: Mapping[str, Mapping[str, str] | None] = field(default_factory=dict)
    schemes: dict[str, Scheme] = field(default_factory=dict)
    fixed: Translations = ()


def read_vocabulary(
    loaded: LoadedSchemes, content: Fields, named: Sequence[str], rule_texts: Iterable[str] = ()
) -> tuple[Vocabulary, dict[str, Quantile], tuple[str, ...]]:
    """Return what rules may name, the parameters that a night sets, and which names the company does not supply.

    `rule_texts` are the rules as far as they can be read: the lists that they name must be sound.
    """
    names, missing = _names_for_rules(loaded.company, content)
    _note_parameters(content)
    given = content.take("parameters", dict, default={})
    attributes = {name: kind for name, kind in names.items() if name not in CUSTOMER_FEATURES.column_names}
    quantiles = take_quantiles(given, attributes, content.where)
    # Proven by stand-ins, whatever the limits of a night are.
    parameters = require_parameters({**given, **{name: each.stand_in for name, each in quantiles.items()}}, content.where)
    others = {name: loaded.schemes[name] for name in named if name in loaded.schemes}
    clusters = frozenset(f"{name}{SEGMENT_SUFFIX}" for name in named if name in loaded.clusters)
    referred = dict.fromkeys((*(f"{name}{SEGMENT_SUFFIX}" for name in others), *clusters), Kind.TEXT)
    segments = {f"{name}{SEGMENT_SUFFIX}": _ids_by_title_and_id(other) for name, other in others.items() if other.is_closed}
    lacking = tuple(name for name, other in others.items() if other.missing)
    company = loaded.company
    _require_lists(company, rule_texts)
    words = Vocabulary(
        {**PREDICTIONS, **names, **referred},
        parameters,
        segments,
        clusters,
        shorthands={IS_FIRM: firm_condition(names)},
        separators={column.name: column.separator for column in company.table(CUSTOMER_FEATURES).columns if column.separator},
        lists=list_digests(company),
        schemes=loaded.stays,
        language=company.language,
        sources=company.event_sources,
    )
    return words, quantiles, (*missing, *lacking)


def _require_lists(company: Company, rule_texts: Iterable[str]) -> None:
    """Raise ConfigError where a list that a rule names cannot be read: before the night begins."""
    named, files = {name for text in rule_texts for name in lists_of(text)}, company.list_files()
    for name in sorted(named & files.keys()) if company.past_definitions is None else ():
        require_list(files[name])


def _ids_by_title_and_id(scheme: Scheme) -> dict[str, str]:
    """Return what a person may write for each segment: its title or its id."""
    # Ids last, so that they win: a title of one segment may be the id of another.
    return {segment.title: segment.id for segment in scheme.segments} | {segment.id: segment.id for segment in scheme.segments}


def _note_parameters(content: Fields) -> None:
    """Write down for editors that parameters are values, or quantiles of an attribute."""
    content.note_named("parameters", kinds=frozenset({str, float, bool, dict}), holds=TableKeys.FIXED)
    quantile = Fields({}, content.document, f"{content.name_of('parameters')}.{ANY_NAME}.")
    quantile.note("quantile", kinds=frozenset({float}), low=0, high=1, is_required=True)
    quantile.note("of", kinds=frozenset({str}), is_required=True)


def _names_for_rules(company: Company, content: Fields) -> tuple[dict[str, Kind], tuple[str, ...]]:
    """Return the kinds of all names that rules may use, and which of them the company does not supply."""
    supplied = {column.name: column.kind for column in company.table(CUSTOMER_FEATURES).columns}
    kinds = tuple(kind.name.lower() for kind in Kind if not kind.is_list)
    content.note_named("needs", kinds=frozenset({str}), choices=kinds)
    declared = content.take("needs", dict, default={})
    section = Fields(declared, content.document, "needs.")
    needs = {name: Kind[section.choice(name, kinds).upper()] for name in declared}
    for name, kind in needs.items():
        if supplied.get(name, kind) is not kind:
            raise ConfigError(
                f"`needs.{name}` is {kind.words}, but the company's `{name}` is {supplied[name].words}",
                where=content.where,
                todo="Declare the kind that company.toml gives.",
            )
    return {**needs, **supplied}, tuple(name for name in needs if name not in supplied)


def schemes_referred_to(loaded: LoadedSchemes, named: Sequence[str]) -> tuple[str, ...]:
    """Return the schemes `named` by rules and those that these refer to in turn, in the order in which SQL must decide them."""
    known = [name for name in named if name in loaded.schemes]
    return tuple(dict.fromkeys(name for other in known for name in (*loaded.schemes[other].references, other)))


def clusters_referred_to(loaded: LoadedSchemes, named: Sequence[str]) -> tuple[str, ...]:
    """Return the cluster schemes that rules name themselves or through other schemes."""
    behind = (name for other in named if other in loaded.schemes for name in loaded.schemes[other].clusters)
    return tuple(sorted({*behind, *loaded.clusters.intersection(named)}))
