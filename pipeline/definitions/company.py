"""A company is a folder: `company.toml`, `sources/*.sql`, and what it overrides of our defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, cast, get_args
from zoneinfo import ZoneInfo

from pipeline.calendar import business_day
from pipeline.definitions.aggregate_words import has_aggregate
from pipeline.definitions.company_checks import (
    FEWEST_DAYS,
    require_prediction_features,
    require_report_scheme,
    require_sensible_settings,
    require_source_queries,
)
from pipeline.definitions.company_sections import (
    Attribute,
    CountsAsOrder,
    CrmSettings,
    Source,
    Target,
    read_attributes,
    read_crm,
    read_currency,
    read_languages,
    read_schedule,
    read_source,
    read_target,
    read_time_zone,
)
from pipeline.definitions.definition_files import Definition, definition_files, read_definition, require_known_files
from pipeline.definitions.events import read_events, require_queries
from pipeline.definitions.field_records import TableKeys
from pipeline.definitions.fields import IDENTIFIER, Document, Fields
from pipeline.definitions.gate_limits import GateLimits, read_gate_limits
from pipeline.definitions.iceberg_settings import IcebergSettings, read_iceberg
from pipeline.definitions.notify import NotifySettings, read_notify
from pipeline.definitions.past_definitions import PastDefinitions
from pipeline.definitions.settings import LANGUAGE, MOST_DAYS
from pipeline.definitions.shipped import SHIPPED
from pipeline.definitions.surveys import Survey, read_surveys
from pipeline.errors import ConfigError
from pipeline.lake.tables import (
    BUILT_IN_EVENTS,
    CUSTOMER_FEATURES,
    CUSTOMERS,
    RAW_CUSTOMERS,
    RAW_PROSPECTS,
    SOURCE_TABLES,
    EventType,
    Table,
)
from pipeline.spelling import did_you_mean

if TYPE_CHECKING:
    from pipeline.definitions.features import DeclaredFeature
    from pipeline.definitions.rules.event_sources import EventSource

PROJECT_ROOT = Path(__file__).resolve().parents[2]
COMPANY_FILE = "company.toml"


@dataclass(frozen=True, slots=True)
class Company:
    """Everything that differs between companies; read once, never changed."""

    folder: Path
    name: str
    zone: ZoneInfo
    currency: str
    first_day: date
    last_day: date | None
    schedule: str
    window_days: int
    lookback_days: int
    late_check_days: int
    rejected_share_limit: float
    source: Source
    target: Target
    attributes: tuple[Attribute, ...]
    declared_events: tuple[EventType, ...] = ()
    language: str = "en"
    languages: tuple[str, ...] | None = None
    counts_as_order: CountsAsOrder = "all"
    customer_language: str = ""
    removes_departed: bool = True
    former_names: tuple[str, ...] = ()
    crm: CrmSettings | None = None
    iceberg: IcebergSettings | None = None
    limits: GateLimits = field(default_factory=GateLimits)
    past_definitions: PastDefinitions | None = None
    features: tuple[DeclaredFeature, ...] = ()
    prediction_features: tuple[str, ...] = ()
    report_scheme: str = ""
    notify: NotifySettings = field(default_factory=NotifySettings)
    surveys: tuple[Survey, ...] = ()

    @property
    def events(self) -> dict[str, EventType]:
        """The events that the company may have, by name: those built in, whether or not it has their query, and its own."""
        return {event.name: event for event in (*BUILT_IN_EVENTS, *self.declared_events)}

    @property
    def source_tables(self) -> dict[str, Table]:
        """The raw table of each query that may lie in `sources`, by the name of the query."""
        return SOURCE_TABLES | {event.name: event.raw_table for event in self.declared_events}

    def table(self, table: Table) -> Table:
        """Return `table` with this company's attributes, and declared features, where the table carries them.

        Attributes with personal data stay with the customers and never enter the features.
        """
        if table.name in (RAW_CUSTOMERS.name, RAW_PROSPECTS.name, CUSTOMERS.name):
            return table.with_columns(attribute.column for attribute in self.attributes)
        if table.name == CUSTOMER_FEATURES.name:
            declared = (feature.column for feature in self.features)
            return table.with_columns((*(a.column for a in self.attributes if not a.column.pii), *declared))
        return table

    @property
    def event_sources(self) -> Mapping[str, EventSource]:
        """The tables of events that features and rules may add up, by name."""
        from pipeline.definitions.rules.event_sources import event_sources

        tables = (event.table for event in self.events.values())
        return event_sources(tables, has_free_orders=self.counts_as_order == "all", zone=self.zone.key)

    def require_day(self, day: date, *, now: datetime) -> date:
        """Return `day` if its night can be run at the instant `now`; raises ConfigError before the first day or for one not over."""
        last = business_day(now, self.zone)
        if not self.first_day <= day <= last:
            raise ConfigError(
                f"{day} cannot be run: {self.name} begins on {self.first_day}, and the last whole day is {last}",
                where=str(self.folder / "company.toml"),
                todo="Choose a day between them.",
            )
        return day

    def source_file(self, source: str) -> Path:
        """Return the path of `sources/<source>.sql`, which an optional source may lack."""
        return self.folder / "sources" / f"{source}.sql"

    def definitions(self, folder: str, suffix: str) -> dict[str, Definition]:
        """Return definitions by stem: ours, each replaced by the company's file of the same name; or what was kept of them.

        Raises ConfigError where a file cannot be read or is not text.
        """
        if self.past_definitions is not None:
            try:
                now = self._definitions_now(folder, suffix)
            except ConfigError:  # what was valid then can be read, whatever is wrong now
                now = {}
            return self.past_definitions.read(folder, suffix, now)
        return self._definitions_now(folder, suffix)

    def _definitions_now(self, folder: str, suffix: str) -> dict[str, Definition]:
        ours, theirs = SHIPPED / folder, self.folder / folder
        files = {path.stem: path for root in (ours, theirs) for path in definition_files(root, suffix)}
        return {name: read_definition(file) for name, file in files.items()}

    def list_files(self) -> dict[str, Path]:
        """Return the files of the lists that rules may name, by name: the company's own, or what was kept of them."""
        if self.past_definitions is not None:
            return dict(self.past_definitions.lists)
        return {path.stem: path for path in definition_files(self.folder / "lists", ".csv")}


