"""Audiences as files: `audiences/<audience>.toml` in the company's folder, read and proven possible.

Their rules are those of schemes, and may look at the segment of any scheme. No scheme looks at an audience.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlglot import exp

from pipeline.definitions.audiences.named_audiences import audiences_in_order, audiences_in_rules, audiences_named, rules_by_audience
from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.features import feature_digests
from pipeline.definitions.fields import Document, Fields, printable_value, require_identifier
from pipeline.definitions.proofs import require_possible
from pipeline.definitions.rules import parse_rule
from pipeline.definitions.schemes.loading import (
    SchemeInputs,
    domains_of_references,
    features_named,
    read_schemes,
    require_parameters_used,
)
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX, referenced_schemes
from pipeline.definitions.schemes.scheme import AudienceTerms, Scheme, Schemes, Segment
from pipeline.definitions.schemes.scheme_vocabulary import LoadedSchemes, clusters_referred_to, read_vocabulary, schemes_referred_to
from pipeline.definitions.schemes.score_methods import methods_of_scheme, scores_named
from pipeline.definitions.schemes.segment_files import FileContext
from pipeline.definitions.schemes.strategies import Strategy, read_strategy, read_translated_text
from pipeline.errors import ConfigError, ErrorCollector, OnError, PipelineError, raise_error
from pipeline.spelling import did_you_mean

MEMBER = "member"
UNNAMED = "unnamed"
_SEGMENT_TODO = "Write it as scheme.segment, such as lifecycle.at_risk."


@dataclass(frozen=True, slots=True)
class _AudienceInputs:
    """All that audiences depend on beside schemes: two companies that say the same have the same audiences."""

    schemes: SchemeInputs
    definitions: tuple[Definition, ...]
    declared: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, company: Company, definitions: tuple[Definition, ...]) -> _AudienceInputs:
        """Return what the audiences of `definitions` depend on: beside schemes, the declared features that they name."""
        return cls(SchemeInputs.of(company), definitions, features_named(company, definitions))


def load_audiences(company: Company) -> Schemes:
    """Return the company's audiences, each as a scheme with one segment, by name; expired ones are among them.

    Raises ConfigError naming file and line where a definition is wrong, or nobody can ever be in the audience.
    """
    definitions = tuple(company.definitions("audiences", ".toml").values())
    if not definitions:
        return Schemes((), {})
    return _audiences_of_inputs(_AudienceInputs.of(company, definitions))


def has_expired(audience: Scheme, day: date) -> bool:
    """Whether the last night on which an audience is published lies before `day`."""
    return audience.audience is not None and audience.audience.expires is not None and audience.audience.expires < day


def expiry_words(audience: Scheme) -> str:
    """Say since when an audience is published no more."""
    return f"expired after {audience.audience.expires}, which was its last night" if audience.audience else ""


@lru_cache(maxsize=8)
def _audiences_of_inputs(inputs: _AudienceInputs) -> Schemes:
    """Return the audiences; cached, as a night asks for them in several steps."""
    audiences = list(read_each_audience(read_schemes(inputs.schemes.company), inputs.definitions).values())
    reasons = {each.name: f"needs {', '.join(each.missing)}" for each in audiences if each.missing}
    return Schemes(tuple(each for each in audiences if not each.missing), reasons, tuple(each for each in audiences if each.missing))


def read_each_audience(loaded: LoadedSchemes, definitions: Sequence[Definition], on_error: OnError = raise_error) -> dict[str, Scheme]:
    """Return the audiences that can be read by name, each after those that its rules name.

    `on_error` is handed the name and the fault of each other one; by default it is raised. What names an audience that could not be
    read is left out without a word: nobody knows whether it is right.
    """
    by_name: dict[str, Scheme | None] = {definition.file.stem: None for definition in definitions}
    left_out: set[str] = set()
    for definition in audiences_in_order(definitions):
        name = definition.file.stem
        if left_out.intersection(audiences_in_rules(definition)):
            left_out.add(name)
            continue
        try:
            by_name[name] = read_audience(loaded, definition, others=by_name)
        except PipelineError as error:
            on_error(name, error)
            left_out.add(name)
    return {name: audience for name, audience in sorted(by_name.items()) if audience is not None}


def audience_of_rule(company: Company, rule: str) -> Scheme:
    """Return the audience of a rule that no file holds; raises ConfigError, with a caret, as for a rule of a file."""
    audiences = load_audiences(company) if audiences_named([rule]) else Schemes((), {})
    others = {each.name: each for each in (*audiences.schemes, *audiences.uncomputed)}
    return read_rule_as_audience(read_schemes(company), rule, others)


def read_rule_as_audience(loaded: LoadedSchemes, rule: str, others: Mapping[str, Scheme]) -> Scheme:
    """Return what `audience_of_rule` does, of schemes that are loaded already, and with the audiences that the rule may name."""
    values = {"title": UNNAMED, "purpose": "To be counted.", "owner": UNNAMED, "rule": rule}
    return read_audience(loaded, Definition(Path(UNNAMED), ""), values=values, others=others)


def read_audience(
    loaded: LoadedSchemes,
    definition: Definition,
    *,
    values: dict[str, Any] | None = None,
    others: Mapping[str, Scheme | None] | None = None,
) -> Scheme:
    """Return the audience that a file defines, or that has these `values`; its rules may name `others`, each after it was read.

    Raises ConfigError naming file and line of what is wrong.
    """
    name, language = definition.file.stem, loaded.company.language
    where = "RULE" if values else str(definition.file)
    content = Fields(definition.toml() if values is None else values, Document(where))
    require_identifier(name, "the file's name", where)
    if name in loaded.schemes or name in loaded.clusters:
        what = f"the audience `{name}` has the name of a scheme"
        raise ConfigError(what, where=where, todo="Rename one of the two files: both are told of by name.")
    rule_text, segment = _read_rule_text(loaded, content)
    applies_text = content.take("applies_to", str, default="")
    # Of both texts, before either is parsed: which names a rule may use depends on the schemes that it refers to.
    others = others or {}
    looked_at = {each: other for each in audiences_named([rule_text, applies_text]) if (other := others.get(each)) is not None}
    behind = (name for other in looked_at.values() for name in (*other.references, *other.clusters))
    named = sorted({*referenced_schemes({"rule": rule_text, "applies_to": applies_text}), *behind})
    vocabulary, quantiles, missing = read_vocabulary(loaded, content, named, (rule_text, applies_text))
    missing = tuple(dict.fromkeys((*missing, *(each for other in looked_at.values() for each in other.missing))))
    vocabulary = replace(vocabulary, audiences=rules_by_audience(others, looked_at, where))
    context = FileContext(definition, vocabulary, language)
    title, titles = read_translated_text(content, "title", language)
    purpose, purposes = read_translated_text(content, "purpose", language)
    # What does not depend on what is wrong is read all the same: whoever mends a file wants to hear of all of it.
    found, strategy, condition_text = ErrorCollector(), None, ""
    condition: exp.Expression = exp.true()
    with found.collecting():
        condition_text, condition = _read_condition(applies_text, rule_text, context, where)
    terms = AudienceTerms(
        owner=content.text("owner"),
        expires=content.take("expires", date, default=None),
        rule_text=rule_text,
        applies_to_text=applies_text,
    )
    with found.collecting():
        strategy = _read_card(loaded, content, segment)
    with found.collecting():
        content.refuse_unknown()
    found.raise_first()
    scores = scores_named([condition], ())
    named_features = {column.name for column in condition.find_all(exp.Column)}
    audience = Scheme(
        name=name,
        title=title,
        titles=titles,
        level="",
        question=purpose,
        questions=purposes,
        kind="rules",
        evidence=(),
        segments=(Segment(MEMBER, title, purpose, titles=titles, descriptions=purposes),),
        file=definition.file,
        missing=missing,
        applies_to_text=condition_text,
        applies_to=condition,
        strategy=strategy,
        parameters={**vocabulary.parameters, **quantiles},
        quantiles=quantiles,
        # Needed only to read the rule again once a night knows its quantiles.
        vocabulary=vocabulary if quantiles else None,
        references=schemes_referred_to(loaded, named),
        clusters=clusters_referred_to(loaded, named),
        scores=scores,
        score_methods=methods_of_scheme(name, scores, {}, loaded.score_methods, where),
        audience=terms,
        declared={each: digest for each, digest in feature_digests(loaded.company.features).items() if each in named_features},
    )
    require_parameters_used(audience, definition.text)
    domains, impossible = domains_of_references(loaded, audience, vocabulary), "the rule never holds, so that it takes nobody"
    require_possible(condition, domains, where=_place(context, "rule", where), what=impossible)
    return audience


def _read_rule_text(loaded: LoadedSchemes, content: Fields) -> tuple[str, str]:
    """Return the rule as written, or that of `segment`, which names the segment of a scheme; and that name, if any."""
    has_rule, has_segment = content.has("rule"), content.has("segment")
    if has_rule == has_segment:
        raise content.error("an audience has either a `rule` or a `segment`", "Write one of them.")
    if has_rule:
        return content.take("rule", str), ""
    named = content.take("segment", str)
    scheme, _, segment = named.partition(".")
    if scheme not in (*loaded.schemes, *loaded.clusters) or not segment:
        names = [f"{name}.{each.id}" for name, other in loaded.schemes.items() for each in other.segments]
        what = f"is {printable_value(named)}, which is no segment of this company{did_you_mean(named, names)}"
        raise content.refusal("segment", what, _SEGMENT_TODO)
    # As a rule like any other, so that proofs, plans and explanations need to know of no second kind.
    quoted = segment.replace("'", "''")
    return f"{scheme}{SEGMENT_SUFFIX} = '{quoted}'", named


def _read_condition(applies_text: str, rule_text: str, context: FileContext, where: str) -> tuple[str, exp.Expression]:
    """Return what `applies_to` and the rule say together, as text and as a checked tree."""
    # Each is checked by itself first, so that an error points into what was written.
    rule = parse_rule(rule_text, context.vocabulary, where=_place(context, "rule", where))
    if not applies_text:
        return rule_text, rule
    parse_rule(applies_text, context.vocabulary, where=_place(context, "applies_to", where))
    # In brackets: an OR in either would else take part in the AND.
    together = f"({applies_text}) AND ({rule_text})"
    return together, parse_rule(together, context.vocabulary, where=where)


def _place(context: FileContext, key: str, where: str) -> str:
    """Return the line of the setting, or of `segment` in the place of a rule; `where` for a rule that no file holds."""
    if not context.definition.text:
        return where
    found = context.line_of(key)
    return context.line_of("segment") if key == "rule" and found == str(context.definition.file) else found


def _read_card(loaded: LoadedSchemes, content: Fields, segment: str) -> Strategy | None:
    """Return the card that the file holds, or that of the segment that it names, by `strategy` or else by `segment`."""
    given = content.take("strategy", (str, dict), default={})
    if isinstance(given, dict):
        own = read_strategy(Fields({"strategy": given}, content.document), loaded.company.language)
        return own or _card_of_segment(loaded, segment)
    card = _card_of_segment(loaded, given)
    if card is None:
        known = [f"{name}.{each.id}" for name, other in loaded.schemes.items() for each in other.segments if each.strategy]
        what = f"is {printable_value(given)}, which has no card{did_you_mean(given, known)}"
        raise content.refusal("strategy", what, f"{_SEGMENT_TODO} Or write a card of its own under [strategy].")
    return card


def _card_of_segment(loaded: LoadedSchemes, named: str) -> Strategy | None:
    name, _, segment = named.partition(".")
    scheme = loaded.schemes.get(name)
    if scheme is None:
        return None
    own = next((each for each in scheme.segments if each.id == segment), None)
    if own is None and scheme.is_closed:
        return None
    return (own.strategy if own else None) or scheme.strategy
