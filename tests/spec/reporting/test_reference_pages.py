"""The reference is true: generated parts follow from the declarations, and hand-written tables list what the readers take."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.documentation import tables_of

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.fields import REQUIRED, Fields
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes

sys.path.insert(0, str(PROJECT_ROOT / "docs"))
import write_reference

PAGES = write_reference.pages()
COMPANY = """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
attributes.city.level = "geographic"
notify.owners = {kind = "mail", on = ["published"], to = ["ada@shop.example"]}
events.email = {key = ["message"], instant = "sent_at", columns = {message = "text", question = "text", answer = "text"}}
surveys.email = {}
"""
SOURCES = {
    "files": (
        '[source]\npackage = "pyarrow"\n[source.column_types.orders]\npaid = "DECIMAL(18,4)"\n[source.formats.orders]\nfill_merged = []\n'
    ),
    "mysql": '[source]\nkind = "mysql"\nconnection = "shop"\n',
    "postgresql": (
        '[source]\nkind = "postgresql"\nconnection = "shop"\n'
        '[publish]\nkind = "postgresql"\nconnection = "crm"\niceberg.catalog = "warehouse"\n'
    ),
}
SECTIONS = {"source", "publish", "crm", "predictions", "gates", "attributes", "events", "notify", "surveys", "report"}
COMPANY_TABLES = {
    "": "The company",
    "source": "`[source]`",
    "source.formats.orders": "`[source.formats.<table>]`",
    "publish": "`[publish]`",
    "publish.iceberg": "`[publish.iceberg]`",
    "crm": "`[crm]`",
    "predictions": "`[predictions]`",
    "attributes.city": "`[attributes.<name>]`",
    "events.email": "`[events.<name>]`",
    "events.email.columns.message": "`[events.<name>.columns.<column>]`",
    "gates": "`[gates]`",
    "surveys.email": "`[surveys.<event>]`",
    "notify": "`[notify]`",
    "report": "`[report]`",
    "notify.owners": "`[notify.<name>]`",
}
RULE_TABLES = {"": "Keys of a scheme", "segment": "Keys of a segment", "strategy": "Keys of a strategy card"}
LANGUAGES = {"en", "tr", "ka", "de"}
Taken = dict[str, dict[str, Any]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_generated_part_is_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert write_reference.written(text) == text, "write it again: make docs-reference"


def test_every_generated_part_has_its_page() -> None:
    marked = {found["name"] for page in PAGES for found in write_reference.PART.finditer(page.read_text("utf-8"))}
    assert marked == write_reference.parts().keys()


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> Taken:
    """Return the keys that readers take from then on, with their defaults, by the table they are in."""
    found: Taken = {}
    take, has = Fields.take, Fields.has

    def recording(self: Fields, key: str, kind: Any = object, *, default: Any = REQUIRED) -> Any:
        if "translations" not in Path(self.where).parts:  # their keys are those of the schemes
            found.setdefault(table_of(self), {}).setdefault(key, default)
        return take(self, key, kind, default=default)

    def recording_optional(self: Fields, key: str) -> bool:
        if "translations" not in Path(self.where).parts:
            found.setdefault(table_of(self), {}).setdefault(key, None)
        return has(self, key)

    monkeypatch.setattr(Fields, "has", recording_optional)
    monkeypatch.setattr(Fields, "take", recording)
    return found


def table_of(fields: Fields) -> str:
    return fields.name_of("").partition("[")[0].rstrip(".")


def write_company(folder: Path, kind: str) -> Path:
    (folder / "sources").mkdir(parents=True)
    for source in ("customers", "order_lines", "email"):
        (folder / "sources" / f"{source}.sql").write_text("SELECT 1", "utf-8")
    (folder / "company.toml").write_text(COMPANY + SOURCES[kind], "utf-8")
    return folder


def listed(page: str, heading: str) -> dict[str, str]:
    """Return the keys that the table below a heading lists, with the cell of their default."""
    text = (write_reference.REFERENCE / page).read_text("utf-8").partition(f"\n## {heading}")[2]
    table = next(iter(tables_of(text)))
    return {name.strip().strip("`"): row["default"] for row in table for name in row["key"].split(",")}


def require_listed(cells: dict[str, str], keys: dict[str, Any]) -> None:
    """Compare keys, which are required, and every default that is shown as code."""
    assert cells.keys() == keys.keys()
    assert {name for name, cell in cells.items() if cell == "required"} == {name for name, default in keys.items() if default is REQUIRED}
    assert {name: cell for name, cell in cells.items() if cell.startswith("`") and "<" not in cell} == {
        name: as_toml(keys[name]) for name, cell in cells.items() if cell.startswith("`") and "<" not in cell
    }


def as_toml(default: Any) -> str:
    texts: dict[type, Any] = {str: '"{}"'.format, bool: lambda value: str(value).lower(), tuple: lambda value: str(list(value))}
    return f"`{texts.get(type(default), str)(default)}`"


def test_the_page_of_company_toml_lists_every_key_that_the_reader_takes_with_its_default(tmp_path: Path, taken: Taken) -> None:
    for kind in SOURCES:
        load_company(write_company(tmp_path / kind, kind))
    free = {"attributes", "source.formats", "source.column_types", "source.column_types.orders", "events.email.columns", "surveys"}
    free |= {"events.email.columns.question", "events.email.columns.answer"}  # as of any other column
    assert taken.keys() - free == COMPANY_TABLES.keys()
    assert taken["source"].pop("email") == "snapshot"  # the page says it of each declared event
    assert taken["notify"].pop("owners") == {}
    for path, heading in COMPANY_TABLES.items():
        require_listed(
            listed("company-toml.md", heading), {key: default for key, default in taken[path].items() if path or key not in SECTIONS}
        )


def test_the_page_of_rules_lists_every_key_of_a_scheme_its_segments_and_cards(tmp_path: Path, taken: Taken) -> None:
    own = tmp_path / "segments"
    own.mkdir()
    (own / "rfm.toml").write_text(f"# read anew\n{(PROJECT_ROOT / 'segments' / 'rfm.toml').read_text('utf-8')}", "utf-8")
    load_schemes(a_company(tmp_path))
    keys: Taken = {}
    for path, found in taken.items():
        table = "strategy" if path.endswith("strategy") else "segment" if path.startswith("segment ") else path
        keys[table] = {**keys.get(table, {}), **found}
    keys["segment"]["needed"] = None  # as many as there are signals
    for path, heading in RULE_TABLES.items():
        require_listed(listed("rules.md", heading), keys[path])


def test_the_page_of_rules_lists_every_key_of_a_cluster_scheme(tmp_path: Path, taken: Taken) -> None:
    name = Path("segments") / "behaviour_clusters.toml"
    (tmp_path / "segments").mkdir()
    (tmp_path / name).write_text(f"# read anew\n{(PROJECT_ROOT / name).read_text('utf-8')}", "utf-8")
    load_cluster_schemes(a_company(tmp_path))
    features = {key: default for key, default in taken["features"].items() if key not in LANGUAGES}
    require_listed(listed("rules.md", "Keys of a cluster scheme"), taken[""])
    text = (write_reference.REFERENCE / "rules.md").read_text("utf-8").partition("Keys of a feature:")[2]
    names = {name.strip().strip("`") for row in next(iter(tables_of(text))) for name in row["key"].split(",")}
    assert names == features.keys()
