"""Telephone numbers as telephone systems write them."""

from __future__ import annotations

import pytest

from calls.phone_numbers import country_of, readings

MEXICO, GERMANY = "+525598765432", "+491701234567"


@pytest.mark.parametrize(
    ("text", "country", "likeliest"),
    [
        (MEXICO, "", MEXICO),
        (" +52 (55) 9876-5432", "DE", MEXICO),
        ("00525598765432", "DE", MEXICO),
        ("525598765432", "", MEXICO),
        ("5598765432", "MX", MEXICO),
        ("0170 1234567", "DE", GERMANY),
        ("491701234567", "DE", GERMANY),  # and not a number of the town of Leer
        ("4752345678", "US", "+14752345678"),  # and not a Norwegian one
        ("4155550002", "US", "+14155550002"),
    ],
)
def test_number_is_read_however_it_is_written(text, country, likeliest):
    assert readings(text, country)[0] == likeliest


@pytest.mark.parametrize("country", ["", "MX", "DE", "nowhere"])
@pytest.mark.parametrize("text", ["", "200", "8001", "anonymous", "sip:me@x", "9" * 60, "²" * 9])
def test_extension_and_withheld_number_are_none(text, country):
    assert readings(text, country) == []


def test_same_digits_may_be_a_number_here_and_abroad():
    assert set(readings("4752345678", "US")) == {"+14752345678", "+4752345678"}


def test_country_of_a_number_is_known_where_it_has_one():
    assert (country_of(MEXICO), country_of("+80012345678")) == ("MX", "001")
