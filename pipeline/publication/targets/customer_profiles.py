"""One row per customer for a CRM: the language to speak, and what changes only when the customer does something."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.tables import CUSTOMER_FEATURES, SEGMENT_STRATEGIES
from pipeline.publication.targets.tables import CUSTOMERS, LANGUAGE

BATCH_ROWS = 65_536


def customer_profiles(folder: Path, language: str, attribute: str) -> Iterator[pa.RecordBatch]:
    """Yield the customers of the publication in `folder`, each with a language that its cards are written in.

    That is the one that `attribute` names, else the company's own `language`.
    """
    known = {language, *_card_languages(folder)}
    file = pq.ParquetFile(folder / f"{CUSTOMER_FEATURES.name}.parquet", page_checksum_verification=True)
    names = [name for name in CUSTOMERS.column_names if name != LANGUAGE.name]
    spoken = [attribute] if attribute in file.schema_arrow.names else []
    for batch in file.iter_batches(BATCH_ROWS, columns=[*names, *spoken]):
        said = batch[attribute] if spoken else pa.nulls(batch.num_rows, pa.string())
        yield batch.select(names).append_column(LANGUAGE.name, spoken_languages(said, known, language))


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


def _card_languages(folder: Path) -> set[str]:
    """Return the languages that anything of the publication is told in; one of an older version tells nothing."""
    path = folder / f"{SEGMENT_STRATEGIES.name}.parquet"
    return set(pq.read_table(path, columns=[LANGUAGE.name])[LANGUAGE.name].to_pylist()) if path.exists() else set()
