"""When the caller's speech interrupts the agent, and when it only looks as if it did.

    agent    |################:::::::::::::::::::::::::|
    caller           |=======|
                     ^start  ^start + bargein_min_duration: stop the agent at once (`clear`)
                                   ^ words came: it was an interruption
                                   ^ none came by `false_interruption_timeout` after the speech,
                                     or only a backchannel: go on from where it was

With `bargein_min_words` the duration alone does not count: that many words must be there. A
backchannel ("ajá", "uh-huh") says "I am listening": it never interrupts.
"""

from __future__ import annotations

import re
import unicodedata

from calls.voice.options import TurnOptions

# An answer that begins in the last moments of a question is an answer, whatever its words.
ANSWER_WINDOW = 1000.0

_SPANISH = "ajá ajam aha ah ya sí si ok okay okey vale claro bien bueno mhm mm mmm uh-huh ujum eh"
_ENGLISH = (
    "uh-huh uhuh uh mhm mm mmm hmm ok okay yeah yep yes right sure ajá aha ah sí i see got it"
)

BACKCHANNELS: dict[str, frozenset[str]] = {
    "es": frozenset({*_SPANISH.split(), "de acuerdo", "ya veo", "muy bien", "está bien"}),
    "en": frozenset({*_ENGLISH.split(), "all right", "i see", "got it", "of course"}),
}
_ENDINGS = re.compile(r"[^\w\s-]+")


def plain(text: str) -> str:
    """Letters and digits in lower case, without accents or punctuation: for comparing."""
    decomposed = unicodedata.normalize("NFD", _ENDINGS.sub(" ", text.casefold()))
    kept = "".join(c for c in decomposed if unicodedata.category(c) != "Mn")
    return " ".join(kept.split())


class BargeIn:
    """The policy for one call."""

    def __init__(self, options: TurnOptions, language: str) -> None:
        self._options = options
        phrases = options.backchannels
        if phrases is None:
            base = language.split("-")[0].lower()
            phrases = tuple(BACKCHANNELS.get(base, BACKCHANNELS["en"]))
        self._phrases = frozenset(plain(phrase) for phrase in phrases)
        self._longest = max((len(phrase.split()) for phrase in self._phrases), default=0)

    def is_backchannel(self, text: str) -> bool:
        """Whether a non-empty text is made of backchannels only ("sí, sí, claro")."""
        words = plain(text).split()
        if not words:
            return False
        while words:
            taken = self._leading_phrase(words)
            if not taken:
                return False
            words = words[taken:]
        return True

    def interrupts(self, voiced: float, text: str) -> bool:
        """Whether `voiced` ms of speech with these words so far stop the agent.

        Strictly longer than the minimum: speech of just that length may be over.
        """
        if not self._options.bargein or self.is_backchannel(text):
            return False
        if self._options.bargein_min_words > 0:
            return len(text.split()) >= self._options.bargein_min_words
        return voiced > self._options.bargein_min_duration

    def _leading_phrase(self, words: list[str]) -> int:
        for count in range(min(self._longest, len(words)), 0, -1):
            if " ".join(words[:count]) in self._phrases:
                return count
        return 0
