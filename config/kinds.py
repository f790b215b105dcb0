"""The types of values that settings have: each says what it expects and refuses the rest."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography.fernet import Fernet

from config.environment import Kind

_N = TypeVar("_N", int, float)
_TRUE, _FALSE = {"1", "true", "yes", "on"}, {"0", "false", "no", "off"}


def text(expects: str = "text") -> Kind[str]:
    """Any text on one line."""
    return Kind(expects, _one_line)


def matching(pattern: str, expects: str) -> Kind[str]:
    """Text that matches the whole pattern."""

    def parse(value: str) -> str:
        if re.fullmatch(pattern, value) is None:
            raise ValueError(value)
        return value

    return Kind(expects, parse)


def choice(*options: str) -> Kind[str]:
    """One of some words, in any case; the value is the word as given here."""
    by_case = {option.casefold(): option for option in options}

    def parse(value: str) -> str:
        if value.casefold() not in by_case:
            raise ValueError(value)
        return by_case[value.casefold()]

    return Kind(f"one of {', '.join(options)}", parse)


def integer(lowest: int, highest: int, what: str = "a whole number") -> Kind[int]:
    """A whole number within limits, both included."""
    return Kind(f"{what} from {lowest} to {highest}", _within(int, lowest, highest))


def number(lowest: float, highest: float, what: str = "a number") -> Kind[float]:
    """A number within limits, both included."""
    return Kind(f"{what} from {lowest:g} to {highest:g}", _within(float, lowest, highest))


def boolean() -> Kind[bool]:
    """Yes or no."""

    def parse(value: str) -> bool:
        if (word := value.casefold()) not in _TRUE | _FALSE:
            raise ValueError(value)
        return word in _TRUE

    return Kind("true or false", parse)


def words(expects: str) -> Kind[tuple[str, ...]]:
    """Texts with commas between them."""
    return Kind(expects, lambda value: tuple(filter(None, map(str.strip, value.split(",")))))


def each(pattern: str, expects: str) -> Kind[tuple[str, ...]]:
    """Texts with commas between them, each of which matches the whole pattern."""

    def parse(value: str) -> tuple[str, ...]:
        return tuple(matching(pattern, expects).parse(text) for text in words(expects).parse(value))

    return Kind(expects, parse)


def fernet_keys(expects: str) -> Kind[tuple[str, ...]]:
    """Keys for `cryptography.fernet` with commas between them, the newest first."""

    def parse(value: str) -> tuple[str, ...]:
        keys = words(expects).parse(value)
        for key in keys:
            Fernet(key)  # raises ValueError
        return keys

    return Kind(expects, parse)


def path(base: Path, expects: str = "a folder") -> Kind[Path]:
    """A path; a relative one begins at `base`."""
    return Kind(expects, lambda value: base / Path(value).expanduser())


def url(*schemes: str, example: str) -> Kind[str]:
    """An address with one of the schemes; a closing slash is dropped."""

    def parse(value: str) -> str:
        parts = urlsplit(value)
        _ = parts.port  # raises ValueError where it is no number
        if parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
            raise ValueError(value)
        return value.rstrip("/")

    return Kind(f"an address such as {example}", parse, url=True)


def _within(parse: Callable[[str], _N], lowest: _N, highest: _N) -> Callable[[str], _N]:
    def checked(value: str) -> _N:
        result = parse(value)
        if not lowest <= result <= highest:
            raise ValueError(value)
        return result

    return checked


def _one_line(value: str) -> str:
    if "\n" in value or "\0" in value:
        raise ValueError(value)
    return value
