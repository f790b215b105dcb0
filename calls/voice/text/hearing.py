"""The caller's side where the carrier recognises speech: words come whole, when they are over.

    caller      |=========|
    carrier     speaks    silent ...... words
                          |<- LATE ->|  none by then: it was no speech

A carrier that does not tell when its caller speaks is told by its words alone.
"""

from __future__ import annotations

from calls.voice.clock import Timer
from calls.voice.hearing import Listener
from calls.voice.ports import Clock, Final
from calls.voice.text.ports import Heard
from calls.voice.utterances import Utterance

LATE = 1500.0  # ms that words may take after the end of speech


class TextHearing:
    """What is known of the caller, for the floor; tells the listener."""

    silent_now: bool = True
    onset: bool = False
    broken: bool = False
    voiced: float = float("inf")  # the carrier has found it long enough
    streams: bool | None = None

    def __init__(self, listener: Listener, clock: Clock) -> None:
        self._listener = listener
        self._clock = clock
        self._began: float | None = None  # the newest speech, until its words have come
        self.speaking = False
        self.voiced_until = clock.now()
        self._late = Timer(clock, self._no_words)

    @property
    def awaiting(self) -> bool:
        return self._late.at is not None

    @property
    def expecting(self) -> bool:
        return self.awaiting

    def stop(self) -> None:
        """The call is over."""
        self._late.cancel()

    def split_utterance(self) -> None:
        """Words come when they come."""

    def voice(self, speaking: bool) -> None:
        """The caller begins to speak, or falls silent; told twice, it means nothing more."""
        if speaking == self.speaking:
            return
        now = self._clock.now()
        self.speaking, self.voiced_until = speaking, now
        if speaking:
            self._late.cancel()
            self._began = now
            self._listener.speech_started(now)
            return
        self._late.set(now + LATE)
        self._listener.speech_stopped(now)

    def words(self, heard: Heard) -> None:
        """Words came; a final stretch of them is a turn, for the carrier has waited for its end."""
        if not heard.final:
            if heard.text.strip():
                self._listener.partial(heard.text.strip())
            return
        self.voice(False)
        self._late.cancel()
        now = self._clock.now()
        spoken = Utterance(now if self._began is None else self._began, self.voiced_until)
        self._began = None
        self._listener.final(Final(heard.text, language=heard.language or None), spoken, "")

    def _no_words(self) -> None:
        self._began = None
        self._listener.no_more_words()
