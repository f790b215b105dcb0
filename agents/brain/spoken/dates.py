"""Spoken dates: `next friday`, `el quince de marzo`, `in two weeks`."""

from __future__ import annotations

import re
from datetime import date, timedelta

from agents.brain.spoken.numbers import find_number, number_words
from agents.brain.spoken.text import plain, words

MONTHS = {
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "en": "january february march april may june july august september october november december",
}
DAYS = {
    "es": "lunes martes miercoles jueves viernes sabado domingo",
    "en": "monday tuesday wednesday thursday friday saturday sunday",
}
_SAID_DAYS = {
    "es": "lunes martes miércoles jueves viernes sábado domingo",
    "en": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday",
}
RELATIVE = {
    "es": (("pasado mañana", 2), ("mañana", 1), ("hoy", 0)),
    "en": (("day after tomorrow", 2), ("tomorrow", 1), ("today", 0), ("tonight", 0)),
}
AHEAD = {
    "es": re.compile(r"(?:en|dentro de) (.+?) (dia|semana|mes)"),
    "en": re.compile(r"(?:in) (.+?) (day|week|month)"),
}
AHEAD_DAYS = {"dia": 1, "day": 1, "semana": 7, "week": 7, "mes": 30, "month": 30}
_NOT_TOMORROW = re.compile(r"\b(?:por|de|en) la mañana|\besta mañana")
_ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7,
    "eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13,
    "fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18,
    "nineteenth": 19, "twentieth": 20, "thirtieth": 30, "primero": 1,
}  # fmt: skip


def find_date(text: str, language: str, today: date) -> date | None:
    """The day that was said, today or later; None when there is none in it.

    A day without a year is the next one of its kind.
    """
    code = "es" if language[:2].lower() == "es" else "en"
    said = plain(text)
    return (
        _written(said, code, today)
        or _relative(said, code, today)
        or _of_month(text, code, today)
        or _weekday(said, code, today)
    )


def say_date(day: date, language: str) -> str:
    """A date to be read aloud: `viernes 5 de marzo`, `Friday, March 5`."""
    code = "es" if language[:2].lower() == "es" else "en"
    weekday = _SAID_DAYS[code].split()[day.weekday()]
    month = MONTHS[code].split()[day.month - 1]
    if code == "es":
        return f"{weekday} {day.day} de {month}"
    return f"{weekday}, {month.capitalize()} {day.day}"


def _written(said: str, code: str, today: date) -> date | None:
    iso = re.search(r"\b(\d{4})-(\d{1,2})-(\d{1,2})\b", said)
    if iso:
        return _date(int(iso[1]), int(iso[2]), int(iso[3]))
    short = re.search(r"\b(\d{1,2})[/.](\d{1,2})(?:[/.](\d{4}))?\b", said)
    if not short:
        return None
    first, second = int(short[1]), int(short[2])
    day, month = (first, second) if code == "es" or first > 12 else (second, first)
    return _date(int(short[3]), month, day) if short[3] else _next(today, month, day)


def _relative(said: str, code: str, today: date) -> date | None:
    cleaned = _NOT_TOMORROW.sub(" ", said)
    for phrase, days in RELATIVE[code]:
        if re.search(rf"\b{phrase}\b", cleaned):
            return today + timedelta(days=days)
    ahead = AHEAD[code].search(said)
    if ahead is None:
        return None
    count = 1 if ahead[1] in {"a", "an"} else find_number(ahead[1], code)
    return None if count is None else today + timedelta(days=count * AHEAD_DAYS[ahead[2]])


def _of_month(text: str, code: str, today: date) -> date | None:
    tokens = words(re.sub(r"(?<=\d)(?:st|nd|rd|th)\b", "", text.lower()))
    months = {name: number for number, name in enumerate(MONTHS[code].split(), start=1)}
    months |= {"setiembre": 9} if code == "es" else {}
    at = next((i for i, token in enumerate(tokens) if token in months), None)
    if at is None:
        return _day_alone(tokens, code, today)
    month, rest = months[tokens[at]], tokens[at + 1 :]
    year = _year(rest, code)
    day = _day(tokens[max(0, at - 4) : at], code, last=True)
    if day is None:
        day = _day([t for t in rest[:3] if t != str(year)], code)
    if day is None:
        return None
    return _date(year, month, day) if year else _next(today, month, day)


def _day_alone(tokens: list[str], code: str, today: date) -> date | None:
    """`the fifteenth`, `el quince`, `el día 15`: the next day of that number."""
    articles = {"es": {"el", "dia"}, "en": {"the"}}[code]
    for index, token in enumerate(tokens):
        if token in articles:
            day = _day(tokens[index + 1 : index + 3], code)
            ordinal = code == "es" or any(t in _ORDINALS for t in tokens) or _has_digit(tokens)
            if day is not None and ordinal:
                return _next_day(today, day)
    return None


def _has_digit(tokens: list[str]) -> bool:
    return any(token.isdigit() for token in tokens)


def _day(tokens: list[str], code: str, *, last: bool = False) -> int | None:
    """A day of the month among a few words; the last such one if asked."""
    days = [day for i in range(len(tokens)) if (day := _day_at(tokens, i, code)) is not None]
    if last and len(days) > 1:
        # "twenty first": the whole is read at the earlier word, the rest again at the later
        return next((day for day in days if day > 20), days[-1])
    return days[0] if days else None


def _day_at(tokens: list[str], index: int, code: str) -> int | None:
    token = tokens[index]
    following = tokens[index + 1] if index + 1 < len(tokens) else ""
    tens = number_words(code).tens
    if token in tens and _ORDINALS.get(following, 99) < 10:
        return _valid(tens[token] + _ORDINALS[following])
    if token in _ORDINALS:
        return _ORDINALS[token]
    if token.isdigit() or token in tens or token in number_words(code).units:
        return _valid(find_number(" ".join(tokens[index:]), code))
    return None


def _valid(day: int | None) -> int | None:
    return day if day is not None and 1 <= day <= 31 else None


def _year(tokens: list[str], code: str) -> int | None:
    for index, token in enumerate(tokens):
        if token.isdigit() and len(token) == 4:
            return int(token)
        if token in {"mil", "dos", "two", "twenty"}:
            year = find_number(" ".join(tokens[index:]), code)
            if year is not None and 2000 <= year <= 2100:
                return year
    return None


def _weekday(said: str, code: str, today: date) -> date | None:
    for index, name in enumerate(DAYS[code].split()):
        if re.search(rf"\b{name}s?\b", said):
            days = (index - today.weekday()) % 7 or 7
            return today + timedelta(days=days)
    return None


def _next(today: date, month: int, day: int) -> date | None:
    this_year = _date(today.year, month, day)
    if this_year is not None and this_year >= today:
        return this_year
    return _date(today.year + 1, month, day)


def _next_day(today: date, day: int) -> date | None:
    year, month = today.year, today.month
    for _ in range(3):
        found = _date(year, month, day)
        if found is not None and found >= today:
            return found
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
    return None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None
