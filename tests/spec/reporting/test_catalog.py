"""`segments catalog`: what is defined in words, what to do about it, and how large it is in the live publication."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.errors import ConfigError, DataError
from pipeline.lake.lake import Lake
from pipeline.models.clusters import translated_title
from pipeline.reporting.catalog import read_catalog
from pipeline.reporting.catalog.json import to_json
from pipeline.reporting.catalog.markdown import to_markdown

NIGHT = date(2024, 3, 4)
ORDERS = [
    "o1,1,ann,2024-03-01 12:00:00,1,90.00,toys",
    "o2,1,bo,2024-02-01 12:00:00,1,10.00,toys",
]
SETTINGS = """
[attributes.country]
level = "geographic"
kind = "text"
"""
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, CAST(land AS VARCHAR) AS country FROM customers"

SPENDERS = """kind = "rules"
level = "behavioural"
question = "Who spends much?"
evidence = ["order_count"]

[title]
en = "Spenders"
tr = "Harcayanlar"

[parameters]
high_spend = 50

[[segment]]
id = "big"
description = "Spends at least 50."
rule = "spend_amount >= @high_spend"

[segment.title]
en = "Big | spenders"
tr = "Büyük harcayanlar"

[segment.strategy]
message = { en = "Thank you.", tr = "Teşekkürler." }
promotion = "None."
product_offer = "New."
price = "Usual."
channel = "Letter."
service = "Own contact."
priority = 1
budget_share = 0.5

