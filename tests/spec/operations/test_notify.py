"""Who is told of a night that is live: each recipient once, whoever else could not be."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.definitions.notify import Recipient
from pipeline.errors import ConfigError, PipelineError, TransientError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_SUMMARIES, SALES_DAYS, SEGMENT_PROFILES, Table
from pipeline.operations.deployment import Deployment
from pipeline.operations.notify import notify_late_night, notify_live_night
from pipeline.reporting.notifications import MOST_LINES, FailedTask, Notification, failure_notification, morning_notification
from pipeline.reporting.pages.morning import page_of_night

NIGHT, NEXT = date(2024, 3, 1), date(2024, 3, 2)
SETTINGS = """
[notify.ada]
kind = "webhook"
on = ["published", "alarm"]
[notify.bo]
kind = "webhook"
on = ["published", "campaign_due"]
[notify.cy]
kind = "webhook"
on = ["published"]
[notify.di]
kind = "webhook"
on = ["alarm"]
"""


@dataclass
class Post:
    """Sends by keeping what was sent; fails for those who are away."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    away: dict[str, PipelineError] = field(default_factory=dict)
    notified: list[Notification] = field(default_factory=list)

    def __call__(self, recipient: Recipient, notification: Notification) -> None:
        if recipient.name in self.away:
            raise self.away[recipient.name]
        self.sent.append((recipient.name, notification.occasion.value))
        self.notified.append(notification)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("night")
    orders = [f"o{n},1,c{n},2024-03-01 10:00:00,1,5,a" for n in range(12)]
    shop = write_shop(folder / "shop", orders, customers=[f"c{n}" for n in range(12)], settings=SETTINGS)
    run_night(shop, Lake(folder / "lake"), NIGHT)
    return folder


@pytest.fixture
def deployment(night: Path, tmp_path: Path) -> Deployment:
    return Deployment.of(night / "shop", shutil.copytree(night / "lake", tmp_path / "lake", symlinks=True))


def test_who_was_told_is_not_told_again_and_who_was_away_is(deployment: Deployment) -> None:
    post = Post(away={"bo": TransientError("away")})
    with pytest.raises(TransientError):
        notify_live_night(deployment, NIGHT, post)
    assert post.sent == [("ada", "published"), ("cy", "published")]
    post.away = {}
    notify_live_night(deployment, NIGHT, post)
    notify_live_night(deployment, NIGHT, post)
    assert post.sent[2:] == [("bo", "published")]


def test_what_may_pass_is_raised_before_what_a_person_must_mend(deployment: Deployment) -> None:
    post = Post(away={"ada": ConfigError("no such connection"), "cy": TransientError("away")})
    with pytest.raises(TransientError):
        notify_live_night(deployment, NIGHT, post)
    del post.away["cy"]
    with pytest.raises(ConfigError, match="no such connection"):
        notify_live_night(deployment, NIGHT, post)


def test_a_note_that_was_interrupted_loses_no_other(deployment: Deployment) -> None:
    post = Post(away={"cy": TransientError("away")})
    with pytest.raises(TransientError):
        notify_live_night(deployment, NIGHT, post)
    [notes] = (deployment.lake.root / "notifications").glob("*")
    with notes.open("a") as file:
        file.write('{"recipient": "c')
    post.away = {}
    for _ in range(2):
        notify_live_night(deployment, NIGHT, post)
    assert [name for name, _ in post.sent] == ["ada", "bo", "cy"]


def test_a_night_that_is_not_the_live_one_tells_nobody(deployment: Deployment) -> None:
    post = Post()
    notify_live_night(deployment, date(2024, 2, 29), post)
    assert post.sent == []
    assert not (deployment.lake.root / "notifications").exists()


def test_another_publication_of_the_same_day_is_told_of_again(deployment: Deployment) -> None:
    post = Post()
    notify_live_night(deployment, NIGHT, post)
    shop = shutil.copytree(deployment.company.folder, deployment.lake.root.parent / "shop")
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write("late,1,c1,2024-03-01 11:00:00,1,7,a\n")
    run_night_again(shop, deployment.lake)
    notify_live_night(Deployment.of(shop, deployment.lake.root), NIGHT, post)
    assert [name for name, _ in post.sent] == ["ada", "bo", "cy"] * 2
    assert post.notified[0].lines != post.notified[3].lines
    assert all(len(each.lines) <= MOST_LINES for each in post.notified)


def test_a_campaign_is_due_once_on_the_first_night_that_tells_it(deployment: Deployment) -> None:
    lake, post = deployment.lake, Post()
    write_campaigns(lake, date(2024, 2, 28), [("gone", "final", date(2024, 2, 27)), ("spring", "running", date(2024, 3, 1))])
    write_campaigns(
        lake, NIGHT, [("gone", "final", date(2024, 2, 27)), ("easter", "too few", date(2024, 2, 29)), ("spring", "final", NIGHT)]
    )
    notify_live_night(deployment, NIGHT, post)
    assert post.sent == [("ada", "published"), ("bo", "published"), ("cy", "published"), ("bo", "campaign_due")]
    assert post.notified[-1].subject == "Shop: the results of 2 campaigns are there"
    options = f" --company {deployment.company.folder} --lake {lake.root}"
    assert post.notified[-1].lines == (
        f"EASTER: too few customers bought to tell what they spent more. segments campaign results easter{options}",
        f"SPRING: its final result. segments campaign results spring{options}",
    )


def test_campaigns_of_years_ago_are_no_news_of_the_first_night(deployment: Deployment) -> None:
    post = Post()
    write_campaigns(deployment.lake, NIGHT, [("gone", "final", date(2023, 6, 1)), ("spring", "final", NIGHT)])
    notify_live_night(deployment, NIGHT, post)
    assert post.notified[-1].subject == "Shop: the result of SPRING is there"


