"""Segments that no file names, as they are in schemes whatever the customers are: what is other, what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE, OTHER, UNKNOWN, Segment
from pipeline.definitions.translations import SOURCE_LANGUAGE, Translations

UNCLUSTERED = "unclustered"
RULE = "{rule}"
TITLES = {OTHER: "Other", UNKNOWN: "Unknown", INSUFFICIENT_EVIDENCE: "Insufficient evidence", UNCLUSTERED: "Not clustered"}
DESCRIPTIONS = {
    OTHER: "Values of too few customers, or of fewer and less spend than those with a segment of their own; and what is called other.",
    UNKNOWN: "Cannot be told: the attribute is not known of the customer.",
    INSUFFICIENT_EVIDENCE: f"Not (yet) so: {RULE}.",
}


def fixed_segments(names: Sequence[str], rule_text: str, translations: Translations, language: str) -> tuple[Segment, ...]:
    """Return the segments that a scheme of values has beside those of its values, in the company's `language` and in others."""
    segments = []
    for name in (*names, *([INSUFFICIENT_EVIDENCE] if rule_text else [])):
        titles = texts_of_fixed(name, "title", TITLES, translations)
        descriptions = texts_of_fixed(name, "description", DESCRIPTIONS, translations)
        descriptions = {each: text.replace(RULE, rule_text) for each, text in descriptions.items()}
        title, description = (texts.pop(language, texts[SOURCE_LANGUAGE]) for texts in (titles, descriptions))
        segments.append(Segment(name, title, description, titles=_others(titles, title), descriptions=_others(descriptions, description)))
    return tuple(segments)


def texts_of_fixed(segment: str, key: str, source: Mapping[str, str], translations: Translations) -> dict[str, str]:
    """Return a text of one of these segments by language."""
    place = f"segment.{segment}.{key}"
    return {SOURCE_LANGUAGE: source[segment]} | {language: dict(texts)[place] for language, texts in translations if place in dict(texts)}


def _others(texts: Mapping[str, str], own: str) -> dict[str, str]:
    return {language: text for language, text in texts.items() if text != own}
