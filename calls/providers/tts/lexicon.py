"""Pronunciations: words that a voice would say wrongly, and how to say them.

A lexicon maps a word or phrase to the way it is said: other words (`"Spirit Tours"` to
`"Espírit Turs"`) or, between slashes, the International Phonetic Alphabet (`"/tuɾs/"`). Only
Azure takes phonetics as they are; the others get the words and leave phonetics alone.
Azure's own lexicon files would have to lie on a public server, so words are replaced in the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a text: as written, and as said if that differs."""

    written: str
    alias: str | None = None
    ipa: str | None = None

    @property
    def spoken(self) -> str:
        """What a voice without phonetics reads."""
        return self.written if self.alias is None else self.alias


class Lexicon:
    """Finds the entries of a lexicon in texts: whole words, any case, longest first."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self._entries = {word.casefold(): said for word, said in entries.items() if word.strip()}
        longest_first = sorted(self._entries, key=len, reverse=True)
        alternatives = "|".join(re.escape(word) for word in longest_first)
        self._pattern = (
            re.compile(rf"(?<!\w)(?:{alternatives})(?!\w)", re.IGNORECASE) if alternatives else None
        )

    def pieces(self, text: str) -> tuple[Piece, ...]:
        """Split `text` at the entries found; the written pieces joined are `text` again."""
        return tuple(self._split(text))

    def _split(self, text: str) -> Iterator[Piece]:
        done = 0
        for match in self._pattern.finditer(text) if self._pattern else ():
            if match.start() > done:
                yield Piece(text[done : match.start()])
            yield self._entry(match.group())
            done = match.end()
        if done < len(text):
            yield Piece(text[done:])

    def _entry(self, written: str) -> Piece:
        said = self._entries.get(written.casefold(), written)
        if len(said) > 2 and said.startswith("/") and said.endswith("/"):
            return Piece(written, ipa=said[1:-1])
        return Piece(written, alias=said)


def spoken_text(pieces: Sequence[Piece]) -> str:
    """The text that a voice without phonetics reads."""
    return "".join(piece.spoken for piece in pieces)
