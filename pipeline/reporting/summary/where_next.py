"""Where the tables of a night are, and which commands show more of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from shlex import quote

from rich.text import Text

from pipeline.calendar import ONE_DAY
from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.publication.current import current_publication
from pipeline.reporting.pages.local_pages import local_page
from pipeline.reporting.programs import program_path, short_path, short_place

MORE = "More"
"""What stands above the commands that show what a short summary leaves out."""


@dataclass(frozen=True, slots=True)
class NightPlaces:
    """Files and commands of one night, in words that can be pasted into a shell, whatever folders are called."""

    company: Company
    lake: Lake
    day: date

    @property
    def live_day(self) -> date | None:
        """The night that everybody sees; None before any is published."""
        published = current_publication(self.lake)
        return published.day if published else None

    @property
    def live_words(self) -> str:
        """Whether the night is the one that everybody sees."""
        if self.live_day == self.day:
            return "This night is live."
        return f"This night is not published: {self.live_day or 'nothing'} stays live."

    @property
    def is_in_bucket(self) -> bool:
        """Whether the lake is no folder, so that nobody can open its files by a path."""
        return "://" in self.root

    @property
    def tables_words(self) -> str:
        """Where the night's tables are or, where they are in a bucket, the command that writes what is live to a folder."""
        if self.is_in_bucket:
            return f"{self.command('export FOLDER')}   # what is live, as plain files"
        return f"{self.segments_file}, and segment_profiles, customer_features likewise"

    @property
    def segments_file(self) -> str:
        """The file of the night's segments: the live one where the night is live."""
        if self.live_day == self.day:
            return short_path(self.lake.local(f"{addresses.CURRENT}/{CUSTOMER_SEGMENTS.name}.parquet"))
        return short_path(self.lake.local(addresses.partition(CUSTOMER_SEGMENTS, day=self.day)))

    @property
    def root(self) -> str:
        """The place of the lake."""
        return short_place(self.lake.where().rstrip("/"))

    @property
    def reading_command(self) -> str:
        """The command that shows the segments by pandas."""
        script = f"import pandas; print(pandas.read_parquet({self.segments_file!r}))"
        # In double quotes, which are easier to read, unless it has what a shell would look at within them.
        quoted = quote(script) if set(script) & set('"$`\\!') else f'"{script}"'
        return f"{program_path('python')} -c {quoted}"

    def command(self, words: str) -> str:
        """Return the command `segments` with these words for this company and lake."""
        return f"{program_path('segments')} {words} --company {quote(short_path(self.company.folder))} --lake {quote(self.root)}"

    @property
    def page(self) -> str:
        """The address of the morning page; empty where there is none."""
        page = addresses.morning_page(self.day)
        return local_page(self.lake, page).as_uri() if self.lake.exists(page) else ""


def places_text(places: NightPlaces) -> Text:
    """Return where everything of a night is, and what to try next."""
    return Text.assemble(
        ("Where it is\n", "bold"),
        f"  {places.live_words}\n",
        f"  {places.tables_words}\n",
        f"  {places.root}/segments.sqlite, the same as tables with their history\n" if places.company.target.kind == "sqlite" else "",
        f"  {places.root}/reports/day={places.day}/validation.html, what each check found\n",
        ("Try next\n", "bold"),
        "" if places.is_in_bucket else f"  {places.reading_command}\n",
        f"  {places.command('run')} --day {places.day - ONE_DAY}\n",
        *_page_parts(places),
    )


def next_text(places: NightPlaces, *, scheme_count: int, is_alone: bool) -> Text:
    """Return the commands that show what the summary leaves out; the run of the night before, where the night `is_alone`."""
    text = Text.assemble(
        (f"{MORE}\n", "bold"),
        f"  {places.command('summary --all')} --day {places.day}   # all {scheme_count} schemes\n",
        f"  {places.command('catalog')}   # what each segment means\n",
        f"  {places.command('run')} --day {places.day - ONE_DAY}   # to compare with\n" if is_alone else "",
        f"  {places.tables_words}\n",
        *_page_parts(places),
    )
    text.rstrip()
    return text


def _page_parts(places: NightPlaces) -> Iterator[str | tuple[str, str]]:
    if places.page:
        yield from (("The morning page\n", "bold"), f"  {places.page}\n")
