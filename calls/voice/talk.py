"""One call from its beginning to an end in good order, whatever it is heard and spoken with.

What brings frames or words to the floor, and its answers to the caller, is built by a subclass:
`session` for sound, `text` for text. `run` never raises for what a provider or the line does,
never hangs, and leaves nothing behind: tasks are cancelled and awaited, timers stopped, providers
closed.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Generic, Protocol, TypeVar

from calls.voice.bargein import BargeIn
from calls.voice.clock import crashed
from calls.voice.end_reasons import EndReason
from calls.voice.endpointing import Endpointing
from calls.voice.events import Event
from calls.voice.floor import Floor
from calls.voice.hearing import Closable, close_quietly
from calls.voice.history import History
from calls.voice.line import Outgoing
from calls.voice.options import TurnOptions
from calls.voice.phrases import Phrases
from calls.voice.ports import (
    Action,
    Brain,
    Clock,
    Closed,
    Conversation,
    ConversationItem,
    Store,
    TurnJudge,
)
from calls.voice.reply import Workshop
from calls.voice.sides import Ears, Mouth, Voicing
from calls.voice.voicemail import Voicemail
from calls.voice.watchdog import CLOSING_LIMIT, Tasks, Watchdog, loop_lag

log = logging.getLogger(__name__)

LAST_TOOLS = 2000.0  # ms that tools are waited for when the call is over

_ENDED_BY_US = (EndReason.AGENT_HUNG_UP, EndReason.TRANSFERRED, EndReason.HANDED_OFF)
_STREAM_STAYS_OPEN = (EndReason.TRANSFERRED, EndReason.HANDED_OFF)


class Stream(Protocol):
    """Whatever goes on between us and the carrier."""

    async def close(self) -> None: ...


class TalkPorts(Protocol):
    """What every call is made of."""

    @property
    def brain(self) -> Brain: ...

    @property
    def judge(self) -> TurnJudge: ...

    @property
    def store(self) -> Store: ...

    @property
    def clock(self) -> Clock: ...


AnyPorts = TypeVar("AnyPorts", bound=TalkPorts)


class Talk(ABC, Generic[AnyPorts]):
    """Answers one call. Make it, `run` it once.

    `person`: the transfer target for a caller whom the agent does not understand; empty: none.
    `voicemail`: what a machine that answers is told after its beep; empty: nothing, hang up.
    """

    def __init__(
        self,
        ports: AnyPorts,
        options: TurnOptions,
        *,
        language: str,
        greeting: str | None,
        phrases: Phrases | None = None,
        history: Sequence[ConversationItem] = (),
        person: str = "",
        voicemail: str = "",
    ) -> None:
        self._ports = ports
        self._options = options
        self._language = language
        self._greeting = greeting
        self._phrases = phrases or Phrases.for_language(language)
        self._history = History(language, history)
        self._person = person
        self._message = voicemail
        self._machine: list[tuple[bool, bool]] = []  # what answered before the call had begun
        self._tasks = Tasks(self._crashed)
        self._reason: EndReason | None = None
        self._over = asyncio.Event()
        self._floor: Floor  # once the call has begun
        self._begun = False
        self._ended_at = 0.0

    @property
    def outcome(self) -> Action | None:
        """The action that ended the call: whom to transfer to, which agent goes on."""
        return self._floor.outcome if self._begun else None

    @property
    def conversation(self) -> Conversation:
        """What was said, as the brain knows it."""
        return self._history.snapshot()

    def end(self, reason: str) -> None:
        """Ask for an orderly end, from outside; may be called at any time."""
        listed = EndReason.of(reason, EndReason.DRAINED)
        if self._begun:
            self._floor.end(listed)
        else:
            self._ended(listed)

    def machine_answered(self, *, may_speak: bool, greeted: bool = False) -> None:
        """No person picked up; may be said at any time, and again when more is known of it."""
        if self._begun:
            self._voicemail.answered(may_speak=may_speak, greeted=greeted)
        else:
            self._machine.append((may_speak, greeted))

    async def run(self) -> str:
        """Hold the conversation. Returns the end reason, one of `EndReason`."""
        crashed.set(self._crashed)
        if self._reason is None:
            self._build()
            try:
                await self._until_over()
            except Exception as error:  # a defect of ours; the call still ends in good order
                self._crashed(error)
            await self._wind_up()
        await self._close()
        return str(self._reason)

    # --- what a subclass builds ---------------------------------------------------------

    @property
    @abstractmethod
    def _stream(self) -> Stream:
        """What is closed when the call is over."""

    @abstractmethod
    def _make_line(self) -> Outgoing:
        """The way out; a dead one is told to `_media_lost`."""

    @abstractmethod
    def _make_voicing(self) -> Voicing:
        """How replies get their voices."""

    @abstractmethod
    def _make_sides(self) -> tuple[Ears, Mouth]:
        """Ears and mouth of the floor, which is there already."""

    @abstractmethod
    def _made_of(self) -> Mapping[str, object]:
        """Who listens and speaks, as the store is told."""

    @abstractmethod
    def _start(self) -> None:
        """Whatever has to run beside the line, before the floor begins."""

    @abstractmethod
    async def _read(self) -> None:
        """Bring the floor everything that comes, until nothing more does."""

    @abstractmethod
    def _fall_silent(self) -> None:
        """The call is over: nothing more is played, and last words are asked for."""

    @abstractmethod
    async def _hear_out(self) -> None:
        """Wait for words that were said before the end."""

    @abstractmethod
    def _stop_listening(self) -> None:
        """No timer is left of the ears."""

    @abstractmethod
    def _providers(self) -> Sequence[Closable]:
        """Who is closed with the call."""

    # --- building ---------------------------------------------------------------------

    def _build(self) -> None:
        ports, options = self._ports, self._options
        self._answered = ports.clock.now()
        self._watchdog = Watchdog(ports.clock, self._hung)
        self._line = self._make_line()
        shop = Workshop(
            ports.brain,
            self._make_voicing(),
            ports.clock,
            self._tasks,
            options,
            self._phrases,
        )
        self._begun = True
        self._floor = floor = Floor(
            shop,
            ports.store,
            self._history,
            Endpointing(options, ports.judge, self._language),
            BargeIn(options, self._language),
            self._ended,
            self._person,
        )
        self._voicemail = Voicemail(self._message, ports.clock, floor)
        self._ears, self._mouth = self._make_sides()

    # --- while it lasts ---------------------------------------------------------------

    async def _until_over(self) -> None:
        floor = self._floor
        floor.record(Event.CALL_STARTED, {"language": self._language, **self._made_of()})
        loop_lag.join(self, self._lagged)
        self._tasks.spawn(self._line.run(), "line")
        self._start()
        floor.begin(self._ears, self._mouth, self._line, self._greeting)
        self._tasks.spawn(self._read(), "media")
        for may_speak, greeted in self._machine:
            self._voicemail.answered(may_speak=may_speak, greeted=greeted)
        await self._over.wait()

    def _closed(self, event: Closed) -> None:
        self._floor.end(EndReason.of(event.reason, EndReason.MEDIA_LOST))

    # --- how it ends ------------------------------------------------------------------

    def _ended(self, reason: EndReason) -> None:
        if self._reason is None:
            self._reason = self._voicemail.reason(reason) if self._begun else reason
            self._ended_at = self._ports.clock.now()
            self._over.set()

    def _media_lost(self, error: str) -> None:
        log.warning("the media stream is dead: %s", error)
        self._floor.end(EndReason.MEDIA_LOST)

    def _hung(self, what: str, waited: float) -> None:
        self._floor.record(Event.WATCHDOG, {"hung": what, "waited": waited})
        self._floor.end(EndReason.MEDIA_LOST)

    def _lagged(self, lag: float) -> None:
        self._floor.record(Event.LOOP_LAG, {"lag": lag})

    def _crashed(self, error: BaseException) -> None:
        log.error("a defect ended a call", exc_info=error)
        self._floor.record(Event.INTERNAL_ERROR, {"error": repr(error)})
        try:
            self._floor.end(EndReason.INTERNAL_ERROR)
        finally:
            self._ended(EndReason.INTERNAL_ERROR)

    async def _wind_up(self) -> None:
        """Hear the caller's last words, keep everything, let nothing run on."""
        floor = self._floor
        self._voicemail.stop()
        self._fall_silent()
        await asyncio.gather(self._hear_out(), self._let_tools_end())
        floor.close()
        if self._reason in _ENDED_BY_US:
            await self._let_leave()
        self._stop_listening()
        loop_lag.leave(self)
        for name in await self._tasks.finish():
            floor.record(Event.WATCHDOG, {"hung": name, "waited": CLOSING_LIMIT})
        self._watchdog.stop()
        duration = self._ended_at - self._answered
        floor.record(Event.CALL_ENDED, {"reason": str(self._reason), "duration": duration})

    async def _let_tools_end(self) -> None:
        """What has begun has an outcome, even if nobody is there to be told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_TOOLS / 1000):
                for reply in self._floor.unsettled:
                    await reply.settled.wait()
        for reply in self._floor.unsettled:
            reply.abandon_tools()

    async def _let_leave(self) -> None:
        """What was sent last (a key, a word) must not be lost in closing the stream."""
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_LIMIT / 1000):
                await self._line.drained()

    async def _close(self) -> None:
        providers: list[Closable] = [self._ports.brain, *self._providers()]
        await asyncio.gather(*(close_quietly(provider) for provider in providers))
        if self._reason not in _STREAM_STAYS_OPEN:
            try:
                async with asyncio.timeout(CLOSING_LIMIT / 1000):
                    await self._stream.close()
            except Exception as error:  # a dead socket cannot be closed: it is closed then
                log.info("the media stream did not close: %r", error)
