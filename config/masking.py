"""Hiding keys and personal data in text that is about to be logged.

One pass of one expression. What comes first wins: harmless things that look like secrets
(UUIDs, call identifiers, dates) are recognised first and kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"

_PASSWORD = r"(?:passw(?:or)?d|passphrase|pwd|contraseña|(?<![^\W_])pass)"  # noqa: S105
_CONFIDENTIAL = (
    r"(?:api[_-]?key|subscription[_-]?key|[_-]key|\bkey|token|secret|authorization"
    r"|signature|cookie|sessionid)"
)
_CONFIDENTIAL_NAME = re.compile(f"(?:{_PASSWORD}|{_CONFIDENTIAL})$", re.IGNORECASE)
_ALWAYS_CONFIDENTIAL_NAME = re.compile(f"{_PASSWORD}$", re.IGNORECASE)
_NUMBER_NAME = re.compile(r"(?:phone|number|caller|callee|mobile|msisdn|from|to)$", re.IGNORECASE)

# A word begins here: also after "_", after an escape of a URL (%3D) or of a string (\n).
_START = r"(?:(?<![^\W_])|(?<=%[0-9a-f]{2})|(?<=\\[nrt]))"
_END = r"(?![^\W_])"
_QUOTE = r"(?:\\{0,4}[\"']|%22|%27)"
_SPACE = r"\s\u00a0\u2007\u2009\u202f"
_DASH = r"\u2010-\u2013-"
_GAP = rf"(?:[^\S\n]|[(){_DASH}]|%(?:25)*(?:20|28|29|2d|C2%A0)|(?<=\d)\+(?=\d))"
_DOT_OR_GAP = rf"(?:\.|%(?:25)*2e|{_GAP})"
_DATABASE = r"(?:postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?|smtps?)"
_PORT = r"(?!\d{1,5}(?:[/?#\s,;'\"]|$))"
_PLUS = re.compile(r"\+|%(?:25)*2b", re.IGNORECASE)
_ESCAPE = re.compile(r"%(?:25)*(?:C2%A0|[0-9a-f]{2})", re.IGNORECASE)
_FEWEST_DIGITS = 8
_SMALLEST_NUMBER = 10**8
_BYTE = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"

_PATTERN = re.compile(
    rf"""
      (?=[\w+.-]){_START}(?:
        (?P<kept>[0-9a-f]{{8}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{4}}-[0-9a-f]{{12}}{_END}
           | (?:CA|MZ|SM|RE|CF)[0-9a-f]{{32}}{_END}
           | sha(?:1|256|512):[0-9a-f]{{40,128}}{_END}
           | \d{{4}}-\d\d-\d\d(?:[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?)?(?!\d)
           | \d\d[-/.]\d\d[-/.](?:19|20)\d\d[T\ ]\d\d:\d\d
           | (?:19|20)\d\d[01]\d[0-3]\d[-_T][0-2]\d[0-5]\d[0-5]\d(?!\d)
           | (?<![.+]){_BYTE}(?:\.{_BYTE}){{3}}(?![.\d]) )
      | (?P<database>{_DATABASE}://[^\s:/]*:){_PORT}[^\n"'<>]{{1,200}}(?=@[\w\[])
      | (?P<scheme>[a-z][a-z0-9+]{{2,20}}://[^\s:/@]*:){_PORT}[^\s/]+(?=@)
      | (?P<bearer>(?:bearer|(?:basic|token)(?=(?:\ |%20)+[a-z.~-]*(?-i:[A-Z\d=+/_])))(?:\ |%20)+)
        [\w.~+/=-]{{8,}}
      | (?P<vendor>gsk_|sk-proj-|sk-ant-|sk-|sk_|andrea_|gh[opsu]_|github_pat_|hf_|xox[abps]-
           |whsec_|AIza|gAAAA|(?-i:BSA))[\w-]{{16,}}
      | (?P<sid>AC|SK)[0-9a-f]{{32}}{_END}
      | (?P<aws>AKIA|ASIA)[0-9A-Z]{{16}}{_END}
      | (?P<telnyx>KEY)[0-9A-F]{{16,}}(?:_\w+)?
      | (?P<opaque>eyJ[\w-]{{8,}}\.[\w-]{{8,}}\.[\w-]+
           | [0-9a-f]{{32,}}{_END} | [\w-]{{43}}=(?![\w=-]) | [a-z0-9][\w-]{{79,}})
      | (?<!-)(?P<mailbox>[\w.+-])(?:[\w.+-]|%2b){{0,63}}(?:@|%40)
        (?P<domain>[\w-]{{1,63}}(?:\.[\w-]{{1,63}})+)
      | (?<![.%-])(?P<digits>\d(?:{_GAP}{{0,3}}\d){{8,18}}(?![^\W_]|\.\d))
      | (?<![.%-])(?P<dotted>\d{{2,4}}(?:\.\d{{2,5}}){{2,5}}(?![^\W_]|\.\d))
      )
    | (?=[ackpst_-])(?:
      (?P<password>{_PASSWORD}{_QUOTE}?\s*(?:[:=]|%3a|%3d)\s*)(?!\d{{1,3}}\b|true\b|false\b)
      (?:(?P<quote>{_QUOTE})[^\n]*?(?:(?P=quote)|$)|[^\s"',;&}}\\]+)
    | (?P<named>{_CONFIDENTIAL}{_QUOTE}?\s*(?:[:=]|%3a|%3d)(?:\s|%20)*{_QUOTE}?
        (?:(?:bearer|basic|token)(?:\ |%20)+)?)
      (?!\d+(?:\.\d+)?\b)[^\s"',;&}}\\]{{6,}})
    | (?=[+%(])(?:(?P<plus>(?:\+|%(?:25)*2b){_GAP}?[1-9](?:{_DOT_OR_GAP}{{0,3}}\d){{7,14}})(?!\d)
    | (?P<area>\(\d{{1,4}}\){_DOT_OR_GAP}{{0,2}}\d{{2,5}}(?:{_DOT_OR_GAP}{{1,2}}\d{{2,5}}){{1,4}}
       (?![^\W_]|\.\d)))
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
        return _masked_number(name, value)
    if isinstance(value, Mapping):
        return {mask(str(key)): mask_value(str(key), item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [mask_value(name, item) for item in value]
    return mask_value(name, str(value))


def _masked_number(name: str, value: float | None) -> float | str | None:
    """A number stays, unless its name says that it is a password or somebody's telephone."""
    if value is None or isinstance(value, bool):
        return value
    if _ALWAYS_CONFIDENTIAL_NAME.search(name):
        return HIDDEN
    if isinstance(value, int) and value >= _SMALLEST_NUMBER and _NUMBER_NAME.search(name):
        return mask(str(value))
    return value


def _replacement(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "kept":
        return match.group()
    if kind == "domain":
        return f"{match['mailbox']}{HIDDEN}@{match['domain']}"
    if kind in ("digits", "dotted", "plus", "area"):
        return _masked_digits(match.group())
    if kind == "opaque" or kind is None:
        return HIDDEN
    if kind == "quote":
        return f"{match['password']}{match['quote']}{HIDDEN}{match['quote']}"
    return match[kind] + HIDDEN


def _masked_digits(text: str) -> str:
    plus = _PLUS.match(text)
    digits = "".join(filter(str.isdigit, _ESCAPE.sub("", text)))
    if len(digits) < _FEWEST_DIGITS:
        return text
    if len(digits) >= 13 and _is_card(digits):
        return HIDDEN
    if len(digits) > 15 and text.isdigit():
        return text  # longer than any telephone number, and no card
    return f"{plus.group() if plus else ''}{digits[:2]}{HIDDEN}{digits[-2:]}"


def _is_card(digits: str) -> bool:
    """Luhn's check, which every payment card number passes."""
    total = 0
    for position, character in enumerate(reversed(digits)):
        value = int(character) * (1 + position % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
