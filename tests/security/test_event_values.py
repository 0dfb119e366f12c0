"""What events say of customers stays in their own tables and among rejected rows: no log, message, page or manifest has it."""

from __future__ import annotations

import logging
from datetime import date
from pathlib import Path

import pytest
from support.events import ANY_SHARE, EMAIL_SQL, HEADER, write_email_shop, write_event
from support.nights import run_night
from support.traces import traces

from pipeline.errors import GateClosed, PipelineError
from pipeline.lake.lake import Lake

NIGHT = date(2024, 3, 27)
MESSAGE, NUMBER, COST, SENT = "mailcanary9b2c", "7654321", "31415926.53", "1987-06-05"
TRACES = (MESSAGE, NUMBER, "31415926", SENT)
SOUND = f"{MESSAGE}0,sent,ann,2024-03-26 10:00,{NUMBER},0.5,{COST},true,{SENT}"
BROKEN = [
    f"{MESSAGE}1,sent,,2024-03-26 10:00,{NUMBER},nan,{COST},true,{SENT}",
    f"{MESSAGE}2,sent,ann,2020-03-26 10:00,{NUMBER},0.5,{COST},true,{SENT}",
    f"{MESSAGE}3,sent,ann,2024-03-26 10:00,{NUMBER},0.5,{COST},true,{SENT}",
    f"{MESSAGE}3,sent,ann,2024-03-26 10:01,{NUMBER},0.5,{COST},true,{SENT}",
]


def told(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> list[str]:
    shown = capfd.readouterr()
    return [trace for trace in TRACES if trace in caplog.text + shown.out + shown.err]


def test_a_night_keeps_what_events_say_in_their_tables(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    shop = write_email_shop(tmp_path / "shop", [SOUND, *BROKEN], settings=ANY_SHARE)
    with caplog.at_level(logging.DEBUG):
        run_night(shop, lake, NIGHT)
    assert told(caplog, capfd) == []
    assert traces(lake, f"{MESSAGE}0") == {"tables/raw_email", "tables/email"}
    assert traces(lake, f"{MESSAGE}1") == {"tables/raw_email", "tables/rejected_rows"}


@pytest.mark.parametrize(
    ("row", "query"),
    [
        pytest.param(SOUND.replace(COST, f"{MESSAGE}x"), EMAIL_SQL, id="a text for an amount"),
        pytest.param(SOUND.replace(SENT, "1987-06-55"), EMAIL_SQL, id="no date"),
        pytest.param(SOUND, EMAIL_SQL.replace("CAST(links AS BIGINT)", "links"), id="a text for a whole number"),
        pytest.param(
            SOUND, EMAIL_SQL.replace("CAST(cost AS DECIMAL(18, 4))", "CAST(cost || '00000001' AS DECIMAL(30, 12))"), id="too precise"
        ),
        pytest.param("\n".join([SOUND, *BROKEN]), EMAIL_SQL, id="too many rejected"),
    ],
)
def test_what_stops_a_night_names_no_value(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str], row: str, query: str
) -> None:
    shop = write_email_shop(tmp_path / "shop", [])
    write_event(shop, "email", query, [HEADER, row])
    with caplog.at_level(logging.DEBUG), pytest.raises((PipelineError, GateClosed)) as refused:
        run_night(shop, lake, NIGHT)
    assert [trace for trace in (*TRACES, "1987-06-55") if trace in str(refused.value)] == []
    assert told(caplog, capfd) == []
