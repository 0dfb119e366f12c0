"""The catalogue of schemes as one Markdown document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from pipeline.reporting.applies_to import applies_to_words
from pipeline.reporting.catalog import ASSUMPTIONS, PROOFS, AudienceEntry, Catalog, SchemeEntry, SegmentEntry, StrategyCard
from pipeline.reporting.cluster_figures import NOTE, profile_lines

CARD_COLUMNS = ("message", "promotion", "product_offer", "price", "channel", "service")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def to_markdown(catalog: Catalog) -> str:
    """Write the document: a chapter per level, a section per scheme, tables of segments and strategies."""
    fresh = f"As of {catalog.day} (publication `{catalog.publication_id}`)." if catalog.day else "No night is published yet: no sizes."
    parts = [f"# Customer segments of {_escaped_text(catalog.company)}", fresh]
    # The catalogue is sorted by level, so that each level is one group.
    for level, entries in groupby(catalog.schemes, key=lambda entry: entry.level):
        parts.append(f"## {level.capitalize()}")
        parts += [part for entry in entries for part in _scheme_parts(entry)]
    if catalog.audiences:
        parts += ["## Audiences", _audience_table(catalog.audiences)]
        cards = [(entry.title, entry.card) for entry in catalog.audiences if entry.card]
        parts += [_card_table(cards)] if cards else []
    if catalog.gone:
        parts.append(f"Live, but defined no more: {_code_list(catalog.gone)}.")
    return "\n\n".join(parts) + "\n"


def _scheme_parts(entry: SchemeEntry) -> Iterator[str]:
    yield f"### {_escaped_text(entry.title)} (`{entry.scheme}`)"
    yield _escaped_text(entry.question)
    yield "\n".join(f"- {fact}" for fact in _scheme_facts(entry))
    yield _segment_table(entry.segments)
    # The card of the scheme would repeat itself for most segments: it is shown once, after those that differ.
    cards = [(segment.title, segment.card) for segment in entry.segments if segment.card and segment.card != entry.card]
    if entry.card:
        cards.append(("Every segment without a strategy of its own", entry.card))
    if cards:
        yield _card_table(cards)


def _scheme_facts(entry: SchemeEntry) -> Iterator[str]:
    if entry.applies_to:
        words = applies_to_words(_inline_code(entry.applies_to), entry.outside_count)
        yield f"{words[0].upper()}{words[1:]}."
    yield f"Decided: {_escaped_text(entry.decision)}."
    if entry.kind != "clusters":
        yield f"Total and disjoint: {PROOFS[entry.proof]}."
    if any(segment.profile for segment in entry.segments):
        yield f"{NOTE[0].upper()}{NOTE[1:]}."
    if entry.undecided:
        yield f"Only customers can tell whether anybody is in {_code_list(entry.undecided)}."
    if entry.state == "not computed":
        yield f"**Not computed**: {_escaped_text(entry.reason)}."
    if entry.state in ("changed", "new"):
        yield "Defined otherwise since the last night." if entry.state == "changed" else "No night has told it yet."
    for what, names in (("Goes by", entry.features), ("Evidence", entry.evidence)):
        if names:
            yield f"{what}: {_code_list(names)}."
    if entry.parameters:
        yield f"Parameters: {_parameter_list(entry.parameters)}."
    yield f"Defined in `{entry.file}`."


def _segment_table(segments: Iterable[SegmentEntry]) -> str:
    rows = [("Segment", "Who", "Rule", "Customers", "Share", "Revenue"), ("---", "---", "---", "---:", "---:", "---:")]
    for segment in segments:
        # A segment that is a value is its own title: its id would say the same again.
        is_defined = bool(segment.rule or segment.description)
        title = _escaped_text(segment.title) + (f" (`{segment.segment}`)" if is_defined else "")
        rule = _inline_code(segment.words) if segment.rule else _escaped_text(segment.words)
        if segment.parameters:
            rule = f"{rule} with {_parameter_list(segment.parameters)}"
        rule = "<br>".join([rule, *map(_escaped_text, profile_lines(segment.profile))])
        size = segment.size
        sizes = (f"{size.customer_count:,}", _percent_text(size.customer_share), _percent_text(size.spend_share)) if size else ("",) * 3
        rows.append((title, _escaped_text(segment.description), rule, *sizes))
    return _markdown_table(rows)


def _audience_table(entries: Iterable[AudienceEntry]) -> str:
    rows = [("Audience", "Rule", "Owner", "Customers", "Share", "Revenue", "Unknown"), (*("---",) * 3, *("---:",) * 4)]
    for entry in entries:
        size = entry.size
        sizes = (f"{size.customer_count:,}", _percent_text(size.customer_share), _percent_text(size.spend_share)) if size else ("",) * 3
        unknown = "" if entry.unknown_count is None else f"{entry.unknown_count:,}"
        named = f"{_escaped_text(entry.title)} (`{entry.audience}`): {_escaped_text(entry.purpose)}"
        owner = _escaped_text(entry.owner) + (f", until {entry.expires}" if entry.expires else "")
        rows.append((named, _audience_rule(entry), owner, *sizes, unknown))
    return _markdown_table(rows)


def _audience_rule(entry: AudienceEntry) -> str:
    """Show whom an audience takes and, unless it is live as defined, what it is."""
    rule = _inline_code(entry.rule) + (f" of those with {_inline_code(entry.applies_to)}" if entry.applies_to else "")
    rule += f" with {_parameter_list(entry.parameters)}" if entry.parameters else ""
    state = f"; **{entry.state}**" if entry.state != "live" else ""
    return f"{rule}{state}{f': {_escaped_text(entry.reason)}' if entry.reason else ''}"


def _card_table(cards: Iterable[tuple[str, StrategyCard]]) -> str:
    names = [name.replace("_", " ").capitalize() for name in CARD_COLUMNS]
    rows = [("What to do", *names, "Only for", "Priority", "Budget"), ("---",) * (len(names) + 2) + ("---:", "---:")]
    for title, card in cards:
        texts = (_escaped_text(card.texts[name]) for name in CARD_COLUMNS)
        rows.append((_escaped_text(title), *texts, ASSUMPTIONS.get(card.assumes, ""), str(card.priority), f"{card.budget_share:.0%}"))
    return _markdown_table(rows)


def _markdown_table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _percent_text(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _parameter_list(parameters: Mapping[str, object]) -> str:
    return ", ".join(_inline_code(f"@{name} = {value}") for name, value in parameters.items())


def _code_list(names: Iterable[str]) -> str:
    return ", ".join(_inline_code(name) for name in names)


def _inline_code(text: str) -> str:
    """Make `text` code within a table cell: a backtick in it would end the code, so it becomes a quote."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _escaped_text(text: str) -> str:
    """Put `text` on one line with everything escaped that Markdown would take for its own."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
