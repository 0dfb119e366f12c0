"""Whom a campaign is for: the customers of a stored night that its audience names, less those who cannot take part."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.audiences import UNNAMED, audience_of_rule, load_audiences, members_statement
from pipeline.definitions.campaigns import EVERYBODY, CampaignDefinition
from pipeline.definitions.company import Company, with_declared_features
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.fields import IDENTIFIER
from pipeline.errors import ConfigError
from pipeline.features import features_as_declared, with_stored_attributes
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS, CUSTOMER_FEATURES, CUSTOMER_ID, CUSTOMER_SEGMENTS, Table
from pipeline.measurement.measuring_session import MeasuringSession, concatenated_ids
from pipeline.measurement.staged_tables import CANDIDATES, HELD_OUT, MEMBERS_BY_RULE, STRATA_SEGMENTS, TAKEN
from pipeline.measurement.started_campaigns import StartedCampaign, started_campaigns
from pipeline.segmentation import NightFeatures, computable_audiences, schemes_beside
from pipeline.spelling import did_you_mean

_SEGMENT = re.compile(rf"({IDENTIFIER})\.({IDENTIFIER})")


def audience_list(campaign: CampaignDefinition) -> str:
    """Return the name of the list of a campaign's audience, as CRMs know it; empty where it is everybody, or a rule of the file's own."""
    named = campaign.audience
    return named if named != EVERYBODY and (_SEGMENT.fullmatch(named) or re.fullmatch(IDENTIFIER, named)) else ""


def audience_rule(company: Company, campaign: CampaignDefinition) -> str:
    """Return the rule of a campaign's audience, empty for everybody; raises ConfigError for an audience that the company does not have."""
    if campaign.audience == EVERYBODY or not re.fullmatch(IDENTIFIER, campaign.audience):
        return rule_of_audience(campaign, ())
    audiences = load_audiences(company)
    return rule_of_audience(campaign, [each.name for each in (*audiences.schemes, *audiences.uncomputed)])


def rule_of_audience(campaign: CampaignDefinition, known: Collection[str]) -> str:
    """Return the rule as `audience_rule` does, where the company's audiences are `known` by name."""
    named = campaign.audience
    if named == EVERYBODY:
        return ""
    if found := _SEGMENT.fullmatch(named):
        return f"{found[1]}.segment = '{found[2]}'"
    if not re.fullmatch(IDENTIFIER, named):
        return named
    if named not in known:
        what = f"`audience` is `{named}`, which is no audience of this company{did_you_mean(named, known)}"
        todo = f"Write {EVERYBODY}, the name of a file of audiences/, a segment such as lifecycle.at_risk, or a rule."
        raise ConfigError(what, where=campaign.where, todo=todo)
    return f"IN AUDIENCE {named}"


def register_candidates(session: MeasuringSession, campaign: CampaignDefinition) -> None:
    """Make readable whom the campaign is for and, of each, why the customer cannot take part, if so.

    Raises ConfigError where the file names what the company or the night does not have.
    """
    register_members(session, campaign)
    _register_segments(session, campaign)
    _register_taken(session, campaign)
    session.compute(CANDIDATES, {})


def overlapping_campaigns(lake: Lake, campaign: CampaignDefinition) -> list[StartedCampaign]:
    """Return the campaigns that were started and share a day with this one."""
    others = (each for each in started_campaigns(lake) if each.definition.campaign_id != campaign.campaign_id)
    return [each for each in others if each.definition.overlaps(campaign.start_day, campaign.end_day)]


