"""Words by which people say that they do not want to be written to, and that they do again."""

from __future__ import annotations

import unicodedata

from calls.models import Message

# Whole messages, without accents, case and punctuation.
_EVERYWHERE = frozenset(
    {
        "stop", "stop all", "stopall", "unsubscribe", "opt out", "optout",
        "baja", "alto", "dar de baja", "darme de baja", "no molestar", "no molesten", "parar",
    }
)  # fmt: skip
# Carriers take these for the same in an SMS; in a conversation they may be about a booking.
_IN_SMS = frozenset({"cancel", "end", "quit", "revoke", "cancelar"})
# By the language of the word. "Yes", which some carriers take too, may answer any question.
_AGAIN = {
    **dict.fromkeys(("start", "unstop", "subscribe", "resubscribe", "opt in", "optin"), "en"),
    **dict.fromkeys(("alta", "dar de alta", "darme de alta"), "es"),
}
WELCOME_BACK = {
    "en": "{company}: you will get our messages and calls again. Reply STOP to get no more.",
    "es": "{company}: volverá a recibir nuestros mensajes y llamadas. Responda BAJA para no "
    "recibir más.",
}


def wants_no_more(kind: str, text: str) -> bool:
    """Whether the whole of a message says so, and nothing else."""
    said = _plain(text)
    return said in _EVERYWHERE or (kind == Message.Kind.SMS and said in _IN_SMS)


def wants_again(text: str) -> str | None:
    """The language in which the whole of a message says so; None if it does not."""
    return _AGAIN.get(_plain(text))


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text[:100]).casefold()
    kept = (mark if mark.isalnum() else " " for mark in letters if not unicodedata.combining(mark))
    return " ".join("".join(kept).split())
