"""The text of one agent turn, and how much of it was written to the carrier, and heard.

    segments   "Let me look."      "I found three."
    letters     0 ....... 10|       10 .......... 22|       blanks do not count
    sent                                       ^ rewound when the caller cuts in

What a carrier tells of words that it has spoken is found again by letters and digits alone: it
may leave out signs, or write them otherwise.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate

from calls.voice.heard import Segment
from calls.voice.track import Track

_ONE_BYTE_PER_MS = 500  # so that a position, which is a letter's, is a moment of the segments too


class TextTrack(Track):
    """A track whose positions are letters. `complete`: nothing more will be added."""

    def __init__(self) -> None:
        super().__init__(_ONE_BYTE_PER_MS)
        self.complete = False
        self._letters = 0
        self._plain = ""  # of all sentences, the letters and digits
        self._ends: list[int] = []  # the position after each; after its whole word for the last

    @property
    def size(self) -> int:
        return self._letters

    def append(self, segment: Segment, _pcm: bytes = b"") -> None:
        """The carrier gives a sentence its voice: all of it may be written."""
        segment.start = float(self._letters)
        for word in segment.text.split():
            begin, self._letters = self._letters, self._letters + len(word)
            spoken = [(c, begin + at + 1) for at, char in enumerate(word) for c in _plain(char)]
            self._plain += "".join(char for char, _ in spoken)
            self._ends += [end for _, end in spoken[:-1]]
            self._ends += [self._letters] if spoken else []
        segment.length = self._letters - segment.start
        segment.closed = True

    def write(self) -> tuple[str, bool]:
        """What comes next, up to the end of its sentence; and whether that is all there will be."""
        segment = next(segment for segment in self.segments if segment.end > self.sent)
        words = segment.text.split()
        places = accumulate(map(len, words), initial=round(segment.start or 0.0))
        rest = [word for place, word in zip(places, words, strict=False) if place >= self.sent]
        self.sent = round(segment.end)
        return " ".join(rest), self.complete and self.sent == self.size

    def place_of(self, words: str, after: int) -> int | None:
        """The position behind these words where they come next; None: they do not."""
        told = "".join(map(_plain, words))
        at = self._plain.find(told, bisect_right(self._ends, after)) if told else -1
        return None if at < 0 else self._ends[at + len(told) - 1]


def _plain(char: str) -> str:
    return char.lower() if char.isalnum() else ""
