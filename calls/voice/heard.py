"""What the caller heard of a text, cut at whole words; half a word is never credited.

    text     |Let me look. ||I found three tours for you.      |
    sound    |#############||##################################|
    heard                             ^ position
    -> "Let me look. I found"

Segments that were played to their end count whole. The one in flight counts by the voice's word
timings; where there are none, by the share of its sound that was played, against the letters
of its words. When the segment's whole length is not known yet, a usual speaking rate stands in.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from calls.voice.ports import Word

LETTERS_PER_SECOND = 15.0
_WORD = re.compile(r"\S+")


@dataclass(slots=True, eq=False)
class Segment:
    """One sentence of an agent's turn and where its sound lies, in ms from the turn's start."""

    text: str
    start: float | None = None  # None: no sound yet
    length: float = 0.0
    closed: bool = False  # all its sound is there
    words: list[Word] = field(default_factory=list)

    @property
    def end(self) -> float:
        return (self.start or 0.0) + self.length


def heard_text(segments: Iterable[Segment], position: float) -> str:
    """The words that were played out by `position`."""
    heard = []
    for segment in segments:
        if segment.start is None or position <= segment.start:
            continue
        if segment.closed and position >= segment.end - 0.5:
            heard.append(segment.text)
        else:
            heard.append(words_played(segment, position - segment.start))
    return " ".join(filter(None, heard))


def words_played(segment: Segment, played: float) -> str:
    """The whole words of one segment within its first `played` ms of sound."""
    if segment.words:
        return _by_timings(segment.text, segment.words, played)
    return _by_clock(segment, played)


def _by_timings(text: str, words: Sequence[Word], played: float) -> str:
    cut = 0
    for word in words:
        if word.end > played:
            break
        found = text.find(word.text, cut)
        if found >= 0:
            cut = found + len(word.text)
    return text[:cut].rstrip()


def _by_clock(segment: Segment, played: float) -> str:
    matches = list(_WORD.finditer(segment.text))
    letters = sum(len(match[0]) for match in matches)
    usual = letters / LETTERS_PER_SECOND * 1000
    length = segment.length if segment.closed else max(segment.length, usual)
    budget = letters * played / length if length else 0.0
    cut = 0
    for match in matches:
        budget -= len(match[0])
        if budget < -1e-6:
            break
        cut = match.end()
    return segment.text[:cut]
