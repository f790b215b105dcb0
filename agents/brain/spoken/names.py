"""Spoken names: `my name is anna miller` → Anna Miller."""

from __future__ import annotations

import re

from agents.brain.spoken.text import plain

_LEAD = {
    "es": re.compile(
        r"^(?:.*\b(?:me llamo|mi nombre es|a nombre de|soy|habla|le habla|es|con))\s+"
    ),
    "en": re.compile(
        r"^(?:.*\b(?:my name is|my name's|name is|the name's|i am|i'm|this is|it is|it's|under))\s+"
    ),
}
_SPANISH = """
si no que como cuando donde cuanto cuantos quiero quisiera puedo puede tengo necesito gracias por
favor hola bueno buenos buenas pues para mi yo usted ustedes hay ya claro perdon disculpe nada nadie
tour reserva precio mañana hoy ayuda persona robot espera espere momento seria mas bien ok vale
"""
_ENGLISH = """
yes no what how when where why i you we want would could can need have thanks thank please hello hi
well sure for me my it there is are not sorry nothing nobody tour booking price tomorrow today help
person robot wait moment okay ok just the a an calling looking going trying interested fine good
"""
_NO_NAMES = {"es": frozenset(_SPANISH.split()), "en": frozenset(_ENGLISH.split())}
_PARTICLES = {"de", "del", "la", "los", "las", "y", "van", "von", "da", "dos", "san"}
MAX_WORDS = 5
_LETTERS = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")  # noqa: RUF001 - names have these


def find_name(text: str, language: str) -> str | None:
    """The name that was said, capitalised, or None when it does not look like one."""
    code = "es" if language[:2].lower() == "es" else "en"
    said = text.strip().strip(".,;!¡¿? ")
    lead = _LEAD[code].match(plain(said))
    rest = said[lead.end() :] if lead and len(plain(said)) == len(said) else said
    rest = re.split(r"[,.;]|\b(?:please|por favor|y mi|and my)\b", rest)[0]
    if any(character.isdigit() for character in rest):
        return None
    parts = _LETTERS.findall(rest)
    if not 1 <= len(parts) <= MAX_WORDS:
        return None
    if any(plain(part) in _NO_NAMES[code] for part in parts) or len(parts[0]) < 2:
        return None
    return " ".join(_capital(part, first=i == 0) for i, part in enumerate(parts))


def _capital(part: str, *, first: bool) -> str:
    if not first and plain(part) in _PARTICLES:
        return part.lower()
    return part if part[:1].isupper() and part[1:] != part[1:].upper() else part.capitalize()
