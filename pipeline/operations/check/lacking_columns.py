"""The company's own schemes and audiences that no night can compute, as the source does not give a column that they need."""

from __future__ import annotations

from collections.abc import Collection

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import definition_files
from pipeline.definitions.schemes.scheme import Schemes
from pipeline.definitions.schemes.unknown_features import without_unknown
from pipeline.lake.tables import ORDERS_SOURCE, VISITS_SOURCE
from pipeline.operations.check.schemes import CheckedSchemes


def not_computed_words(checked: CheckedSchemes, given: Collection[str]) -> list[str]:
    """Return each of them in words, or its segment as `scheme.segment`, with what it needs; `given` are the columns of order lines.

    Of our schemes nothing is said: each goes by what some companies have.
    """
    if checked.loaded is None:
        return []
    every = (*checked.loaded.schemes.values(), *checked.audiences.values())
    lacking = {scheme.name: f"needs {', '.join(scheme.missing)}" for scheme in every if scheme.missing}
    computed = tuple(scheme for scheme in every if not scheme.missing)
    found = without_unknown(Schemes(computed, lacking), _unknown_features(checked.company, given)).not_computed
    folders = [checked.company.folder / name for name in ("segments", "audiences")]
    own = {file.stem for folder in folders for file in definition_files(folder, ".toml")}
    return [f"{name} ({reason})" for name, reason in found.items() if name.partition(".")[0] in own]


def _unknown_features(company: Company, given: Collection[str]) -> dict[str, str]:
    """Return the features that nobody would have on a night whose order lines have these columns, each with what it needs."""
    from pipeline.features.declared import declared_features_lacking
    from pipeline.features.known_columns import LINE_COUNT, OPTIONAL_COLUMNS, features_without_columns

    sources = (VISITS_SOURCE, ORDERS_SOURCE)
    there = {*given, *(name for name in sources if company.source_file(name).is_file())}
    # As a night counts lines, of which one is as good as many here.
    counts = {name: int(name in there) for name in (*OPTIONAL_COLUMNS, *sources)}
    absent = {name for name in sources if not counts[name]}
    columns = OPTIONAL_COLUMNS if counts[ORDERS_SOURCE] else ()
    lacking = absent | {f"{ORDERS_SOURCE}.{name}" for name in columns if not counts[name]}
    declared = declared_features_lacking(company, lacking)
    return {**features_without_columns({LINE_COUNT: counts[ORDERS_SOURCE], **counts}, {}), **declared}
