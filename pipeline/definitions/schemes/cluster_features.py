"""What clusters are made of, as a definition names it: numeric features, and attributes of the company's own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.fields import Document, Fields, printable_value
from pipeline.errors import PipelineError
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind
from pipeline.spelling import did_you_mean

TODO = "Mend the file; segments/behaviour_clusters.toml is the pattern."
TRANSFORMS = ("log1p", "none")
NUMERIC_KINDS = (Kind.INTEGER, Kind.NUMBER, Kind.MONEY)
NUMERIC_FEATURES = tuple(c.name for c in CUSTOMER_FEATURES.columns if c.kind in NUMERIC_KINDS)
MOST_FEATURES, MOST_ATTRIBUTES = 20, 60
# In words for titles: the text that most customers of a cluster have.
VALUE = "{value}"

Encoding = Literal["number", "flag", "text"]
ENCODINGS: tuple[Encoding, ...] = ("number", "flag", "text")
ENCODING_BY_KIND: Mapping[Kind, Encoding] = {**dict.fromkeys(NUMERIC_KINDS, "number"), Kind.FLAG: "flag", Kind.TEXT: "text"}


@dataclass(frozen=True, slots=True)
class ClusterFeature:
    """One column that clusters are made of; `fill` stands for an empty cell, `high` and `low` are words for titles.

    An attribute has no `fill`: who lacks it is in no cluster. `highest` and `lowest` are said of the one cluster that is farthest on
    that side. `highs`, `lows`, `highests` and `lowests` are the words of other languages, by language. Those of a text hold VALUE.
    """

    name: str
    transform: str
    fill: float | None
    high: str
    low: str
    highs: Mapping[str, str] = field(default_factory=dict, hash=False)
    lows: Mapping[str, str] = field(default_factory=dict, hash=False)
    highest: str = ""
    lowest: str = ""
    highests: Mapping[str, str] = field(default_factory=dict, hash=False)
    lowests: Mapping[str, str] = field(default_factory=dict, hash=False)
    encoding: Encoding = "number"

    def __post_init__(self) -> None:
        """Name what has no words of its own after the column."""
        for most in ("highest", "lowest"):
            object.__setattr__(self, most, getattr(self, most) or _default_words(self.name, self.encoding)[most])

    @property
    def is_attribute(self) -> bool:
        """Whether it is an attribute of the company: what is not known of a customer, is not guessed."""
        return self.fill is None


def read_features(content: Fields, company: Company, definition: Definition) -> tuple[ClusterFeature, ...]:
    """Return what `features` and `attributes` name, in this order.

    Raises ConfigError naming file and line of what is unknown, named twice, or of a kind that cannot be clustered.
    """
    rows = content.rows("features", 1, MOST_FEATURES) if content.has("features") else []
    attributes = _attribute_entries(content)
    if not rows and not attributes:
        raise content.error("there is nothing to cluster by: name `features`, `attributes` or both")
    features = [_read_feature(row, company, definition) for row in rows]
    features += [_read_attribute(entry, company, definition) for entry in attributes]
    names = [feature.name for feature in features]
    for place, name in enumerate(names):
        if name in names[:place]:
            kind = "attributes" if features[place].is_attribute else "features"
            raise _error_at(definition, name, f"`{kind}` names a column twice: {printable_value(name)}", place=1)
    return tuple(features)


def _attribute_entries(content: Fields) -> list[dict[str, Any]]:
    """Return the entries of `attributes`, each a name, or a table where it has words of its own."""
    entries = content.take("attributes", list, default=[])
    if len(entries) > MOST_ATTRIBUTES:
        raise content.refusal("attributes", f"must have at most {MOST_ATTRIBUTES} entries, not {len(entries)}")
    for place, entry in enumerate(entries):
        if not isinstance(entry, str | dict):
            raise content.refusal(f"attributes[{place}]", "must be the name of an attribute, or a table with its `name`")
    return [{"name": entry} if isinstance(entry, str) else entry for entry in entries]


def _read_feature(fields: Fields, company: Company, definition: Definition) -> ClusterFeature:
    name = fields.text("name")
    numeric = (*NUMERIC_FEATURES, *(each.name for each in company.features if each.column.kind in NUMERIC_KINDS))
    if name not in numeric:
        if name in _attribute_kinds(company):
            what = f"`features` names {printable_value(name)}, which is an attribute of the company"
            raise _error_at(definition, name, what, "Name it under `attributes`.")
        hint = did_you_mean(name, numeric)
        what = f"`{fields.name_of('name')}` is {printable_value(name)}, which is no numeric column of {CUSTOMER_FEATURES.name}{hint}"
        raise _error_at(definition, name, what)
    transform = fields.choice("transform", TRANSFORMS)
    feature = ClusterFeature(name=name, transform=transform, fill=fields.number("fill", default=0.0), **_read_words(fields, company, name))
    fields.refuse_unknown()
    return feature


def _read_attribute(entry: dict[str, Any], company: Company, definition: Definition) -> ClusterFeature:
    name = str(entry.get("name", ""))
    where = _place_of(definition, name)
    fields = Fields(entry, Document(where, todo=TODO, noun="key of an attribute"), f"attributes.{name}." if name else "attributes.")
    name = fields.text("name")
    kinds = _attribute_kinds(company)
    if name not in kinds:
        raise _unknown_attribute(name, company, definition)
    encoding = ENCODING_BY_KIND.get(kinds[name])
    if encoding is None:
        what = f"the attribute {printable_value(name)} is a {kinds[name].words}; clusters take numbers, flags and texts of a few values"
        raise _error_at(definition, name, what, "Name another one, or have the source give what it stands for, such as an age in years.")
    transform = fields.choice("transform", TRANSFORMS, default="none") if encoding == "number" else "none"
    words = _read_words(fields, company, name, encoding)
    if encoding == "text":
        for key in ("high", "low", "highest", "lowest"):
            if not all(VALUE in text for text in (words[key], *words[f"{key}s"].values())):
                raise fields.refusal(key, f"must say where the text goes, as in `mostly from {VALUE}`")
    fields.refuse_unknown()
    return ClusterFeature(name=name, transform=transform, fill=None, encoding=encoding, **words)


def _unknown_attribute(name: str, company: Company, definition: Definition) -> PipelineError:
    if name in NUMERIC_FEATURES or name in {each.name for each in company.features}:
        what = f"`attributes` names {printable_value(name)}, which is a feature of customers"
        return _error_at(definition, name, what, "Name it under [[features]], with a transform.")
    if any(attribute.column.name == name for attribute in company.attributes):
        what = f"`attributes` names {printable_value(name)}, which is personal data and never enters the features"
        return _error_at(definition, name, what, "Leave it out, or declare it without `pii` in company.toml where it is none.")
    known = list(_attribute_kinds(company))
    what = f"`attributes` names {printable_value(name)}, which company.toml does not declare{did_you_mean(name, known)}"
    declared = f" It declares {', '.join(known)}." if known else " It declares none."
    return _error_at(definition, name, what, f"Correct the name, or declare it there: [attributes.{name[:40]}].{declared}")


def _read_words(fields: Fields, company: Company, name: str, encoding: Encoding = "number") -> dict[str, Any]:
    words: dict[str, Any] = {}
    for key, default in _default_words(name, encoding).items():
        words[key], words[f"{key}s"] = fields.words(key, company.language, default=default)
    return words


def _default_words(name: str, encoding: Encoding) -> dict[str, str]:
    words = name.replace("_", " ")
    if encoding == "number":
        return {side: f"{side} {words}" for side in ("high", "low", "highest", "lowest")}
    if encoding == "flag":
        said = {"high": "mostly answers yes", "low": "mostly answers no", "highest": "answers yes most", "lowest": "answers no most"}
        return {side: f"{text} to {words}" for side, text in said.items()}
    said = {"high": "mostly", "low": "rarely", "highest": "most often", "lowest": "least often"}
    return {side: f"{words} {text} {VALUE}" for side, text in said.items()}


def _attribute_kinds(company: Company) -> dict[str, Kind]:
    return {attribute.column.name: attribute.column.kind for attribute in company.attributes if not attribute.column.pii}


def _error_at(definition: Definition, name: str, what: str, todo: str = TODO, *, place: int = 0) -> PipelineError:
    return Document(_place_of(definition, name, place)).error(what, todo)


def _place_of(definition: Definition, name: str, place: int = 0) -> str:
    """Return `file:line` of the text `name` as a whole, at its first place, or at a later one; the file alone where it is not found."""
    # The TOML reader does not tell lines.
    quoted = re.compile(rf"""(["']){re.escape(name)}\1""")
    lines: Sequence[int] = [
        number for number, line in enumerate(definition.text.splitlines(), 1) for _ in quoted.finditer(line.partition("#")[0])
    ]
    return f"{definition.file}:{lines[min(place, len(lines) - 1)]}" if name and lines else str(definition.file)
