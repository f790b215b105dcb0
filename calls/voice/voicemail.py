"""A machine answered: hang up, or wait for its beep and leave a message.

    carrier    machine            beep                      machine (no message is to be left)
    agent      falls silent  ...  message, then hangs up    hangs up at once
    reason                        voicemail_left            voicemail

A mailbox that hangs up in the middle of the message, or never beeps, is `voicemail`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from calls.voice.clock import Timer
from calls.voice.end_reasons import EndReason
from calls.voice.events import Event
from calls.voice.parting import Parting
from calls.voice.ports import Clock
from calls.voice.states import Cue

BEEP_LIMIT = 60_000.0  # ms: longer than any mailbox talks before its beep

_THE_MAILBOX_DID = (EndReason.CALLER_HUNG_UP, EndReason.MEDIA_LOST)


class Silenced(Protocol):
    """The floor, as far as machines are concerned."""

    def cue(self, cue: Cue) -> bool: ...

    def end(self, reason: EndReason) -> None: ...

    def farewell(self, parting: Parting, cue: Cue) -> None: ...

    def record(self, event: Event, data: Mapping[str, object]) -> None: ...


class Voicemail:
    """What to do about a machine, for one call. Without a `message` nothing is waited for."""

    def __init__(self, message: str, clock: Clock, floor: Silenced) -> None:
        self._message = message
        self._clock = clock
        self._floor = floor
        self._answered = False
        self._no_beep = Timer(clock, self._hang_up)

    def answered(self, *, may_speak: bool) -> None:
        """A machine picked up; told again, and for the first time too, with its beep."""
        first, self._answered = not self._answered, True
        if first or may_speak:
            self._floor.record(Event.MACHINE_ANSWERED, {"may_speak": may_speak})
        if not self._message:
            self._hang_up()
            return
        if first and self._floor.cue(Cue.MACHINE):
            self._no_beep.set(self._clock.now() + BEEP_LIMIT)
        if may_speak:
            self._no_beep.cancel()
            self._floor.farewell(Parting(self._message, EndReason.VOICEMAIL_LEFT), Cue.BEEP)

    def reason(self, reason: EndReason) -> EndReason:
        """Why the call ended: it was no caller who hung up."""
        return EndReason.VOICEMAIL if self._answered and reason in _THE_MAILBOX_DID else reason

    def stop(self) -> None:
        self._no_beep.cancel()

    def _hang_up(self) -> None:
        self._floor.end(EndReason.VOICEMAIL)
