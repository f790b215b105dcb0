"""When the caller's turn is over.

    caller   |=========|~~~~~~~~~~~~~~|           ~ silence
                       ^ acoustic end of speech: every wait counts from here
                            ^ final transcript
                                 ^ end + min      the judge says: done
                                               ^ end + max: the judge says: not done

The wait is over when both the time has passed and the transcript is there; a transcript later
than the wait is answered at once. While something is being dictated, `min` is at least
`endpointing_dictation`. With `endpointing_adaptive`, `min` follows this caller's own pauses
within a turn as a moving average, in [250, `endpointing_max`].
"""

from __future__ import annotations

from calls.voice.judge import is_dictating
from calls.voice.options import TurnOptions
from calls.voice.ports import TurnJudge

SURE = 0.5
SHORTEST = 250.0
_WEIGHT = 0.3  # of the newest pause in the moving average


class Endpointing:
    """The policy for one call. Learns from `pause`."""

    def __init__(self, options: TurnOptions, judge: TurnJudge, language: str) -> None:
        self._options = options
        self._judge = judge
        self._language = language
        self._min = options.endpointing_min

    @property
    def min_delay(self) -> float:
        """The present wait after a finished turn, in ms."""
        return self._min

    def pause(self, length: float) -> None:
        """The caller paused that long, and then went on with the same turn."""
        if not self._options.endpointing_adaptive:
            return
        average = self._min + _WEIGHT * (length - self._min)
        self._min = min(max(average, SHORTEST), self._options.endpointing_max)

    def is_done(self, text: str, question: str) -> bool:
        """Whether the words alone say that the turn is probably over."""
        return self._judged_done(text, question) and not self._dictating(text, question)

    def delay(self, text: str, question: str) -> float:
        """Ms to wait after the acoustic end of speech."""
        if not self._judged_done(text, question):
            return self._options.endpointing_max
        if self._dictating(text, question):
            return max(self._min, self._options.endpointing_dictation)
        return self._min

    def _judged_done(self, text: str, question: str) -> bool:
        return self._judge.probability(text, self._language, question) >= SURE

    def _dictating(self, text: str, question: str) -> bool:
        return is_dictating(text, question)
