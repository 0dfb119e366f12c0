"""Every place in a lake, one function each.

An address is a name relative to the lake, with `/` between its parts, whether a disk or an object store holds the lake. One
that ends in `/` is a prefix of others. Nothing here touches a file: `Store` reads and writes what is at an address.

    tables/<table>/day=D/part-0.parquet              a night's table
    tables/<table>/month=M/known=K/part-0.parquet    what night K learned of the event days of month M
    tables/<table>/month=M/known=all/part-0.parquet  all that nights knew of the event days of a month long past
    tables/<table>/known=K/part-0.parquet            a snapshot as known on night K
    tables/<table>/campaign=C/part-0.parquet         what was drawn once for campaign C
    restated/<table>/day=D/known=K/part-0.parquet    a night's table as a later night K knows it
    models/<scheme>/<first night>.json               a model, valid from that night until the next one's
    models/<scheme>/unfitted.txt                     the nights that no model could be fitted for
    refits/<scheme>/<day>/                           a candidate, its judgement and its promotion
    definitions/<day>.json                           what was valid from a day on
    lists/<digest>.csv                               the text of a list that a night's rules name
    publications/<id>/ and current                   what readers see; `current` leads to one of them
    segments.sqlite                                  the same as tables of a database
    unfinished.txt                                   the publication that is on its way into the database
    registered.txt                                   the publications that tables of an Iceberg catalogue may lead to
    iceberg/                                         metadata of those tables, where the catalogue is a database
    withdrawn.txt                                    the empty publication that the database shows while nothing is live
    company.json                                     whose lake it is
    restored.txt                                     where `current` is to lead to, while a backup is being restored
    rollbacks.json and begun/<day>.txt               what was taken back, and the epoch in which a night began
    reports/day=D/ and reports/index.html            pages for people
    notifications/<day>.jsonl                        who was told of a night
    erasures/                                        who was erased, as keyed hashes
    backfills/<digest>/                              what a backfill has done
    sync/<sink>/state.duckdb                         what a sink acknowledged, and what waits for it
    sync/<sink>/files/                               the files of a sink that writes files
    sync/<sink>/last.json and runs/<step>.json       what the last sync and the last run of a step took and did, for monitors
    states/                                          caches; any of them may be deleted at any time
    locks/ staging/ pending/                         private to running processes
    exchange/                                        on its way between them and executors of a cluster, in a bucket
"""

from __future__ import annotations

from datetime import date
from pathlib import PurePosixPath

from pipeline.lake.tables import Partition, Table

PART = "part-0.parquet"
COMPACTED = "all"  # in the place of a night, for a file of many nights
PUBLICATION_MANIFEST = "manifest.json"
CURRENT = "current"
SQLITE = "segments.sqlite"
UNFINISHED = "unfinished.txt"
REGISTERED, ICEBERG = "registered.txt", "iceberg/"
WITHDRAWN = "withdrawn.txt"
ROLLBACKS = "rollbacks.json"
OWNER = "company.json"
RESTORED = "restored.txt"
LISTS = "lists/"
SYNC = "sync/"
TABLES, RESTATED = "tables/", "restated/"
DEFINITIONS, PUBLICATIONS, CACHES, ERASURES = "definitions/", "publications/", "states/", "erasures/"
REPORTS, MODELS, REFITS, BACKFILLS, NOTIFICATIONS = "reports/", "models/", "refits/", "backfills/", "notifications/"
ERASURE_KEY = f"{ERASURES}key"
ERASED_HASHES, PENDING_ERASURES, RECEIPTS = f"{ERASURES}hashes/", f"{ERASURES}pending/", f"{ERASURES}receipts/"
LOCKS, STAGING, PENDING, EXCHANGE = "locks/", "staging/", "pending/", "exchange/"


def partitions(table: Table) -> str:
    """Return the prefix of all partitions of a table, except restatements."""
    return f"{TABLES}{table.name}/"


def partition(table: Table, *, day: date | None = None, known_on: date | None = None) -> str:
    """Return where a partition is. NIGHT tables take `day`, SNAPSHOT tables `known_on`, EVENT_DAY tables both.

    For an event day that is the file in which night `known_on` writes all days of the month. A NIGHT partition known on another
    day than its own is a restatement; it has a place apart, so that readers of nights do not come upon it.
    """
    if table.partition is Partition.NIGHT:
        if known_on in (None, day):
            return f"{partitions(table)}day={_require_date(day)}/{PART}"
        return f"{restatements(table, day=_require_date(day))}known={known_on}/{PART}"
    if table.partition is Partition.EVENT_DAY:
        return f"{partitions(table)}month={_require_date(day).isoformat()[:7]}/known={_require_date(known_on)}/{PART}"
    if table.partition in (Partition.PUBLICATION, Partition.CAMPAIGN):
        raise ValueError(f"{table.name} has no partition by day")
    return f"{partitions(table)}known={_require_date(known_on)}/{PART}"


def campaign_partition(table: Table, campaign: str) -> str:
    """Return where a table of CAMPAIGN partitions has the rows of a campaign."""
    return f"{partitions(table)}campaign={campaign}/{PART}"