def load_company(folder: Path) -> Company:
    """Return the company that `folder` describes.

    Raises ConfigError naming file and key where something is missing, unknown or of the wrong type.
    """
    file = require_company_file(folder)
    definition = read_definition(file)
    company = read_company(definition, folder)
    require_queries(company.declared_events, folder / "sources", definition)
    require_known_files(folder, ours=SHIPPED, data=company.source.folder, events=list(company.events))
    require_sensible_settings(company, file)
    require_source_queries(company)
    company = with_declared_features(company)
    require_prediction_features(company, file)
    require_report_scheme(company, file)
    return company


def require_company_file(folder: Path) -> Path:
    """Return the path of `company.toml`; raises ConfigError where `folder` has none."""
    file = folder / COMPANY_FILE
    if not file.exists() and not file.is_symlink():
        other = did_you_mean(COMPANY_FILE, (path.name for path in definition_files(folder, "")) if folder.is_dir() else ())
        # A file is most likely the export that somebody wants a company of.
        new, source = ("my_shop", quote(str(folder))) if folder.is_file() else ("FOLDER", "YOUR_EXPORT")
        raise ConfigError(
            f"no company.toml here{other}",
            where=str(folder),
            todo="Point --company (or SEGMENTS_COMPANY) at the folder of a company, or have one written: "
            f"segments init {new} --from {source}",
        )
    return file


def read_company(definition: Definition, folder: Path) -> Company:
    """Return the company whose `company.toml` is `definition`; raises ConfigError for a setting that is unknown or wrong in itself."""
    content = Fields(definition.toml(), Document(str(definition.file)))
    content.note("events", holds=TableKeys.NAMED, pattern=IDENTIFIER)
    events = read_events(content.take("events", dict, default={}), definition)
    source = content.section("source")
    gates = content.section("gates")
    limits = read_gate_limits(gates)
    rejected = gates.number("rejected_share_limit", 0, 1, default=0.05)
    target = content.section("publish")
    predictions, report = content.section("predictions"), content.section("report")
    for name, fewest in FEWEST_DAYS.items():
        content.note(name, low=fewest, high=MOST_DAYS)
    company = Company(
        folder=folder.resolve(),
        name=content.text("name"),
        zone=read_time_zone(content),
        currency=read_currency(content),
        language=content.text("language", pattern=LANGUAGE, default="en"),
        languages=read_languages(content),
        customer_language=content.take("customer_language", str, default=""),
        former_names=content.texts("former_names", default=[]),
        first_day=content.take("first_day", date),
        last_day=content.take("last_day", date, default=None),
        schedule=read_schedule(content),
        counts_as_order=cast("CountsAsOrder", content.choice("counts_as_order", get_args(CountsAsOrder), default="all")),
        window_days=content.take("window_days", int, default=365),
        lookback_days=content.take("lookback_days", int, default=3),
        late_check_days=content.take("late_check_days", int, default=30),
        rejected_share_limit=1.0 if "rejected" in limits.off else rejected,
        source=read_source(source, folder, [*SOURCE_TABLES, *(event.name for event in events)]),
        target=read_target(target),
        removes_departed=target.take("remove_departed", bool, default=True),
        attributes=tuple(read_attributes(content.section("attributes"))),
        declared_events=events,
        crm=read_crm(content),
        iceberg=read_iceberg(target),
        limits=limits,
        prediction_features=predictions.texts("features", default=[]),
        report_scheme=report.take("scheme", str, default=""),
        notify=read_notify(content.section("notify")),
        surveys=read_surveys(content.section("surveys"), events),
    )
    # Last, as only now every known setting was taken; what is left over is unknown.
    for section in (content, gates, target, source, predictions, report):
        section.refuse_unknown()
    return company


def with_declared_features(company: Company, *others: Definition) -> Company:
    """Return `company` with the features that its definitions, and rules of `others`, declare.

    Raises ConfigError with file and line for one that is wrong.
    """
    features = company.definitions("features", ".toml")
    try:
        schemes = (*company.definitions("segments", ".toml").values(), *company.definitions("audiences", ".toml").values(), *others)
    except ConfigError:  # the step that reads schemes says so, and commands that need none go on
        schemes = ()
    # Most companies declare nothing, and what reads features needs a parser of SQL: a DAG file would load it every time it is read.
    if not features and not any(has_aggregate(definition.text) for definition in schemes):
        return replace(company, features=())
    from pipeline.definitions.features import read_features

    columns = replace(company, features=()).table(CUSTOMER_FEATURES).columns
    return replace(company, features=read_features(features, schemes, columns, company.event_sources))
