"""Models of clusters as they are stored: which of them a night goes by, which nights had none, and how refits were judged.

A model is named by its first night and never changed, so which model a night goes by follows from file names alone: the last
one whose name is not after the night. Nights that had none are noted, or a backfill would give them a model they did not have.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.definitions.company import COMPANY_FILE, Company
from pipeline.definitions.schemes import ClusterScheme, Scheme, load_cluster_schemes, referenced_clusters, schemes_with_assignments
from pipeline.definitions.schemes.cluster_features import ENCODING_BY_KIND, Encoding
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, EXTRACTIONS
from pipeline.models.clusters import ClusterModel, ModelFeature, NotFitted, model_from_json, segment_statements
from pipeline.models.refits.verdict import RefitVerdict
from pipeline.models.signals import SurvivorsOf

Judgement = dict[str, Any]
JUDGEMENT_FIELDS = ("scheme", "day", "verdict", "reason", "current", "current_inputs", "clusters", "events", "measures", "tried")


@dataclass(frozen=True, slots=True)
class RefitContext:
    """What a refit works with: the customers of night `day`, of one company, one scheme, and who was merged."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    scheme: ClusterScheme
    survivors_of: SurvivorsOf

    def held_columns(self, names: Iterable[str]) -> list[str]:
        """Return those of `names` that the company's features have: an attribute may be declared no more."""
        table = self.company.table(CUSTOMER_FEATURES)
        return [name for name in dict.fromkeys(names) if name in table.column_names]

    def register_features(self, night: date, names: Iterable[str]) -> None:
        """Register the features of a night as `customer_features`: the scheme's columns and those in `names` alone.

        An older night may lack other columns that are declared today.
        """
        wanted = {"customer_id", *names, *self.scheme.columns, *self.scheme.member_columns}
        self.engine.register(self.company.table(CUSTOMER_FEATURES).only(wanted), [addresses.partition(CUSTOMER_FEATURES, day=night)])


def require_model_columns(company: Company, lake: Lake, day: date) -> None:
    """Raise ConfigError where the night of `day` would go by a model of an attribute that the company does not declare, or otherwise.

    Before anything is read of the source: a night that has read it keeps the model that it began with.
    """
    encodings = {column.name: ENCODING_BY_KIND.get(column.kind) for column in company.table(CUSTOMER_FEATURES).columns}
    for scheme in load_cluster_schemes(company):
        for first_night in nights_of_model(stored_models(lake, scheme.name), day):
            model = stored_model(lake, scheme.name, first_night)
            gone = {each.name: None for each in model.features if _is_gone(each, encodings)}
            if gone:
                names = ", ".join(f"`{name}`" for name in gone)
                what = f"the clusters of {scheme.name} go by {names}, which the company does not declare, or not as it did"
                refit = f"segments refit --scheme {scheme.name} --day {max(lake.nights(CUSTOMER_FEATURES), default=model.day)}"
                todo = f"Declare it as it was, or fit clusters without it to the last night: {refit}."
                raise ConfigError(what, where=str(company.folder / COMPANY_FILE), todo=todo)


def _is_gone(feature: ModelFeature, encodings: Mapping[str, Encoding | None]) -> bool:
    return encodings.get(feature.name) != feature.encoding if feature.is_attribute else feature.name not in encodings


def nights_of_model(stored: Sequence[str], day: date) -> list[str]:
    """Return the first night of the model that the night of `day` goes by, of those `stored`, in a list; none where there is no model.

    A night before the first model uses that one, so that a backfill needs no model of its own.
    """
    return [*[night for night in stored if night <= day.isoformat()][-1:], *stored[:1]][:1]  # ISO text sorts as dates do


def stored_models(lake: Lake, scheme: str) -> list[str]:
    """Return the first nights of a scheme's models as ISO text, in order."""
    return [addresses.stem(each) for each in lake.list_addresses(addresses.models(scheme), suffix=".json")]


def stored_model(lake: Lake, scheme: str, first_night: str) -> ClusterModel:
    """Return the model of a scheme that is valid from `first_night` on; raises DataError where there is none or it is damaged."""
    return model_in(lake, addresses.model(scheme, first_night))


def unfitted_nights(lake: Lake, scheme: str) -> frozenset[date]:
    """Return the nights that no model could be fitted for: computed again, they do not go by a later one.

    Raises DataError where the note is damaged.
    """
    address = addresses.unfitted_nights(scheme)
    try:
        return frozenset(date.fromisoformat(line) for line in lake.read_text(address).split())
    except FileNotFoundError:
        return frozenset()
    except ValueError:
        raise DataError(
            "a note of nights is damaged", where=lake.where(address), todo="Put it back from a copy: a date on each line."
        ) from None


