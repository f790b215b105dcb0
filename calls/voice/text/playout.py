"""Everything that is written for the carrier to say, and what of it the caller heard.

    answer    |Let me look.|I found three.|        a sentence is written as soon as it is there
    spoken           "Let me"  " look."            the carrier tells what it has said
    heard                   ^ the last of that; by a usual speed where nothing is told

A carrier that is not heard of again, although it must have said everything by now, is taken to
have done so (`overdue`). What the caller cut short was heard up to where the carrier says.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from calls.voice.clock import Timer
from calls.voice.heard import LETTERS_PER_SECOND
from calls.voice.line import Keypad, Outgoing
from calls.voice.ports import Clock
from calls.voice.text.ports import TextStream
from calls.voice.text.track import TextTrack
from calls.voice.track import Track
from calls.voice.watchdog import Watchdog

SLOWEST = 8.0  # letters in a second
GRACE = 2500.0  # ms until the first word sounds, and until the last one is told of


class TextLine(Outgoing):
    """Commands to one `TextStream`."""

    def __init__(
        self, stream: TextStream, watchdog: Watchdog, limit: float, lost: Callable[[str], None]
    ) -> None:
        keypad: Keypad = stream
        super().__init__(keypad, watchdog, limit, lost)
        self._stream = stream

    def text(self, text: str, *, last: bool, interruptible: bool = True) -> None:
        self._put(
            lambda: self._stream.say(text, last=last, interruptible=interruptible), clearable=True
        )

    def complete(self) -> None:
        """The answer ends here, whatever of it has left."""
        self._put(lambda: self._stream.say("", last=True), clearable=False)

    def language(self, language: str) -> None:
        self._put(lambda: self._stream.switch_language(language), clearable=False)


class TextPlayout:
    """Writes one call's answers. No method waits.

    `may_interrupt` tells whether the caller may do so to what is said at that moment.
    """

    def __init__(
        self,
        line: TextLine,
        clock: Clock,
        *,
        may_interrupt: Callable[[float], bool],
        on_played_out: Callable[[], None],
    ) -> None:
        self._line = line
        self._clock = clock
        self._may_interrupt = may_interrupt
        self._on_played_out = on_played_out
        self._track = TextTrack()
        self._unfinished: TextTrack | None = None  # written, and not said to be complete
        self._free_at = 0.0  # when a usual voice has said what was written
        self._acknowledged = 0
        self._is_told = False  # what was said, by this carrier
        self._cut_at: int | None = None
        self._overdue = Timer(clock, self._has_said_all)

    # --- what is said -----------------------------------------------------------------

    def play(self, track: Track) -> None:
        self._track = cast(TextTrack, track)  # as every reply of `TextVoicing` has
        if self._unfinished not in (None, track):
            self._complete()
        self._acknowledged = track.sent
        self.pump()

    def pump(self) -> None:
        while self._track.available:
            self._write(self._track)
        if self._track.complete and self._unfinished is self._track:
            self._complete()

    def _write(self, track: TextTrack) -> None:
        begin = track.sent
        text, last = track.write()
        at = max(self._clock.now(), self._free_at)
        self._free_at = at + (track.sent - begin) / LETTERS_PER_SECOND * 1000
        stop = "." if text[-1].isalnum() and not last else ""  # so that it is said at once
        self._line.text(f"{text}{stop} ", last=last, interruptible=self._may_interrupt(at))
        self._unfinished = None if last else track
        self._wait_for_news()

    def _complete(self) -> None:
        self._unfinished = None
        self._line.complete()

    def stop(self) -> int:
        heard = self.heard() if self._cut_at is None else self._cut_at
        self._track.sent = heard
        self._line.forget()
        self._complete()
        self._let_go()
        return heard

    def release(self) -> None:
        self._let_go()

    def close(self) -> None:
        """The call is over."""
        self._overdue.cancel()

    def _let_go(self) -> None:
        self._track, self._cut_at = TextTrack(), None
        self._free_at = 0.0
        self._overdue.cancel()

    # --- what was heard ---------------------------------------------------------------

    @property
    def quiet(self) -> bool:
        return not self._track.size or self._track.sent == self._track.size == self._acknowledged

    def heard(self) -> int:
        if self._is_told:
            return self._acknowledged
        ahead = (self._free_at - self._clock.now()) / 1000 * LETTERS_PER_SECOND
        return max(self._acknowledged, min(self._track.sent, int(self._track.sent - ahead)))

    def acknowledge(self, words: str) -> None:
        """The caller has heard these words; those of an answer that was cut mean nothing."""
        place = self._track.place_of(words, self._acknowledged)
        if place is not None:
            self._is_told = True
            self._acknowledged = min(place, self._track.sent)
            self._wait_for_news()
            self._maybe_played_out()

    def cut_at(self, words: str) -> None:
        """The caller cut in after these words of the answer; what cannot be found says nothing."""
        place = self._track.place_of(words, 0)
        if place is not None:
            self._cut_at = min(place, self._track.sent)

    def _wait_for_news(self) -> None:
        left = (self._track.sent - self._acknowledged) / SLOWEST * 1000
        self._overdue.set(self._clock.now() + left + GRACE)

    def _has_said_all(self) -> None:
        self._acknowledged = self._track.sent
        self._maybe_played_out()

    def _maybe_played_out(self) -> None:
        if self.quiet:
            self._overdue.cancel()
            self._on_played_out()
