"""Features, lists, schemes, translations and audiences: each file by itself, in the order in which they look at each other."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pipeline.definitions.audiences.loading import read_each_audience
from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition, definition_files, read_definition
from pipeline.definitions.features import DeclaredFeature, read_features
from pipeline.definitions.fields import Document, Fields
from pipeline.definitions.rules import lists_of, rule_texts
from pipeline.definitions.schemes.cluster_scheme import ClusterScheme, limit_to_segment, read_cluster_scheme
from pipeline.definitions.schemes.loading import SchemeInputs, features_named, read_each_scheme
from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.scheme_vocabulary import LoadedSchemes
from pipeline.definitions.schemes.score_methods import SETTING_SCHEMES, read_score_methods
from pipeline.definitions.shipped import SHIPPED
from pipeline.definitions.translations import Translations, company_translations, require_own_translations
from pipeline.definitions.value_lists import list_digests, require_list
from pipeline.errors import PipelineError
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.operations.check.problems import ProblemList
from pipeline.operations.check.rereading import Rereading

_CLUSTERS = Rereading(
    {
        "title": "unnamed",
        "question": "unnamed",
        "level": "behavioural",
        "cluster_count_min": 2,
        "cluster_count_max": 8,
        "smallest_share": 0.03,
        "jaccard_floor": 0.75,
        "seed": 0,
        "sample_rows": 10_000,
    }
)
_WORD = re.compile(r"\w+")
# Of schemes, clusters, audiences and features: what names a column, a segment or events.
_NAMING_SETTINGS = ("evidence", "attribute", "within", "segment", "strategy", "features", "attributes", "value", "where", "from")


@dataclass(frozen=True, slots=True)
class CheckedSchemes:
    """What could be read: the company with its declared features, schemes and audiences; `unsound` are the names of the others."""

    company: Company
    loaded: LoadedSchemes | None
    audiences: Mapping[str, Scheme] = field(default_factory=dict)
    unsound: frozenset[str] = frozenset()
    texts: tuple[Definition, ...] = ()

    @property
    def scheme_names(self) -> set[str]:
        """The names of all schemes that there are files of."""
        return {*(self.loaded.schemes if self.loaded else ()), *(self.loaded.clusters if self.loaded else ())}

    @property
    def lists_named(self) -> set[str]:
        """The lists that any rule names."""
        return {name for definition in self.texts for text in rule_texts(definition.toml()) for name in lists_of(text)}


def check_schemes(company: Company, unsound: Collection[str], found: ProblemList) -> CheckedSchemes:
    """Add what is wrong with the company's features, lists, schemes, translations and audiences; return what is right.

    What mentions one of the `unsound` names is left out, and so is what mentions that in turn.
    """
    features, schemes, audiences = (_read_files(company, folder, found) for folder in ("features", "segments", "audiences"))
    texts = (*schemes, *audiences)
    names = {*unsound, *_unread(company, schemes, "segments"), *_unread(company, audiences, "audiences")}
    company, names = _check_features(company, features, texts, names, found)
    for path in company.list_files().values():
        with found.collecting():
            require_list(path)
    loaded = _check_schemes(company, _without_mentions(schemes, names, found), found)
    if loaded is None:
        return CheckedSchemes(company, None, unsound=frozenset(names), texts=texts)
    names |= {each.file.stem for each in schemes} - loaded.schemes.keys() - loaded.clusters
    checked: dict[str, Scheme] = {}
    readable, failed = _without_mentions(audiences, names, found), FailedParts(found)
    with found.collecting():
        checked = read_each_audience(loaded, readable, failed.add)
        failed.note_others(readable, checked)
    return CheckedSchemes(company, loaded, checked, frozenset(names | ({each.file.stem for each in audiences} - checked.keys())), texts)


@dataclass(frozen=True, slots=True)
class FailedParts:
    """The names of definitions that are wrong in themselves."""

    found: ProblemList
    names: set[str] = field(default_factory=set)

    def add(self, name: str, error: PipelineError) -> None:
        """Add what is wrong with the definition `name`."""
        self.names.add(name)
        self.found.add(error)

    def note_others(self, definitions: Iterable[Definition], read: Collection[str]) -> None:
        """Note which definitions were not `read`, though nothing is known to be wrong with them: they look at one that is wrong."""
        for definition in definitions:
            if definition.file.stem not in (*self.names, *read):
                self.found.leave_out(definition.file)


def _read_files(company: Company, folder: str, found: ProblemList) -> list[Definition]:
    """Return the definitions of a folder, ours and the company's own, that are TOML at all."""
    files = {path.stem: path for root in (SHIPPED, company.folder) for path in definition_files(root / folder, ".toml")}
    sound = []
    for file in files.values():
        with found.collecting():
            definition = read_definition(file)
            definition.toml()
            sound.append(definition)
    return sound


