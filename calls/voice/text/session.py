"""One call in text: builds its parts, and carries words to them.

    stream --words, keys--> TextHearing --> Floor --replies--> TextPlayout --sentences--> stream
                                              |--> brain
    every event and turn --> store

The floor and all behind it are those of calls in sound. The carrier decides when a turn is over,
and when the caller interrupts; it is believed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from calls.voice.end_reasons import EndReason
from calls.voice.hearing import Closable
from calls.voice.options import TurnOptions
from calls.voice.phrases import Phrases
from calls.voice.ports import ConversationItem, Dtmf
from calls.voice.states import Cue, State
from calls.voice.talk import Talk
from calls.voice.text.hearing import TextHearing
from calls.voice.text.playout import TextLine, TextPlayout
from calls.voice.text.ports import CallerSpeaks, Heard, Interrupted, Spoken, TextPorts, TextStream
from calls.voice.text.speaker import TextVoicing

CARRIER = "carrier"  # who hears and speaks, as the store is told


class TextSession(Talk[TextPorts]):
    """A call that the carrier hears and speaks.

    `switch_to`: the language that it is to do that in from now on, if that is another one.
    """

    _line: TextLine

    def __init__(
        self,
        ports: TextPorts,
        options: TurnOptions,
        *,
        language: str,
        greeting: str | None,
        phrases: Phrases | None = None,
        history: Sequence[ConversationItem] = (),
        person: str = "",
        voicemail: str = "",
        switch_to: str = "",
    ) -> None:
        super().__init__(
            ports,
            _without_waits(options),
            language=language,
            greeting=greeting,
            phrases=phrases,
            history=history,
            person=person,
            voicemail=voicemail,
        )
        self._switch_to = switch_to

    @property
    def _stream(self) -> TextStream:
        return self._ports.stream

    # --- building ---------------------------------------------------------------------

    def _make_line(self) -> TextLine:
        limit = self._options.send_timeout
        return TextLine(self._ports.stream, self._watchdog, limit, self._media_lost)

    def _make_voicing(self) -> TextVoicing:
        return TextVoicing()

    def _make_sides(self) -> tuple[TextHearing, TextPlayout]:
        clock, floor = self._ports.clock, self._floor
        self._hearing = TextHearing(floor.caller, clock)
        self._playout = TextPlayout(
            self._line,
            clock,
            may_interrupt=self._may_interrupt,
            on_played_out=floor.played_out,
        )
        return self._hearing, self._playout

    def _made_of(self) -> Mapping[str, object]:
        return {"recogniser": CARRIER, "voice": CARRIER}

    def _providers(self) -> Sequence[Closable]:
        return ()

    def _may_interrupt(self, at: float) -> bool:
        reply = self._floor.reply
        listens = self._floor.state is State.SPEAKING and reply is not None
        return listens and at >= reply.protected_until  # type: ignore[union-attr]

    # --- while it lasts ---------------------------------------------------------------

    def _start(self) -> None:
        if self._switch_to:
            self._line.language(self._switch_to)

    async def _read(self) -> None:
        async for event in self._ports.stream:
            match event:
                case Heard():
                    self._hearing.words(event)
                case Spoken():
                    self._playout.acknowledge(event.text)
                case Interrupted():
                    self._interrupted(event)
                case CallerSpeaks():
                    self._hearing.voice(event.speaking)
                case Dtmf():
                    self._floor.caller.pressed(event.digit)
                case _:
                    self._closed(event)
        self._floor.end(EndReason.MEDIA_LOST)

    def _interrupted(self, event: Interrupted) -> None:
        """The carrier is silent already, and cannot go on: the turn ends with what was heard."""
        if self._floor.state is not State.SPEAKING:
            return
        self._playout.cut_at(event.spoken)
        if not self._hearing.speaking:
            self._floor.caller.speech_began = self._ports.clock.now()
        self._floor.cue(Cue.BARGE_IN)
        self._floor.cue(Cue.CALLER_WORDS)

    # --- how it ends ------------------------------------------------------------------

    def _fall_silent(self) -> None:
        self._playout.close()

    async def _hear_out(self) -> None:
        """Words that the carrier still owes do not come any more."""

    def _stop_listening(self) -> None:
        self._hearing.stop()


def _without_waits(options: TurnOptions) -> TurnOptions:
    """The carrier has waited for the end of the turn, and sends no words before that."""
    return replace(
        options,
        endpointing_min=0,
        endpointing_max=0,
        endpointing_dictation=0,
        endpointing_adaptive=False,
        preemptive=False,
    )
