"""Hiding keys and personal data in text that is about to be logged.

One pass of one expression. What comes first wins: harmless things that look like secrets
(UUIDs, call identifiers, dates) are recognised first and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_CONFIDENTIAL = (
    r"(?:api[_-]?key|subscription[_-]?key|[_-]key|\bkey|token|secret|passw(?:or)?d|authorization"
    r"|signature|cookie|sessionid)"
)
_CONFIDENTIAL_NAME = re.compile(_CONFIDENTIAL + "$", re.IGNORECASE)
_PATTERN = re.compile(
    rf"""
      (?P<kept>\b[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}\b
             | \b(?:CA|MZ|SM|RE|CF)[0-9a-f]{{32}}\b
             | \b\d{{4}}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?)
    | (?P<scheme>\b[a-z][a-z0-9+]{{2,20}}://[^\s:/@]*:)[^\s@/]+(?=@)
    | (?P<bearer>\b(?:bearer|basic|token)\ +)[\w.~+/=-]{{8,}}
    | (?P<named>{_CONFIDENTIAL}["']?\s*[:=]\s*["']?(?:(?:bearer|basic|token)\ +)?)
      (?!\d+(?:\.\d+)?\b)[^\s"',;&}}]{{6,}}
    | \b(?P<vendor>gsk_|sk-proj-|sk-ant-|sk-|sk_|andrea_)[\w-]{{16,}}
    | \b(?P<sid>AC|SK)[0-9a-f]{{32}}\b
    | \b(?P<telnyx>KEY)[0-9A-F]{{16,}}(?:_\w+)?
    | (?P<jwt>\beyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w-]+)
    | (?P<opaque>\b[0-9a-f]{{32}}\b|\b[A-Za-z0-9]{{80,90}}\b)
    | \b(?P<mailbox>[\w.+-])[\w.+-]*@(?P<domain>[\w-]+(?:\.[\w-]+)+)
    | (?P<digits>(?<![\w.-])\+?\(?\d(?:[\ ()-]{{0,2}}\d){{8,18}}(?!\w|\.\d))
    """,
    re.IGNORECASE | re.VERBOSE,
)


def mask(text: str) -> str:
    """The text without keys, passwords, card numbers, and most of each number and address."""
    return _PATTERN.sub(_replacement, text)


def mask_value(name: str, value: Any) -> Any:
    """A value of a log event, masked by what it is called and by what it says."""
    if isinstance(value, str):
        return HIDDEN if value and _CONFIDENTIAL_NAME.search(name) else mask(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {str(key): mask_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(name, item) for item in value]
    return mask_value(name, str(value))


def _replacement(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "kept":
        return match.group()
    if kind == "domain":
        return f"{match['mailbox']}{HIDDEN}@{match['domain']}"
    if kind == "digits":
        return _masked_digits(match.group())
    if kind in ("jwt", "opaque") or kind is None:
        return HIDDEN
    return match[kind] + HIDDEN


def _masked_digits(text: str) -> str:
    digits = [character for character in text if character.isdigit()]
    if len(digits) >= 13 and _is_card(digits):
        return HIDDEN
    if len(digits) > 15:
        return text  # longer than any telephone number, and no card
    plus = "+" if text.startswith("+") else ""
    return f"{plus}{''.join(digits[:2])}{HIDDEN}{''.join(digits[-2:])}"


def _is_card(digits: list[str]) -> bool:
    """Luhn's check, which every payment card number passes."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
