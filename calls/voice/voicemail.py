"""A machine answered: hang up, or wait for its beep and leave a message.

    carrier    machine            beep                      machine (no message is to be left)
    agent      falls silent  ...  message, then hangs up    hangs up at once
    reason                        voicemail_left            voicemail

Some mailboxes have no beep: a while after the end of its greeting the message is left without.
A mailbox that hangs up in the middle of the message, or never comes to its end, is `voicemail`.
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
BEEP_WITHIN = 3_000.0  # ms from the end of a greeting, if there is a beep at all

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
        self._no_more = Timer(clock, self._leave_message)

    def answered(self, *, may_speak: bool, greeted: bool = False) -> None:
        """A machine picked up; told again, and for the first time too, with what it does.

        `greeted`: its greeting is over; `may_speak`: it has beeped.
        """
        first, self._answered = not self._answered, True
        if first or may_speak:
            self._floor.record(Event.MACHINE_ANSWERED, {"may_speak": may_speak})
        if not self._message:
            self._hang_up()
            return
        if first and self._floor.cue(Cue.MACHINE):
            self._no_beep.set(self._clock.now() + BEEP_LIMIT)
        if may_speak:
            self._leave_message()
        elif greeted and self._no_more.at is None:
            self._no_more.set(self._clock.now() + BEEP_WITHIN)

    def reason(self, reason: EndReason) -> EndReason:
        """Why the call ended: it was no caller who hung up."""
        return EndReason.VOICEMAIL if self._answered and reason in _THE_MAILBOX_DID else reason

    def stop(self) -> None:
        self._no_beep.cancel()
        self._no_more.cancel()

    def _leave_message(self) -> None:
        self.stop()
        self._floor.farewell(Parting(self._message, EndReason.VOICEMAIL_LEFT), Cue.BEEP)

    def _hang_up(self) -> None:
        self._floor.end(EndReason.VOICEMAIL)
