"""How long the call puts up with silence, monologues and slowness.

agent heard ... |<------- away_after ------->| prompt ... | again ... | goodbye
caller done ... |<- filler_after ->| filler
last sound  ... |<-- SIGN_OF_LIFE -->| another filler, where a tool is at work
last sound  ... |<------ SILENCE ------>| recorded apology: never silent for 4 s
answered    ... |<------------------ max_duration ------------------>| goodbye
"""

from __future__ import annotations

from typing import Protocol

from calls.voice.clock import Timer
from calls.voice.options import TurnOptions
from calls.voice.ports import Clock

SILENCE = 3700.0  # ms without any sound while a reply is owed
SIGN_OF_LIFE = 3100.0  # ms: from there to `SILENCE` the voice has time to sound
SILENCE_AT_LEAST = 1500.0  # of it, the share of a reply that is just asked for
VOICE_RESERVE = 800.0  # before `SILENCE` is full, the next voice must have its chance
VOICE_AT_LEAST = 700.0


class Impatient(Protocol):
    """What becomes of running out of patience."""

    def caller_is_away(self, prompts: int) -> None: ...

    def turn_limit_reached(self) -> None: ...

    def duration_reached(self) -> None: ...

    def fill_silence(self) -> None: ...

    def show_life(self) -> None: ...

    def end_silence(self) -> None: ...


class Patience:
    """The timers of one call's silences."""

    def __init__(self, options: TurnOptions, clock: Clock, owner: Impatient) -> None:
        self._options = options
        self._clock = clock
        self._owner = owner
        self._prompts = 0
        self._last_sound = clock.now()  # of either side
        self.agent_was_heard = clock.now()
        self._away = Timer(clock, self._caller_is_away)
        self._turn = Timer(clock, owner.turn_limit_reached)
        self._duration = Timer(clock, owner.duration_reached)
        self._filler = Timer(clock, owner.fill_silence)
        self._life = Timer(clock, owner.show_life)
        self._silence = Timer(clock, owner.end_silence)

    def begin(self) -> None:
        """The call is answered."""
        if self._options.max_duration:
            self._duration.set(self._clock.now() + self._options.max_duration)

    def stop(self) -> None:
        for timer in (self._away, self._turn, self._duration):
            timer.cancel()
        self._nothing_is_owed()

    def _nothing_is_owed(self) -> None:
        for timer in (self._filler, self._life, self._silence):
            timer.cancel()

    # --- the caller -------------------------------------------------------------------

    def caller_spoke(self, at: float, *, anew: bool) -> None:
        """Speech began; `anew`: it is the first of a turn."""
        self._away.cancel()
        self._life.cancel()
        self._silence.cancel()
        if (anew or self._turn.at is None) and self._options.caller_turn_limit:
            self._turn.set(at + self._options.caller_turn_limit)

    def caller_stopped(self, at: float) -> None:
        self._last_sound = max(self._last_sound, at)

    def caller_understood(self) -> None:
        self._prompts = 0

    def floor_is_open(self) -> None:
        """The agent listens: from here on the caller is waited for."""
        self._nothing_is_owed()
        if self._options.away_after:
            self._away.set(self._clock.now() + self._options.away_after)

    def look_again(self, after: float) -> None:
        """The caller may just be beginning to speak."""
        self._away.set(self._clock.now() + max(after, 1.0))

    def turn_is_over(self) -> None:
        """The caller's turn was taken."""
        self._turn.cancel()
        self._away.cancel()

    def _caller_is_away(self) -> None:
        self._owner.caller_is_away(self._prompts + 1)

    def prompted(self) -> None:
        """The caller was asked whether anybody is there."""
        self._prompts += 1

    # --- the agent --------------------------------------------------------------------

    def agent_owes(self, filler: bool) -> None:
        """A reply is being made, and nothing of it can be heard."""
        now = self._clock.now()
        self._away.cancel()
        if filler and self._options.filler_after:
            self._filler.set(now + self._options.filler_after)
        self.watch_silence()

    def agent_still_owes(self) -> None:
        """The caller's noise held the reply up: that does not make the wait any shorter."""
        self.agent_owes(filler=True)
        self.watch_silence(at_least=0.0)

    def watch_silence(self, at_least: float = SILENCE_AT_LEAST) -> None:
        """Nothing may keep the caller in silence for longer than this."""
        now = self._clock.now()
        self._life.set(max(self._last_sound + SIGN_OF_LIFE, now))
        self._silence.set(max(self._last_sound + SILENCE, now + at_least))

    @property
    def silence_limit(self) -> float:
        """When the caller must hear something."""
        return self._last_sound + SILENCE

    def agent_sounds(self) -> None:
        self._nothing_is_owed()
        self._away.cancel()

    def agent_fell_silent(self) -> None:
        self._last_sound = self.agent_was_heard = self._clock.now()

    def voice_deadline(self, limit: float, *, spare: bool) -> float:
        """When a mute voice gives way: earlier than its limit if the caller has waited long."""
        now = self._clock.now()
        if not spare:
            return now + limit
        patience = self._last_sound + SILENCE - VOICE_RESERVE + 300.0
        return min(now + limit, max(now + VOICE_AT_LEAST, patience))
