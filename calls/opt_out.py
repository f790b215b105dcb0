"""Words by which people say that they do not want to be written to."""

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


def wants_no_more(kind: str, text: str) -> bool:
    """Whether the whole of a message says so, and nothing else."""
    said = _plain(text)
    return said in _EVERYWHERE or (kind == Message.Kind.SMS and said in _IN_SMS)


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFKD", text[:100]).casefold()
    kept = (mark if mark.isalnum() else " " for mark in letters if not unicodedata.combining(mark))
    return " ".join("".join(kept).split())
