"""Sinks and campaigns: what their files say, and whether the schemes and audiences that they name are there.

Most companies have neither, and what they go by takes half a second to load: so each is imported by the function that needs it.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path

from pipeline.definitions.audiences.loading import read_rule_as_audience
from pipeline.definitions.campaigns import EVERYBODY, CampaignDefinition, read_campaign
from pipeline.definitions.definition_files import Definition, definition_files, read_definition
from pipeline.definitions.features import read_features
from pipeline.definitions.sinks import KINDS, SinkDefinition, read_sink
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.operations.check.problems import ProblemList
from pipeline.operations.check.rereading import Rereading
from pipeline.operations.check.schemes import CheckedSchemes
from pipeline.spelling import did_you_mean

# A sink is made with an address, and connects to it when it is first used: which one is a matter of the deployment, and not of the folder.
_ANY_ADDRESS = "https://user:secret@sink.invalid/path"
_SINK = Rereading({"kind": "files"})
_CAMPAIGN = Rereading({"audience": EVERYBODY, "start_day": date(2000, 1, 1), "end_day": date(2000, 1, 31)})
_WORD = re.compile(r"\w+")


def check_sinks(checked: CheckedSchemes, found: ProblemList) -> int:
    """Add what is wrong with the company's sinks, and return how many there are; nothing is connected to."""
    files = definition_files(checked.company.folder / "sinks", ".toml")
    for file in files:
        with found.collecting():
            sink, cut = _SINK.read(read_definition(file), partial(read_sink, file.stem), found)
            if sink is None or ("kind",) in cut:  # its settings are those of the kind
                continue
            with found.collecting():
                _require_settings(sink, checked.company.folder)
            from pipeline.activation.vocabulary import require_names

            if not checked.unsound.intersection((*(sink.schemes or ()), *(sink.audiences or ()), *sink.field_schemes.values())):
                require_names(sink, checked.scheme_names, checked.audiences.keys(), of="The company")
    return len(files)


def _require_settings(sink: SinkDefinition, folder: Path) -> None:
    """Raise ConfigError for settings that the kind of a sink does not know; of a class of one's own, where there is none such."""
    from pipeline.activation.sinks import open_sink, sink_class

    if sink.kind in KINDS:
        open_sink(sink, lambda _name: _ANY_ADDRESS, folder, clock=lambda: datetime.now(UTC)).close()
    else:
        sink_class(sink)


def check_campaigns(checked: CheckedSchemes, found: ProblemList) -> int:
    """Add what is wrong with the company's campaigns, and return how many there are."""
    files = definition_files(checked.company.folder / "campaigns", ".toml")
    for file in files:
        with found.collecting():
            campaign, cut = _CAMPAIGN.read(read_definition(file), read_campaign, found)
            if campaign is None or ("scheme",) in cut or ("audience",) in cut:
                continue
            if checked.unsound.intersection((*_WORD.findall(campaign.audience), campaign.scheme)):
                found.leave_out(file)
            else:
                _require_audience(checked, campaign)
    return len(files)


def _require_audience(checked: CheckedSchemes, campaign: CampaignDefinition) -> None:
    """Raise ConfigError where the campaign names a scheme or an audience that there is no file of, or its rule is none."""
    from pipeline.measurement.audience import rule_of_audience

    if campaign.scheme not in checked.scheme_names:
        what = f"`scheme` is `{campaign.scheme}`, which is no scheme{did_you_mean(campaign.scheme, checked.scheme_names)}"
        raise ConfigError(what, where=campaign.where, todo="Name a file of segments/, ours or yours, without its ending.")
    if campaign.audience == EVERYBODY or checked.loaded is None:
        return
    rule, company = rule_of_audience(campaign, checked.audiences.keys()), checked.company
    try:
        # Aggregates within the rule are features of their own.
        definition = Definition(Path(campaign.where), f"rule = {json.dumps(rule)}")
        own = read_features({}, [definition], company.table(CUSTOMER_FEATURES).columns, company.event_sources)
        features = {each.name: each for each in (*own, *company.features)}
        loaded = replace(checked.loaded, company=replace(company, features=tuple(features.values())))
        read_rule_as_audience(loaded, rule, checked.audiences)
    except ConfigError as error:
        raise ConfigError(f"`audience`: {error.what}", where=campaign.where, todo=error.todo, place=error.place) from None
