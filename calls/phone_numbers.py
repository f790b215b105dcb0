"""Telephone numbers as people write them, as networks know them, and where they ring."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from django.utils.translation import gettext
from phonenumbers import timezone as number_zones

from agents.premium import is_premium

_SHORTEST = 6  # digits; less is an extension
_E164 = phonenumbers.PhoneNumberFormat.E164


class NotANumber(ValueError):
    """What was written is no international telephone number; the message says why, to people."""


def e164(text: str, *, strict: bool = False) -> str:
    """The number in E.164 form (`+525512345678`), however it was spaced. Raises NotANumber.

    `strict` asks that its country has given out such numbers, and not only that it has the
    right length: calling any other one costs money and reaches nobody. Nor is it one whose
    holder earns by being called.
    """
    parsed = _parsed(text)
    if not phonenumbers.is_possible_number(parsed):
        raise NotANumber(
            gettext("%(number)s has too few or too many digits for its country.")
            % {"number": _shown(text)}
        )
    if strict and not phonenumbers.is_valid_number(parsed):
        raise NotANumber(
            gettext("%(number)s is not a number that exists in its country's plan.")
            % {"number": _shown(text)}
        )
    if strict and is_premium(parsed):
        raise NotANumber(
            gettext("%(number)s is a premium-rate number: those are neither called nor written to.")
            % {"number": _shown(text)}
        )
    return str(phonenumbers.format_number(parsed, _E164))


def readings(text: str, country: str = "") -> list[str]:
    """The E.164 numbers that a telephone system may mean, which writes them as it likes.

    With `+` or `00`, as they are dialled in its `country` (`MX`), or without anything before the
    country code; the likeliest is first. There is none for an extension, or a withheld number.
    """
    digits = re.sub(r"[^0-9]", "", text)
    if len(digits) < _SHORTEST:
        return []
    if text.lstrip().startswith("+"):
        return _possible(digits)
    if digits.startswith("00"):
        return _possible(digits[2:])
    at_home, abroad = _dialled_in(country, digits), _possible(digits)
    needs_zero = phonenumbers.ndd_prefix_for_region(country, strip_non_digits=True) == "0"
    abroad_first = needs_zero and not digits.startswith("0")
    return [*abroad, *at_home] if abroad_first else [*at_home, *abroad]


def _possible(digits: str) -> list[str]:
    try:
        return [e164(f"+{digits}")]
    except NotANumber:
        return []


def _dialled_in(country: str, digits: str) -> list[str]:
    try:
        parsed = phonenumbers.parse(digits, country)
    except phonenumbers.NumberParseException:
        return []
    valid = phonenumbers.is_valid_number_for_region(parsed, country)
    return [str(phonenumbers.format_number(parsed, _E164))] if valid else []


def country_of(number: str) -> str:
    """The country (`MX`) of an E.164 number; empty for one of no country."""
    return str(phonenumbers.region_code_for_number(_parsed(number)) or "")


def zones_of(number: str) -> tuple[ZoneInfo, ...]:
    """Every time zone in which an E.164 number may ring; none where that is not known."""
    known = available_timezones()
    names = number_zones.time_zones_for_number(_parsed(number))
    return tuple(ZoneInfo(name) for name in names if name in known)


def _parsed(text: str) -> phonenumbers.PhoneNumber:
    try:
        return phonenumbers.parse(text, None)
    except phonenumbers.NumberParseException:
        raise NotANumber(
            gettext("%(number)s is no number: write +, country code and digits: +525512345678.")
            % {"number": _shown(text)}
        ) from None


def _shown(text: str) -> str:
    return f"“{text[:32]}”"
