"""The catalogue of schemes for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.applies_to import applies_to_words
from pipeline.reporting.catalog import ASSUMPTIONS, PROOFS, AudienceEntry, Catalog, SchemeEntry, SegmentEntry, StrategyCard
from pipeline.reporting.cluster_figures import NOTE, profile_lines
from pipeline.reporting.terminal import print_parts
from pipeline.spelling import printable_line

STATES = {
    "live": ("live as defined", "green"),
    "changed": ("defined otherwise since the last night", "yellow"),
    "new": ("no night has told it yet", "yellow"),
    "not computed": ("not computed", "red"),
    "expired": ("published no more", "red"),
}


def print_catalog(catalog: Catalog, *, whole_cards: bool) -> None:
    """Print the catalogue; with `whole_cards` every text of the strategies, else what to say alone."""
    print_parts(render(catalog, whole_cards=whole_cards))


def render(catalog: Catalog, *, whole_cards: bool) -> Iterator[RenderableType]:
    """Yield what to print, scheme by scheme."""
    yield _catalog_title(catalog)
    # A scheme that is not computed has no sizes to show: one line each says why, unless somebody wants its cards.
    without_data = [entry for entry in catalog.schemes if entry.reason and not whole_cards]
    for entry in catalog.schemes:
        if entry not in without_data:
            yield from _render_scheme(entry, whole_cards=whole_cards)
    if without_data:
        yield _not_computed_grid(without_data)
    if catalog.audiences:
        yield _audience_grid(catalog.audiences)
    if whole_cards:
        yield from (_card_grid(f"{each.title}  {each.audience}", each.purpose, each.card) for each in catalog.audiences if each.card)
    if catalog.gone:
        yield Text(f"\nLive, but defined no more: {', '.join(catalog.gone)}", style="yellow")


def _catalog_title(catalog: Catalog) -> Text:
    count = sum(len(entry.segments) for entry in catalog.schemes)
    schemes = "1 scheme" if len(catalog.schemes) == 1 else f"{len(catalog.schemes)} schemes"
    audiences = len(catalog.audiences)
    counted = f", {audiences:,} audience{'s' if audiences > 1 else ''}" if audiences else ""
    fresh = f"as of {catalog.day} ({catalog.publication_id})" if catalog.day else "no night is published yet, so there are no sizes"
    return Text.assemble((catalog.company, "bold"), f": {schemes}, {count:,} segments{counted}, {fresh}")


def _render_scheme(entry: SchemeEntry, *, whole_cards: bool) -> Iterator[RenderableType]:
    words, style = STATES[entry.state]
    yield Text.assemble("\n", (entry.title, "bold"), "  ", (entry.scheme, "cyan"), f"  {entry.level}  ", (words, style))
    yield Text(entry.question, style="italic")
    if entry.reason:
        yield Text(entry.reason, style="red")
    yield Text("; ".join(_scheme_facts(entry)), style="dim")
    if entry.card:
        yield Text(_card_message(entry.card), style="dim")
    yield _segment_grid(entry)
    if whole_cards:
        yield from _card_grids(entry)


def _audience_grid(entries: Sequence[AudienceEntry]) -> Grid:
    title = Text("Audiences", style="bold")
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    grid.add_column("Audience", ratio=2, overflow="fold")
    grid.add_column("Whom it takes, what for, and whose it is", ratio=5, overflow="fold")
    for name in ("Customers", "Share", "Revenue", "Unknown"):
        grid.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for entry in entries:
        size, unknown = entry.size, "-" if entry.unknown_count is None else f"{entry.unknown_count:,}"
        sizes = (f"{size.customer_count:,}", _percent_text(size.customer_share), _percent_text(size.spend_share)) if size else ("-",) * 3
        named = Text.assemble(printable_line(entry.title), "\n", (entry.audience, "cyan"))
        grid.add_row(named, _audience_words(entry), *sizes, unknown)
    return grid


def _audience_words(entry: AudienceEntry) -> Text:
    words = Text(" ".join(entry.rule.split()))
    if entry.applies_to:
        words.append(f" of those with {' '.join(entry.applies_to.split())}")
    expires = f", published until {entry.expires}" if entry.expires else ""
    words.append(f"\n{entry.purpose} {entry.owner}{expires}; {entry.file}", style="dim")
    state, style = STATES[entry.state]
    words.append(f"\n{state}{f': {entry.reason}' if entry.reason else ''}", style=style)
    if entry.card:
        words.append(f"\n{_card_message(entry.card)}", style="dim")
    return words


def _not_computed_grid(entries: Sequence[SchemeEntry]) -> Grid:
    title = Text("Not computed, since the company does not supply what they need", style="bold")
    grid = Grid(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("Title", "Scheme", "Why"):
        grid.add_column(name, overflow="fold")
    for entry in entries:
        grid.add_row(entry.title, Text(entry.scheme, style="cyan"), entry.reason)
    return grid


def _scheme_facts(entry: SchemeEntry) -> Iterator[str]:
    if entry.applies_to:
        yield applies_to_words(entry.applies_to, entry.outside_count)
    yield entry.decision
    if entry.kind != "clusters":
        yield PROOFS[entry.proof]
    if any(segment.profile for segment in entry.segments):
        yield NOTE
    if entry.undecided:
        yield f"only customers can tell whether anybody is in {', '.join(entry.undecided)}"
    if entry.features:
        yield f"goes by {', '.join(entry.features)}"
    if entry.evidence:
        yield f"evidence {', '.join(entry.evidence)}"
    yield entry.file


def _segment_grid(entry: SchemeEntry) -> Grid:
    grid = Grid(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    grid.add_column("Segment", ratio=2, overflow="fold")
    grid.add_column("Who, and what to tell them", ratio=5, overflow="fold")
    for name in ("Customers", "Share", "Revenue"):
        grid.add_column(name, justify="right", no_wrap=True, min_width=len(name))
    for segment in entry.segments:
        size = segment.size
        sizes = (f"{size.customer_count:,}", _percent_text(size.customer_share), _percent_text(size.spend_share)) if size else ("-",) * 3
        grid.add_row(printable_line(segment.title), _segment_words(segment, entry.card), *sizes)
    return grid


def _segment_words(segment: SegmentEntry, shared: StrategyCard | None) -> Text:
    words = Text(printable_line(segment.words))
    if segment.parameters:
        words.append(f" ({', '.join(f'@{name} = {value}' for name, value in segment.parameters.items())})", style="cyan")
    for line in profile_lines(segment.profile):
        words.append(f"\n{printable_line(line)}")
    if segment.card and segment.card != shared:
        words.append(f"\n{_card_message(segment.card)}", style="dim")
    return words


def _card_message(card: StrategyCard) -> str:
    return f"Priority {card.priority}: {card.texts['message']}"


def _percent_text(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"


def _card_grids(entry: SchemeEntry) -> Iterator[Grid]:
    """Yield the strategy that segments share, if any, then those of their own."""
    if entry.card:
        yield _card_grid("Every segment without a strategy of its own", "", entry.card)
    for segment in entry.segments:
        if segment.card and segment.card != entry.card:
            yield _card_grid(f"{segment.title}  {segment.segment}", segment.description, segment.card)


def _card_grid(title: str, description: str, card: StrategyCard) -> Grid:
    grid = Grid(title=Text(title, style="bold"), title_justify="left", box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if description:
        grid.add_row("who", description)
    for name, text in card.texts.items():
        grid.add_row(name.replace("_", " "), text)
    grid.add_row("priority", f"{card.priority} of 5, {card.budget_share:.0%} of the scheme's budget")
    if card.assumes:
        grid.add_row("only for", ASSUMPTIONS[card.assumes])
    grid.add_row("", "")
    return grid
