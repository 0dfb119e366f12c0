"""Lists within sentences."""

from __future__ import annotations

import pytest

from pipeline.spelling import word_list


@pytest.mark.parametrize(("words", "text"), [("a", "a"), ("ab", "a and b"), ("abc", "a, b and c")])
def test_words_are_listed_as_in_a_sentence(words: str, text: str) -> None:
    assert word_list(words) == text
