"""What [notify] says, and how a wrong one is answered."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.notify import Occasion, Recipient
from pipeline.errors import ConfigError

MINIMAL = 'name = "Shop"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n'
MAIL = '[notify.owners]\nkind = "mail"\non = ["published", "held_back"]\nto = ["zoe@shop.example", "bo@shop.example"]\n'
SLACK = '[notify.team]\nkind = "slack"\nconnection = "chat"\non = ["failed"]\n'
LATE = '[notify.team]\nkind = "slack"\non = ["not_published"]\n'


def read(folder: Path, text: str) -> Company:
    (folder / "sources").mkdir(exist_ok=True)
    for source in ("customers", "order_lines"):
        (folder / "sources" / f"{source}.sql").write_text("SELECT 1")
    (folder / "company.toml").write_text(text)
    return load_company(folder)


def test_nobody_is_told_by_default(tmp_path: Path) -> None:
    settings = read(tmp_path, MINIMAL).notify
    assert settings.recipients_of(*Occasion) == ()
    assert settings.not_published_by is None


def test_recipients_are_told_of_what_they_name_through_the_connection_of_their_name_or_another(tmp_path: Path) -> None:
    settings = read(tmp_path, f"{MINIMAL}{MAIL}{SLACK}").notify
    owners = Recipient(
        "owners", "mail", "owners", frozenset({Occasion.PUBLISHED, Occasion.HELD_BACK}), ("zoe@shop.example", "bo@shop.example")
    )
    team = Recipient("team", "slack", "chat", frozenset({Occasion.FAILED}))
    assert settings.recipients == (owners, team)
    assert settings.recipients_of(Occasion.FAILED) == (team,)
    assert settings.recipients_of(Occasion.HELD_BACK, Occasion.FAILED) == (owners, team)
    assert settings.recipients_of(Occasion.ALARM) == ()


def test_a_night_may_have_to_be_live_by_a_time(tmp_path: Path) -> None:
    assert read(tmp_path, f'{MINIMAL}[notify]\nnot_published_by = "07:30"\n{LATE}').notify.not_published_by == time(7, 30)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (MAIL.replace("held_back", "heldback"), "`notify.owners.on` names `heldback` (did you mean `held_back`?)"),
        (MAIL.replace('["published", "held_back"]', "[]"), "`notify.owners.on` is empty"),
        (MAIL.replace('kind = "mail"', 'kind = "email"'), "`notify.owners.kind` is `email` (did you mean `mail`?)"),
        (MAIL.replace("to =", "too ="), "`notify.owners.to` is missing"),
        (MAIL.replace("bo@shop.example", "bo"), "`notify.owners.to` has no address of mail in place 2"),
        (MAIL.replace("bo@", "bo@x,eve@"), "`notify.owners.to` has no address of mail in place 2"),
        (MAIL.replace("bo@", "bo\\nBcc: eve@"), "`notify.owners.to` must be a printable text"),
        (SLACK + 'to = ["zoe@shop.example"]\n', "`notify.team.to` is for mail alone"),
        (SLACK + "every = 1\n", "`notify.team.every` is not a known setting"),
        (SLACK.replace("team", "Team"), "the name of a recipient is `Team`"),
        (LATE, "`notify.not_published_by` is missing, and a recipient is told of `not_published`"),
        (f'[notify]\nnot_published_by = "07:00"\n{SLACK}', "`notify.not_published_by` needs a recipient who is told"),
        (f'[notify]\nnot_published_by = "7 o\'clock"\n{LATE}', "is `7 o'clock`, which is no time"),
        (f'[notify]\nnot_published_by = "25:00"\n{LATE}', "is `25:00`, which is no time"),
        (f'[notify]\nnot_published_by = "03:59"\n{LATE}', "is 03:59, and the night begins at 04:00"),
        (f'schedule = "0 4 * * 1"\n[notify]\nnot_published_by = "07:00"\n{LATE}', "needs one night a day"),
        ('[notify]\npage_url = "shop.example/page"\n', "`notify.page_url` is `shop.example/page`, which is no address"),
        ('[notify]\nfailed = ["mail"]\n', "`notify.failed` has the wrong type: list"),
    ],
)
def test_a_wrong_one_is_answered_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        read(tmp_path, MINIMAL + text)
    assert message in str(refused.value)
    assert "company.toml" in refused.value.where
    assert "zoe@" not in str(refused.value)
