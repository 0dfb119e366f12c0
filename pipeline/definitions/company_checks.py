"""What must hold of a company's settings together, once each of them was read."""

from __future__ import annotations

from datetime import date, time
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.calendar import is_once_a_day
from pipeline.definitions.fields import printable_value
from pipeline.definitions.settings import MOST_DAYS
from pipeline.errors import ConfigError, ErrorCollector
from pipeline.lake.tables import CUSTOMER_ID, Kind
from pipeline.spelling import did_you_mean

if TYPE_CHECKING:
    from pipeline.definitions.company import Company

FEWEST_DAYS = {"window_days": 1, "lookback_days": 1, "late_check_days": 0}
"""The settings that are spans, with the shortest of each; the longest is MOST_DAYS."""
EARLIEST_DAY = date(1900, 1, 1)


def require_sensible_settings(company: Company, file: Path) -> None:
    """Raise ConfigError where a setting is out of its bounds, or does not fit the others."""
    flags, texts = (_attributes_of_kind(company, kind) for kind in (Kind.FLAG, Kind.TEXT))
    judged = company.limits.reachable_attribute
    faults = {
        **{
            f"`{name}` must lie between {fewest} and {MOST_DAYS}": not fewest <= getattr(company, name) <= MOST_DAYS
            for name, fewest in FEWEST_DAYS.items()
        },
        f"`first_day` must not lie before {EARLIEST_DAY}": company.first_day < EARLIEST_DAY,
        "`gates.reachable_attribute` must name a true-or-false attribute without personal data": judged not in flags,
        "`customer_language` must name a text attribute without personal data": company.customer_language not in texts,
        "`last_day` lies before `first_day`": company.last_day is not None and company.last_day < company.first_day,
    }
    found = ErrorCollector()
    found.errors += [ConfigError(fault, where=str(file), todo="Correct the setting.") for fault, is_so in faults.items() if is_so]
    with found.collecting():
        _require_fitting_deadline(company, file)
    found.raise_first()


def _require_fitting_deadline(company: Company, file: Path) -> None:
    """Raise ConfigError where nobody could say which night should be live at `notify.not_published_by`."""
    deadline = company.notify.not_published_by
    if deadline is None:
        return
    if not is_once_a_day(company.schedule):
        what = f"`notify.not_published_by` needs one night a day, and the schedule is `{company.schedule}`"
        raise ConfigError(what, where=str(file), todo="Delete it, and let a monitor ask `segments status`.")
    minute, hour = (int(part) for part in company.schedule.split()[:2])
    if deadline <= time(hour, minute):
        what = f"`notify.not_published_by` is {deadline:%H:%M}, and the night begins at {hour:02}:{minute:02}"
        raise ConfigError(what, where=str(file), todo="Choose a later time of the same day, at which the night is usually live.")


def _attributes_of_kind(company: Company, kind: Kind) -> set[str]:
    """Return the attributes of this `kind` that the features carry, and the empty name, by which a setting names none."""
    return {"", *(a.column.name for a in company.attributes if a.column.kind is kind and not a.column.pii)}


def require_source_queries(company: Company) -> None:
    """Raise ConfigError where the query is missing that every company has; one without order lines knows customers alone."""
    if not company.source_file("customers").is_file():
        columns = [CUSTOMER_ID.name, *(attribute.column.name for attribute in company.attributes)]
        todo = f"Write it: a query for {', '.join(columns)}, one row for each customer."
        raise ConfigError("sources/customers.sql is missing", where=str(company.folder), todo=todo)


def require_prediction_features(company: Company, file: Path) -> None:
    """Raise ConfigError where predictions are to go by what is no declared feature, or no number."""
    kinds = {feature.name: feature.column.kind for feature in company.features}
    found = ErrorCollector()
    for name in company.prediction_features:
        what = f"`predictions.features` names `{name}`, which is "
        if name not in kinds:
            what += f"no feature of your own{did_you_mean(name, kinds)}"
            todo = "Declare it in features/; built-in features are used as they are."
            found.errors.append(ConfigError(what, where=str(file), todo=todo))
        elif kinds[name] not in (Kind.INTEGER, Kind.MONEY, Kind.NUMBER):
            what += kinds[name].words
            found.errors.append(ConfigError(what, where=str(file), todo="Name numbers, such as counts and sums."))
    found.raise_first()


def require_report_scheme(company: Company, file: Path) -> None:
    """Raise ConfigError where the morning page is to tell most of a scheme that there is no definition of."""
    name = company.report_scheme
    if name and name not in (known := company.definitions("segments", ".toml")):
        what = f"`report.scheme` is {printable_value(name)}, which is no scheme{did_you_mean(name, known)}"
        raise ConfigError(what, where=str(file), todo="Name a file of segments/, ours or yours, without its ending.")
