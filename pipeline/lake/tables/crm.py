"""What a CRM reads: one row per customer with a hash and a sequence number, lists of members, what changed, hashed addresses.

They are written with a publication, where the company asks for them with `[crm]`, and depend on what readers saw before: no night
stores them. Columns count no days, so that the row of a customer about whom nothing happened stays as it is.
"""

from __future__ import annotations

from pipeline.lake.tables.columns import CUSTOMER_ID
from pipeline.lake.tables.schema import Column, Kind, Partition, Table

_LIST_NAME = "List: `<scheme>.<segment>`, the name of the audience, or `campaign.<campaign>.<arm>`."
_LIST_KIND = "`segment`, `audience` or `campaign`."

RAW_CUSTOMER_CONTACTS = Table(
    "raw_customer_contacts",
    "Names and addresses of customers as the source gave them: for the CRM and for hashes of `crm_audiences`, and for nothing else.",
    (
        CUSTOMER_ID,
        Column("name", Kind.TEXT, "Name of the customer.", pii=True),
        Column("email", Kind.TEXT, "E-mail address.", pii=True),
        Column("phone", Kind.TEXT, "Phone number, with or without the code of its country.", pii=True),
        Column("language", Kind.TEXT, "Language that the customer is written to in, such as `tr`; empty where that is not known."),
    ),
    ("customer_id",),
    Partition.SNAPSHOT,
)
CRM_PROFILES = Table(
    "crm_profiles",
    "One row per customer who ever was in a publication: segments, audiences, next action in the customer's language, dates. Who left has "
    "a tombstone: `is_member` is false, and why is all else that is told.",
    (
        CUSTOMER_ID,
        Column("segments", Kind.TEXT, 'Segment by scheme, as JSON with sorted keys: `{"lifecycle":"active","rfm":"loyal"}`.'),
        Column("audiences", Kind.TEXT, 'Audiences that the customer is in, as sorted JSON: `["vip","wine"]`.'),
        Column("next_action", Kind.TEXT, "Card to act on: `<scheme>.<segment>` that it belongs to; empty where none fits."),
        Column("next_action_title", Kind.TEXT, "Name of that segment, in the customer's language like all texts here."),
        Column("next_action_text", Kind.TEXT, "What to say."),
        Column("next_action_promotion", Kind.TEXT, "What to give or promise."),
        Column("next_action_product_offer", Kind.TEXT, "Which products to show."),
        Column("next_action_price", Kind.TEXT, "How to price."),
        Column("next_action_channel", Kind.TEXT, "Where to talk to them."),
        Column("next_action_service", Kind.TEXT, "How to serve them."),
        Column("next_action_priority", Kind.INTEGER, "1 for the most urgent to 5."),
        Column("next_action_reason", Kind.TEXT, "Why: the segment, who is in it, and their own values; in the company's language."),
        Column("next_action_since_date", Kind.DATE, "Night since which the customer has been in that segment."),
        Column("language", Kind.TEXT, "Language of the texts: the customer's, where cards are written in it, else the company's."),
        Column(
            "predicted_spend_amount",
            Kind.MONEY,
            "Spend expected in the 90 days after `predicted_date`, to the cent; renewed each month, and whenever anything else changes.",
        ),
        Column("predicted_date", Kind.DATE, "Night that predicted it; empty where nothing is predicted."),
        Column("first_order_date", Kind.DATE, "Local day of the first order."),
        Column("last_order_date", Kind.DATE, "Local day of the latest order."),
        Column("is_consenting", Kind.FLAG, "Whether the customer agreed to be written to; empty where the customer never answered."),
        Column("is_member", Kind.FLAG, "False for a tombstone: the customer is in no list any more.", required=True),
        Column(
            "removal_reason",
            Kind.TEXT,
            "Of a tombstone: `consent_withdrawn`, `departed` (the source lists them no more), `identity_merge`, `erasure` or `rollback`.",
        ),
        Column("arm", Kind.TEXT, 'Arm by campaign that is planned or running, as JSON: `{"spring":"mail"}`; empty where there is none.'),
        Column(
            "row_hash", Kind.TEXT, "SHA-256 of all columns before this one: equal hashes, equal rows, on whichever night.", required=True
        ),
        Column("updated_at", Kind.INSTANT, "End of the business day whose publication changed the row last.", required=True),
        Column("change_seq", Kind.INTEGER, "Number of that change: larger than all that readers saw before.", required=True),
    ),
    ("customer_id",),
    Partition.PUBLICATION,
    is_published=True,
    is_optional=True,
)
CRM_MEMBERS = Table(
    "crm_members",
    "One row per customer and list that the customer is on, of those whom the publication holds: nobody who said no. While a campaign "
    "lasts its control is on no list that it is for.",
    (
        CUSTOMER_ID,
        Column("list_kind", Kind.TEXT, _LIST_KIND, required=True),
        Column("list_name", Kind.TEXT, _LIST_NAME, required=True),
    ),
    ("customer_id", "list_kind", "list_name"),
    Partition.PUBLICATION,
    is_published=True,
    is_optional=True,
)
CRM_CHANGES = Table(
    "crm_changes",
    "What changed between publications, in order: a row for the profile of each customer who changed, and one for each list that the "
    "customer entered or left. Rows are only added, and leave after 31 days; the first publication has no rows of lists.",
    (
        Column("change_seq", Kind.INTEGER, "Number of the change; that of a profile's row stands in `crm_profiles` too.", required=True),
        CUSTOMER_ID,
        Column("change", Kind.TEXT, "`added`, `changed` or `removed`; of a list `added` or `removed`.", required=True),
        Column("list_kind", Kind.TEXT, f"{_LIST_KIND[:-1]}; empty where the row is about the profile."),
        Column("list_name", Kind.TEXT, f"{_LIST_NAME[:-1]}; empty where the row is about the profile."),
        Column(
            "reason",
            Kind.TEXT,
            "Why. Of a list: that of the move where one is stored, else that of the profile. Of a profile: `first_publication`, "
            "`new_customer`, `returned`, a `removal_reason`, or what changed, such as `own_purchase` or `next_action_change`.",
            required=True,
        ),
        Column("changed_at", Kind.INSTANT, "End of the business day whose publication tells it.", required=True),
    ),
    ("change_seq",),
    Partition.PUBLICATION,
    is_published=True,
    is_optional=True,
)
CRM_AUDIENCES = Table(
    "crm_audiences",
    "One row per member of an audience who agreed and has an address, for ad platforms: addresses as hashes, never as they are.",
    (
        CUSTOMER_ID,
        Column("list_name", Kind.TEXT, "Name of the audience.", required=True),
        Column("email_sha256", Kind.TEXT, "SHA-256 of the e-mail address, trimmed and in small letters; in hexadecimal.", pii=True),
        Column("phone_sha256", Kind.TEXT, "SHA-256 of the phone number in the form of E.164, such as +905321234567.", pii=True),
    ),
    ("customer_id", "list_name"),
    Partition.PUBLICATION,
    is_published=True,
    is_optional=True,
)
CRM_TABLES = (CRM_PROFILES, CRM_MEMBERS, CRM_CHANGES, CRM_AUDIENCES)