def _unread(company: Company, read: Iterable[Definition], folder: str) -> set[str]:
    return {path.stem for path in definition_files(company.folder / folder, ".toml")} - {each.file.stem for each in read}


def _check_features(
    company: Company, features: list[Definition], rules: Iterable[Definition], unsound: set[str], found: ProblemList
) -> tuple[Company, set[str]]:
    """Return the company with the features that can be read, and the unsound names with those that cannot."""
    names = {name for definition in features for name in definition.toml()}
    columns = replace(company, features=()).table(CUSTOMER_FEATURES).columns
    read: tuple[DeclaredFeature, ...] = ()
    with found.collecting():
        by_name = {each.file.stem: each for each in _without_mentions(features, unsound, found)}
        read = read_features(by_name, rules, columns, company.event_sources, lambda _name, error: found.add(error))
    return replace(company, features=read), unsound | (names - {feature.name for feature in read})


def _check_schemes(company: Company, definitions: list[Definition], found: ProblemList) -> LoadedSchemes | None:
    """Return the schemes that can be read; None where what all of them go by is wrong."""
    by_name = {each.file.stem: each for each in definitions}
    with found.collecting():
        _require_score_methods(by_name)
        lists, declared = tuple(list_digests(company).items()), features_named(company, definitions)
        translations = _check_translations(company, by_name, found)
        inputs = SchemeInputs(company, tuple(definitions), company.attributes, company.language, lists, declared, translations)
        failed = FailedParts(found)
        loaded = read_each_scheme(inputs, failed.add)
        failed.note_others(definitions, {*loaded.schemes, *loaded.clusters})
        _check_clusters(company, inputs, loaded, found)
        return loaded
    return None


def _require_score_methods(definitions: Mapping[str, Definition]) -> None:
    """Raise ConfigError where the scheme whose methods hold for all others names one that is none."""
    for name in sorted(SETTING_SCHEMES.keys() & definitions.keys()):
        section = {"scores": definitions[name].toml().get("scores", {})}
        read_score_methods(Fields(section, Document(str(definitions[name].file))))


def _check_translations(
    company: Company, definitions: Mapping[str, Definition], found: ProblemList
) -> tuple[tuple[str, Translations], ...]:
    """Return the translations; none where one of the company's own is wrong: their texts decide nothing."""
    with found.collecting():
        require_own_translations(company, definitions)
        return tuple(company_translations(company, definitions).items())
    return ()


def _check_clusters(company: Company, inputs: SchemeInputs, loaded: LoadedSchemes, found: ProblemList) -> None:
    computed = {name: scheme for name, scheme in loaded.schemes.items() if not scheme.missing}
    files = {definition.file.stem for definition in inputs.definitions}
    for definition in inputs.definitions:
        if definition.file.stem not in loaded.clusters:
            continue
        with found.collecting():
            # Without translations, which decide nothing and are checked by themselves.
            scheme, _ = _CLUSTERS.read(definition, partial(_read_clusters, company), found)
            other = scheme.within.partition(".")[0] if scheme else ""
            if other in files - loaded.schemes.keys():
                found.leave_out(definition.file)
            elif scheme:
                limit_to_segment(scheme, computed, definition.file)


def _read_clusters(company: Company, definition: Definition) -> ClusterScheme:
    return read_cluster_scheme(definition.file.stem, definition, definition.toml(), company)


def _without_mentions(definitions: Iterable[Definition], names: Collection[str], found: ProblemList) -> list[Definition]:
    """Return the definitions that name none of the names, nor another one which does."""
    left, unsound = {each: _names_in(each) - {each.file.stem} for each in definitions}, set(names)
    while mentioning := [each for each, named in left.items() if unsound & named]:
        for each in mentioning:
            found.leave_out(each.file)
            unsound.add(each.file.stem)
            del left[each]
    return list(left)


def _names_in(definition: Definition) -> set[str]:
    """Return the words of a definition that decide something: those of its rules, and of settings that name a column or a segment."""
    values = definition.toml()
    tables = [values, *(table for table in values.values() if isinstance(table, dict))]
    settings = [table.get(key) for table in tables for key in _NAMING_SETTINGS]
    listed = [each for value in settings if isinstance(value, list) for each in value]
    texts = [*rule_texts(values), *(each.get("name") if isinstance(each, dict) else each for each in listed), *settings]
    return {word for text in texts if isinstance(text, str) for word in _WORD.findall(text)}


def unused_lists(company: Company, named: Collection[str]) -> list[Path]:
    """Return the files of lists that no rule names."""
    return [path for name, path in company.list_files().items() if name not in named]