def test_an_alarm_is_told_on_the_first_night_that_has_it_and_begins_the_morning_mail(deployment: Deployment) -> None:
    lake, post = deployment.lake, Post()
    write_sales(lake, NIGHT, before=1000, now=100)
    notify_live_night(deployment, NIGHT, post)
    assert post.sent == [("ada", "published"), ("bo", "published"), ("cy", "published"), ("di", "alarm")]
    fell = "Shop: Sales fell by 90%: €2,800 in the last 28 days, after €28,000 in the 28 days before."
    assert [each.subject.startswith(fell) for each in post.notified] == [True] * 4
    run_night(deployment.company.folder, lake, NEXT)
    write_sales(lake, NEXT, before=1000, now=100)
    post = Post()
    notify_live_night(deployment, NEXT, post)
    assert post.sent == [("ada", "published"), ("bo", "published"), ("cy", "published")]


def test_an_alarm_of_another_kind_is_told_though_there_are_no_more_of_them(deployment: Deployment) -> None:
    lake, post = deployment.lake, Post()
    write_sales(lake, NIGHT, before=1000, now=100)
    notify_live_night(deployment, NIGHT, post)
    run_night(deployment.company.folder, lake, NEXT)
    write_sales(lake, NEXT, before=100, now=1000)
    post = Post()
    notify_live_night(deployment, NEXT, post)
    assert post.sent[-1] == ("di", "alarm")
    assert post.notified[-1].subject.startswith("Shop: Sales rose by 900%: €28,000 in the last 28 days")


@pytest.mark.parametrize(
    ("name", "day", "is_after_publishing", "outcome"),
    [
        ("ask_refit", NIGHT, True, "is live; ask_refit failed after it"),
        # A night that is run again, and one that is not live, are not saved by an earlier run.
        ("extract", NIGHT, False, "failed in extract"),
        ("ask_refit", NEXT, True, "failed in ask_refit"),
    ],
)
def test_what_fails_after_a_night_is_live_has_not_failed_the_night(
    deployment: Deployment, name: str, day: date, is_after_publishing: bool, outcome: str
) -> None:
    failed = FailedTask(f"the night of {day}", name, day, RuntimeError("a value"), is_after_publishing=is_after_publishing)
    notification = failure_notification(deployment.company, deployment.lake, failed)
    assert notification.subject == f"Shop: the night of {day} {outcome}"
    assert "The night of 2024-03-01 is live." in notification.lines
    assert "a value" not in str(notification)


def test_the_morning_mail_and_its_page_read_the_night_once(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    read, reads = Lake.read, list[str]()

    def counted_read(lake: Lake, table: Table, **options: Any) -> pa.Table:
        reads.append(table.name)
        return read(lake, table, **options)

    monkeypatch.setattr(Lake, "read", counted_read)
    page = morning_notification(deployment.company, deployment.lake, NIGHT).page
    assert page
    assert page.html == page_of_night(deployment.company, deployment.lake, NIGHT, is_alone=True)
    assert reads.count(SEGMENT_PROFILES.name) == 2, "once for both, and once for the page just made"


def test_the_morning_mail_goes_by_the_definitions_of_the_night(night: Path, deployment: Deployment, tmp_path: Path) -> None:
    shop = shutil.copytree(night / "shop", tmp_path / "shop")
    before = morning_notification(load_company(shop), deployment.lake, NIGHT)
    settings = (shop / "company.toml").read_text("utf-8")
    (shop / "company.toml").write_text(f"window_days = 30\n{settings}", "utf-8")
    assert morning_notification(load_company(shop), deployment.lake, NIGHT) == before
    assert "12 bought in the last 365 days, for 60.00 EUR net of refunds." in before.lines


def test_a_night_is_late_only_where_the_company_set_a_time(deployment: Deployment) -> None:
    post = Post()
    notify_late_night(deployment, NEXT, post)
    assert post.sent == []


def run_night_again(shop: Path, lake: Lake) -> None:
    from support.nights import night_of

    from pipeline.operations import steps

    again = night_of(shop, lake, NIGHT)
    steps.extract(again, reread=True)
    run_night(shop, lake, NIGHT)


def write_campaigns(lake: Lake, night: date, campaigns: list[tuple[str, str, date]]) -> None:
    """Store campaigns as a night does; only what is told of them differs."""
    known = {"start_day": date(2024, 2, 1), "end_day": date(2024, 2, 20), "origin": "own", "primary_metric": "ordered", "is_holdout": False}
    counts = {"assigned_count": 100, "customer_count": 100, "left_count": 0}
    rows = [
        {
            **dict.fromkeys(CAMPAIGN_SUMMARIES.column_names),
            **known,
            **counts,
            "campaign_id": name,
            "title": name.upper(),
            "state": state,
            "due_date": due,
        }
        for name, state, due in sorted(campaigns)
    ]
    lake.write(CAMPAIGN_SUMMARIES, pa.Table.from_pylist(rows, schema=CAMPAIGN_SUMMARIES.schema).to_batches(), day=night)


def write_sales(lake: Lake, night: date, *, before: int, now: int) -> None:
    """Store so much of sales a day, in the 28 days before and in the last 28, as a night does."""
    rows = [
        {
            "order_day": night - timedelta(days=back),
            "order_count": 5,
            "customer_count": 5,
            "new_customer_count": 1,
            "spend_amount": Decimal(now if back < 28 else before),
        }
        for back in reversed(range(56))
    ]
    lake.write(SALES_DAYS, pa.Table.from_pylist(rows, schema=SALES_DAYS.schema).to_batches(), day=night)
