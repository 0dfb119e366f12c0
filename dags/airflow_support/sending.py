"""How a notification leaves: by mail through Airflow's own provider, or as JSON over HTTP, for Slack or for a webhook.

Slack's incoming webhooks and other people's are one POST each, so no provider is needed for them. What a server answers is never
logged, as it may repeat an address or a secret; the kind of error says enough.
"""

from __future__ import annotations

import logging
import smtplib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote

import httpx
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowException, AirflowNotFoundException
from airflow.sdk.log import mask_secret

from airflow_support.connections import find_address
from pipeline.activation.sinks.http import client_context, origin, try_split
from pipeline.definitions.notify import Recipient
from pipeline.errors import ConfigError, TransientError
from pipeline.reporting.notifications import Notification
from pipeline.tls import tls_error

TIMEOUT = httpx.Timeout(30, connect=10)
MAIL, SLACK = ("smtp", "email"), "slackwebhook"
SLACK_WEBHOOKS = "https://hooks.slack.com/services"
PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
# It logs the address of every call, and that of Slack is a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)


def send(recipient: Recipient, notification: Notification) -> None:
    """Send the notification; raises TransientError where the server is away, ConfigError for what a person must mend."""
    if recipient.kind == "mail":
        _send_mail(recipient, notification)
    elif recipient.kind == "slack":
        _post(_slack_address(recipient), {"text": slack_text(notification)}, recipient)
    else:
        _post(find_address(recipient.connection), webhook_content(notification), recipient)


def mail_html(notification: Notification) -> str:
    """Return the body of a mail: paragraphs alone, as mail programs drop styles and pictures."""
    link = f'<p><a href="{escape(notification.link)}">{escape(notification.link)}</a></p>\n' if notification.link else ""
    return "".join(f"<p>{escape(line)}</p>\n" for line in (notification.subject, *notification.lines)) + link


def slack_text(notification: Notification) -> str:
    """Return the text for Slack, in which nothing of a name is taken for a link or a mention."""
    lines = [f"*{notification.subject}*", *notification.lines]
    escaped = [line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") for line in lines]
    return "\n".join([*escaped, notification.link] if notification.link else escaped)


def webhook_content(notification: Notification) -> dict[str, Any]:
    """Return the JSON for a webhook; the day is ISO text, or null where it is about none."""
    return {
        "occasion": notification.occasion.value,
        "company": notification.company,
        "day": notification.day and notification.day.isoformat(),
        "subject": notification.subject,
        "lines": list(notification.lines),
        "link": notification.link,
    }


def _send_mail(recipient: Recipient, notification: Notification) -> None:
    where = _place(recipient)
    connection = _airflow_connection(recipient)
    if connection.conn_type not in MAIL:
        raise ConfigError(f"the connection is of kind `{connection.conn_type}`, and mail needs `smtp`", where=where)
    if not connection.extra_dejson.get("from_email"):
        raise ConfigError("the connection does not say from whom mail comes", where=where, todo="Set `from_email` in its extra fields.")
    try:
        with _page_files(notification) as files, SmtpHook(smtp_conn_id=recipient.connection) as server:
            server.send_email_smtp(to=list(recipient.to), subject=notification.subject, html_content=mail_html(notification), files=files)
    except smtplib.SMTPAuthenticationError:
        raise ConfigError("the mail server does not let us in", where=where, todo="Look at login and password.") from None
    except smtplib.SMTPRecipientsRefused as refused:
        what = f"the mail server refuses {len(refused.recipients)} of {len(recipient.to)} addresses"
        raise ConfigError(what, where=where, todo=f"Look at `to` in [notify.{recipient.name}].") from None
    except (OSError, smtplib.SMTPException, AirflowException) as error:
        what = "the mail server cannot be reached"
        raise tls_error(what, error, where=where) or TransientError(f"{what}: {type(error).__name__}", where=where) from None


@contextmanager
def _page_files(notification: Notification) -> Iterator[list[str]]:
    """Yield the page as a file for the time of the block: the provider attaches files alone."""
    with TemporaryDirectory() as folder:
        files = []
        if notification.page:
            file = Path(folder) / notification.page.name
            file.write_text(notification.page.html, "utf-8")
            files.append(str(file))
        yield files


def _slack_address(recipient: Recipient) -> str:
    """Return the address of an incoming webhook: that of the connection, or the token that Airflow's provider for Slack keeps."""
    address = find_address(recipient.connection)
    if not address.lower().startswith(f"{SLACK}:"):
        return address
    kept = _airflow_connection(recipient)
    token, base = kept.password or "", kept.host or SLACK_WEBHOOKS
    whole = token if "://" in token else f"{base if '://' in base else f'https://{base}'}/{token}"
    for secret in (token, whole):
        mask_secret(secret)
    return whole


def _post(address: str, content: Mapping[str, Any], recipient: Recipient) -> None:
    where, parts = _place(recipient), try_split(address)
    if parts is None:
        raise ConfigError("the connection is no address of HTTP", where=where, todo="Write it as https://user:password@host/path.")
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    headers = {"Authorization": f"Bearer {password}"} if password and not user else {}
    bare = f"{origin(parts)}{parts._replace(scheme='', netloc='').geturl()}"
    try:
        # No proxies or logins from the environment: a message leaves in the same way wherever its task runs.
        with httpx.Client(timeout=TIMEOUT, trust_env=False, verify=client_context(), auth=(user, password) if user else None) as client:
            status = client.post(bare, json=content, headers=headers).status_code
    except httpx.RequestError as error:
        what = "the receiver cannot be reached"
        raise tls_error(what, error, where=where) or TransientError(f"{what}: {type(error).__name__}", where=where) from None
    if status in PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise TransientError(f"the receiver failed: HTTP {status}", where=where)
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        raise ConfigError(f"the receiver refuses messages: HTTP {status}", where=where, todo="Look at the address of the connection.")


def _airflow_connection(recipient: Recipient) -> Connection:
    try:
        found: Connection = Connection.get(recipient.connection)
    except AirflowNotFoundException:
        name = recipient.connection
        todo = (
            f"Add an Airflow connection `{name}`, or set AIRFLOW_CONN_{name.upper()}, or correct `connection` in [notify.{recipient.name}]."
        )
        raise ConfigError(f"connection `{name}` does not exist", where=_place(recipient), todo=todo) from None
    return found


def _place(recipient: Recipient) -> str:
    return f"connection `{recipient.connection}`, for [notify.{recipient.name}]"
