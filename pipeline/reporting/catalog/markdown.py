"""The catalogue of schemes as one Markdown document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from pipeline.reporting.catalog import PROOFS, Card, Catalog, SchemeEntry, SegmentEntry, Size

CARD_COLUMNS = ("message", "promotion", "product_offer", "price", "channel", "service")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def to_markdown(catalog: Catalog) -> str:
    """Return the document: a chapter per level, a section per scheme, tables of segments and strategies."""
    fresh = f"As of {catalog.day} (publication `{catalog.publication_id}`)." if catalog.day else "No night is published yet: no sizes."
    parts = [f"# Customer segments of {_plain(catalog.company)}", fresh]
    for level, entries in groupby(catalog.schemes, key=lambda entry: entry.level):
        parts.append(f"## {level.capitalize()}")
        parts += [part for entry in entries for part in _scheme(entry)]
    if catalog.gone:
        parts.append(f"Live, but defined no more: {_codes(catalog.gone)}.")
    return "\n\n".join(parts) + "\n"


def _scheme(entry: SchemeEntry) -> Iterator[str]:
    yield f"### {_plain(entry.title)} (`{entry.scheme}`)"
    yield _plain(entry.question)
    yield "\n".join(f"- {fact}" for fact in _facts(entry))
    yield _segments(entry.segments)
    cards = [(segment.title, segment.card) for segment in entry.segments if segment.card and segment.card != entry.card]
    if entry.card:
        cards.append(("Every segment without a strategy of its own", entry.card))
    if cards:
        yield _cards(cards)


def _facts(entry: SchemeEntry) -> Iterator[str]:
    yield f"Decided: {_plain(entry.decision)}."
    if entry.kind != "clusters":
        yield f"Total and disjoint: {PROOFS[entry.proof]}."
    if entry.undecided:
        yield f"Only customers can tell whether anybody is in {_codes(entry.undecided)}."
    if entry.state == "not computed":
        yield f"**Not computed**: {_plain(entry.reason)}."
    if entry.state in ("changed", "new"):
        yield "Defined otherwise since the last night." if entry.state == "changed" else "No night has told it yet."
    for what, names in (("Goes by", entry.features), ("Evidence", entry.evidence)):
        if names:
            yield f"{what}: {_codes(names)}."
    if entry.parameters:
        yield f"Parameters: {_parameters(entry.parameters)}."
    yield f"Defined in `{entry.file}`."


def _segments(segments: Iterable[SegmentEntry]) -> str:
    rows = [("Segment", "Who", "Rule", "Customers", "Share", "Revenue"), ("---", "---", "---", "---:", "---:", "---:")]
    for segment in segments:
        title = f"{_plain(segment.title)} (`{segment.segment}`)" if segment.rule or segment.description else _plain(segment.title)
        rows.append((title, _plain(segment.description), _rule(segment), *_size(segment.size)))
    return _table(rows)


def _rule(segment: SegmentEntry) -> str:
    rule = _code(segment.words) if segment.rule else _plain(segment.words)
    return f"{rule} with {_parameters(segment.parameters)}" if segment.parameters else rule


def _cards(cards: Iterable[tuple[str, Card]]) -> str:
    names = [name.replace("_", " ").capitalize() for name in CARD_COLUMNS]
    rows = [("What to do", *names, "Priority", "Budget"), ("---",) * (len(names) + 1) + ("---:", "---:")]
    for title, card in cards:
        texts = (_plain(card.texts[name]) for name in CARD_COLUMNS)
        rows.append((_plain(title), *texts, str(card.priority), f"{card.budget_share:.0%}"))
    return _table(rows)


def _table(rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _size(size: Size | None) -> tuple[str, str, str]:
    if size is None:
        return "", "", ""
    return f"{size.customer_count:,}", _percent(size.customer_share), _percent(size.spend_share)


def _percent(share: float | None) -> str:
    return "" if share is None else f"{share:.1%}"


def _parameters(parameters: Mapping[str, object]) -> str:
    return ", ".join(_code(f"@{name} = {value}") for name, value in parameters.items())


def _codes(names: Iterable[str]) -> str:
    return ", ".join(_code(name) for name in names)


def _code(text: str) -> str:
    """Return `text` as code within a table cell; a backtick in it would end the code, so it becomes a quote."""
    return f"`{' '.join(text.split()).replace('`', chr(39)).replace('|', chr(92) + '|')}`"


def _plain(text: str) -> str:
    """Return `text` as it is meant, on one line: nothing in it is Markdown."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
