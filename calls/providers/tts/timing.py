"""From a provider's word timings to the words of the text as it was written.

Every provider times something else: characters, normalised words, parts of a number. What the
loop needs is one `Word` for each blank-separated word of the segment, in order and complete, so
that heard text can be cut out of the written text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from calls.providers.tts.lexicon import Piece, spoken_text
from calls.voice.ports import Word

_LOOK_AHEAD = 3  # words that a provider may leave out before its next one is found


class WordTimer:
    """Turns sound positions (ms) of spoken text into timed words of the written text.

    Report what a provider says by `at()` or `said()`, in order; both return the words that are
    complete by it. `finish()` returns the rest, so that every word comes out exactly once.
    A word that is never reported has no length, right after the one before it.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self._written = "".join(piece.written for piece in pieces)
        self._spoken = spoken_text(pieces)
        self._pieces = pieces
        spans = [match.span() for match in re.finditer(r"\S+", self._written)]
        self._texts = [self._written[start:end] for start, end in spans]
        self._starts = [start for start, _ in spans]
        self._current = -1  # index of the word that is sounding
        self._began = 0.0
        self._ended: float | None = None
        self._cursor = 0  # in spoken characters, for said()

    def at(self, position: int, start: float) -> tuple[Word, ...]:
        """Something at character `position` (from 0) of the spoken text sounds at `start`."""
        return self._move(self._word_at(self._to_written(position)), start, None)

    def said(self, text: str, start: float, end: float) -> tuple[Word, ...]:
        """The spoken word `text` sounds from `start` to `end`."""
        position = self._find(text)
        if position is None:
            return self._move(self._current + 1, start, end)
        self._cursor = position + len(text)
        return self._move(self._word_at(self._to_written(position)), start, end)

    def finish(self, end: float) -> tuple[Word, ...]:
        """The segment's sound is over at `end`."""
        if self._current < 0:
            return ()  # the provider told no timings: none are invented
        return self._move(len(self._texts), end, None)

    def _move(self, index: int, start: float, end: float | None) -> tuple[Word, ...]:
        last = len(self._texts)
        index = min(index, last if end is None else last - 1)
        if index <= self._current:
            self._ended = end if end is not None else self._ended
            return ()
        done = self._close(index, start)
        self._current, self._began, self._ended = index, max(start, self._began), end
        return done

    def _close(self, index: int, start: float) -> tuple[Word, ...]:
        ended = max(self._began, start if self._ended is None else min(self._ended, start))
        words = []
        if self._current >= 0:
            words.append(Word(self._texts[self._current], self._began, ended))
        else:
            ended = 0.0
        words += [Word(text, ended, ended) for text in self._texts[self._current + 1 : index]]
        return tuple(words)

    def _word_at(self, written_position: int) -> int:
        return max(0, bisect_right(self._starts, written_position) - 1)

    def _to_written(self, position: int) -> int:
        """The written character behind a spoken one; inside a replacement, in proportion."""
        written = 0
        for piece in self._pieces:
            length = len(piece.spoken)
            if position < length:
                scale = len(piece.written) / length
                return written + (position if piece.alias is None else int(position * scale))
            position -= length
            written += len(piece.written)
        return written

    def _find(self, text: str) -> int | None:
        pattern = re.compile(rf"(?<!\w){re.escape(text)}(?!\w)", re.IGNORECASE)
        match = pattern.search(self._spoken, self._cursor)
        if match is None:
            return None
        index = self._word_at(self._to_written(match.start()))
        return match.start() if index <= self._current + _LOOK_AHEAD else None
