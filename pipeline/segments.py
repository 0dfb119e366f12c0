"""Schemes: named sets of segments, of which every customer has exactly one; proven when a definition loads.

A scheme is a file `segments/<scheme>.toml`; the first segment whose rule holds is the customer's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from pathlib import Path
from typing import Any, Literal

from sqlglot import exp

from pipeline.company import LEVELS, Company
from pipeline.definitions import Definition, Section, require_identifier
from pipeline.errors import ConfigError
from pipeline.proofs import require_total
from pipeline.rules import parse_rule
from pipeline.spelling import did_you_mean
from pipeline.tables import CUSTOMER_FEATURES, Kind

# Doubles print differently from engine to engine, and what counts days up to now changes every night.
EVIDENCE_KINDS = (Kind.INTEGER, Kind.DATE, Kind.TEXT, Kind.MONEY, Kind.FLAG)
AGEING_FEATURES = ("recency_days", "tenure_days")


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `rule` is None for the one that takes everybody left over."""

    id: str
    title: str
    description: str
    rule_text: str
    rule: exp.Expression | None
    crosswalk: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, slots=True)
class Scheme:
    """A total, disjoint set of segments; `missing` names the attributes that the company does not supply."""

    name: str
    title: str
    level: str
    question: str
    kind: Literal["rules"]
    evidence: tuple[str, ...]
    segments: tuple[Segment, ...]
    file: Path
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Schemes:
    """The schemes that can be computed, by name, and why each of the others cannot."""

    schemes: tuple[Scheme, ...]
    not_computed: Mapping[str, str]


def load_schemes(company: Company) -> Schemes:
    """Return the schemes of kind `rules`: ours, each replaced by the company's file of the same name.

    Raises ConfigError naming file and line where a definition is wrong, leaves a customer over or holds a segment nobody can be in.
    """
    files = sorted(company.definitions("segments", ".toml").items())
    parsed = [(definition, definition.toml()) for _, definition in files]
    loaded = [_scheme(company, definition, values) for definition, values in parsed if values.get("kind") != "clusters"]
    return Schemes(
        tuple(scheme for scheme in loaded if not scheme.missing),
        {scheme.name: _reason(company, scheme.missing) for scheme in loaded if scheme.missing},
    )


def _reason(company: Company, missing: Sequence[str]) -> str:
    held_back = {attribute.column.name for attribute in company.attributes if attribute.column.pii}
    return "needs " + ", ".join(f"{name} (held back as personal data)" if name in held_back else name for name in missing)


def segments_statement(schemes: Sequence[Scheme]) -> exp.Query:
    """Return the statement that gives customer_id, scheme, segment and evidence, one row per customer and scheme, unsorted.

    It reads the registered table customer_features, alike on every engine. No scheme is a ValueError.
    """
    first, *others = map(_memberships, schemes)
    return reduce(lambda united, other: exp.union(united, other, distinct=False), others, first)


def _memberships(scheme: Scheme) -> exp.Query:
    decision = exp.Case()
    for segment in scheme.segments:
        name = exp.Literal.string(segment.id)
        decision = decision.else_(name) if segment.rule is None else decision.when(segment.rule, name)
    columns = {"scheme": exp.Literal.string(scheme.name), "segment": decision, "evidence": _evidence(scheme.evidence)}
    named = [exp.alias_(value, name) for name, value in columns.items()]
    return exp.select(exp.column("customer_id"), *named).from_(CUSTOMER_FEATURES.name)


def _evidence(names: Sequence[str]) -> exp.Expression:
    parts: list[exp.Expression] = []
    for name in names:
        parts.append(exp.Literal.string(f"{', ' if parts else ''}{name}="))
        parts.append(exp.Coalesce(this=exp.cast(exp.column(name, quoted=True), "varchar"), expressions=[exp.Literal.string("-")]))
    return exp.Concat(expressions=parts)


