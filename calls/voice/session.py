"""One call in sound: builds its parts, and carries frames to them.

media --frames--> Hearing --speech, words--> Floor --replies--> Playout --chunks--> media
                                               |--> brain, voices
every event and turn --> store                 every sample --> recorder
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress

from calls.voice.end_reasons import EndReason
from calls.voice.events import Event
from calls.voice.hearing import Closable, Hearing
from calls.voice.line import Line
from calls.voice.options import TurnOptions
from calls.voice.phrases import Phrases
from calls.voice.playout import AmbienceSource, Playout
from calls.voice.ports import (
    Audio,
    ConversationItem,
    Dtmf,
    Mark,
    MediaStream,
    Ports,
    Synthesiser,
)
from calls.voice.speaker import SpokenVoicing
from calls.voice.talk import Talk
from calls.voice.voices import Voices


class CallSession(Talk[Ports]):
    """A call whose sound comes to us, and goes from us."""

    _line: Line

    def __init__(
        self,
        ports: Ports,
        options: TurnOptions,
        *,
        language: str,
        greeting: str | None,
        phrases: Phrases | None = None,
        history: Sequence[ConversationItem] = (),
        ambience: AmbienceSource | None = None,
        person: str = "",
        voicemail: str = "",
    ) -> None:
        super().__init__(
            ports,
            options,
            language=language,
            greeting=greeting,
            phrases=phrases,
            history=history,
            person=person,
            voicemail=voicemail,
        )
        self._ambience = ambience

    @property
    def _stream(self) -> MediaStream:
        return self._ports.media

    # --- building ---------------------------------------------------------------------

    def _make_line(self) -> Line:
        limit = self._options.send_timeout
        return Line(self._ports.media, self._watchdog, limit, self._media_lost)

    def _make_voicing(self) -> SpokenVoicing:
        ports = self._ports
        return SpokenVoicing(Voices(ports.synthesisers), ports.clock, ports.media.sample_rate)

    def _make_sides(self) -> tuple[Hearing, Playout]:
        ports, floor = self._ports, self._floor
        self._hearing = Hearing(ports, self._options, self._tasks, floor.caller, self._answered)
        self._playout = Playout(
            self._line,
            ports.clock,
            ports.recorder,
            ports.media.sample_rate,
            answered=self._answered,
            ambience=self._ambience,
            on_played_out=floor.played_out,
        )
        return self._hearing, self._playout

    def _made_of(self) -> Mapping[str, object]:
        voice = self._ports.synthesisers[0]
        return {"recogniser": self._hearing.recogniser.name, "voice": voice.name}

    def _providers(self) -> Sequence[Closable]:
        return [*self._ports.recognisers, *self._ports.synthesisers]

    # --- while it lasts ---------------------------------------------------------------

    def _start(self) -> None:
        self._tasks.spawn(self._open_voice(self._ports.synthesisers[0]), "voice.open")
        self._hearing.start()

    async def _read(self) -> None:
        """The path of every frame: no queue, no task, no wait of our own."""
        hear = self._hearing.hear
        async for event in self._ports.media:
            if isinstance(event, Audio):
                hear(event)
            elif isinstance(event, Mark):
                self._playout.acknowledge(event.name)
            elif isinstance(event, Dtmf):
                self._floor.caller.pressed(event.digit)
            else:
                self._closed(event)
        self._floor.end(EndReason.MEDIA_LOST)

    async def _open_voice(self, voice: Synthesiser) -> None:
        try:
            await voice.open()
        except Exception as error:  # it will be found out, and replaced, when it should speak
            self._floor.record(
                Event.PROVIDER_FAILED,
                {"kind": "voice", "provider": voice.name, "error": repr(error)},
            )

    # --- how it ends ------------------------------------------------------------------

    def _fall_silent(self) -> None:
        self._playout.close()
        self._hearing.last_words()

    async def _hear_out(self) -> None:
        """Words that were said before the end may still be on their way."""
        heard = asyncio.Event()
        self._floor.caller.on_verdict = heard.set
        with suppress(TimeoutError):
            async with asyncio.timeout(self._options.transcript_timeout / 1000):
                while self._hearing.expecting if self._hearing.streams else self._hearing.awaiting:
                    heard.clear()
                    await heard.wait()

    def _stop_listening(self) -> None:
        self._hearing.stop()
