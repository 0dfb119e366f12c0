"""One row per customer for a CRM: the language to speak, what to do next, and what changes only when the customer does something."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, SEGMENT_STRATEGIES
from pipeline.publication.targets.tables import CUSTOMERS, LANGUAGE, NEXT_ACTION_COLUMNS

BATCH_ROWS = 65_536


def customer_profiles(folder: Path, language: str, attribute: str) -> Iterator[pa.RecordBatch]:
    """Yield the customers of the publication in `folder`, each with the next action and with a language that its cards are written in.

    That is the one that `attribute` names, else the company's own `language`.
    """
    known = card_languages(folder, language)
    file = pq.ParquetFile(folder / f"{CUSTOMER_FEATURES.name}.parquet", page_checksum_verification=True)
    actions = _NextActions(folder)
    names = [name for name in CUSTOMERS.column_names if name in CUSTOMER_FEATURES.column_names]
    spoken = [attribute] if attribute in file.schema_arrow.names else []
    for batch in file.iter_batches(BATCH_ROWS, columns=[*names, *spoken]):
        said = batch[attribute] if spoken else pa.nulls(batch.num_rows, pa.string())
        columns = [*batch.select(names).columns, spoken_languages(said, known, language), *actions.of_customers(batch["customer_id"])]
        yield pa.RecordBatch.from_arrays(columns, names=CUSTOMERS.column_names)


def card_languages(folder: Path, language: str) -> set[str]:
    """Return the languages in which the publication in `folder` has cards, and the company's own."""
    known, cards = {language}, folder / f"{SEGMENT_STRATEGIES.name}.parquet"
    # A publication of an older version has no cards.
    if cards.exists():
        known.update(pq.read_table(cards, columns=[LANGUAGE.name])[LANGUAGE.name].to_pylist())
    return known


class _NextActions:
    """The next actions of a publication, looked up by customers in the order of their ids, in which both tables lie.

    So few batches are held at a time, however many customers there are. A publication of an older version has none.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / f"{CUSTOMER_NEXT_ACTIONS.name}.parquet"
        self._columns = ["customer_id", *NEXT_ACTION_COLUMNS]
        self._held = pa.schema([("customer_id", pa.string()), *((n, c.kind.arrow) for n, c in NEXT_ACTION_COLUMNS.items())]).empty_table()
        self._coming: Iterator[pa.RecordBatch] = iter(())
        if path.exists():
            self._coming = pq.ParquetFile(path, page_checksum_verification=True).iter_batches(BATCH_ROWS, columns=self._columns)

    def of_customers(self, ids: pa.Array) -> list[pa.Array]:
        """Return a column for each of NEXT_ACTION_COLUMNS, null for whoever has no next action; `ids` come after all asked before."""
        last = pc.max(ids)
        while (self._held.num_rows == 0 or pc.less(self._held["customer_id"][-1], last).as_py()) and (batch := next(self._coming, None)):
            self._held = pa.concat_tables([self._held, pa.Table.from_batches([batch.select(self._columns)])])
        found = self._held.take(pc.index_in(ids, value_set=self._held["customer_id"].combine_chunks()))
        self._held = self._held.filter(pc.greater(self._held["customer_id"], last))
        return [found[name].combine_chunks() for name in NEXT_ACTION_COLUMNS]


def spoken_languages(said: pa.Array, known: Collection[str], own: str) -> pa.Array:
    """Return for each text, such as `tr`, `TR` or `tr-TR`, the one of the `known` languages that it names, `own` where it names none."""
    encoded = said.dictionary_encode()
    named = pa.array([_named_language(text, known) for text in encoded.dictionary.to_pylist()], pa.string())
    return pc.fill_null(named.take(encoded.indices), own)


def _named_language(text: str, known: Collection[str]) -> str | None:
    plain = text.strip().replace("_", "-")
    by_small_letters = {name.lower(): name for name in sorted(known)}
    # The name as it is written comes first: two languages may differ in case alone. Then `tr-TR` is taken for `tr`.
    names = (plain, by_small_letters.get(plain.lower()), by_small_letters.get(plain.lower().partition("-")[0]))
    return next((name for name in names if name in known), None)
