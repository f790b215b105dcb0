"""Telephone numbers as people write them, as networks know them, and where they ring."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from django.utils.translation import gettext
from phonenumbers import timezone as number_zones

from agents.premium import is_premium


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
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


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
