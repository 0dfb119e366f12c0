"""`segments init`: asks at a terminal, ends with exit code 3 and the settings to add elsewhere, and ends with a command that works."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.onboarding import EXPORTS
from typer.testing import CliRunner, Result

from pipeline.cli import app, init
from pipeline.errors import ConfigError

TEXT = "order,date,customer,net,gross\n1,05/04/2024,a,10.00,11.90\n2,06/04/2024,b\x1b[31m,20.00,23.80\n"


def invoke(*words: str | Path, answers: str = "") -> Result:
    return CliRunner().invoke(app, ["init", *map(str, words)], input=answers)


@pytest.fixture
def orders(tmp_path: Path) -> Path:
    file = tmp_path / "orders.csv"
    file.write_text(TEXT, "utf-8")
    return file


def test_without_a_terminal_all_questions_are_one_error_with_a_command_that_answers_them(tmp_path: Path, orders: Path) -> None:
    ended = invoke(tmp_path / "shop", "--from", orders)
    assert isinstance(ended.exception, ConfigError)
    assert ended.exception.exit_code == 3
    assert "write yours for USD and UTC" in str(ended.exception), "nothing in the file says so"
    command = shlex.split(str(ended.exception).splitlines()[-1])
    assert command[1:4] == ["init", str(tmp_path / "shop"), "--from"]
    again = CliRunner().invoke(app, command[1:])
    assert again.exit_code == 0, again.exception
    assert "net 30.00 USD" in again.output
    assert "2024-04-05 to 2024-04-06" in again.output


def test_at_a_terminal_each_question_is_asked_until_it_is_answered(tmp_path: Path, orders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(init, "is_terminal", lambda: True)
    # The currency, the time zone misspelt and again, the amount by its number, the order of dates misspelt and then by its name.
    ended = invoke(tmp_path / "shop", "--from", orders, answers="EUR\nEurope/Pari\nEurope/Paris\n2\nday first\nmonth-first\n")
    assert ended.exit_code == 0, ended.exception
    assert "did you mean `Europe/Paris`?" in ended.output
    assert "Choose one of these." in ended.output
    assert "net 35.70 EUR" in ended.output
    assert "2024-05-04 to 2024-06-04" in ended.output
    assert 'time_zone = "Europe/Paris"' in (tmp_path / "shop" / "company.toml").read_text("utf-8")


def test_what_comes_from_files_moves_no_cursor(tmp_path: Path, orders: Path) -> None:
    settings = ("time_zone=Europe/Berlin", "currency=EUR", "orders.amount=net", "orders.date_format=day-first")
    ended = invoke(tmp_path / "shop", "--from", orders, *(word for each in settings for word in ("--set", each)))
    assert ended.exit_code == 0, ended.exception
    assert "\x1b" not in ended.output


def test_the_command_it_ends_with_runs_the_night(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = invoke("my_shop", "--from", EXPORTS / "stripe_payments.csv", "--set", "time_zone=Europe/Berlin")
    assert made.exit_code == 0, made.exception
    command = next(line for line in made.output.splitlines() if "segments run --company" in line)
    night = CliRunner().invoke(app, shlex.split(command)[1:])
    assert night.exit_code == 0, night.exception
    assert "This night is live." in night.output
    checked = CliRunner().invoke(app, ["check", "--company", "my_shop"])
    assert checked.exit_code == 0, checked.output


@pytest.mark.parametrize("given", ["time_zone", "=Europe/Berlin", "a=1"])
def test_a_setting_that_is_none_is_refused(tmp_path: Path, orders: Path, given: str) -> None:
    ended = invoke(tmp_path / "shop", "--from", orders, "--set", given)
    assert isinstance(ended.exception, ConfigError)
    assert not (tmp_path / "shop").exists()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    ended = invoke(tmp_path / "shop", "--from", tmp_path / "no.csv")
    assert isinstance(ended.exception, ConfigError)
    assert "no.csv is no file" in str(ended.exception)


def test_a_setting_that_is_none_of_these_files_is_named_between_one_pair_of_marks(tmp_path: Path, orders: Path) -> None:
    ended = invoke(tmp_path / "shop", "--from", orders, "--set", "zone=1")
    assert str(ended.exception).startswith("`zone` is no setting of these files"), ended.exception


def test_help_says_which_settings_there_are_and_where_the_others_are() -> None:
    text = " ".join(CliRunner().invoke(app, ["init", "--help"]).output.split())
    for word in ("`time_zone`", "`currency`", "`encoding`", "`customer`", "`sales`", "`orders.date_format`", "from-an-export.md"):
        assert word in text, word
