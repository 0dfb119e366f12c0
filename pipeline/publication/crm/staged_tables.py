"""Private tables that those of the CRM are made from; they are gone once the publication is written."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from pipeline.lake.tables import CRM_MEMBERS, CRM_PROFILES, CUSTOMER_ID, RAW_CUSTOMER_CONTACTS, Column, Kind, Partition, Table

# What says of a row when it became what it is, and is no part of what it says.
HASH: Final = "row_hash"
NUMBERING: Final = ("updated_at", "change_seq")
HASHED_COLUMNS: Final = tuple(column for column in CRM_PROFILES.columns if column.name not in (HASH, *NUMBERING))


def _private(name: str, *columns: Column, key: tuple[str, ...] = ("customer_id",)) -> Table:
    return Table(name, "", (CUSTOMER_ID, *columns), key, Partition.NIGHT)


CONTACTS: Final = replace(RAW_CUSTOMER_CONTACTS, name="crm_contacts")
STANDINGS: Final = _private("standings", Column("is_consenting", Kind.FLAG, ""), Column("removal_reason", Kind.TEXT, ""))
SEGMENT_LISTS: Final = _private("segment_lists", Column("names", Kind.TEXT, ""))
AUDIENCE_LISTS: Final = _private("audience_lists", Column("names", Kind.TEXT, ""))
ARM_LISTS: Final = _private("arm_lists", Column("names", Kind.TEXT, ""))
CAMPAIGN_LISTS: Final = Table("campaign_lists", "", (Column("list_name", Kind.TEXT, ""),), ("list_name",), Partition.NIGHT)
ADDRESS_HASHES: Final = _private("address_hashes", Column("email_sha256", Kind.TEXT, ""), Column("phone_sha256", Kind.TEXT, ""))
PHONE_NUMBERS: Final = Table(
    "phone_numbers", "", (Column("phone", Kind.TEXT, "", pii=True), Column("e164", Kind.TEXT, "", pii=True)), ("phone",), Partition.NIGHT
)
"""A cache: working a number out takes longer than all else about a customer."""
LANGUAGE_NAMES: Final = Table(
    "language_names", "", (Column("said", Kind.TEXT, ""), Column("language", Kind.TEXT, "")), ("said",), Partition.NIGHT
)
EARLIER_PROFILES: Final = replace(CRM_PROFILES, name="earlier_profiles")
EARLIER_MEMBERS: Final = replace(CRM_MEMBERS, name="earlier_members")
PROFILE_ROWS: Final = Table(
    "crm_profile_rows",
    "",
    (
        *(column for column in CRM_PROFILES.columns if column.name not in NUMBERING),
        Column("was_member", Kind.FLAG, ""),
        Column("earlier_hash", Kind.TEXT, ""),
        Column("earlier_updated_at", Kind.INSTANT, ""),
        Column("earlier_seq", Kind.INTEGER, ""),
    ),
    ("customer_id",),
    Partition.NIGHT,
)
