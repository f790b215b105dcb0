"""What callers ask the embedded brain to keep for people: a message, or a time to be called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, time

from agents.brain.embedded.forms import Form
from agents.brain.embedded.slots import Slot
from agents.brain.functions import CALL_BACK, TAKE_MESSAGE
from agents.brain.spoken import plain

SLOTS: Mapping[str, tuple[Slot, ...]] = {
    TAKE_MESSAGE: ("message", "name", "phone"),
    CALL_BACK: ("date", "time", "name", "phone"),
}
_ASKED = {
    "es": {
        TAKE_MESSAGE: re.compile(
            r"\b(?:dej|tom|anot|apunt|pas|mand|envi)\w+(?: \w+){0,2} (?:mensaje|recado)\b"
        ),
        CALL_BACK: re.compile(
            r"\b(?:me|nos) (?:llamen?|marquen?|contacten?)\b|\bllam[ea]n?(?:me|nos)\b"
            r"|\bmarquen?(?:me|nos)\b|\b(?:pueden?|podrian?) (?:volver a )?llamar(?:me|nos)?\b"
            r"|\bme (?:pueden?|podrian?) (?:volver a )?llamar\b"
            r"|\b(?:devuelv|devolver|regres)\w*(?: \w+){0,2} llamada\b"
        ),
    },
    "en": {
        TAKE_MESSAGE: re.compile(r"\b(?:leave|take|pass on|give|send)(?: \w+){0,3} message\b"),
        CALL_BACK: re.compile(
            r"\b(?:call|ring|phone) (?:me|us)\b|\bcall[ -]?back\b"
            r"|\bgive (?:me|us) a (?:call|ring)\b"
        ),
    },
}


def asked_for(text: str, language: str, offered: frozenset[str]) -> str | None:
    """The function that these words ask for, if the version has it."""
    said = plain(text)
    for name, pattern in _ASKED["es" if language == "es" else "en"].items():
        if name in offered and pattern.search(said):
            return name
    return None


def arguments_of(form: Form) -> dict[str, object] | None:
    """The function's arguments out of its form; None where what it needs was left open."""
    values = form.values
    who = {"from_name": values.get("name", ""), "number": values.get("phone", "")}
    if form.intent == TAKE_MESSAGE:
        text = values.get("message", "")
        return {"text": text, **who} if text else None
    day, at = values.get("date", ""), values.get("time", "")
    if not day or not at:
        return None
    when = datetime.combine(date.fromisoformat(day), time.fromisoformat(at))
    return {
        "when": when.isoformat(timespec="minutes"),
        "number": who["number"],
        "reason": who["from_name"],
    }