def _scheme(company: Company, definition: Definition, values: dict[str, Any]) -> Scheme:
    file = definition.file
    require_identifier(file.stem, "the file's name", str(file))
    content = Section(values, file)
    content.choose("kind", ("rules", "clusters"))
    names, missing = _names(company, content)
    parts = _parts(content)
    lines = _rule_lines(definition.text)
    places = [f"{file}:{line}" for line in lines] if len(lines) == len(parts) else [str(file)] * len(parts)
    scheme = Scheme(
        name=file.stem,
        title=content.take("title", str),
        level=content.choose("level", LEVELS),
        question=content.take("question", str),
        kind="rules",
        evidence=_evidence_names(content, names),
        segments=tuple(_segment(part, names, place) for part, place in zip(parts, places, strict=True)),
        file=file,
        missing=missing,
    )
    content.refuse_the_rest()
    _require_distinct(scheme.segments, places)
    require_total([(segment.id, segment.rule) for segment in scheme.segments], places, where=str(file))
    return scheme


def _parts(content: Section) -> list[Section]:
    tables = content.take("segment", list)
    if not all(isinstance(table, dict) for table in tables):
        raise ConfigError("`segment` is no list of tables", where=str(content.file), todo="Begin each segment with [[segment]].")
    return [Section(table, content.file, f"segment {place}: ") for place, table in enumerate(tables, 1)]


def _rule_lines(text: str) -> list[int]:
    """Return for each [[segment]] the line of its rule, or its first line, since TOML's reader forgets them."""
    found: list[int] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip().startswith("[[segment]]"):
            found.append(number)
        elif found and re.match(r"\s*rule\s*=", line):
            found[-1] = number
    return found


def _names(company: Company, content: Section) -> tuple[dict[str, Kind], tuple[str, ...]]:
    """Return the kinds of all names that rules may use, and which of them the company does not supply."""
    supplied = {column.name: column.kind for column in company.table(CUSTOMER_FEATURES).columns}
    declared = content.take("needs", dict, default={})
    section = Section(declared, content.file, "needs.")
    kinds = tuple(kind.name.lower() for kind in Kind if not kind.is_list)
    needs = {name: Kind[section.choose(name, kinds).upper()] for name in declared}
    for name, kind in needs.items():
        if supplied.get(name, kind) is not kind:
            raise ConfigError(
                f"`needs.{name}` is {kind.words}, but the company's `{name}` is {supplied[name].words}",
                where=str(content.file),
                todo="Declare the kind that company.toml gives.",
            )
    return {**needs, **supplied}, tuple(name for name in needs if name not in supplied)


def _evidence_names(content: Section, names: Mapping[str, Kind]) -> tuple[str, ...]:
    evidence = content.take("evidence", list)
    _require_texts(evidence, "`evidence`", str(content.file))
    for name in evidence:
        kind = names.get(name)
        if kind is None:
            raise ConfigError(f"evidence `{name}` is unknown{did_you_mean(name, names)}", where=str(content.file))
        if kind not in EVIDENCE_KINDS or name in AGEING_FEATURES:
            raise ConfigError(
                f"`{name}` cannot be evidence: it changes every night or prints differently from engine to engine",
                where=str(content.file),
                todo="Name dates, counts, exact amounts, texts or flags, such as last_order_date.",
            )
    if not evidence:
        raise ConfigError("`evidence` is empty", where=str(content.file), todo="Name the features that people should see beside a segment.")
    return tuple(evidence)


def _segment(content: Section, names: Mapping[str, Kind], place: str) -> Segment:
    texts = {key: content.take(key, str) for key in ("id", "title", "description")}
    rule_text = content.take("rule", str, default="")
    is_otherwise = content.take("otherwise", bool, default=False)
    crosswalk = content.take("crosswalk", dict, default={})
    content.refuse_the_rest()
    _require_texts(crosswalk.values(), "`crosswalk`", place)
    require_identifier(texts["id"], "`id`", place)
    if is_otherwise == bool(rule_text):
        raise ConfigError("a segment has either a `rule` or `otherwise = true`", where=place, todo="Write one of them.")
    rule = parse_rule(rule_text, names, where=place) if rule_text else None
    return Segment(**texts, rule_text=rule_text, rule=rule, crosswalk=crosswalk)


def _require_texts(values: Iterable[object], what: str, where: str) -> None:
    if not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{what} holds something that is not text", where=where, todo='Write "text" in double quotes.')


def _require_distinct(segments: Sequence[Segment], places: Sequence[str]) -> None:
    ids = [segment.id for segment in segments]
    for index, name in enumerate(ids):
        if name in ids[:index]:
            raise ConfigError(f"two segments are called `{name}`", where=places[index], todo="Rename one of them.")
