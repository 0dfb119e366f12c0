"""Where models and candidates live in the lake.

models/<scheme>/<first night>.json               a model, valid from that night until the next one's
models/<scheme>/unfitted.txt                     the nights that no model could be fitted for, when there was none
refits/<scheme>/<day>/candidate.json             a candidate fitted to the customers of a night: a model without a first night
refits/<scheme>/<day>/judgement.json             what it was measured by, and the verdict
refits/<scheme>/<day>/promotion.json     from when on it is the model, and why a refused one is
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, Scheme, clusters_looked_at, load_cluster_schemes, with_assignments
from pipeline.errors import DataError
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, EXTRACTIONS
from pipeline.models.clusters import ClusterModel, NotFitted, assignments, model_from_json

UNFITTED = "unfitted.txt"
CANDIDATE, JUDGEMENT, PROMOTION = "candidate.json", "judgement.json", "promotion.json"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a refit works on: the customers of night `day`, of one company, by one scheme."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    scheme: ClusterScheme

    def register_features(self, night: date, names: Iterable[str]) -> None:
        """Make the features of a night readable: the scheme's columns and those named, as another version may have written it."""
        wanted = {"customer_id", *names, *self.scheme.columns, *self.scheme.member_columns}
        table = self.company.table(CUSTOMER_FEATURES)
        held = tuple(column for column in table.columns if column.name in wanted)
        self.engine.register(replace(table, columns=held), [self.lake.path(CUSTOMER_FEATURES, day=night)])


def models_folder(lake: Lake, scheme: str) -> Path:
    """Return where the models of a scheme are."""
    return lake.root / "models" / scheme


def refit_folder(lake: Lake, scheme: str, day: date) -> Path:
    """Return where the candidate of a night and its judgement are."""
    return lake.root / "refits" / scheme / day.isoformat()


def stored_models(lake: Lake, scheme: str) -> list[Path]:
    """Return the files of a scheme's models in order of their first nights."""
    return sorted(models_folder(lake, scheme).glob("*.json"))


def unfitted_nights(lake: Lake, scheme: str) -> frozenset[date]:
    """Return the nights that no model could be fitted for: computed again, they do not go by a later one.

    Raises DataError where the note is damaged.
    """
    path = models_folder(lake, scheme) / UNFITTED
    try:
        return frozenset(date.fromisoformat(line) for line in path.read_text("utf-8").split())
    except FileNotFoundError:
        return frozenset()
    except ValueError:
        raise DataError("a note of nights is damaged", where=str(path), todo="Put it back from a copy: a date on each line.") from None


def note_unfitted(lake: Lake, scheme: str, night: date) -> None:
    """Note that no model could be fitted for a night."""
    nights = unfitted_nights(lake, scheme)
    if night not in nights:
        lake.write_text(models_folder(lake, scheme) / UNFITTED, "".join(f"{each}\n" for each in sorted({*nights, night})))


def current_model(lake: Lake, scheme: str) -> ClusterModel | None:
    """Return the model that the next night goes by; None where there is none yet."""
    return next((model_at(path) for path in stored_models(lake, scheme)[-1:]), None)


def last_number(lake: Lake, scheme: str) -> int:
    """Return the highest number that a cluster of the scheme ever had, 0 where there was none."""
    return max((model_at(path).highest_number for path in stored_models(lake, scheme)), default=0)


def models_of_night(
    lake: Lake, company: Company, night: date, names: Collection[str]
) -> list[tuple[ClusterScheme, ClusterModel | NotFitted]]:
    """Return those of `names` that are the company's schemes of clusters, each with the model that a stored night went by, if any."""
    schemes = [scheme for scheme in load_cluster_schemes(company) if scheme.name in names] if names else []
    days = lake.manifest(lake.path(CUSTOMER_SEGMENTS, day=night)).get("models", {}) if schemes else {}
    return [
        (scheme, model_at(models_folder(lake, scheme.name) / f"{days[scheme.name]}.json") if days.get(scheme.name) else NotFitted("none"))
        for scheme in schemes
    ]


def with_clusters_of(lake: Lake, company: Company, night: date, schemes: Iterable[Scheme]) -> tuple[Scheme, ...]:
    """Return the schemes with the clusters that they look at, as the models that a stored night went by assign them."""
    found = list(schemes)
    return with_assignments(found, assignments(models_of_night(lake, company, night, clusters_looked_at(found))))


def model_at(path: Path) -> ClusterModel:
    """Return the model in a file; raises DataError where there is none or it is damaged."""
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        raise DataError("no such model", where=str(path), todo="Name a candidate: lake/refits/<scheme>/<day>/candidate.json.") from None
    return model_from_json(text, where=str(path))


def next_night(lake: Lake, day: date) -> date:
    """Return the first night that no stored table belongs to, after `day`: a stored night keeps the model it was computed by."""
    nights = [night for table in (EXTRACTIONS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS) for night in lake.nights(table)]
    return max([day, *nights]) + timedelta(days=1)
