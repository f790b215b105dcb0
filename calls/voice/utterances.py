"""Which words belong to which stretch of speech, and which stretch still waits for its words.

    speech      |==A==|   |=B=|   |====C====|
    partials      a  a b               c
    finals                   "a b"                "c"        B was a cough: nobody answers it

Partial words are a guess: the newest take the place of those before, however little they have in
common ("five five", then "555"). Only finals, and guesses whose final does not come, become words
of the turn.

A recogniser owes each stretch one final, in order; but many say nothing to a cough, some take no
notice of a pause, and some divide a stretch. So a final with words belongs to the stretch whose
guesses it resembles most, in doubt to the oldest, and settles all of that and what lies before
it; where there were no guesses (a recogniser that sends only finals), it is the oldest's. Where it
resembles an older guess only, the stretch was divided, and another final is likely:

    partials      a  a b    c
    finals                     "a b"   "c"

Words that are likely (`due`) hold a turn up; words that are merely owed do not. They are likely
while partial words wait for their final, and for as long after the end of speech (or after the
final of a part) as this call's recogniser usually takes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from calls.voice.bargein import plain

UNKNOWN_DELAY = 800.0  # ms from speech to words, before this call has shown its own
PARTIAL_DELAY = 700.0  # a recogniser that sends partial words has sent one by then
MARGIN, SPREAD = 200.0, 1.25  # a transcript may take that much longer than usual
LEAST_PATIENCE = 400.0
ALIKE, SAME = 0.5, 0.8  # how much two transcripts of one sound, or of the same words, share
_REMEMBERED = 8  # guesses of one stretch

_NUMERALS = {
    word: str(number)
    for words in (
        "zero one two three four five six seven eight nine",
        "oh",
        "cero uno dos tres cuatro cinco seis siete ocho nueve",
    )
    for number, word in enumerate(words.split())
}


@dataclass(slots=True, eq=False)
class Utterance:
    """One stretch of speech. Times on the loop's clock."""

    began: float
    stopped: float | None = None  # acoustic end; None: it goes on
    voiced: float = 0.0  # ms of speech
    partial: str = ""  # the newest guess
    guessed: float = 0.0  # when that came
    former: deque[tuple[str, float]] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    answered: bool = False  # a final came while it still went on
    divided: float | None = None  # when the final of a part came
    unnoticed: bool = False  # by the detector: only its words show that there was speech

    def guess(self, text: str, now: float) -> None:
        """Partial words came; what they have little in common with may get a final of its own."""
        if self.partial and not _correct(text, self.partial):
            self.former.append((self.partial, self.guessed))
        self.partial, self.guessed = text, now

    def resemblance(self, text: str) -> float:
        """To the guess that is most like a final."""
        guesses = [self.partial, *(former for former, _ in self.former)]
        likest = max(_likeness(text, guess) for guess in guesses)
        return likest if likest >= ALIKE else 0.0

    def part(self, text: str) -> float | None:
        """When the words came that this is the final of, if newer ones are not in it."""
        if not self.partial or _correct(text, self.partial):
            return None
        parts = (at for former, at in self.former if _likeness(text, former) >= SAME)
        return next(parts, None)


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
        if not self._owed:
            return None
        newest = self._owed[-1]
        if newest.divided is not None:
            return newest.divided + self._patience(self._wait())
        limit = PARTIAL_DELAY if self.streams else self._timeout
        return (newest.stopped or 0.0) + self._patience(min(self._wait(), limit))

    def begin(self, at: float) -> None:
        self.current = Utterance(at)
        self._last_final = ""
        newest = self._owed[-1] if self._owed else None
        if newest is not None and newest.unnoticed and newest.began >= at:
            self._owed.pop()  # its words came before the detector was sure
            self.current.partial, self.current.guessed = newest.partial, newest.guessed

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
        words = _words(text)
        if not words or _begins(_words(self._last_final), words):
            return False
        self.streams, self.words_came = True, now
        owner = self.current or (self._owed[-1] if self._owed else None)
        if owner is None:  # the detector took it for silence
            owner = Utterance(now, stopped=now, unnoticed=True)
            self._owed.append(owner)
        for earlier in self._owed:
            if earlier is not owner and earlier.partial and _begins(words, _words(earlier.partial)):
                _hide(earlier)  # the recogniser took no notice of the pause
        owner.guess(text, now)
        return True

    def settle(self, text: str, now: float, voiced_until: float) -> Utterance | None:
        """A final came: whose it is. `voiced_until` is the end of the newest voice so far.

        None for an empty one that nobody waits for.
        """
        self._last_final = text
        self._expire(now)
        waiting = self._all()
        if not text:
            return self._deny(now) if waiting else None
        self.words_came = now
        if self.streams is None and not any(each.partial for each in waiting):
            self.streams = False
        owner = _owner(text, waiting) or Utterance(now, stopped=now)
        part = owner.part(text)
        if part is not None:
            self._learn(now - part)
            return self._divide(owner, now)
        self._learn(now - (voiced_until if owner.stopped is None else owner.stopped))
        return self._close(owner)

    def late(self, now: float) -> list[Utterance]:
        """Those whose final is overdue, and awaited no longer."""
        overdue = []
        while self._owed and (self._owed[0].stopped or 0.0) + self._timeout <= now + 0.01:
            overdue.append(self._owed.popleft())
        return [each for each in overdue if each.partial or each.divided is None]

    def forget(self) -> None:
        """What was said so far is used; the speech in flight counts anew."""
        for each in self._all():
            each.partial = ""
            each.former.clear()
        self._owed.clear()

    def merge(self) -> None:
        """A new recogniser hears all of it again, as one."""
        words = self.partial
        target = self.current or self._owed[-1]
        target.began = self._all()[0].began
        self._owed = deque() if target is self.current else deque([target])
        target.former.clear()
        target.partial = words

    def _all(self) -> list[Utterance]:
        return [*self._owed, self.current] if self.current is not None else list(self._owed)

    def _deny(self, now: float) -> Utterance:
        """A final without words: not that of a cough of long ago, if there is anything else."""
        patience = self._patience(self._wait())
        for each in self._owed:
            if each.partial or (each.stopped or 0.0) + patience > now:
                return self._close(each)
        if self.current is not None and (self.current.partial or not self._owed):
            return self._close(self.current, spans=bool(self._owed))
        return self._close(self._owed[0])

    def _expire(self, now: float) -> None:
        """The rest of a divided stretch does not come: its words were a wrong guess."""
        since = now - self._patience(self._wait())
        for each in list(self._owed):
            if each.divided is not None and each.divided <= since and not each.partial:
                self._owed.remove(each)

    def _close(self, owner: Utterance, *, spans: bool = False) -> Utterance:
        """Its last final came; if that `spans` what was owed before, it owes one for the rest."""
        spans |= self._skip_to(owner)
        if owner is not self.current and self._owed:
            self._owed.popleft()
        owner.partial, owner.answered = "", not spans
        owner.former.clear()
        return owner

    def _divide(self, owner: Utterance, now: float) -> Utterance:
        """A final of its first words came: the others get theirs, or have been a wrong guess."""
        self._skip_to(owner)
        owner.former.clear()
        _hide(owner)
        owner.divided = now
        return owner

    def _skip_to(self, owner: Utterance) -> bool:
        """Nothing earlier is owed any more; whether any of that had words."""
        worded = False
        while self._owed and self._owed[0] is not owner and owner in self._all():
            worded |= bool(self._owed.popleft().former)
        return worded

    def _learn(self, delay: float) -> None:
        before = delay if self._usual is None else self._usual
        self._usual = max(delay, 0.8 * before + 0.2 * delay)

    def _wait(self) -> float:
        return UNKNOWN_DELAY if self._usual is None else self._usual * SPREAD + MARGIN

    def _patience(self, likely: float) -> float:
        return min(max(likely, LEAST_PATIENCE), self._timeout)


