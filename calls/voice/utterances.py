"""Which words belong to which stretch of speech, and which stretch still waits for its words.

    speech      |==A==|   |=B=|   |====C====|
    partials      a  a b               c
    finals                   "a b"                "c"        B was a cough: nobody answers it

A recogniser owes each stretch one final, in order; but many say nothing to a cough. So a final
with words belongs to the oldest stretch that partial words came of, and settles what lies before
it; where none had partial words (a recogniser that sends only finals), to the oldest.

Words that are likely (`due`) hold a turn up; words that are merely owed do not. They are likely
while partial words wait for their final, and for as long after the end of speech as this call's
recogniser usually takes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from calls.voice.bargein import plain

UNKNOWN_DELAY = 800.0  # ms from speech to words, before this call has shown its own
PARTIAL_DELAY = 700.0  # a recogniser that sends partial words has sent one by then
MARGIN, SPREAD = 200.0, 1.25  # a transcript may take that much longer than usual
LEAST_PATIENCE = 400.0


@dataclass(slots=True, eq=False)
class Utterance:
    """One stretch of speech. Times on the loop's clock."""

    began: float
    stopped: float | None = None  # acoustic end; None: it goes on
    voiced: float = 0.0  # ms of speech
    partial: str = ""
    answered: bool = False  # a final came while it still went on


class Utterances:
    """Those of one call that have no final yet."""

    def __init__(self, timeout: float) -> None:
        self.current: Utterance | None = None
        self.streams: bool | None = None  # whether the recogniser sends partial words, once known
        self.words_came = 0.0  # the last time that there were any
        self._timeout = timeout
        self._owed: deque[Utterance] = deque()  # over, oldest first
        self._usual: float | None = None
        self._last_final = ""  # of the speech in flight, or of the last

    @property
    def waiting(self) -> bool:
        """A final is owed, or partial words have none yet."""
        return bool(self._owed or self.partial)

    @property
    def partial(self) -> str:
        """All words that have no final yet."""
        return " ".join(each.partial for each in self._all() if each.partial)

    @property
    def deadline(self) -> float | None:
        """When the oldest final is too late."""
        if not self._owed:
            return None
        return (self._owed[0].stopped or 0.0) + self._timeout

    @property
    def due(self) -> float | None:
        """Until when words are likely; infinity where there are some already, None for never."""
        if any(each.partial for each in self._owed):
            return float("inf")
        newest = self._owed[-1].stopped if self._owed else None
        return None if newest is None else newest + self._patience()

    def begin(self, at: float) -> None:
        self.current = Utterance(at)
        self._last_final = ""

    def end(self, at: float, voiced: float) -> bool:
        """Speech is over; False if its final has come already."""
        ended, self.current = self.current or Utterance(at), None
        ended.stopped, ended.voiced = at, voiced
        if ended.answered and not ended.partial:
            return False
        self._owed.append(ended)
        return True

    def heard(self, text: str, now: float) -> bool:
        """Partial words; False if they are a late echo of a final."""
        if not text or plain(self._last_final).startswith(plain(text)):
            return False
        self.streams, self.words_came = True, now
        owner = self.current or (self._owed[-1] if self._owed else None)
        if owner is None:  # the detector took it for silence
            owner = Utterance(now, stopped=now)
            self._owed.append(owner)
        if _is_of_another(text, owner.partial):
            owner = self._split(owner, now)
        for earlier in self._all():
            if earlier is not owner and plain(text).startswith(plain(earlier.partial)):
                earlier.partial = ""  # the recogniser took no notice of the pause
        owner.partial = text
        return True

    def settle(self, text: str, now: float, voiced_until: float) -> Utterance:
        """A final came: whose it is. `voiced_until` is the end of the newest voice so far."""
        self._last_final = text
        if text:
            self.words_came = now
        waiting = self._all()
        worded = [each for each in waiting if each.partial] if text else []
        if text and not worded and self.streams is None:
            self.streams = False
        owner = (worded or waiting or [Utterance(now, stopped=now)])[0]
        while self._owed and (self.current is owner or owner in self._owed):
            if self._owed.popleft() is owner:
                break
        owner.partial, owner.answered = "", True
        if text:
            self._learn(now - (voiced_until if owner.stopped is None else owner.stopped))
        return owner

    def late(self, now: float) -> list[Utterance]:
        """Those whose final is overdue, and awaited no longer."""
        overdue = []
        while self._owed and (self._owed[0].stopped or 0.0) + self._timeout <= now + 0.01:
            overdue.append(self._owed.popleft())
        return overdue

    def forget(self) -> None:
        """What was said so far is used; the speech in flight counts anew."""
        for each in self._all():
            each.partial = ""
        self._owed.clear()

    def merge(self) -> None:
        """A new recogniser hears all of it again, as one."""
        words = self.partial
        target = self.current or self._owed[-1]
        target.began = self._all()[0].began
        self._owed = deque() if target is self.current else deque([target])
        target.partial = words

    def _all(self) -> list[Utterance]:
        return [*self._owed, self.current] if self.current is not None else list(self._owed)

    def _split(self, owner: Utterance, now: float) -> Utterance:
        """The recogniser heard a pause that the detector did not."""
        rest = Utterance(now, stopped=owner.stopped)
        if owner is self.current:
            owner.stopped, self.current = now, rest
            self._owed.append(owner)
        else:
            self._owed.append(rest)
        return rest

    def _learn(self, delay: float) -> None:
        before = delay if self._usual is None else self._usual
        self._usual = max(delay, 0.8 * before + 0.2 * delay)

    def _patience(self) -> float:
        known = self._usual
        wait = UNKNOWN_DELAY if known is None else known * SPREAD + MARGIN
        likely = min(wait, PARTIAL_DELAY) if self.streams else wait
        return min(max(likely, LEAST_PATIENCE), self._timeout)


def _is_of_another(text: str, before: str) -> bool:
    """Whether these partial words begin a new transcript, rather than correct the last ones."""
    words, old = plain(text).split(), plain(before).split()
    return len(words) * 2 <= len(old) and not set(words) & set(old)
