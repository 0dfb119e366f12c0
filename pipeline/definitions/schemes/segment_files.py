"""The parts of a definition file: its segments one by one, what is shown as evidence, and where each part stands."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from sqlglot import exp

from pipeline.definitions.definition_files import Definition
from pipeline.definitions.fields import Fields, require_identifier
from pipeline.definitions.rules import Vocabulary, parse_rule, parse_score
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE, Segment, Signals
from pipeline.definitions.schemes.strategies import read_strategy, read_translated_text
from pipeline.definitions.toml_lines import setting_line
from pipeline.definitions.translations import Translations
from pipeline.errors import ConfigError, ErrorCollector
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

# Doubles print differently from engine to engine, and what counts days up to now changes every night.
EVIDENCE_KINDS = (Kind.INTEGER, Kind.DATE, Kind.TEXT, Kind.MONEY, Kind.FLAG)
AGEING_FEATURES = ("recency_days", "tenure_days")
_DECISIVE_LINE = re.compile(r"\s*(rule|score|signals|below)\s*=")


@dataclass(frozen=True, slots=True)
class FileContext:
    """What reading a part of a file needs: its text, what rules may name, the own language, and `where`, the place that messages name.

    `fixed` are the translations of segments that no file names.
    """

    definition: Definition
    vocabulary: Vocabulary
    language: str
    where: str = ""
    fixed: Translations = ()

    def at_line(self, where: str) -> FileContext:
        """Return this context with the line of one part."""
        return replace(self, where=where)

    def line_of(self, key: str) -> str:
        """Return `file:line` of the first line that gives the setting `key`, or the file alone."""
        lines = self.definition.text.splitlines()
        number = next((number for number, line in enumerate(lines, 1) if re.match(rf"\s*{key}\s*=", line)), 0)
        return f"{self.definition.file}:{number}" if number else str(self.definition.file)


def segment_locations(definition: Definition, count: int) -> list[str]:
    """Return `file:line` of each [[segment]]: of the line that decides it, else of its first."""
    # The TOML reader does not tell lines, so they are looked for in the text; where that finds another number of segments (one
    # within a multi-line string, say), messages name the file alone.
    found: list[int] = []
    for number, line in enumerate(definition.text.splitlines(), 1):
        if line.strip().startswith("[[segment]]"):
            found.append(number)
        elif found and _DECISIVE_LINE.match(line):
            found[-1] = number
    file: Path = definition.file
    if len(found) == count:
        return [f"{file}:{line}" for line in found]
    inline = [setting_line(definition.text, f"segment {number}: id") for number in range(1, count + 1)]
    return [f"{file}:{line}" if line else str(file) for line in inline]


def read_evidence(content: Fields, names: Mapping[str, Kind]) -> tuple[str, ...]:
    """Return the features shown beside a segment; raises ConfigError for those that would differ by engine or by night."""
    content.note_entries("evidence", kinds=frozenset({str}))
    evidence = content.take("evidence", list)
    _require_texts(evidence, "`evidence`", content.where)
    for name in evidence:
        kind = names.get(name)
        if kind is None or "." in name:
            todo = "Name a feature or an attribute; declare it under [needs] where a company may lack it."
            raise ConfigError(f"evidence `{name}` is unknown{did_you_mean(name, names)}", where=content.where, todo=todo)
        if kind not in EVIDENCE_KINDS or name in AGEING_FEATURES:
            raise ConfigError(
                f"`{name}` cannot be evidence: it changes every night or prints differently from engine to engine",
                where=content.where,
                todo="Name dates, counts, exact amounts, texts or flags, such as last_order_date.",
            )
    if not evidence:
        raise ConfigError("`evidence` is empty", where=content.where, todo="Name the features that people should see beside a segment.")
    return tuple(evidence)


def read_segment(content: Fields, context: FileContext, *, is_scored: bool, is_tier: bool) -> Segment:
    """Return one segment; raises ConfigError where it lacks something or has what its scheme does not know."""
    content.note_named("crosswalk", kinds=frozenset({str}))
    title, titles = read_translated_text(content, "title", context.language)
    description, descriptions = read_translated_text(content, "description", context.language)
    found, strategy = ErrorCollector(), None
    name = content.take("id", str)
    crosswalk = content.take("crosswalk", dict, default={})
    with found.collecting():
        strategy = read_strategy(content, context.language)
    segment = Segment(
        id=name,
        title=title,
        description=description,
        titles=titles,
        descriptions=descriptions,
        crosswalk=crosswalk,
        strategy=strategy,
    )
    with found.collecting():
        require_identifier(segment.id, "`id`", context.where)
        _require_texts(segment.crosswalk.values(), "`crosswalk`", context.where)
        if is_tier:
            content.note("below", low=0, high=1)
            below = content.take("below", (int, float), default=None)
            segment = replace(segment, below=None if below is None else float(below))
        else:
            segment = _read_decision(segment, content, context, is_scored=is_scored)
        content.refuse_unknown()
    found.raise_first()
    return segment


def _read_decision(segment: Segment, content: Fields, context: FileContext, *, is_scored: bool) -> Segment:
    rule_text = content.take("rule", str, default="")
    is_otherwise = content.take("otherwise", bool, default=False)
    score_text = content.take("score", str, default="") if is_scored else ""
    signals = _read_signals(content, context) if is_scored else None
    competes = bool(score_text) + (signals is not None)
    is_before = segment.id == INSUFFICIENT_EVIDENCE and bool(rule_text)
    ways = competes + is_otherwise + (is_before if is_scored else bool(rule_text))
    if ways != 1 or (is_otherwise and rule_text):
        what = "a `score` or `signals`, beside a `rule` or none," if is_scored else "a `rule`"
        raise ConfigError(f"a segment has either {what} or `otherwise = true`", where=context.where, todo="Write one of them.")
    return replace(
        segment,
        rule_text=rule_text,
        rule=parse_rule(rule_text, context.vocabulary, where=context.where) if rule_text else None,
        score_text=score_text,
        score=parse_score(score_text, context.vocabulary, where=context.where) if score_text else None,
        signals=signals,
    )


def _read_signals(content: Fields, context: FileContext) -> Signals | None:
    content.note_entries("signals", kinds=frozenset({str}))
    content.note("needed", kinds=frozenset({int}), low=1)
    texts = content.take("signals", list, default=[])
    if not texts:
        return None
    _require_texts(texts, "`signals`", context.where)
    needed = content.take("needed", int, default=len(texts))
    if not 1 <= needed <= len(texts):
        raise ConfigError("`needed` must lie between 1 and the number of signals", where=context.where, todo="Correct the number.")
    conditions: tuple[exp.Expression, ...] = tuple(parse_rule(text, context.vocabulary, where=context.where) for text in texts)
    return Signals(tuple(texts), conditions, needed)


def eligibility_condition(segment: Segment) -> exp.Expr | None:
    """Return the condition under which a segment may have somebody; None for the one that takes everybody left over."""
    parts: list[exp.Expr] = [] if segment.rule is None else [segment.rule]
    if segment.signals is not None:
        # Written out, since proofs go through AND, OR and NOT, and know nothing of counting.
        enough = combinations(segment.signals.conditions, segment.signals.needed)
        parts.append(exp.or_(*(exp.and_(*shown) for shown in enough), copy=False))
    if segment.score is not None and not parts:
        return exp.true()
    if len(parts) == 1:
        return parts[0]  # as it is: of all that a scheme takes to load, copies of its rules would be an eighth
    return exp.and_(*parts) if parts else None


def _require_texts(values: Iterable[object], what: str, where: str) -> None:
    if not all(isinstance(value, str) for value in values):
        raise ConfigError(f"{what} holds something that is not text", where=where, todo='Write "text" in double quotes.')
