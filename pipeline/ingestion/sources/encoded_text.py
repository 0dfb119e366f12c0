"""Text files in the encoding that is declared for them, whatever is in them; what is in another encoding is refused, not read wrong."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from pipeline.errors import DataError
from pipeline.ingestion.sources.compressed_files import read_blocks
from pipeline.ingestion.sources.csv_text import UTF_8

_ALL_BYTES = bytes(range(256))


def decoded_blocks(path: Path, table: str, encoding: str) -> Iterator[str]:
    """Yield the text of the file, decompressed, its lines as they are, without a mark at its beginning.

    Raises DataError where it is not of `encoding`: with the line, or in the end where all of it is UTF-8 and another one is declared.
    """
    reader, other = codecs.getincrementaldecoder("utf-8-sig" if encoding == UTF_8 else encoding)(), codecs.getincrementaldecoder(UTF_8)()
    where, todo = str(path), f"Declare its `encoding` under [source.formats.{table}] of company.toml, or have the file written again."
    # Nearly every byte is some letter of such an encoding: text in UTF-8 would be read without a complaint, and wrong.
    is_other = encoding != UTF_8 and _has_one_byte_per_letter(encoding)
    line, is_ascii, is_beginning = 1, True, True
    for block in chain(read_blocks(path), [b""]):
        try:
            text = reader.decode(block, final=not block)
        except UnicodeDecodeError as error:
            line += block[: max(error.start, 0)].count(b"\n")
            raise DataError(f"{path.name}: text that is not {encoding.upper()} in line {line}", where=where, todo=todo) from None
        is_ascii, line = is_ascii and block.isascii(), line + text.count("\n")
        is_other = is_other and _reads(other, block)
        yield text.removeprefix("\ufeff") if is_beginning else text
        is_beginning = is_beginning and not text
    if is_other and not is_ascii:
        raise DataError(f"{path.name} is UTF-8 text, declared {encoding.upper()}", where=where, todo=todo)


def _has_one_byte_per_letter(encoding: str) -> bool:
    return len(_ALL_BYTES.decode(encoding, "replace")) == len(_ALL_BYTES)


def _reads(decoder: codecs.IncrementalDecoder, block: bytes) -> bool:
    try:
        # The last block is empty: what is left of a letter by then is none.
        decoder.decode(block, final=not block)
    except UnicodeDecodeError:
        return False
    return True
