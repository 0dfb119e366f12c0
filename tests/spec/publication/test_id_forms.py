"""The form of ids in words: two spellings of one id differ in it, and no id can be read from it."""

from __future__ import annotations

import pytest

from pipeline.publication.gates.id_forms import common_form, id_form


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("17850", "digits"),
        ("17850.0", "digits with a decimal point"),
        ("00123", "digits with leading zeros"),
        ("0", "digits"),
        ("C-12", "capital letters then - then digits"),
        ("abc12", "small letters then digits"),
        ("ada@example.com", "e-mail addresses"),
        ("6fa459ea-ee8a-3ca4-894e-db77e160355e", "UUIDs"),
        ("a 1", "small letters then a blank then digits"),
        ("1\u202e", "digits then another sign"),
        ("a1b2c3d4e5", "letters, digits and signs in turn"),
    ],
)
def test_an_id_has_a_form(text: str, form: str) -> None:
    assert id_form(text) == form


def test_the_most_frequent_form_is_named_with_the_lengths_of_its_ids() -> None:
    assert common_form(["1", "22", "333", "a"]) == "digits, 1 to 3 long"
    assert common_form(["17850.0"]) == "digits with a decimal point, 7 long"
    assert not common_form([])