def note_unfitted(lake: Lake, scheme: str, night: date) -> None:
    """Write down that no model could be fitted for a night, once."""
    nights = unfitted_nights(lake, scheme)
    if night not in nights:
        lake.write_text(addresses.unfitted_nights(scheme), "".join(f"{each}\n" for each in sorted({*nights, night})))


def current_model(lake: Lake, scheme: str) -> ClusterModel | None:
    """Return the model that the next night goes by; None where there is none yet."""
    return next((stored_model(lake, scheme, night) for night in stored_models(lake, scheme)[-1:]), None)


def last_number(lake: Lake, scheme: str) -> int:
    """Return the highest number that a cluster of the scheme ever had, 0 where there was none."""
    return max((stored_model(lake, scheme, night).highest_number for night in stored_models(lake, scheme)), default=0)


def models_of_night(
    lake: Lake, company: Company, night: date, names: Collection[str], known_on: date | None = None
) -> list[tuple[ClusterScheme, ClusterModel | NotFitted]]:
    """Return the company's cluster schemes among `names`, each with the model that a stored night went by, if any.

    `known_on` is the night whose knowledge counts; a later one than `night` is that of a restatement.
    """
    # Where nothing looks at clusters, neither the definitions nor the footer of the night are read.
    schemes = [scheme for scheme in load_cluster_schemes(company) if scheme.name in names] if names else []
    days = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=night, known_on=known_on)).get("models", {}) if schemes else {}
    return [
        (scheme, stored_model(lake, scheme.name, days[scheme.name]) if days.get(scheme.name) else NotFitted("none")) for scheme in schemes
    ]


def with_clusters_of(
    lake: Lake, company: Company, night: date, schemes: Iterable[Scheme], known_on: date | None = None
) -> tuple[Scheme, ...]:
    """Return the schemes with the clusters that they look at, assigned by the models that a stored night went by."""
    listed = list(schemes)
    models = models_of_night(lake, company, night, referenced_clusters(listed), known_on)
    return schemes_with_assignments(listed, segment_statements(models))


def model_at(path: Path) -> ClusterModel:
    """Return the model in a file that somebody named; raises DataError where there is none or it is damaged."""
    return _read_model(lambda: path.read_text("utf-8"), where=str(path))


def model_in(lake: Lake, address: str) -> ClusterModel:
    """Return the model at an address; raises DataError where there is none or it is damaged."""
    return _read_model(lambda: lake.read_text(address), where=lake.where(address))


def _read_model(read: Callable[[], str], *, where: str) -> ClusterModel:
    try:
        text = read()
    except (OSError, UnicodeDecodeError):
        raise DataError("no such model", where=where, todo="Name a candidate: lake/refits/<scheme>/<day>/candidate.json.") from None
    return model_from_json(text, where=where)


def stored_judgement(lake: Lake, scheme: str, day: date) -> Judgement:
    """Return the judgement of the refit of night `day`; raises DataError where there is none or it is damaged."""
    address = addresses.judgement(scheme, day)
    try:
        content = json.loads(lake.read_text(address))
        judgement = {name: content[name] for name in JUDGEMENT_FIELDS}
        # Raises ValueError for a verdict that does not exist: the file may have been edited.
        RefitVerdict(judgement["verdict"])
    except FileNotFoundError:
        raise DataError(
            "no refit of this night is stored", where=lake.where(address), todo=f"Fit one: segments refit --day {day}."
        ) from None
    except (OSError, ValueError, KeyError, TypeError):
        raise DataError("this judgement is damaged", where=lake.where(address), todo=f"Refit again: segments refit --day {day}.") from None
    return judgement


def judged_days(lake: Lake, scheme: str) -> list[date]:
    """Return the nights whose refit was judged, in order."""
    days = lake.store.list_folders(addresses.refits(scheme))
    return [date.fromisoformat(day) for day in days if lake.exists(addresses.judgement(scheme, day))]


def next_night(lake: Lake, day: date) -> date:
    """Return the first night after `day` that nothing is stored of: a stored night keeps the model it was computed by."""
    # Extractions too: a night that has read its source may be choosing its model right now.
    nights = [night for table in (EXTRACTIONS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS) for night in lake.nights(table)]
    return max([day, *nights]) + timedelta(days=1)
