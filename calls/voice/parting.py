"""How the loop itself ends a call: its last words, and what becomes of the caller after them."""

from __future__ import annotations

from dataclasses import dataclass

from calls.voice.end_reasons import EndReason
from calls.voice.phrases import Phrases
from calls.voice.ports import Transfer


@dataclass(frozen=True, slots=True)
class Parting:
    """What is said, and why the call ends once it was heard; `transfer`: it goes on with them."""

    words: str
    reason: EndReason
    transfer: Transfer | None = None


def without_words(phrases: Phrases, person: str, reason: EndReason) -> Parting:
    """The agent does not understand its caller: `person`, a transfer target, may; else goodbye."""
    if person:
        words = f"{phrases.not_understood} {phrases.putting_through}"
        return Parting(words, EndReason.TRANSFERRED, Transfer(person))
    return Parting(f"{phrases.not_understood} {phrases.goodbye}", reason)
