"""How Spanish words sound, in the phones of the English acoustic model.

Spanish spelling is regular, so a dozen rules do. The English model lacks the tapped and the
trilled r, the soft b/d/g and pure vowels; the nearest phone stands in, which is good enough to
tell a few hundred words apart and no more.
"""

from __future__ import annotations

import re
import unicodedata

# Longest first; the first that fits at a position wins.
_SOUNDS: tuple[tuple[str, str], ...] = (
    ("qu(?=[ei])", "K"),
    ("gu(?=[ei])", "G"),
    ("gü", "G W"),
    ("ch", "CH"),
    ("ll", "Y"),
    ("rr", "R"),
    ("c(?=[ei])", "S"),
    ("g(?=[ei])", "HH"),
    ("h", ""),
    ("ñ", "N Y"),
    ("[aá]i|[aá]y(?![aeiouáéíóú])", "AY"),
    ("[eé]i|[eé]y(?![aeiouáéíóú])", "EY"),
    ("[oó]i|[oó]y(?![aeiouáéíóú])", "OY"),
    ("[aá]u", "AW"),
    ("i(?=[aeouáéóú])", "Y"),
    ("u(?=[aeioáéíó])", "W"),
    ("[aá]", "AA"),
    ("[eé]", "EH"),
    ("[ií]", "IY"),
    ("[oó]", "OW"),
    ("[uúü]", "UW"),
    ("y(?=[aeiouáéíóú])", "Y"),
    ("y", "IY"),
    ("[bv]", "B"),
    ("[ckq]", "K"),
    ("d", "D"),
    ("f", "F"),
    ("g", "G"),
    ("j", "HH"),
    ("l", "L"),
    ("m", "M"),
    ("n", "N"),
    ("p", "P"),
    ("r", "R"),
    ("[sz]", "S"),
    ("t", "T"),
    ("w", "W"),
    ("x", "K S"),
)
_RULES = tuple((re.compile(pattern), phones.split()) for pattern, phones in _SOUNDS)


def phones_of(word: str) -> list[str]:
    """ARPAbet phones of a Spanish word, `["AA", "D", "IY", "OW", "S"]`; empty if unreadable."""
    letters = unicodedata.normalize("NFC", word.lower())
    phones: list[str] = []
    position = 0
    while position < len(letters):
        width, sound = _sound_at(letters, position)
        phones += sound
        position += width
    return phones


def _sound_at(letters: str, position: int) -> tuple[int, list[str]]:
    for pattern, phones in _RULES:
        found = pattern.match(letters, position)
        if found:
            return found.end() - position, phones
    return 1, []
