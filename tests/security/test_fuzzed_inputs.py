"""What `make fuzz` found is tried again, and every target reads something of what it starts from."""

from __future__ import annotations

from pathlib import Path

import pytest
from fuzzing.target import Fault, Outcome, Target, require_message, result_or_message
from fuzzing.targets import TARGETS

from pipeline.errors import ConfigError

CORPUS = Path(__file__).with_name("corpus")


def test_the_corpus_is_of_targets_that_there_are() -> None:
    assert {path.name for path in CORPUS.iterdir() if path.is_dir()} <= {target.name for target in TARGETS}


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_was_found_once_ends_in_a_result_or_a_message(target: Target) -> None:
    for path in sorted((CORPUS / target.name).glob("*")):
        target.run(path.read_bytes())


@pytest.mark.parametrize(
    "target", [each for each in TARGETS if not each.name.startswith(("lake", "onboarding"))], ids=lambda each: each.name
)
def test_a_target_accepts_something_of_what_people_write(target: Target) -> None:
    assert any(target.run(seed).is_accepted for seed in target.seeds())


def test_a_message_without_a_next_step_or_with_an_escape_is_a_fault() -> None:
    with pytest.raises(Fault):
        raise_as_target(ConfigError("wrong"))
    with pytest.raises(Fault):
        require_message("wrong \x1b[2J", "Mend it.")
    outcome = Outcome()
    with result_or_message(outcome):
        raise ConfigError("wrong", todo="Mend it.")
    assert (outcome.is_accepted, outcome.words) == (False, ["wrong"])
    require_message("a Persian\u200cword", "Mend it.")


@pytest.mark.parametrize("character", ["\x1b", "\x00", "\r", "\u2028", "\u202e", "\ufeff"])
def test_a_message_quotes_no_character_that_is_obeyed(character: str) -> None:
    quoted = f"the column sold{character}at"
    require_message(str(ConfigError(quoted, where=quoted, todo=quoted)), quoted)


def raise_as_target(error: ConfigError) -> None:
    with result_or_message(Outcome()):
        raise error