def _owner(text: str, waiting: Sequence[Utterance]) -> Utterance | None:
    """The stretch that a final is of; None if nobody waits."""
    guessed = [each for each in waiting if each.partial or each.former]
    if len(guessed) < 2:
        return next(iter(guessed or waiting), None)
    likeness = {id(each): each.resemblance(text) for each in guessed}
    if not any(likeness.values()):
        guessed = [each for each in guessed if each.partial] or guessed
    return max(guessed, key=lambda each: likeness[id(each)])


def _hide(utterance: Utterance) -> None:
    """Its guess is shown no longer, but recognised if a final of it comes."""
    utterance.former.append((utterance.partial, utterance.guessed))
    utterance.partial = ""


def _words(text: str) -> list[str]:
    """Digits as such, in one word: recognisers write them late."""
    words: list[str] = []
    for word in plain(text).replace("-", " ").split():
        written = _NUMERALS.get(word, word)
        if written.isdigit() and words and words[-1].isdigit():
            words[-1] += written
        else:
            words.append(written)
    return words


def _begins(words: Sequence[str], start: Sequence[str]) -> bool:
    """Whether words begin with those; a number may have more digits."""
    if not start or len(start) > len(words):
        return False
    *before, last = start
    same = words[len(before)] == last
    longer = last.isdigit() and words[len(before)].startswith(last)
    return list(words[: len(before)]) == before and (same or longer)


def _likeness(text: str, other: str) -> float:
    """Of two transcripts, by their letters: 0 to 1."""
    return SequenceMatcher(None, "".join(_words(text)), "".join(_words(other)), False).ratio()


def _correct(text: str, before: str) -> bool:
    """Whether a transcript is of the same words as the one before: more, fewer, or others."""
    words, old = _words(text), _words(before)
    return _begins(words, old) or _begins(old, words) or _likeness(text, before) >= ALIKE
