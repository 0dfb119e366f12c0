"""The lists that are ours in a sink, with the titles that people see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence

import pyarrow.parquet as pq

from pipeline.activation.sinks.sink import ManagedList
from pipeline.definitions.company import Company
from pipeline.definitions.fields import Document, Fields
from pipeline.definitions.sinks import SinkDefinition
from pipeline.definitions.translations import company_translations, translated_content
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCES, CAMPAIGN_ARMS, CAMPAIGN_SUMMARIES, SEGMENT_PROFILES
from pipeline.publication.current import Publication
from pipeline.spelling import did_you_mean

SEGMENT, AUDIENCE, CAMPAIGN = "segment", "audience", "campaign"
AUDIENCES_GROUP, CAMPAIGNS_GROUP = "audiences", "campaigns"


def managed_lists(company: Company, definition: SinkDefinition, lake: Lake, publication: Publication) -> tuple[ManagedList, ...]:
    """Return the lists of a publication that go to a sink, in order of their names.

    Titles are those of `[titles]`, else those of the publication; two lists of one group that are called alike get their names too.
    Raises ConfigError for a scheme or an audience that the publication does not have.
    """
    segments = _rows(lake, publication.file(SEGMENT_PROFILES.name), "scheme", "segment", "title")
    audiences = _rows(lake, publication.file(AUDIENCES.name), "audience", "title")
    schemes = {scheme for scheme, _, _ in segments}
    require_names(definition, schemes, {name for name, _ in audiences}, of="The live publication")
    groups = _scheme_titles(company, schemes) | {
        scheme: title for scheme, title in definition.titles.items() if scheme in schemes and title
    }
    group = definition.titles.get(AUDIENCES_GROUP, AUDIENCES_GROUP.capitalize())
    lists = [
        *(
            ManagedList(f"{scheme}.{segment}", SEGMENT, groups[scheme], definition.titles.get(f"{scheme}.{segment}", title))
            for scheme, segment, title in segments
            if definition.schemes is None or scheme in definition.schemes
        ),
        *(
            ManagedList(name, AUDIENCE, group, definition.titles.get(name, title))
            for name, title in audiences
            if definition.audiences is None or name in definition.audiences
        ),
        # Arms of campaigns are lists like audiences, and go where all of those go.
        *(_campaign_lists(definition, lake, publication) if definition.audiences is None else ()),
    ]
    alike = Counter((each.group, each.title) for each in lists)
    return tuple(
        ManagedList(each.name, each.kind, each.group, f"{each.title} ({each.name})") if alike[each.group, each.title] > 1 else each
        for each in sorted(lists, key=lambda each: each.name)
    )


def list_titles(lists: Sequence[ManagedList]) -> dict[str, list[str]]:
    """Return what people read of each list, its group and its title, by its name."""
    return {each.name: [each.group, each.title] for each in lists}


def _campaign_lists(definition: SinkDefinition, lake: Lake, publication: Publication) -> Iterator[ManagedList]:
    """Yield the arms of campaigns that are planned or running, without those that nothing is done for."""
    arms = publication.file(CAMPAIGN_ARMS.name)
    if not lake.exists(arms):
        return
    titles = {name: title for name, title, *_ in _rows(lake, publication.file(CAMPAIGN_SUMMARIES.name), "campaign_id", "title")}
    group = definition.titles.get(CAMPAIGNS_GROUP, CAMPAIGNS_GROUP.capitalize())
    # By the engine of Arrow: it has a row for each customer.
    columns = ["campaign_id", "arm", "is_control", "is_holdout"]
    for row in pq.read_table(lake.local(arms), columns=columns).group_by(columns).aggregate([]).to_pylist():
        if not (row["is_control"] or row["is_holdout"]):
            name = f"{CAMPAIGN}.{row['campaign_id']}.{row['arm']}"
            title = definition.titles.get(name, f"{titles.get(row['campaign_id'], row['campaign_id'])}: {row['arm']}")
            yield ManagedList(name, CAMPAIGN, group, title)


def _rows(lake: Lake, address: str, *columns: str) -> list[tuple[str, ...]]:
    """Return the rows of a published table; none where the publication does not have it."""
    if not lake.exists(address):
        return []
    table = pq.read_table(lake.local(address), columns=list(columns))
    return list(zip(*(table[name].to_pylist() for name in columns), strict=True))


def _scheme_titles(company: Company, schemes: Collection[str]) -> dict[str, str]:
    """Return what the schemes are called in the company's language; one that is defined no more goes by its name."""
    definitions = company.definitions("segments", ".toml")
    translations = company_translations(company, definitions)
    titles = {scheme: scheme for scheme in schemes}
    for scheme in titles.keys() & definitions.keys():
        content = translated_content(definitions[scheme], translations.get(scheme, ()), company.language)
        fields = Fields(content, Document(str(definitions[scheme].file)))
        titles[scheme], _ = fields.words("title", company.language, default=scheme)
    return titles


def require_names(definition: SinkDefinition, schemes: Collection[str], audiences: Collection[str], *, of: str) -> None:
    """Raise ConfigError where a sink names a scheme or an audience that is none of these; messages say whose they are, `of` what."""
    _require_known(definition, "schemes", definition.schemes, schemes, of)
    _require_known(definition, "audiences", definition.audiences, audiences, of)
    for field, scheme in definition.field_schemes.items():
        _require_known(definition, f"fields.{field}", (scheme,), schemes, of)


def _require_known(definition: SinkDefinition, key: str, named: Sequence[str] | None, known: Collection[str], of: str) -> None:
    for name in named or ():
        if name not in known:
            todo = f"{of} has: {', '.join(sorted(known)) or 'none'}."
            error = ConfigError(
                f"`{key}` names `{name}`, which is not published{did_you_mean(name, known)}", where=definition.where, todo=todo
            )
            error.setting = key
            raise error
