"""What goes into the fields of a sink, as SQL over the profile `p`, the contacts `c` and the delta `d`."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.definitions.sinks import CONTACT_FIELDS, NEXT_ACTION_NOTE, SEGMENT_PREFIX

KEY = "customer_id"
# What the note of a next action says, one line each, in the order of reading; labels are for the people of the company.
_NOTE_LINES = (
    ("Next action: ", "next_action_title"),
    ("Say: ", "next_action_text"),
    ("Promise: ", "next_action_promotion"),
    ("Show: ", "next_action_product_offer"),
    ("Price: ", "next_action_price"),
    ("Where: ", "next_action_channel"),
    ("Service: ", "next_action_service"),
    ("Why: ", "next_action_reason"),
    ("Since: ", "next_action_since_date"),
)


def json_object(fields: Mapping[str, str], *, emptied: str = "false") -> str:
    """Return SQL for the fields of the sink as a JSON object of texts of profile `p` and contacts `c`.

    Where the condition `emptied` holds they are empty, our key apart: by it the sink says who has opted out.
    """
    pairs = [
        f"{_quoted(theirs)}, CASE WHEN {'false' if ours == KEY else emptied} THEN '' ELSE {_text_of(ours)} END"
        for theirs, ours in fields.items()
    ]
    return f"CAST(json_object({', '.join(pairs)}) AS VARCHAR)" if pairs else "'{}'"


def _text_of(ours: str) -> str:
    if ours == NEXT_ACTION_NOTE:
        lines = ", ".join(f"{_quoted(label)} || CAST(p.{column} AS VARCHAR)" for label, column in _NOTE_LINES)
        return f"CASE WHEN p.next_action_title IS NULL THEN '' ELSE trim(concat_ws(chr(10), {lines})) END"
    if ours.startswith(SEGMENT_PREFIX):
        return f"coalesce(json_extract_string(p.segments, {_quoted('$.' + ours.removeprefix(SEGMENT_PREFIX))}), '')"
    # A customer without a profile, such as a stranger on one of our lists, has a key all the same.
    column = f"c.{ours}" if ours in CONTACT_FIELDS else "d.customer_id" if ours == KEY else f"p.{ours}"
    return f"coalesce(trim(CAST({column} AS VARCHAR)), '')"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
