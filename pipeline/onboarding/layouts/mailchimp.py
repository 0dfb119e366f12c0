"""Mailchimp: the export of an audience, a file each for subscribed, unsubscribed, cleaned and non-subscribed contacts; campaigns' activity.

By Mailchimp's help, "View or Export Contacts" and "Download Campaign Report Data" (mailchimp.com/help): `OPTIN_TIME` and others are in UTC;
who unsubscribed has an `UNSUB_TIME`, who was cleaned a `CLEAN_TIME`; that others never subscribed, such as buyers that a shop handed over,
the name of their file alone says. In an account export, `granular_activity` has a file for the opens and one for the clicks of each
campaign, with an `Email` and a `Timestamp`.
"""

from __future__ import annotations

from pipeline.onboarding.attributes import AttributeColumn, attribute_columns, place_columns
from pipeline.onboarding.layouts.layout import AttributeDraft, EventDraft, Layout, TablePart, TableReading
from pipeline.onboarding.layouts.people import people_part

MEMBERS, NON_SUBSCRIBED, ACTIVITY = "mailchimp_members", "mailchimp_non_subscribed", "mailchimp_activity"
_GONE = ("UNSUB_TIME", "CLEAN_TIME")
_OWN = (
    *(
        "Email Address",
        "Status",
        "MEMBER_RATING",
        "OPTIN_TIME",
        "OPTIN_IP",
        "CONFIRM_TIME",
        "CONFIRM_IP",
        "LATITUDE",
        "LONGITUDE",
        "GMTOFF",
    ),
    *("DSTOFF", "TIMEZONE", "CC", "REGION", "LAST_CHANGED", "LEID", "EUID", "NOTES", "TAGS", "UNSUB_TIME", "UNSUB_CAMPAIGN_TITLE"),
    *("UNSUB_CAMPAIGN_ID", "UNSUB_REASON", "UNSUB_REASON_OTHER", "CLEAN_TIME", "CLEAN_CAMPAIGN_TITLE", "CLEAN_CAMPAIGN_ID"),
)


def read_members(reading: TableReading) -> TablePart:
    """Return what the export of an audience gives a company."""
    return _contacts(reading, _consent(reading))


def read_non_subscribed(reading: TableReading) -> TablePart:
    """Return what the file of contacts that never subscribed gives a company."""
    reading.assume(f"{reading.table}: non-subscribed contacts of Mailchimp never agreed to be written to.")
    return _contacts(reading, "FALSE")


def _contacts(reading: TableReading, consent: str) -> TablePart:
    reading.assume("A customer is an e-mail address, whatever its case. Times of Mailchimp are in UTC.")
    attributes = attribute_columns(reading, _OWN, are_words_taken=True)
    known = {each.draft.name for each in attributes}
    places = place_columns(reading, {"country": ("CC",), "region": ("REGION",)}, "`{column}` that Mailchimp knows of.")
    attributes += [each for each in places if each.draft.name not in known]
    if reading.has_values("TAGS"):
        tags = f"replace({reading.text('TAGS')}, '\"', '')"
        attributes.append(AttributeColumn(AttributeDraft("tags", "behavioural", "Tags of the contact.", "list"), tags))
    since = next((name for name in ("OPTIN_TIME", "CONFIRM_TIME") if reading.has_values(name)), "")
    created = reading.moment(since, "UTC") if since else ""
    email = f"lower({reading.text('Email Address', 'Email')})"
    return people_part(reading, customer=email, attributes=attributes, created=created, consent=consent, rank=1)


def _consent(reading: TableReading) -> str:
    if reading.has_values("Status"):
        return f"lower({reading.text('Status')}) = 'subscribed'"
    gone = [f"{reading.text(name)} IS NOT NULL" for name in _GONE if reading.has(name)]
    if gone:
        reading.assume("Who unsubscribed or was cleaned did not agree to be written to; all other contacts did.")
        return f"NOT ({' OR '.join(gone)})"
    reading.assume("All contacts of the file are subscribed: they agreed to be written to.")
    return "TRUE"


def read_activity(reading: TableReading) -> TablePart:
    """Return what activity of campaigns gives a company: an event of e-mails."""
    email = f"lower({reading.text('Email', 'Email Address')})"
    action = next((name for name in ("Action", "Activity", "Event") if reading.has_values(name)), "")
    does = f"lower({reading.text(action)})" if action else f"CASE WHEN {reading.text('URL')} IS NOT NULL THEN 'click' ELSE 'open' END"
    reading.assume("What contacts did with e-mails is the event `email_activity`; times of Mailchimp are in UTC.")
    campaign, url = reading.text("Campaign Title", "Campaign", "Title", "Subject"), reading.text("URL")
    sql = f"""WITH
{reading.table}_events AS (
  SELECT
    {email} AS customer_id,
    {reading.moment("Timestamp", "UTC")} AS happened_at,
    {does} AS action,
    CAST({campaign} AS VARCHAR) AS campaign,
    CAST({url} AS VARCHAR) AS url
  FROM {reading.table}
)
-- Files of a campaign have no ids: the same click within one second is one.
SELECT DISTINCT md5(concat_ws('|', customer_id, happened_at, action, campaign, url)) AS activity_id, *
FROM {reading.table}_events
WHERE customer_id IS NOT NULL"""
    columns = (("activity_id", "text"), ("action", "text"), ("campaign", "text"), ("url", "text"))
    return TablePart(
        reading.table, event=EventDraft("email_activity", "E-mails opened and clicked", ("activity_id",), "happened_at", columns, sql)
    )


_MEMBER_COLUMNS = ("Email Address|Email", "MEMBER_RATING", "OPTIN_TIME", "LAST_CHANGED", "LEID|EUID")
MEMBERS_LAYOUT = Layout(
    MEMBERS,
    "Mailchimp audience export",
    "contacts",
    _MEMBER_COLUMNS,
    read_members,
    key=("Email Address",),
    has_amounts=False,
)
NON_SUBSCRIBED_LAYOUT = Layout(
    NON_SUBSCRIBED,
    "Mailchimp audience export, non-subscribed contacts",
    "non_subscribed",
    _MEMBER_COLUMNS,
    read_non_subscribed,
    key=("Email Address",),
    has_amounts=False,
    file_name=r"^non[ _-]?subscribed",
)
ACTIVITY_LAYOUT = Layout(
    ACTIVITY,
    "Mailchimp campaign activity",
    "activity",
    ("Email|Email Address", "Timestamp", "URL|Action|Activity|Campaign|Campaign Title|IP|IP Address"),
    read_activity,
    has_amounts=False,
)
