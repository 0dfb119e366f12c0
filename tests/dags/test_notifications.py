"""Who is told of a night, run for real: a mail server and receivers of JSON on loopback take what tasks send."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from support.airflow_forks import AirflowForks
from support.certificates import Authority
from support.dag_runs import Facts
from support.deployments import CANARY, Deployment, a_small_company
from support.receivers import JsonReceiver, MailServer, free_port, json_receiver, mail_server
from support.tls_servers import running_tls_server

SCRIPT = Path(__file__).with_name("run_notified_nights.py")
SETTINGS = """
[gates]
quiet_days = 60

[notify]
not_published_by = "07:00"
page_url = "https://shop.example/page?day={day}&b=2"

[notify.owners]
kind = "mail"
connection = "post"
on = ["published", "failed", "held_back"]
to = ["ada@shop.example", "bo@shop.example"]

[notify.team]
kind = "slack"
on = ["published", "failed"]

[notify.monitor]
kind = "webhook"
on = ["not_published", "held_back"]

[notify.nobody]
kind = "webhook"
on = ["published"]
"""


def mail_connection(port: int) -> str:
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "night@shop.example"}
    return json.dumps({"conn_type": "smtp", "host": "127.0.0.1", "port": port, "extra": extra})


@dataclass(frozen=True, slots=True)
class Nights:
    """What came of the nights that the script runs."""

    facts: Facts
    deployment: Deployment
    kept: str
    mails: MailServer
    receiver: JsonReceiver

    @property
    def log(self) -> str:
        return "\n".join(self.facts["log"])

    def posted_to(self, path: str) -> list[dict[str, Any]]:
        return [content for where, _, content in self.receiver.posted if where == path]


@pytest.fixture(scope="module")
def nights(airflow: AirflowForks, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nights]:
    folder = tmp_path_factory.mktemp("notified")
    company = a_small_company(folder / "company")
    text = (company / "company.toml").read_text().replace('"Small"', '"Küçük & Co"')
    (company / "company.toml").write_text(text + SETTINGS)
    deployment = Deployment.of(company, folder)
    untrusted = running_tls_server(Authority.of(folder / "authority").server_context("127.0.0.1"))
    with mail_server() as mails, json_receiver() as receiver, untrusted as by_tls, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AIRFLOW_CONN_TEAM", f"slackwebhook://:T0%2FB0%2Fsecret@http%3A%2F%2F127.0.0.1%3A{receiver.port}%2Fservices")
        environment.setenv("SEGMENTS_CONNECTION_MONITOR", f"http://ada:pass@127.0.0.1:{receiver.port}/monitor")
        mail_in, away = mail_connection(mails.port), mail_connection(free_port())
        mails.refused = "gone@shop.example"
        receiver_in = f"http://127.0.0.1:{receiver.port}"
        facts = airflow.run_script(SCRIPT, deployment, folder / "facts.json", mail_in, away, receiver_in, str(by_tls.port))
        yield Nights(facts, deployment, deployment.everything_airflow_kept().decode(errors="replace"), mails, receiver)


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def test_each_occasion_sends_one_mail_to_all_addresses_and_none_is_sent_twice(nights: Nights) -> None:
    subjects = [str(mail["Subject"]) for mail in nights.mails.mails]
    assert subjects == [
        "Küçük & Co: 3 customers and 0 prospects.",
        "Küçük & Co: 3 customers and 0 prospects.",
        "Küçük & Co: the night of 2024-03-31 is held back",
        "Küçük & Co: the night of 2024-03-31 failed in extract",
    ]
    assert {mail["To"] for mail in nights.mails.mails} == {"ada@shop.example, bo@shop.example"}
    assert {mail["From"] for mail in nights.mails.mails} == {"night@shop.example"}


def test_a_morning_mail_has_a_few_lines_the_link_and_the_page(nights: Nights) -> None:
    text = text_of(nights.mails.mails[0])
    assert "3 bought in the last 365 days, for 103.50 EUR net of refunds." in text
    assert '<a href="https://shop.example/page?day=2024-03-30&amp;b=2">' in text
    assert "The night of 2024-03-30 is live." in text
    assert text.count("<p>") <= 12
    [page] = nights.mails.mails[0].iter_attachments()
    assert page.get_filename() == "2024-03-30.html"
    assert "Küçük &amp; Co" in page.get_content().decode()


def test_a_night_that_is_held_back_says_why_what_to_do_and_what_stays_live(nights: Nights) -> None:
    mail = nights.mails.mails[2]
    for words in ("rejected", "limit", "--override-gate rejected", "The night of 2024-03-31 is live."):
        assert words in text_of(mail)
    assert [part.get_filename() for part in mail.iter_attachments()] == ["2024-03-31.html"]


def test_a_night_that_failed_says_why_and_what_to_do(nights: Nights) -> None:
    text = text_of(nights.mails.mails[3])
    for words in ("sold_at", "Next: ", "The night of 2024-03-31 is live."):
        assert words in text


def test_slack_gets_one_message_each_at_the_address_of_its_token(nights: Nights) -> None:
    texts = [content["text"] for content in nights.posted_to("/services/T0/B0/secret")]
    assert [text.partition("\n")[0] for text in texts] == [
        "*Küçük &amp; Co: 3 customers and 0 prospects.*",
        "*Küçük &amp; Co: 3 customers and 0 prospects.*",
        "*Küçük &amp; Co: the night of 2024-03-31 failed in extract*",
    ]
    assert texts[0].endswith("\nhttps://shop.example/page?day=2024-03-30&b=2")


def test_a_monitor_is_told_of_a_night_that_is_late_and_not_of_one_in_time(nights: Nights) -> None:
    late, held_back = nights.posted_to("/monitor")
    look = f"segments status --company {nights.deployment.company} --lake {nights.deployment.lake}"
    assert late == {
        "occasion": "not_published",
        "company": "Küçük & Co",
        "day": "2024-03-30",
        "subject": "Küçük & Co: the night of 2024-03-30 is not published at 07:00",
        "lines": [
            "The night of 2024-03-30 is not begun.",
            f"What is live cannot be seen from here; to see it: {look}",
            f"Next: see what the run of nightly_segments says in Airflow, or run: {look}",
        ],
        "link": "https://shop.example/page?day=2024-03-30&b=2",
    }
    assert (held_back["occasion"], held_back["day"]) == ("held_back", "2024-03-31")
    logins = {headers["Authorization"] for where, headers, _ in nights.receiver.posted if where == "/monitor"}
    assert logins == {"Basic YWRhOnBhc3M="}


def test_a_mail_server_that_is_away_fails_no_night_and_is_asked_again(nights: Nights) -> None:
    away = nights.facts["mail away"]
    assert (away["run"], away["publish"], away["notify"]) == ("success", "success 1", "skipped 2")
    assert "owners could not be notified: the mail server cannot be reached: ConnectionRefusedError" in nights.log


def test_a_connection_that_does_not_exist_is_named_and_fails_no_night(nights: Nights) -> None:
    assert nights.facts["published"]["run"] == "success"
    assert "nobody could not be notified: connection `nobody` is not set" in nights.log


def test_an_old_night_that_is_run_again_tells_nobody(nights: Nights) -> None:
    assert nights.facts["old"] == {**nights.facts["again"], "notify": "success 1"}


def test_a_night_ends_as_it_would_without_anybody_being_told(nights: Nights) -> None:
    assert {name: nights.facts[name]["run"] for name in ("held back", "failed", "late", "in time")} == {
        "held back": "failed",
        "failed": "failed",
        "late": "success",
        "in time": "success",
    }


def test_each_way_in_which_a_message_is_refused_says_what_to_mend_or_that_it_may_pass(nights: Nights) -> None:
    assert nights.facts["refusals"] == {
        "404": "ConfigError: the receiver refuses messages: HTTP 404",
        "302": "ConfigError: the receiver refuses messages: HTTP 302",
        "429": "TransientError: the receiver failed: HTTP 429",
        "503": "TransientError: the receiver failed: HTTP 503",
        "gone": "TransientError: the receiver cannot be reached: ConnectError",
        "untrusted": "ConfigError: the receiver cannot be reached: its certificate is signed by nobody whom this machine trusts",
        "untrusted mail": "ConfigError: the mail server cannot be reached: its certificate is signed by nobody whom this machine trusts",
        "no address": "ConfigError: the connection is no address of HTTP",
        "half an address": "ConfigError: the connection is no address of HTTP",
        "half an address of Slack": "ConfigError: the connection is no address of HTTP",
        "refused mailbox": "ConfigError: the mail server refuses 1 of 1 addresses",
        "no sender": "ConfigError: the connection does not say from whom mail comes",
        "no mail": "ConfigError: the connection is of kind `http`, and mail needs `smtp`",
        "no connection": "ConfigError: connection `nowhere` does not exist",
    }


def test_no_message_has_a_value_of_a_customer_and_no_log_a_secret(nights: Nights) -> None:
    told = [mail.as_string() + text_of(mail) for mail in nights.mails.mails] + [
        json.dumps(content) for *_, content in nights.receiver.posted
    ]
    assert CANARY not in "".join(told)
    assert "T0/B0/secret" not in nights.kept + nights.log
    assert CANARY not in nights.log
