"""No secret of a connection is ever told: not by a message, a traceback, a log, a command or a file, however the connection fails."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from support.nights import write_shop
from support.opened_connections import DAY, OPENED, SECRET, use_sink
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.connections import connection_uri
from pipeline.errors import PipelineError
from pipeline.lake.lake import Lake

# Nobody listens at port 1. The secret stands wherever people put one, and where they put it by mistake.
ADDRESSES = {
    "a password": "{kind}://ada:s3cr3tcanary@127.0.0.1:1/shop",
    "a password that has to be quoted": "{kind}://ada:%2Fs3cr3tcanary%40@127.0.0.1:1/shop",
    "a password that is not quoted": "{kind}://ada:s3cr3tcanary/@127.0.0.1:1/shop",
    "a setting": "{kind}://ada@127.0.0.1:1/shop?password=s3cr3tcanary&sslpassword=s3cr3tcanary",
    "an unknown setting": "{kind}://ada:s3cr3tcanary@127.0.0.1:1/shop?sslmood=s3cr3tcanary",
    "no port": "{kind}://ada:s3cr3tcanary@127.0.0.1:s3cr3tcanary/shop",
    "a bracket too many": "{kind}://ada:s3cr3tcanary@[127.0.0.1:1/shop",
    "no user": "{kind}://:s3cr3tcanary@127.0.0.1:1/shop",
    "no address": "host=127.0.0.1 port=1 password=s3cr3tcanary",
    "the secret alone": "s3cr3tcanary",
}


HOOK = "http://:a-secret-to-sign-with@127.0.0.1:1/hooks/s3cr3tcanary"


@pytest.mark.parametrize(("kind", "use"), OPENED.values(), ids=OPENED)
def test_whatever_fails_names_no_secret(
    kind: str, use: Callable[[str, Path], None], tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    for address in ADDRESSES.values():
        require_nothing_told(partial(use, address.format(kind=kind), tmp_path), caplog, capfd)


def test_the_path_of_a_webhook_is_a_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    require_nothing_told(partial(use_sink, "webhook", HOOK, tmp_path), caplog, capfd)


def require_nothing_told(use: Callable[[], None], caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    with caplog.at_level(logging.DEBUG), pytest.raises(PipelineError) as failed:
        use()
    shown = capfd.readouterr()
    told = "".join(traceback.format_exception(failed.value)) + repr(failed.value) + caplog.text + shown.out + shown.err
    # A line of this file is no message.
    assert SECRET not in "\n".join(line for line in told.splitlines() if not line.startswith("    "))
    assert failed.value.todo


@pytest.mark.parametrize("variable", ["SEGMENTS_CONNECTION_SHOP", "AIRFLOW_CONN_SHOP"])
@pytest.mark.parametrize(
    "value",
    [SECRET, f"ftp://ada:{SECRET}@host/x", f'{{"conn_type": "ftp", "password": "{SECRET}"}}', f'{{"password": "{SECRET}"', f"[{SECRET}"],
)
def test_a_connection_that_is_none_is_not_shown(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, value)
    try:
        uri = connection_uri("shop")
    except PipelineError as error:
        assert SECRET not in "".join(traceback.format_exception(error)).replace(repr(value), "")  # noqa: PT017 - not all are refused
    else:
        assert (variable, uri) == ("SEGMENTS_CONNECTION_SHOP", value)


def test_commands_and_the_lake_tell_no_secret(
    tmp_path: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, own_logging: None
) -> None:
    del own_logging
    shop = write_shop(tmp_path / "shop", ["A1,1,1,2024-03-04 10:00:00,1,10.00,x"], customers=["1"])
    settings = (shop / "company.toml").read_text("utf-8")
    database = 'kind = "postgresql"\nconnection = "shop"\n'
    (shop / "company.toml").write_text(f"{settings}\n[source]\n{database}\n[publish]\n{database}", "utf-8")
    monkeypatch.setenv("SEGMENTS_CONNECTION_SHOP", f"postgresql://ada:{SECRET}@127.0.0.1:1/shop")
    place = ["--company", str(shop), "--lake", str(lake.root)]
    with caplog.at_level(logging.DEBUG):
        for command in (["check", "--company", str(shop)], ["run", *place, "--day", str(DAY)], ["status", *place, "--json"]):
            ended = CliRunner().invoke(app, command)
            assert ended.exit_code != 0
            assert SECRET not in f"{ended.output}{ended.exception}"
    assert SECRET not in caplog.text
    assert [path for path in lake.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()] == []
