"""Spoken times of the day: `at five`, `a las cinco y media de la tarde`, `17:30`, `noon`."""

from __future__ import annotations

import re
from datetime import time

from agents.brain.spoken.numbers import find_number
from agents.brain.spoken.text import plain

FIRST_HOUR = 8  # an hour before that, said alone, is one of the afternoon: nobody calls at five

_MORNING = {"es": r"(?:de|por|en) la manana|\bam\b", "en": r"in the morning|\bam\b"}
_LATER = {
    "es": r"(?:de|por|en) la (?:tarde|noche)|\bpm\b",
    "en": r"in the (?:afternoon|evening)|at night|tonight|\bpm\b",
}
# Said without an hour: a time that is meant by it.
_NAMED = {
    "es": {
        "mediodia": time(12),
        "por la manana": time(10),
        "en la manana": time(10),
        "por la tarde": time(16),
        "en la tarde": time(16),
        "por la noche": time(20),
        "en la noche": time(20),
    },
    "en": {
        "noon": time(12),
        "midday": time(12),
        "in the morning": time(10),
        "in the afternoon": time(15),
        "in the evening": time(19),
    },
}
_CLOCK = re.compile(r"\b(?P<hour>\d{1,2}):(?P<minutes>\d{2})(?!\d)")
_SPOKEN = {
    "es": (
        re.compile(
            r"\blas? (?P<hour>\w+)(?: (?P<sign>y|menos) (?P<minutes>(?!a? ?las?\b)\w+(?: y \w+)?))?"
        ),
    ),
    "en": (
        re.compile(r"\b(?P<minutes>\w+) (?P<sign>past|to) (?P<hour>\w+)"),
        re.compile(r"\b(?:at|around|about|by|after) (?P<hour>\w+)(?: (?P<minutes>\w+(?: \w+)?))?"),
        re.compile(r"\b(?P<hour>\w+) (?:o'?clock|[ap]m)\b"),
    ),
}
_FRACTIONS = {"media": 30, "cuarto": 15, "half": 30, "quarter": 15}
_BEFORE = {"menos", "to"}


def find_time(text: str, language: str) -> time | None:
    """The time of day that was said; None when there is none in it.

    An hour alone is one between eight in the morning and eight in the evening.
    """
    code = "es" if language[:2].lower() == "es" else "en"
    said = re.sub(r"(?<=[\d ])([ap])\.? ?m\b\.?", r" \1m", plain(text).replace("ñ", "n"))
    said = " ".join(said.split())
    for pattern in (_CLOCK, *_SPOKEN[code]):
        for match in pattern.finditer(said):
            found = _read(match.groupdict(), said, code)
            if found is not None:
                return found
    named = _NAMED[code].items()
    return next((at for words, at in named if re.search(rf"\b{words}\b", said)), None)


def say_time(at: time, language: str) -> str:
    """A time to be read aloud: `las 5:30 de la tarde`, `5:30 in the afternoon`."""
    hour = at.hour % 12 or 12
    clock = f"{hour}:{at.minute:02d}" if at.minute else f"{hour}"
    part = 0 if at.hour < 12 else 1 if at.hour < 19 else 2
    if language[:2].lower() == "es":
        article = "la" if hour == 1 else "las"
        return f"{article} {clock} de la {('mañana', 'tarde', 'noche')[part]}"
    return f"{clock} in the {('morning', 'afternoon', 'evening')[part]}"


def _read(parts: dict[str, str | None], said: str, code: str) -> time | None:
    hour = find_number(parts["hour"] or "", code)
    if hour is None or hour > 23:
        return None
    minutes = _minutes(parts.get("minutes") or "", code)
    if minutes is None:
        return None
    hour = _of_day(hour, said, code)
    if parts.get("sign") in _BEFORE and minutes:
        hour, minutes = (hour - 1) % 24, 60 - minutes
    return time(hour, minutes)


def _minutes(words: str, code: str) -> int | None:
    """What was said after the hour, as far as it is minutes; None for more than there are."""
    first = words.split()[0] if words else ""
    if first in _FRACTIONS:
        return _FRACTIONS[first]
    count = find_number(words, code) or 0
    return count if count < 60 else None


def _of_day(hour: int, said: str, code: str) -> int:
    if hour > 12:
        return hour
    if re.search(_LATER[code], said):
        return hour % 12 + 12
    if re.search(_MORNING[code], said):
        return hour % 12
    return hour + 12 if 0 < hour < FIRST_HOUR else hour
