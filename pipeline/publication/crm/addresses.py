"""E-mail addresses and phone numbers as ad platforms compare them: brought into one form, then hashed.

Trimmed and in small letters, and E.164: so ask Google's Customer Match and Meta's Custom Audiences. What cannot be brought into the form is
unknown, and counted.
"""

from __future__ import annotations

from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import select_from_memory
from pipeline.lake.lake import Lake, sorted_by
from pipeline.publication.crm.staged_tables import ADDRESS_HASHES, PHONE_NUMBERS

_EMAIL: Final = r"^[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)+$"
NO_NUMBERS: Final = PHONE_NUMBERS.schema.empty_table()
_HASHED: Final = ("email_sha256", "phone_sha256")


def normalised_emails(texts: pa.Array) -> pa.Array:
    """Return each address without white space around it and in small letters; null where it is none."""
    plain = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    return pc.if_else(pc.match_substring_regex(plain, _EMAIL), plain, pa.scalar(None, pa.string()))


def normalised_phones(texts: pa.Array, region: str, known: pa.Table = NO_NUMBERS) -> pa.Array:
    """Return each number in the form of E.164, such as `+905321234567`; null where it is none.

    One without the code of its country is taken for one of `region`, a code of ISO 3166; without a region it is none. Of texts among the
    PHONE_NUMBERS that are `known` it is not worked out again.
    """
    encoded = texts.dictionary_encode()
    held = known["e164"].combine_chunks().take(pc.index_in(encoded.dictionary, value_set=known["phone"].combine_chunks()))
    is_new = pc.invert(pc.is_in(encoded.dictionary, value_set=known["phone"].combine_chunks()))
    new = pa.array([_e164(text, region) for text in encoded.dictionary.filter(is_new).to_pylist()], pa.string())
    return pc.replace_with_mask(held, is_new, new).take(encoded.indices)


def _e164(text: str, region: str) -> str | None:
    try:
        number = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) if phonenumbers.is_possible_number(number) else None


def address_hashes(lake: Lake, contacts: pa.Table, region: str) -> tuple[pa.Table, dict[str, int]]:
    """Return rows of ADDRESS_HASHES of whoever has an address that can be used, sorted; and counts of what cannot.

    Phone numbers that an earlier night worked out are taken from its cache in `lake`.
    """
    emails, phones = (_filled(contacts[name].combine_chunks()) for name in ("email", "phone"))
    known = _known_numbers(lake, region)
    usable = normalised_emails(emails), normalised_phones(phones, region, known)
    _keep_numbers(lake, region, known, pa.table({"phone": phones, "e164": usable[1]}))
    counts = {
        f"unusable_{name}": given.null_count - given_texts.null_count
        for name, given, given_texts in zip(("emails", "phones"), usable, (emails, phones), strict=True)
    }
    columns = [contacts["customer_id"].combine_chunks(), *usable]
    rows = pa.Table.from_arrays(columns, names=ADDRESS_HASHES.column_names)
    has_any = pc.or_(pc.is_valid(usable[0]), pc.is_valid(usable[1]))
    hashes = [exp.alias_(exp.SHA2(this=exp.column(name), length=exp.Literal.number(256)), name) for name in _HASHED]
    query = exp.select("customer_id", *hashes).from_(ADDRESS_HASHES.name).order_by("customer_id")
    found = select_from_memory(ADDRESS_HASHES, rows.filter(has_any), query)
    return found, {**counts, "audience_members_without_address": rows.num_rows - found.num_rows}


def _known_numbers(lake: Lake, region: str) -> pa.Table:
    """Return the numbers in the cache; none where there is no cache, or a damaged one."""
    try:
        with lake.reading(PHONE_NUMBERS.name, addresses.cache(PHONE_NUMBERS, _cache_name(region))) as path:
            return pq.read_table(path)
    except DataError:
        return NO_NUMBERS


def _keep_numbers(lake: Lake, region: str, known: pa.Table, numbers: pa.Table) -> None:
    """Write the cache anew, with the numbers of now alone, where any of them is new."""
    numbers = numbers.filter(pc.is_valid(numbers["phone"]))
    is_held = pc.is_in(numbers["phone"], value_set=known["phone"].combine_chunks())
    if pc.all(is_held, min_count=0).as_py():
        return
    rows = sorted_by(numbers.group_by("phone").aggregate([("e164", "max")]).rename_columns(PHONE_NUMBERS.column_names), ["phone"])
    lake.write_file(PHONE_NUMBERS.schema, rows.to_batches(), addresses.cache(PHONE_NUMBERS, _cache_name(region)), {})


def _cache_name(region: str) -> str:
    # Another version of the library may know other numbers.
    return f"{region or 'none'}-{phonenumbers.__version__}"


def _filled(texts: pa.Array) -> pa.Array:
    """Return texts with null in place of empty ones: a source may write either."""
    return pc.if_else(pc.equal(pc.utf8_trim_whitespace(texts), ""), pa.scalar(None, pa.string()), texts)
