"""Spoken numbers: `five five five, double two` → 55522, `treinta y dos` → 32."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from agents.brain.spoken.text import words


@dataclass(frozen=True, slots=True)
class NumberWords:
    """How a language says numbers. `multiplier`: a word that makes hundreds of the one before."""

    units: dict[str, int]  # 0 to 29 as far as they are one word
    tens: dict[str, int]
    hundreds: dict[str, int]
    multiplier: str
    thousand: str
    joiners: frozenset[str]  # between tens and units, or after hundreds
    joined_tens: bool  # "treinta y dos": tens and units need the joiner
    repeats: dict[str, int]
    zeros: frozenset[str]  # further words for 0 when dictating
    plus: frozenset[str]


def _numbered(text: str, start: int = 0, step: int = 1) -> dict[str, int]:
    return {word: start + step * index for index, word in enumerate(text.split())}


ENGLISH = NumberWords(
    units=_numbered(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen"
    ),
    tens=_numbered("twenty thirty forty fifty sixty seventy eighty ninety", 20, 10),
    hundreds={},
    multiplier="hundred",
    thousand="thousand",
    joiners=frozenset({"and"}),
    joined_tens=False,
    repeats={"double": 2, "triple": 3},
    zeros=frozenset({"oh", "o"}),
    plus=frozenset({"plus"}),
)
SPANISH = NumberWords(
    units=_numbered(
        "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince "
        "dieciseis diecisiete dieciocho diecinueve veinte veintiuno veintidos veintitres "
        "veinticuatro veinticinco veintiseis veintisiete veintiocho veintinueve"
    )
    | {"un": 1, "una": 1, "veintiun": 21},
    tens=_numbered("veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa", 20, 10),
    hundreds={
        "cien": 100, "ciento": 100, "doscientos": 200, "doscientas": 200, "trescientos": 300,
        "trescientas": 300, "cuatrocientos": 400, "cuatrocientas": 400, "quinientos": 500,
        "quinientas": 500, "seiscientos": 600, "seiscientas": 600, "setecientos": 700,
        "setecientas": 700, "ochocientos": 800, "ochocientas": 800, "novecientos": 900,
        "novecientas": 900,
    },
    multiplier="",
    thousand="mil",
    joiners=frozenset({"y"}),
    joined_tens=True,
    repeats={"doble": 2, "triple": 3},
    zeros=frozenset(),
    plus=frozenset({"mas"}),
)  # fmt: skip


def number_words(language: str) -> NumberWords:
    """The number words of a language or dialect; English when it is not known."""
    return SPANISH if language[:2].lower() == "es" else ENGLISH


def find_number(text: str, language: str) -> int | None:
    """The first number in what was said, in digits or words."""
    spoken = number_words(language)
    tokens = words(text)
    for index, token in enumerate(tokens):
        if token.isdigit():
            return int(token)
        read = _read(tokens, index, spoken)
        if read is not None:
            return read[0]
    return None


def find_digits(text: str, language: str) -> str:
    """All digits that were dictated, in order; a leading `+` if one was said or written.

    Groups are written out as they are said: `fifty five twelve` → 5512.
    """
    spoken = number_words(language)
    parts = list(_dictated(words(text), spoken))
    digits = "".join(part for part in parts if part != "+")
    international = parts[:1] == ["+"] or "+" in text
    return f"+{digits}" if international and digits else digits


def say_digits(digits: str) -> str:
    """Digits to be read aloud one by one, in groups with a pause: `5 5 5, 1 2 3, 4 5 6 7`."""
    bare = digits.lstrip("+")
    groups = [" ".join(group) for group in _groups(bare)]
    return ("+ " if digits.startswith("+") else "") + ", ".join(groups)


def _groups(digits: str) -> Iterator[str]:
    """Threes, with fours at the end where threes do not come out even: 3 3 4, 4 4."""
    fours = len(digits) % 3 if len(digits) >= 4 else 0
    threes = len(digits) - 4 * fours
    if threes < 0:  # five digits
        fours, threes = 0, len(digits)
    yield from (digits[i : min(i + 3, threes)] for i in range(0, threes, 3))
    yield from (digits[i : i + 4] for i in range(threes, len(digits), 4))


def _dictated(tokens: list[str], spoken: NumberWords) -> Iterator[str]:
    index, times = 0, 1
    while index < len(tokens):
        token = tokens[index]
        if token in spoken.repeats:
            times, index = spoken.repeats[token], index + 1
            continue
        if token.isdigit():
            yield token * times
        elif token in spoken.zeros:
            yield "0" * times
        elif token in spoken.plus:
            yield "+"
        else:
            read = _read(tokens, index, spoken)
            if read is not None:
                yield str(read[0]) * times
                index = read[1] - 1
        index, times = index + 1, 1


def _read(tokens: list[str], index: int, spoken: NumberWords) -> tuple[int, int] | None:
    """Read a number at `index`: (value, index after it), or None if there is none."""
    under = _under_thousand(tokens, index, spoken)
    if under is None:
        if _at(tokens, index) != spoken.thousand or not spoken.joined_tens:
            return None
        under = (1, index)  # "mil" stands alone in Spanish, "thousand" does not in English
    value, after = under
    if _at(tokens, after) != spoken.thousand:
        return under
    rest = _under_thousand(tokens, _skip(tokens, after + 1, spoken), spoken)
    return (value * 1000 + rest[0], rest[1]) if rest else (value * 1000, after + 1)


def _under_thousand(tokens: list[str], index: int, spoken: NumberWords) -> tuple[int, int] | None:
    word = _at(tokens, index)
    if word in spoken.hundreds:
        value, after = spoken.hundreds[word], index + 1
    else:
        small = _under_hundred(tokens, index, spoken)
        if small is None or not spoken.multiplier or _at(tokens, small[1]) != spoken.multiplier:
            return small
        value, after = small[0] * 100, small[1] + 1
    rest = _under_hundred(tokens, _skip(tokens, after, spoken), spoken)
    return (value + rest[0], rest[1]) if rest and rest[0] > 0 else (value, after)


def _under_hundred(tokens: list[str], index: int, spoken: NumberWords) -> tuple[int, int] | None:
    word = _at(tokens, index)
    if word in spoken.tens:
        value, after = spoken.tens[word], index + 1
        joined = _at(tokens, after) in spoken.joiners
        if spoken.joined_tens and not joined:
            return value, after
        unit = spoken.units.get(_at(tokens, after + joined), 0)
        return (value + unit, after + joined + 1) if 1 <= unit <= 9 else (value, after)
    if word in spoken.units:
        return spoken.units[word], index + 1
    return None


def _skip(tokens: list[str], index: int, spoken: NumberWords) -> int:
    return index + 1 if _at(tokens, index) in spoken.joiners else index


def _at(tokens: list[str], index: int) -> str:
    return tokens[index] if index < len(tokens) else ""
