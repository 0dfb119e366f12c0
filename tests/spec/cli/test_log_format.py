"""Logs for programs: a JSON object per line on standard error, whatever the command comes to."""

from __future__ import annotations

import json
import logging
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.nights import write_shop

from pipeline.cli import run_command_line
from pipeline.lake.worker_process import LogLine
from pipeline.log_fields import Count, fields_of, log_fields
from pipeline.reporting.output import JsonFormatter, PrintableFormatter

pytestmark = pytest.mark.usefixtures("own_logging")


def ended(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[dict[str, Any]]]:
    """Return the exit code of a command and the lines that it logged."""
    monkeypatch.setenv("SEGMENTS_LOG_FORMAT", "json")
    monkeypatch.setattr("sys.argv", ["segments", *words])
    with pytest.raises(SystemExit) as end:
        run_command_line()
    return int(end.value.code or 0), [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def a_record(text: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("pipeline.x", logging.WARNING, "x.py", 1, text, arguments, None)


def test_an_error_says_what_where_and_what_to_do_next_in_fields(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=["1"])
    code, [error] = ended(monkeypatch, capsys, "run", "--company", str(shop), "--lake", str(tmp_path / "lake"), "--day", "2020-01-01")
    assert code == error["exit_code"] == 3
    assert (error["level"], error["logger"], error["error"]) == ("error", "segments", "ConfigError")
    assert "2020-01-01" in error["event"]
    assert "\n" not in error["event"]
    assert error["next"]


@pytest.mark.parametrize("words", [["rnu"], ["run", "--dya", "2020-01-01"], ["--log-fromat", "json", "run"], ["explain"]])
def test_a_command_that_is_typed_wrongly_is_one_object(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    code, [error] = ended(monkeypatch, capsys, *words)
    assert code == error["exit_code"] == 2
    assert (error["level"], error["error"]) == ("error", "UsageError")
    assert error["where"].startswith("segments")
    assert "--help" in error["next"]


def test_a_mistake_of_ours_is_one_object_too(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("pipeline.operations.deployment.load_company", fail)
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.getLogger("pipeline").addHandler(handler)
    try:
        code, [mistake] = ended(monkeypatch, capsys, "status")
    finally:
        logging.getLogger("pipeline").removeHandler(handler)
    assert code == 1
    assert mistake["level"] == "critical"
    assert mistake["event"] == "KeyError: this is our mistake"
    assert "load_company" in mistake["traceback"]


def test_fields_are_what_the_text_names_and_what_the_block_has_in_common() -> None:
    record = a_record("%(table)s: %(rows)s rows", {"table": "order_lines", "rows": Count(1234)})
    with log_fields(day=date(2024, 3, 1), step="validate"):
        line = json.loads(JsonFormatter().format(record))
    assert line.pop("time").endswith("+00:00")
    assert line == {
        "level": "warning",
        "logger": "pipeline.x",
        "event": "order_lines: 1,234 rows",
        "day": "2024-03-01",
        "step": "validate",
        "table": "order_lines",
        "rows": 1234,
    }
    assert PrintableFormatter("%(message)s").format(record) == "order_lines: 1,234 rows"
    assert fields_of(record) == {"table": "order_lines", "rows": 1234}


def test_no_field_hides_the_event_and_nothing_in_a_line_is_obeyed_by_a_terminal() -> None:
    with log_fields(event="another", level="another"):
        text = JsonFormatter().format(a_record("%s", "a\x1b[2J\x7f\u202e\nb"))
    line = json.loads(text)
    assert line["event"] == "a\x1b[2J\x7f\u202e\nb"
    assert line["level"] == "warning"
    assert text.isprintable()
    assert text.isascii()


def test_what_a_worker_logs_keeps_its_fields(caplog: pytest.LogCaptureFixture) -> None:
    seen = []
    with caplog.at_level(logging.INFO), pytest.MonkeyPatch.context() as patched:
        patched.setattr(caplog.handler, "emit", lambda record: seen.append(json.loads(JsonFormatter().format(record))))
        LogLine("pipeline.y", logging.INFO, "raw_customers: 7 rows checked", {"table": "raw_customers", "rows": 7}).pass_on()
    assert [(each["event"], each["table"], each["rows"]) for each in seen] == [("raw_customers: 7 rows checked", "raw_customers", 7)]