[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""
GROUPS = """title = "Groups"
kind = "rules"
decision = "highest_score"
floor = 0.5
level = "behavioural"
question = "Which group?"
evidence = ["order_count"]

[[segment]]
id = "keen"
title = "Keen"
description = "Shows two of three."
rule = "order_count >= 1"
signals = ["category_count >= 2", "order_count > 3", "spenders.segment = 'big'"]
needed = 2

[[segment]]
id = "steady"
title = "Steady"
description = "By score."
score = "weekend_share"

[[segment]]
id = "none"
title = "None"
description = "Nobody else."
otherwise = true
"""
COLOURS = """title = "Colours"
kind = "rules"
level = "psychographic"
question = "Which colour?"
evidence = ["order_count"]

[needs]
colour = "text"

[[segment]]
id = "red"
title = "Red"
description = "Likes red."
rule = "colour = 'red'"

[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""


def shop_at(folder: Path) -> Path:
    """Write a shop with schemes of its own; customers have a country."""
    shop = write_shop(folder, ORDERS, customers=["ann"], settings=SETTINGS)
    (shop / "data" / "customers.csv").write_text("id,land\nann,Türkiye\nbo,Georgia\ncy,Georgia\n", "utf-8")
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL, "utf-8")
    country = (
        (PROJECT_ROOT / "segments" / "country.toml")
        .read_text("utf-8")
        .replace("most_segments = 20", "most_segments = 20\nfewest_customers = 1")
    )
    for name, text in {"spenders": SPENDERS, "groups": GROUPS, "colours": COLOURS, "country": country}.items():
        path = shop / "segments" / f"{name}.toml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return shop


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    folder = tmp_path_factory.mktemp("catalog")
    shop, lake = shop_at(folder / "shop"), Lake(folder / "lake")
    run_night(shop, lake, NIGHT)
    return shop, lake


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return shop_at(tmp_path / "shop")


def told(shop: Path, lake: Lake, **asked: str) -> dict[str, Any]:
    return json.loads(to_json(read_catalog(load_company(shop), lake, **asked)))


def scheme(catalog: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in catalog["schemes"] if entry["scheme"] == name)


def segment(catalog: dict[str, Any], name: str, of: str) -> dict[str, Any]:
    return next(entry for entry in scheme(catalog, of)["segments"] if entry["segment"] == name)


def printed(*words: str, width: int = 80) -> str:
    run = CliRunner().invoke(app, ["catalog", *words], env={"COLUMNS": str(width)})
    if run.exception and not isinstance(run.exception, SystemExit):
        raise run.exception
    assert run.exit_code == 0, run.output
    return run.stdout


def test_before_any_night_everything_is_told_but_sizes(shop: Path, lake: Lake) -> None:
    catalog = told(shop, lake)
    assert (catalog["day"], catalog["publication_id"]) == (None, None)
    assert segment(catalog, "big", "spenders")["customer_count"] is None
    assert scheme(catalog, "rfm")["state"] == "new"
    assert "no night is published yet" in printed("--company", str(shop), "--lake", str(lake.root)).replace("\n", " ")


def test_a_rule_is_told_as_written_with_the_values_of_its_parameters_beside_it(shop: Path, lake: Lake) -> None:
    big = segment(told(shop, lake), "big", "spenders")
    assert (big["words"], big["rule"]) == ("spend_amount >= @high_spend", "spend_amount >= @high_spend")
    assert big["parameters"] == {"high_spend": 50}
    assert scheme(told(shop, lake), "spenders")["parameters"] == {"high_spend": 50}


@pytest.mark.parametrize(
    ("of", "name", "words"),
    [
        ("spenders", "rest", "everybody else"),
        ("groups", "keen", "order_count >= 1; and 2 of 3: category_count >= 2; order_count > 3; spenders.segment = 'big'"),
        ("groups", "steady", "score: weekend_share"),
        ("country", "unknown", "country is not known"),
        ("country", "other", "all other values of country"),
        ("city_tier", "large", "the most frequent values of city, up to 50 % of customers"),
        ("city_tier", "small", "all other values of city"),
    ],
)
def test_what_is_no_rule_is_told_in_words(shop: Path, lake: Lake, of: str, name: str, words: str) -> None:
    assert segment(told(shop, lake), name, of)["words"] == words


def test_a_scheme_tells_how_it_decides_how_it_is_proven_and_where_it_stands(shop: Path, lake: Lake) -> None:
    catalog = told(shop, lake)
    facts = [(scheme(catalog, name)["proof"], scheme(catalog, name)["file"]) for name in ("rfm", "spenders", "category_affinity")]
    assert facts == [
        ("enumeration", "segments/rfm.toml"),
        ("intervals", "shop/segments/spenders.toml"),
        ("construction", "segments/category_affinity.toml"),
    ]
    assert scheme(catalog, "groups")["decision"] == "the highest score decides if it is above 0.5"
    assert scheme(catalog, "groups")["features"] == ["category_count", "order_count", "spenders.segment", "weekend_share"]
    assert scheme(catalog, "lifecycle")["undecided"]


def test_a_scheme_that_the_company_cannot_compute_is_told_with_the_reason_and_its_rules(shop: Path, lake: Lake) -> None:
    colours = scheme(told(shop, lake), "colours")
    assert (colours["state"], colours["reason"]) == ("not computed", "needs colour")
    assert colours["segments"][0]["words"] == "colour = 'red'"


def test_every_scheme_of_the_company_is_told_by_level_then_name(shop: Path, lake: Lake) -> None:
    entries = told(shop, lake)["schemes"]
    named = {path.stem for folder in (Path(__file__).parents[3], shop) for path in (folder / "segments").glob("*.toml")}
    assert {entry["scheme"] for entry in entries} == named
    levels = [entry["level"] for entry in entries]
    assert [level for at, level in enumerate(levels) if level != (levels[at - 1] if at else "")] == list(dict.fromkeys(levels))


def test_sizes_shares_and_their_day_are_those_of_the_live_publication(night: tuple[Path, Lake]) -> None:
    catalog = told(*night)
    assert catalog["day"] == "2024-03-04"
    assert catalog["publication_id"].startswith("2024-03-04-")
    big = segment(catalog, "big", "spenders")
    assert (big["customer_count"], Decimal(big["spend_amount"]), big["spend_share"]) == (1, Decimal(90), 0.9)
    assert big["customer_share"] == pytest.approx(1 / 3)
    assert scheme(catalog, "spenders")["state"] == "live"


def test_values_that_customers_have_are_segments_too_the_largest_first(night: tuple[Path, Lake]) -> None:
    found = [(s["segment"], s["customer_count"]) for s in scheme(told(*night), "country")["segments"]]
    assert found[:3] == [("Georgia", 2), ("Türkiye", 1), ("other", 0)]


def test_clusters_are_told_as_the_night_named_them(night: tuple[Path, Lake]) -> None:
    clusters = scheme(told(*night), "behaviour_clusters")
    assert [s["title"] for s in clusters["segments"]] == ["Not clustered"]
    assert "discount_share" in clusters["features"]


def test_a_definition_edited_since_the_night_says_so_and_a_comment_does_not(night: tuple[Path, Lake], tmp_path: Path) -> None:
    edited = Path(shutil.copytree(night[0], tmp_path / "shop"))
    file = edited / "segments" / "spenders.toml"
    file.write_text("# A remark.\n" + SPENDERS, "utf-8")
    assert scheme(told(edited, night[1]), "spenders")["state"] == "live"
    file.write_text(SPENDERS.replace("high_spend = 50", "high_spend = 60"), "utf-8")
    catalog = told(edited, night[1])
    assert (scheme(catalog, "spenders")["state"], scheme(catalog, "rfm")["state"]) == ("changed", "live")
    (edited / "segments" / "groups.toml").unlink()
    file.rename(file.with_name("big_spenders.toml"))
    catalog = told(edited, night[1])
    assert (catalog["gone"], scheme(catalog, "big_spenders")["state"]) == (["groups", "spenders"], "new")


def test_titles_and_strategies_are_told_in_the_language_asked_for_where_translated(shop: Path, lake: Lake) -> None:
    catalog = told(shop, lake, language="tr")
    assert catalog["language"] == "tr"
    assert scheme(catalog, "spenders")["title"] == "Harcayanlar"
    big = segment(catalog, "big", "spenders")
    assert (big["title"], big["strategy"]["message"], big["strategy"]["promotion"]) == ("Büyük harcayanlar", "Teşekkürler.", "None.")
    assert segment(catalog, "rest", "spenders")["title"] == "Rest"


def test_questions_and_descriptions_are_told_in_the_language_asked_for_too(shop: Path, lake: Lake) -> None:
    path = shop / "segments" / "spenders.toml"
    text = path.read_text("utf-8").replace(
        'question = "Who spends much?"', 'question = { en = "Who spends much?", ka = "ვინ ხარჯავს ბევრს?" }'
    )
    path.write_text(
        text.replace('description = "All others."', 'description.en = "All others."\ndescription.ka = "ყველა დანარჩენი."'), "utf-8"
    )
    georgian, turkish = (told(shop, lake, language=language) for language in ("ka", "tr"))
    assert scheme(georgian, "spenders")["question"] == "ვინ ხარჯავს ბევრს?"
    assert segment(georgian, "rest", "spenders")["description"] == "ყველა დანარჩენი."
    assert (scheme(turkish, "spenders")["question"], scheme(turkish, "spenders")["title"]) == ("Who spends much?", "Harcayanlar")
    assert segment(turkish, "rest", "spenders")["description"] == "All others."
    assert "ვინ ხარჯავს ბევრს?" in printed("--company", str(shop), "--lake", str(lake.root), "--language", "ka")


def test_clusters_are_told_in_the_words_that_the_language_has_for_them(shop: Path, lake: Lake) -> None:
    assert scheme(told(shop, lake, language="tr"), "behaviour_clusters")["title"] == "Davranış kümeleri"
    (clusters,) = load_cluster_schemes(load_company(shop))
    title = "Long known, not seen lately, highest spend (2)"
    assert translated_title(title, clusters.features, "tr") == "Eski müşteri, uzun süredir görülmeyen, en çok harcayan (2)"
    assert translated_title(title, clusters.features, "ka").startswith("ძველი მომხმარებელი, ")
    assert translated_title("Discounted", clusters.features, "tr") == "İndirimli alan"
    assert translated_title(title, clusters.features, "xx") == title


def test_what_nobody_declared_is_refused_with_the_nearest(shop: Path, lake: Lake) -> None:
    with pytest.raises(ConfigError, match="there is no scheme or audience `spender` \\(did you mean `spenders`\\?\\)"):
        told(shop, lake, scheme="spender")
    with pytest.raises(ConfigError, match="nothing is translated into `xx`"):
        told(shop, lake, language="xx")
    with pytest.raises(ConfigError, match="both --json and --markdown"):
        printed("--company", str(shop), "--json", "--markdown")


def test_a_damaged_publication_is_told_as_such(night: tuple[Path, Lake], tmp_path: Path) -> None:
    root = Path(shutil.copytree(night[1].root, tmp_path / "lake", symlinks=True))
    path = root / "current" / "segment_profiles.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="segment_profiles is damaged"):
        told(night[0], Lake(root))


SEGMENT_KEYS = [
    "segment", "title", "description", "rule", "words", "parameters", "customer_count", "customer_share", "spend_amount", "spend_share",
    "strategy", "crosswalk", "profile",
]  # fmt: skip
SCHEME_KEYS = [
    "scheme", "title", "level", "kind", "question", "applies_to", "outside_count", "decision", "proof", "undecided", "state", "reason",
    "file", "parameters", "features", "evidence", "references", "strategy", "segments",
]  # fmt: skip


def test_json_has_the_same_keys_for_every_scheme_and_segment(night: tuple[Path, Lake]) -> None:
    catalog = json.loads(printed("--company", str(night[0]), "--lake", str(night[1].root), "--json"))
    assert list(catalog) == ["company", "language", "day", "publication_id", "schemes", "gone", "audiences"]
    assert {tuple(entry) for entry in catalog["schemes"]} == {tuple(SCHEME_KEYS)}
    assert {tuple(entry) for scheme in catalog["schemes"] for entry in scheme["segments"]} == {tuple(SEGMENT_KEYS)}


@pytest.mark.parametrize("width", [80, 160])
def test_the_terminal_shows_every_segment_within_its_width(night: tuple[Path, Lake], width: int) -> None:
    text = printed("--company", str(night[0]), "--lake", str(night[1].root), width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    joined = re.sub(r"\s+", " ", text)
    for entry in read_catalog(load_company(night[0]), night[1]).schemes:
        assert f"{entry.title} {entry.scheme} " in joined
    assert "…" not in text
    assert "33.3%" in text


def test_a_title_that_could_command_the_terminal_is_refused(shop: Path, lake: Lake) -> None:
    file = shop / "segments" / "spenders.toml"
    file.write_text(SPENDERS.replace('title = "Rest"', 'title = "Rest\\u001b[31m"'), "utf-8")
    refused = CliRunner().invoke(app, ["catalog", "--company", str(shop), "--lake", str(lake.root), "--scheme", "spenders"])
    assert isinstance(refused.exception, ConfigError)
    assert "\x1b" not in str(refused.exception)


def test_one_scheme_alone_shows_its_strategies_in_full(night: tuple[Path, Lake]) -> None:
    text = printed("--company", str(night[0]), "--lake", str(night[1].root), "--scheme", "spenders")
    assert "Own contact." in text
    assert "1 of 5, 50% of the scheme's budget" in text
    assert "RFM" not in text


def test_markdown_is_one_document_whose_tables_have_equally_many_cells(night: tuple[Path, Lake]) -> None:
    text = to_markdown(read_catalog(load_company(night[0]), night[1]))
    assert text.startswith("# Customer segments of Shop\n\nAs of 2024-03-04")
    assert "| Big \\| spenders (`big`) | Spends at least 50. | `spend_amount >= @high_spend` with `@high_spend = 50` | 1 |" in text
    assert "**Not computed**: needs colour." in text
    for table in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1