def register_members(session: MeasuringSession, campaign: CampaignDefinition) -> None:
    """Make readable which customers of the session's night the campaign's audience has; raises ConfigError where the night cannot tell."""
    company, lake, engine, day = session.company, session.lake, session.engine, session.day
    rule = audience_rule(company, campaign)
    if not rule:
        engine.register(CUSTOMER_FEATURES.only(MEMBERS_BY_RULE.column_names), [addresses.partition(CUSTOMER_FEATURES, day=day)])
        engine.define(
            MEMBERS_BY_RULE, exp.select("customer_id", "spend_amount", exp.alias_(exp.true(), "is_member")).from_(CUSTOMER_FEATURES.name)
        )
        return
    live = with_stored_attributes(company, lake, day)
    # Aggregates within the rule are features of their own, worked out from stored events.
    known = with_declared_features(live, Definition(Path(UNNAMED), f"rule = {json.dumps(rule)}"))
    try:
        audience = audience_of_rule(known, rule)
    except ConfigError as error:
        raise ConfigError(f"`audience`: {error.what}", where=campaign.where, todo=error.todo, place=error.place) from None
    with features_as_declared(known, lake, engine, day) as night:
        found = computable_audiences(known, lake, day, [audience], unknown=night.unknown)
        if not found.schemes:
            needs = ", ".join(audience.missing) or found.not_computed.get(audience.name, "").removeprefix("needs ")
            what = f"`audience`: the night of {day} cannot tell: it needs {needs}"
            raise ConfigError(what, where=campaign.where, todo="Name what the company's queries give: segments catalog shows it.")
        by_name = schemes_beside(known, lake, day, found.schemes)
        query = members_statement(by_name[audience.name], by_name)
        stored = NightFeatures([known], lake, engine, day, since=night.features)
        with stored.defined(by_name.values(), night.table):
            columns = [exp.column(name) for name in MEMBERS_BY_RULE.column_names]
            ordered = exp.select(*columns).from_(query.subquery("members")).order_by(CUSTOMER_ID.name)
            session.stage(MEMBERS_BY_RULE, engine.run(ordered, {}))


def _register_segments(session: MeasuringSession, campaign: CampaignDefinition) -> None:
    stored = session.lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=session.day)).get("schemes", {})
    if campaign.scheme not in stored:
        what = f"`scheme` is `{campaign.scheme}`, which the night of {session.day} does not have{did_you_mean(campaign.scheme, stored)}"
        raise ConfigError(what, where=campaign.where, todo=f"Choose one of {', '.join(sorted(stored))}.")
    register_segments(session, campaign.scheme, session.day)


def register_segments(session: MeasuringSession, scheme: str, night: date | None) -> None:
    """Make the segments of a scheme on a night readable; nobody has one where there is no scheme or no such night."""
    if not scheme or night is None:
        session.engine.register(STRATA_SEGMENTS, [])
        return
    every = replace(CUSTOMER_SEGMENTS, name=f"segments_on_{night.isoformat().replace('-', '_')}")
    session.engine.register(every, [addresses.partition(CUSTOMER_SEGMENTS, day=night)])
    is_of_scheme = exp.column("scheme").eq(exp.Literal.string(scheme))
    session.engine.define(STRATA_SEGMENTS, exp.select("customer_id", "segment").from_(every.name).where(is_of_scheme))


def _register_taken(session: MeasuringSession, campaign: CampaignDefinition) -> None:
    others = overlapping_campaigns(session.lake, campaign)
    held = [] if campaign.is_holdout else [_ids(session.lake, each, control_alone=True) for each in others if each.definition.is_holdout]
    exclusive: Sequence[StartedCampaign] = [each for each in others if each.definition.is_exclusive] if campaign.is_exclusive else []
    _stage_people(session, HELD_OUT, held)
    _stage_people(session, TAKEN, [_ids(session.lake, each, control_alone=False) for each in exclusive])


def _stage_people(session: MeasuringSession, table: Table, ids: Sequence[pa.ChunkedArray]) -> None:
    """Make readable who the customers are by now that campaigns were assigned under `ids`."""
    assigned = concatenated_ids(ids)
    session.stage_ids(table, None if assigned is None else session.survivors.ids_of(assigned))


def _ids(lake: Lake, started: StartedCampaign, *, control_alone: bool) -> pa.ChunkedArray:
    with lake.reading(CAMPAIGN_ASSIGNMENTS.name, started.address) as path:
        rows = pq.ParquetFile(path, page_checksum_verification=True).read([CUSTOMER_ID.name, "is_control"])
    return (rows.filter(rows["is_control"]) if control_alone else rows)[CUSTOMER_ID.name]
