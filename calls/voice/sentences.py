"""Cut a stream of text into sentences as early as that is safe.

    "Hel" "lo. Wh" "ere to" "?"      ->   "Hello."            when the blank after it arrives
                                          "Where to?"         at once: "?" needs no blank

A voice starts on the first finished sentence, so every character of waiting is silence. A full
stop may belong to a number ("3.5"), an address ("www.") or an abbreviation ("Sr."), so it counts
only before a blank and not after a known abbreviation. A text without any stop is cut at a
comma or a blank after `LONGEST` characters.
"""

from __future__ import annotations

import re

LONGEST = 220

_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "prof", "st", "vs", "tel", "e.g", "i.e", "a.m", "p.m"),
        *("sr", "sra", "srta", "dra", "av", "núm", "nº", "ej", "p.ej", "ud", "uds"),
    ]
)
_END = re.compile(r"[!?…]+[\"')\]»”]*|[.:;]+[\"')\]»”]*(?=\s)|\n+")
_BREAK = re.compile(r".*[,;:](?=\s)", re.DOTALL)


class SentenceSplitter:
    """Feed text, get finished sentences, stripped; `flush` gives what is left."""

    def __init__(self) -> None:
        self._rest = ""

    @property
    def rest(self) -> str:
        """What was fed and has not come out yet."""
        return self._rest.strip()

    def feed(self, text: str) -> list[str]:
        self._rest += text
        sentences = []
        while (end := self._find_end()) is not None:
            sentence, self._rest = self._rest[:end].strip(), self._rest[end:]
            if any(character.isalnum() for character in sentence):
                sentences.append(sentence)
        return sentences

    def flush(self) -> str:
        rest, self._rest = self.rest, ""
        return rest

    def _find_end(self) -> int | None:
        for match in _END.finditer(self._rest):
            if match[0][0] in ":;" or self._is_abbreviation(match):
                continue
            return match.end()
        if len(self._rest) <= LONGEST:
            return None
        comma = _BREAK.match(self._rest[:LONGEST])
        return comma.end() if comma else self._rest.rfind(" ", 1, LONGEST) + 1 or LONGEST

    def _is_abbreviation(self, match: re.Match[str]) -> bool:
        if match[0][0] != ".":
            return False
        words = self._rest[: match.start()].rsplit(maxsplit=1)
        last = words[-1].lower().lstrip("¿¡(\"'") if words else ""
        return last in _ABBREVIATIONS or (len(last) == 1 and last.isalpha())
