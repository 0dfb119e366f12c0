"""Who is told of a night that is live, or late: each recipient once, whatever is tried again.

What is sent is noted per night, after it was sent: a process that dies in between sends it once more rather than never. How it is
sent is handed in, as only Airflow knows its connections.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import TYPE_CHECKING

from pipeline.definitions.notify import Occasion, Recipient
from pipeline.errors import PipelineError, TransientError
from pipeline.operations.deployment import Deployment

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake
    from pipeline.reporting.notifications import Notification

Send = Callable[[Recipient, "Notification"], None]
log = logging.getLogger("pipeline.operations.notify")


def notify_live_night(deployment: Deployment, day: date, send: Send) -> None:
    """Notify whoever wants to know that the night of `day` is live; nobody where another night is.

    Raises the error of a recipient who could not be reached, once all others were: a TransientError first, as that may pass.
    """
    from pipeline.publication.current import current_publication

    company, lake = deployment.company, deployment.lake
    live = current_publication(lake)
    if live is None or live.day != day:
        # Such as one of a backfill, which puts nothing live: of a year of nights nobody wants a year of mails.
        log.info("the night of %s is not the one that is live: nobody is notified", day)
        return
    due = [(recipient, each) for each in _notifications_due(company, lake, day) for recipient in _recipients_of(each, company)]
    _send_once(lake, day, live.publication_id, due, send)


def _notifications_due(company: Company, lake: Lake, day: date) -> Iterator[Notification]:
    """Yield what there is to say of the night, made only where somebody wants to know."""
    from pipeline.reporting.notifications import alarm_notification, campaign_notification, morning_notification

    made_by = {
        Occasion.PUBLISHED: morning_notification,
        Occasion.ALARM: alarm_notification,
        Occasion.CAMPAIGN_DUE: campaign_notification,
    }
    for occasion, make in made_by.items():
        notification = make(company, lake, day) if company.notify.recipients_of(occasion) else None
        if notification:
            yield notification


def _recipients_of(notification: Notification, company: Company) -> Iterator[Recipient]:
    for recipient in company.notify.recipients_of(notification.occasion):
        # The subject of the morning mail is the alarm already.
        if notification.occasion is not Occasion.ALARM or Occasion.PUBLISHED not in recipient.occasions:
            yield recipient


def notify_late_night(deployment: Deployment, day: date, send: Send) -> None:
    """Notify whoever wants to know that the night of `day` is not live by the time that the company set; nobody where it is.

    Raises as `notify_live_night` does.
    """
    from pipeline.publication.current import current_publication
    from pipeline.reporting.notifications import not_published_notification

    company, lake = deployment.company, deployment.lake
    live, by = current_publication(lake), company.notify.not_published_by
    if by is None or (live is not None and live.day >= day):
        log.info("the night of %s is live", day)
        return
    notification = not_published_notification(company, lake, day, by)
    log.warning(notification.subject)
    _send_once(lake, day, "", ((each, notification) for each in company.notify.recipients_of(Occasion.NOT_PUBLISHED)), send)


def notify_recipients(recipients: Iterable[Recipient], notification: Notification, send: Send) -> list[Recipient]:
    """Send the notification and return who got it; who could not is logged, and holds up nobody else."""
    notified = []
    for recipient in recipients:
        try:
            send(recipient, notification)
        except PipelineError as error:
            _log_unsent(recipient, error)
        else:
            notified.append(recipient)
    return notified


def _send_once(lake: Lake, day: date, about: str, due: Iterable[tuple[Recipient, Notification]], send: Send) -> None:
    """Send what was not sent yet and note it; `about` is the publication, so that another one of the same day is told of again."""
    from pipeline.lake.addresses import notifications

    sent, failures = list(_sent_before(lake, day)), list[PipelineError]()
    for recipient, notification in due:
        note = {"recipient": recipient.name, "occasion": notification.occasion, "publication": about}
        if note in sent:
            log.info("%s was notified before", recipient.name)
            continue
        try:
            send(recipient, notification)
        except PipelineError as error:
            _log_unsent(recipient, error)
            failures.append(error)
            continue
        # On a line of its own, whatever part of a line an interrupted process left.
        lake.store.append(notifications(day), f"\n{json.dumps(note)}\n".encode())
        log.info("%s was notified: %s", recipient.name, notification.occasion)
    if failures:
        raise next((each for each in failures if isinstance(each, TransientError)), failures[0])


def _sent_before(lake: Lake, day: date) -> Iterator[object]:
    from pipeline.lake.addresses import notifications

    try:
        lines = lake.store.read(notifications(day)).decode().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            yield json.loads(line)
        except ValueError:
            continue


def _log_unsent(recipient: Recipient, error: PipelineError) -> None:
    # A warning, as nothing of the night is wrong; and so that whoever runs one by hand sees it.
    for line in f"{recipient.name} could not be notified: {error}".splitlines():
        log.warning(line)
