"""Telephone numbers that nobody is put through to: whoever is called earns by it."""

from __future__ import annotations

import phonenumbers
from phonenumbers import PhoneNumber, PhoneNumberType

_NO_COUNTRY = "001"  # satellites, international networks and services


def is_premium(number: PhoneNumber) -> bool:
    """Whether calling a valid number costs a multiple of an ordinary call.

    Telephone fraud lives on these: somebody has the platform call a number that pays its holder.
    """
    kind = phonenumbers.number_type(number)
    if phonenumbers.region_code_for_number(number) == _NO_COUNTRY:
        return kind != PhoneNumberType.TOLL_FREE
    return kind == PhoneNumberType.PREMIUM_RATE
