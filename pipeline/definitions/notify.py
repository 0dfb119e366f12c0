"""`[notify]` of `company.toml`: who is told of a night, on which occasions, and through which connection. Nobody by default."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import time
from enum import StrEnum
from typing import Literal, cast, get_args

from pipeline.definitions.fields import IDENTIFIER, Fields, printable_value, require_identifier
from pipeline.spelling import did_you_mean

RecipientKind = Literal["mail", "slack", "webhook"]
DAY_IN_URL = "{day}"
"""What stands in `page_url` for the day that a message is about."""
_KINDS = get_args(RecipientKind)
_TIME = re.compile("(?P<hour>[01][0-9]|2[0-3]):(?P<minute>[0-5][0-9])")
_MAIL_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>]+")


class Occasion(StrEnum):
    """What somebody can be told of."""

    FAILED = "failed"
    HELD_BACK = "held_back"
    PUBLISHED = "published"
    CAMPAIGN_DUE = "campaign_due"
    ALARM = "alarm"
    NOT_PUBLISHED = "not_published"


OF_LIVE_NIGHTS = (Occasion.PUBLISHED, Occasion.CAMPAIGN_DUE, Occasion.ALARM)
"""What is told once a night is live."""


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is told, of what, and how: `connection` is the name of one that Airflow keeps, `to` are addresses of mail."""

    name: str
    kind: RecipientKind
    connection: str
    occasions: frozenset[Occasion]
    to: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """All recipients; by when a night should be live, in the company's time zone; and the address that messages link to."""

    recipients: tuple[Recipient, ...] = ()
    not_published_by: time | None = None
    page_url: str = ""

    def recipients_of(self, *occasions: Occasion) -> tuple[Recipient, ...]:
        """Return the recipients who are told of at least one of the occasions, in the order of the file."""
        return tuple(recipient for recipient in self.recipients if recipient.occasions & set(occasions))


def read_notify(section: Fields) -> NotifySettings:
    """Return what [notify] says; raises ConfigError for a setting that is unknown or wrong."""
    deadline = _read_time(section)
    url = section.take("page_url", str, default="")
    if url and not re.fullmatch(r"https?://[^\s<>\"|]+", url):
        raise section.refusal("page_url", f"is {printable_value(url)}, which is no address", 'Write it as "https://host/path".')
    recipients = tuple(_read_recipients(section))
    section.refuse_unknown()
    settings = NotifySettings(recipients, deadline, url)
    if bool(settings.recipients_of(Occasion.NOT_PUBLISHED)) != (deadline is not None):
        what = "needs a recipient who is told" if deadline else "is missing, and a recipient is told of `not_published`"
        todo = 'Write both: not_published_by = "07:00", and on = ["not_published"] in a table of [notify].'
        raise section.refusal("not_published_by", what, todo)
    return settings


def _read_time(section: Fields) -> time | None:
    text = section.take("not_published_by", str, default="")
    if not text:
        return None
    found = _TIME.fullmatch(text)
    if not found:
        what = f"is {printable_value(text)}, which is no time"
        raise section.refusal("not_published_by", what, 'Write hours and minutes, such as "07:00".')
    return time(int(found["hour"]), int(found["minute"]))


def _read_recipients(sections: Fields) -> Iterator[Recipient]:
    for name, section in sections.sections(IDENTIFIER):
        require_identifier(name, "the name of a recipient", sections.where)
        kind = cast("RecipientKind", section.choice("kind", _KINDS))
        section.note_entries("on", kinds=frozenset({str}), choices=tuple(Occasion))
        occasions = section.texts("on")
        for each in occasions:
            if each not in tuple(Occasion):
                what = f"names {printable_value(each)}{did_you_mean(each, Occasion)}"
                raise section.refusal("on", what, f"Choose of {', '.join(Occasion)}.")
        if not occasions:
            raise section.refusal("on", "is empty", f"Choose of {', '.join(Occasion)}, or delete the recipient.")
        yield Recipient(
            name=name,
            kind=kind,
            connection=section.text("connection", default=name),
            occasions=frozenset(Occasion(each) for each in occasions),
            to=_read_addresses(section, kind),
        )
        section.refuse_unknown()


def _read_addresses(section: Fields, kind: str) -> tuple[str, ...]:
    addresses = section.texts("to", default=[])
    if kind == "mail" and not addresses:
        raise section.refusal("to", "is missing", 'Say who gets the mail: to = ["ada@shop.example"].')
    if kind != "mail" and addresses:
        raise section.refusal("to", f"is for mail alone: a {kind} goes to the address of its connection", "Delete it.")
    for place, address in enumerate(addresses, 1):
        # Its place, and not itself: an address is somebody's.
        if not _MAIL_ADDRESS.fullmatch(address):
            raise section.refusal("to", f"has no address of mail in place {place}", 'Write each as "ada@shop.example".')
    return addresses