def compacted_month(table: Table, month: date) -> str:
    """Return where a compacted month is: all versions of its event days in one file."""
    return f"{partitions(table)}month={month.isoformat()[:7]}/known={COMPACTED}/{PART}"


def restatements(table: Table, *, day: date | None = None) -> str:
    """Return the prefix of the restatements of a table, or of those of one night."""
    return f"{RESTATED}{table.name}/{f'day={day}/' if day else ''}"


def models(scheme: str) -> str:
    """Return the prefix of the models of a scheme."""
    return f"models/{scheme}/"


def model(scheme: str, first_night: date | str) -> str:
    """Return where the model of a scheme is that is valid from `first_night` on."""
    return f"{models(scheme)}{first_night}.json"


def unfitted_nights(scheme: str) -> str:
    """Return where the nights are listed for which no model of the scheme could be fitted."""
    return f"{models(scheme)}unfitted.txt"


def refits(scheme: str) -> str:
    """Return the prefix of the refits of a scheme."""
    return f"refits/{scheme}/"


def refit(scheme: str, day: date | str) -> str:
    """Return the prefix of one refit, which was fitted to the customers of night `day`."""
    return f"{refits(scheme)}{day}/"


def candidate(scheme: str, day: date | str) -> str:
    """Return where the model is that was fitted on night `day`."""
    return f"{refit(scheme, day)}candidate.json"


def judgement(scheme: str, day: date | str) -> str:
    """Return where the measures of that model and the verdict on it are."""
    return f"{refit(scheme, day)}judgement.json"


def promotion(scheme: str, day: date | str) -> str:
    """Return where it says from when on that model is valid and, if the verdict refused it, why it was promoted."""
    return f"{refit(scheme, day)}promotion.json"


def definition(day: date) -> str:
    """Return where the definitions are that are valid from `day` on."""
    return f"{DEFINITIONS}{day}.json"


def stored_list(digest: str) -> str:
    """Return where the text of a list with this digest is kept."""
    return f"{LISTS}{digest}.csv"


def publication(publication_id: str) -> str:
    """Return the prefix of what a publication holds."""
    return f"{PUBLICATIONS}{publication_id}/"


def published_file(publication_id: str, name: str) -> str:
    """Return where the file of the table `name` of a publication is."""
    return f"{publication(publication_id)}{name}.parquet"


def published_manifest(publication_id: str) -> str:
    """Return where the manifest of a publication is."""
    return f"{publication(publication_id)}{PUBLICATION_MANIFEST}"


def epoch(day: date) -> str:
    """Return where the epoch of the newest run of night `day` is noted: how many rollbacks there were when it began."""
    return f"begun/{day}.txt"


def sync_state(sink: str) -> str:
    """Return where it is kept what a sink acknowledged, and what waits for it."""
    return f"{SYNC}{sink}/state.duckdb"


def sync_files(sink: str) -> str:
    """Return the prefix of the files that a sink writes."""
    return f"{SYNC}{sink}/files/"


def sync_record(sink: str) -> str:
    """Return where it is noted how the last sync of a sink ended."""
    return f"{SYNC}{sink}/last.json"


def step_record(step: str) -> str:
    """Return where it is noted what the last run of a step took."""
    return f"runs/{step}.json"


def validation_page(day: date, known_on: date | None = None) -> str:
    """Return where the page of a night is, or that of its restatement by night `known_on`."""
    return f"{REPORTS}day={day}/{'' if known_on in (None, day) else f'known={known_on}/'}validation.html"


def morning_page(day: date, language: str = "") -> str:
    """Return where the morning page of a night is, or that in another language than the company's."""
    return f"{REPORTS}day={day}/index{f'.{language}' if language else ''}.html"


def page_index() -> str:
    """Return where the list of all morning pages is."""
    return f"{REPORTS}index.html"


def caches(table: Table) -> str:
    """Return the prefix of the caches of a table."""
    return f"{CACHES}{table.name}/"


def cache(table: Table, name: str) -> str:
    """Return where a cache is under `name`."""
    return f"{caches(table)}{name}.parquet"


def notifications(day: date) -> str:
    """Return where is noted who was told of a night, one line for each."""
    return f"{NOTIFICATIONS}{day}.jsonl"


def backfill(digest: str) -> str:
    """Return the prefix of the backfill with that digest."""
    return f"backfills/{digest}/"


def journal(digest: str) -> str:
    """Return where a backfill notes what it has done, one line for each stage of a night."""
    return f"{backfill(digest)}done.jsonl"


def before_backfill(digest: str, table: Table, day: date, known_on: date) -> str:
    """Return where a backfill keeps a partition as it was before."""
    return f"{backfill(digest)}before/{table.name}-{day}-{known_on}.parquet"


def stem(address: str) -> str:
    """Return the last part of an address without its ending: the night of a model, the number of a receipt."""
    return PurePosixPath(address).stem


def date_in(address: str, name: str) -> date:
    """Return the date in the part `name=YYYY-MM-DD` of the address of a partition; raises ValueError where it has none."""
    values = dict(part.split("=", 1) for part in address.split("/") if "=" in part)
    if name not in values:
        raise ValueError(f"this address has no {name}")
    return date.fromisoformat(values[name])


def _require_date(day: date | None) -> date:
    if day is None:
        raise ValueError("this table's partition needs another day")
    return day
