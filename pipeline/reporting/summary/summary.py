"""The summary that fits a screen: the headline, what changed since the last night, three things to do today, and what went wrong.

It says what the morning page says, from the same figures: which cards are for today is decided there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date
from itertools import islice
from textwrap import shorten

from rich.console import RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.text import Text

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.publication.gates import GateState, gate_sentence
from pipeline.reporting.column_warnings import column_warnings
from pipeline.reporting.pages.morning.cards import ActionCard, Actions, actions_of
from pipeline.reporting.pages.morning.in_short import sentences_of
from pipeline.reporting.pages.morning.language import SOURCE_LANGUAGE, PageLanguage
from pipeline.reporting.pages.morning.night_tables import NightTables, read_night
from pipeline.reporting.pages.morning.verdict import Verdict, verdict_of
from pipeline.reporting.programs import program_path
from pipeline.reporting.source_notices import source_notices
from pipeline.reporting.summary.headline import headline_text
from pipeline.reporting.summary.night_changes import NightChanges, change_lines, night_changes
from pipeline.reporting.summary.where_next import NightPlaces, next_text
from pipeline.reporting.terminal import Terminal
from pipeline.spelling import printable_line

MOST_SENTENCES = 1
MOST_CARDS = 3
MOST_FAULTS, MOST_NAMED = 5, 3  # lines of what went wrong, and names on one of them
LONGEST_CARD_TEXT = 180  # two lines of a screen


def print_summary(company: Company, lake: Lake, day: date, *, console: Terminal | None = None) -> None:
    """Print what a person needs to know of the night of `day` this morning, on one screen.

    Titles are those of the definitions valid on that night; `console` is where to print, by default the terminal.
    """
    screen = console or Terminal()
    for part in _summary_parts(company_on(lake, company, day), lake, day):
        # Commands must stay on one line to be pasted; everything else is made to fit.
        screen.print(part, soft_wrap=isinstance(part, Text))


def _summary_parts(company: Company, lake: Lake, day: date) -> Iterator[RenderableType]:
    places, tables = NightPlaces(company, lake, day), read_night(company, lake, day, language=company.language)
    heading = Text(f"{company.name} · {day:%A %d %B %Y}")  # a panel takes a plain title for markup
    is_live = places.live_day == day
    # A terminal speaks English, whatever the company's language.
    verdict = verdict_of(tables, figures_day=day)
    sentences = sentences_of(tables, verdict, PageLanguage.of(SOURCE_LANGUAGE))
    first = [f"{each.text}\n" for each in sentences if not (each.is_alarm or each.is_about_page)][:MOST_SENTENCES]
    headline = Text.assemble(headline_text(company, lake, day), "\n", *first, (places.live_words, "green" if is_live else "yellow"))
    yield Panel(headline, title=heading, title_align="left", padding=(0, 2))
    changes, actions = night_changes(lake, tables), actions_of(tables)
    yield from _section(_changes_title(changes, tables), change_lines(changes, tables))
    if verdict.outcome.is_refused:  # nobody should act by its cards
        yield from _section("To do today: decide about this night", _decision_lines(places, verdict))
    elif actions.cards:
        yield from _section(_actions_title(actions), _card_lines(actions, tables))
    alarms = [each.text for each in sentences if each.is_alarm]
    yield from _section("What went wrong", _fault_lines(places, tables, alarms))
    yield next_text(places, scheme_count=len(tables.schemes), is_alone=changes.since is None)


def _section(title: str, lines: Iterator[RenderableType]) -> Iterator[RenderableType]:
    yield Text(title, style="bold")
    for line in lines:
        has_command = isinstance(line, str) and any(f"{program} " in line for program in ("segments", program_path("segments")))
        yield Text(f"  {line}") if has_command else Padding(line, (0, 0, 0, 2))
    yield Text()


def _decision_lines(places: NightPlaces, verdict: Verdict) -> Iterator[str]:
    """Yield what a person can do about a night that was refused."""
    again = f"{places.command('run')} --day {places.day}"
    if newest := verdict.night_of_newest_lines:
        yield f"Run the night of the newest orders first: {places.command('run')} --day {newest}"
    yield f"Mend the source, and run the night again: {again} --reread"
    if names := verdict.gates_to_override:
        overrides = " ".join(f"--override-gate {name}" for name in names)
        yield f'Or let it pass, saying why: {again} {overrides} --reason "..."'


def _changes_title(changes: NightChanges, tables: NightTables) -> str:
    scheme = next((each.title for each in tables.schemes if each.name == tables.main_scheme), tables.main_scheme)
    return f"Since the night of {changes.since}: {scheme}" if changes.since else "Since the last night"


def _actions_title(actions: Actions) -> str:
    whom = "who came into these segments in the last seven nights" if actions.are_of_entries else "the most urgent next actions"
    return f"To do today: {whom}"


def _card_lines(actions: Actions, tables: NightTables) -> Iterator[RenderableType]:
    for number, card in enumerate(actions.cards[:MOST_CARDS], 1):
        yield Text.assemble(f"{number}. ", (printable_line(card.title), "bold"), f": {_size_words(card, actions, tables)}")
        said = [card.texts[name] for name in ("message", "promotion") if name in card.texts]
        if said:
            words = printable_line(shorten(" ".join(said), LONGEST_CARD_TEXT, placeholder=" ..."))
            yield Padding(Text(words, style="dim"), (0, 0, 0, 3))


def _size_words(card: ActionCard, actions: Actions, tables: NightTables) -> str:
    count = "1 customer" if card.customer_count == 1 else f"{card.customer_count:,} customers"
    if not card.spend_amount:
        return count
    return f"{count}, {card.spend_amount:,.0f} {tables.currency} {'spent so far' if actions.are_of_entries else 'at stake'}"


def _fault_lines(places: NightPlaces, tables: NightTables, alarms: Sequence[str]) -> Iterator[str]:
    """Yield what went wrong, the worst first; of many lines the first, and how many more there are. `alarms` are those of the page."""
    company, lake, day = places.company, places.lake, places.day
    judged = [gate for gate in tables.gates if gate.state not in (GateState.NOT_MEASURED, GateState.OFF)]
    bad = [gate for gate in judged if gate.state is not GateState.OPEN]
    taken_back = [f"A person took this night back: {tables.rollback.reason}."] if tables.rollback else []
    faults = [*taken_back, *(f"{gate_sentence(gate)}." for gate in bad), *alarms, *_rejected_lines(tables)]
    faults += [*source_notices(company, lake, day), *column_warnings(company, lake, day)]
    yield from faults[:MOST_FAULTS]
    if len(faults) > MOST_FAULTS:
        yield f"And {len(faults) - MOST_FAULTS} more: {places.command('summary --all')} --day {day}"
    yield from _not_computed_lines(lake, tables)
    if not tables.rejected:
        yield f"No row was rejected{f', and all {len(judged)} gates are open' if judged and not bad else ''}."
    elif judged and not bad:
        yield f"All {len(judged)} gates are open."


def _rejected_lines(tables: NightTables) -> Iterator[str]:
    counts = Counter({f"{table}: {rule.replace('_', ' ')}": count for table, rule, count in tables.rejected})
    if counts:
        named = (f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])))
        yield f"{counts.total():,} rejected {'row' if counts.total() == 1 else 'rows'}: {_first_of(list(named))}."


def _not_computed_lines(lake: Lake, tables: NightTables) -> Iterator[str]:
    unclustered = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=tables.day)).get("unclustered", {})
    lacking = {**tables.not_computed, **unclustered}
    if lacking:
        yield f"Not computed: {_first_of([f'{name} ({reason})' for name, reason in lacking.items()])}."


def _first_of(names: Sequence[str]) -> str:
    shown = ", ".join(islice(names, MOST_NAMED))
    return f"{shown} and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else shown
