"""The check of a company's folder, part by part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.definitions.company import COMPANY_FILE
from pipeline.definitions.company_checks import require_prediction_features, require_report_scheme
from pipeline.definitions.connections import connection_uri
from pipeline.lake.spared_imports import spare_pandas
from pipeline.lake.tables import ORDERS_SOURCE
from pipeline.operations.check.activation import check_campaigns, check_sinks
from pipeline.operations.check.lacking_columns import not_computed_words
from pipeline.operations.check.lone_files import check_lone_files
from pipeline.operations.check.problems import Problem, ProblemList
from pipeline.operations.check.queries import check_against_source, check_queries, unread_tables
from pipeline.operations.check.schemes import CheckedSchemes, check_schemes, unused_lists
from pipeline.operations.check.settings import CheckedSettings, check_settings
from pipeline.operations.check.suites import check_suites

SOURCE = "source"


@dataclass(frozen=True, slots=True)
class CompanyCheck:
    """What a check found.

    `checked` says what was looked at, a part each. `left_out` are files that cannot be judged before others are mended, `unused` those
    that nothing reads, and `not_computed` the company's own schemes and audiences that need what its source does not give: no faults.
    """

    folder: str
    problems: tuple[Problem, ...]
    checked: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    not_computed: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """The highest code of all problems, as each has that of its kind; 0 where there is none."""
        return max((problem.exit_code for problem in self.problems), default=0)


def check_company(folder: Path, *, connections: Callable[[str], str] = connection_uri, with_source: bool = True) -> CompanyCheck:
    """Return all that can be known to be wrong with the company in `folder` without a night; nothing is written.

    `with_source` has the source asked for the columns and types of each query; no row is read.
    """
    spare_pandas()
    found = ProblemList(folder)
    settings = check_settings(folder, found)
    if settings is None:
        if folder.is_dir():
            check_lone_files(folder, found)
        return CompanyCheck(str(folder), tuple(found.problems))
    schemes = check_schemes(settings.company, settings.unsound, found)
    checked = [COMPANY_FILE]
    queries = check_queries(schemes.company, found)
    is_asked = with_source and SOURCE not in settings.unsound
    given = check_against_source(schemes.company, queries, connections, found) if is_asked else {}
    # Of a query that cannot be run nobody knows the columns; a company that has none for orders has no such columns.
    is_judged = ORDERS_SOURCE in given or (is_asked and not schemes.company.source_file(ORDERS_SOURCE).is_file())
    checked.append(f"{_counted(len(queries), 'query', 'queries')}{' against the source' if is_asked else ', not against the source'}")
    checked += _check_definitions(settings, schemes, found)
    unused = [*unused_lists(schemes.company, schemes.lists_named), *unread_tables(schemes.company, queries)]
    return CompanyCheck(
        str(folder),
        tuple(found.problems),
        tuple(checked),
        tuple(dict.fromkeys(found.left_out)),
        tuple(found.path_words(path) for path in unused),
        tuple(not_computed_words(schemes, given.get(ORDERS_SOURCE, ()))) if is_judged else (),
    )


def _check_definitions(settings: CheckedSettings, schemes: CheckedSchemes, found: ProblemList) -> list[str]:
    """Check what goes by schemes; return in words what was checked, schemes included."""
    company, file = schemes.company, settings.company.folder / COMPANY_FILE
    if not schemes.unsound.intersection(company.prediction_features):
        with found.collecting():
            require_prediction_features(company, file)
    if company.report_scheme not in schemes.unsound:
        with found.collecting():
            require_report_scheme(company, file)
    counts = [
        (len(company.features), "declared feature", "declared features"),
        (len(schemes.scheme_names), "scheme", "schemes"),
        (len(schemes.audiences), "audience", "audiences"),
        (len(company.list_files()), "list", "lists"),
        (check_suites(company, found), "suite of checks of its own", "suites of checks of its own"),
        (check_sinks(schemes, found), "sink", "sinks"),
        (check_campaigns(schemes, found), "campaign", "campaigns"),
    ]
    return [_counted(*each) for each in counts if each[0]]


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
