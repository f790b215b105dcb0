"""One agent turn in the making: a brain's answer, cut into sentences, voiced onto a track.

    brain     "Let me look." [tool ........] "I found three."
    voice        |=========|                    |==========|
    commit            ^ the caller is done: from here on tools may run and sound may play

A reply may begin before the caller is surely done (preemptive); until `commit` it has no effect
on the world and can be dropped without a trace. A brain that fails or stays mute before it has
said or done anything is asked once more (its own line-up of providers moves on meanwhile); after
that the reply says that it could not.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Protocol

from calls.voice.clock import Timer, guarded
from calls.voice.events import Event
from calls.voice.heard import Segment
from calls.voice.metrics import TurnMetrics
from calls.voice.options import TurnOptions
from calls.voice.phrases import Phrases
from calls.voice.ports import (
    Action,
    Brain,
    BrainEvent,
    CallBack,
    Clock,
    Conversation,
    TakeMessage,
    TextDelta,
    ToolFinished,
    ToolRan,
    ToolStarted,
)
from calls.voice.sentences import SentenceSplitter
from calls.voice.sides import Voicing
from calls.voice.watchdog import Tasks, cancel

TOOL_LIMIT = 60_000.0
CUT_TOOL_LIMIT = 15_000.0  # of a reply that was cut: the next one waits for the tool's result
ATTEMPTS = 2


@dataclass(frozen=True, slots=True)
class Workshop:
    """What every reply of one call is made with."""

    brain: Brain
    voicing: Voicing
    clock: Clock
    tasks: Tasks
    options: TurnOptions
    phrases: Phrases


class ReplyOwner(Protocol):
    """What a reply tells the floor."""

    def reply_grew(self, reply: Reply) -> None: ...

    def tool_ran(self, tool: ToolRan) -> None: ...

    def note(self, action: Action) -> None: ...

    def record(self, event: Event, data: Mapping[str, object]) -> None: ...

    def sound_deadline(self, reply: Reply, limit: float) -> float: ...


class Reply:
    """Made by `Reply.to` or `Reply.saying`; ends by being heard, cut or dropped."""

    def __init__(self, shop: Workshop, owner: ReplyOwner, metrics: TurnMetrics) -> None:
        self.metrics = metrics
        self.actions: list[Action] = []
        self.answers = ""  # the caller's words that this replies to
        self.is_announcement = False
        self.failed = False  # the brain, for good
        self.apologised = False
        self.mute = False  # no voice is left that could say it
        self.heard = 0  # bytes, where the line was last cut
        self.started: float | None = None
        self.paused: float | None = None
        self.protected_until = 0.0
        self.talks_over = False  # the caller, who did not stop
        self.settled = asyncio.Event()  # no tool of it runs any more
        self.committed = asyncio.Event()
        self.tools: list[tuple[Segment | None, ToolRan]] = []  # with the sentence before it
        self._shop = shop
        self._owner = owner
        self._splitter = SentenceSplitter()
        self._running: dict[str, ToolStarted] = {}
        self._filled = False
        self._cut = False
        self._thought = False
        self._asking = False  # the brain is at work
        self._has_answered = False  # the brain said or did something: it must not be asked again
        self._held_back: list[tuple[Event, Mapping[str, object]]] = []
        self._thinking: asyncio.Task[None] | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._timed_out = False
        self._patience = Timer(shop.clock, self._lose_patience)
        self._speaker = shop.voicing.speaker(self, metrics, self._start_speaking)
        self.track = self._speaker.track

    # --- beginnings -------------------------------------------------------------------

    def think(
        self,
        answers: str,
        ask: Callable[[], Conversation],
        after: Sequence[Reply],
        opening: str = "",
    ) -> None:
        """Ask the brain, once the tools of earlier replies are through."""
        self.answers = answers
        if opening:
            self._say(opening)
        self._thinking = self._shop.tasks.spawn(self._think(ask, after), "reply")

    def announce(self, text: str) -> None:
        """Say something of the loop's own."""
        self.is_announcement = True
        self.committed.set()
        self.settled.set()
        self._say(text)
        self._speaker.finish()
        self._thought = True

    def commit(self) -> None:
        """The caller is done: tools may run."""
        self.committed.set()
        for event, data in self._held_back:
            self._owner.record(event, data)
        self._held_back.clear()
        self._speaker.hurry()
        self._wait_for_brain()

    # --- while it is made -------------------------------------------------------------

    @property
    def is_over(self) -> bool:
        """Nothing more will come."""
        return self._thought and self._speaker.done

    @property
    def tool_runs(self) -> bool:
        return bool(self._running)

    @property
    def text(self) -> str:
        """All that was generated."""
        return " ".join(filter(None, (self.track.text, self._splitter.rest)))

    def fill(self, usual: str) -> bool:
        """Say a filler, unless one was said or the voice itself is what is slow."""
        if self._filled or self._thought or self._speaker.is_behind:
            return False
        self._filled = True
        asked_for = [tool.filler for tool in self._running.values() if tool.filler]
        self._say_filler(asked_for[0] if asked_for else usual)
        return True

    def show_life(self, usual: str) -> bool:
        """Say another filler: a tool takes long, or the brain with what it brought."""
        if not (self._running or self.tools):
            return False
        if self.fill(usual):
            return True
        if self._thought or self._speaker.is_behind:
            return False
        self._say_filler(usual)
        return True

    def _say_filler(self, text: str) -> None:
        self._record(Event.FILLER, {"text": text})
        self._say(text)

    def apologise(self) -> None:
        """Put the recorded apology before whatever still waits for sound."""
        self.apologised = True
        text = self._shop.phrases.apology
        self._record(Event.APOLOGY, {"text": text})
        segment = self.track.add_next(text)
        self.track.append(segment, self._shop.voicing.apology(self._shop.phrases))
        segment.closed = True
        self._owner.reply_grew(self)

    def pieces(self, position: int) -> list[tuple[str, ToolRan | None]]:
        """What was heard, divided by the tools that ran in between."""
        pieces: list[tuple[str, ToolRan | None]] = []
        rest = list(self.track.segments)
        for last, tool in self.tools:
            count = rest.index(last) + 1 if last in rest else 0
            pieces.append((self.track.heard_text(position, rest[:count]), tool))
            rest = rest[count:]
        return [*pieces, (self.track.heard_text(position, rest), None)]

    # --- endings ----------------------------------------------------------------------

    def stop(self) -> None:
        """No more of it will be heard. A tool that runs is let finish; all else ends now."""
        self._cut = True
        self._speaker.stop()
        cancel(self._speaking)
        if self._running:
            self._patience.set(self._shop.clock.now() + CUT_TOOL_LIMIT)
            return
        self._patience.cancel()
        self.settled.set()
        cancel(self._thinking)

    def abandon_tools(self) -> None:
        """Nobody will learn what became of the tools that still run."""
        for tool in list(self._running.values()):
            self._tool_finished(
                ToolFinished(tool.call_id, tool.name, None, "its outcome is unknown")
            )

    # --- the brain --------------------------------------------------------------------

    async def _think(self, ask: Callable[[], Conversation], after: Sequence[Reply]) -> None:
        try:
            for earlier in after:
                await earlier.settled.wait()
            for _ in range(ATTEMPTS):
                error = await self._attempt(ask())
                if error is None or self._cut or self._has_answered:
                    break
            if error is not None and not self._cut:
                self._give_up()
        finally:
            self.settled.set()
        self._say(self._splitter.flush())
        self._speaker.finish()
        self._thought = True
        self._owner.reply_grew(self)

    async def _attempt(self, conversation: Conversation) -> BaseException | None:
        error: BaseException
        self.metrics.brain_asked = self._shop.clock.now()
        self._asking = True
        self._wait_for_brain()
        try:
            stream = self._shop.brain.reply(conversation, self.committed)
            async with aclosing(stream):
                await self._consume(stream)
            return None
        except asyncio.CancelledError:
            if not self._timed_out:
                raise
            self._timed_out = False
            asyncio.current_task().uncancel()  # type: ignore[union-attr]
            error = TimeoutError("the brain was mute for too long")
        except Exception as failure:  # whatever a vendor's client raises: once more, then sorry
            error = failure
        finally:
            self._asking = False
            self._patience.cancel()
        self.abandon_tools()
        self._record(
            Event.PROVIDER_FAILED, {"kind": "brain", "provider": "brain", "error": repr(error)}
        )
        return error

    async def _consume(self, stream: AsyncIterator[BrainEvent]) -> None:
        async for event in stream:
            guarded(self._take, event)
            self._wait_for_brain()
            if self._cut and not self._running:
                return

    def _take(self, event: BrainEvent) -> None:
        self._has_answered = True
        if isinstance(event, TextDelta):
            if not self._cut:
                self._take_text(event.text)
        elif isinstance(event, ToolStarted):
            self._tool_started(event)
        elif isinstance(event, ToolFinished):
            self._tool_finished(event)
        elif isinstance(event, TakeMessage | CallBack):
            self._owner.note(event)  # kept, whatever becomes of the speech around it
        elif not self._cut:
            self.actions.append(event)

    def _take_text(self, text: str) -> None:
        if self.metrics.first_token is None and text:
            self.metrics.first_token = self._shop.clock.now()
        for sentence in self._splitter.feed(text):
            self._say(sentence)

    def _tool_started(self, tool: ToolStarted) -> None:
        self._say(self._splitter.flush())
        self._running[tool.call_id] = tool
        self.metrics.tool_started(tool.call_id, self._shop.clock.now())
        self._record(
            Event.TOOL_STARTED,
            {"call_id": tool.call_id, "tool": tool.name, "arguments": dict(tool.arguments)},
        )
        self._owner.reply_grew(self)

    def _tool_finished(self, done: ToolFinished) -> None:
        begun = self._running.pop(done.call_id, None)
        self.metrics.tool_finished(done.call_id, self._shop.clock.now())
        ran = ToolRan(
            done.call_id, done.name, begun.arguments if begun else {}, done.result, done.error
        )
        self.tools.append((self.track.segments[-1] if self.track.segments else None, ran))
        self._owner.tool_ran(ran)
        self._record(
            Event.TOOL_FINISHED,
            {
                "call_id": done.call_id,
                "tool": done.name,
                "result": done.result,
                "error": done.error,
            },
        )

    def _wait_for_brain(self) -> None:
        """Each next event has its limit; a preemptive reply may take its time."""
        if not self._asking or not self.committed.is_set():
            return
        limit = TOOL_LIMIT if self._running else self._shop.options.first_token_timeout
        self._patience.set(self._shop.clock.now() + limit)

    def _lose_patience(self) -> None:
        self._record(Event.WATCHDOG, {"hung": "brain.tool" if self._running else "brain.token"})
        self._timed_out = True
        cancel(self._thinking)

    def _give_up(self) -> None:
        self.failed = True
        if not self.apologised:
            self._say(self._shop.phrases.apology)
        self._say(self._shop.phrases.ask_to_repeat)

    # --- the voice --------------------------------------------------------------------

    def _say(self, text: str) -> None:
        if not text or self._cut:
            return
        self._record(Event.AGENT_SAYS, {"text": text})
        self._speaker.add(text)

    def _start_speaking(self) -> None:
        self._speaking = self._shop.tasks.spawn(self._speaker.run(), "voice")

    def sound_grew(self) -> None:
        self._owner.reply_grew(self)

    def sound_deadline(self) -> float:
        limit = self._shop.options.first_audio_timeout
        return self._owner.sound_deadline(self, limit)

    def voice_failed(self, voice: str, error: BaseException) -> None:
        data = {"kind": "voice", "provider": voice, "error": repr(error)}
        self._record(Event.PROVIDER_FAILED, data)

    def voice_replaced(self, voice: str) -> None:
        self._record(Event.PROVIDER_REPLACED, {"kind": "voice", "provider": voice})

    def voices_exhausted(self) -> None:
        self.mute = True
        if not self.apologised:
            self.apologise()

    def _record(self, event: Event, data: Mapping[str, object]) -> None:
        if self.committed.is_set():
            self._owner.record(event, data)
        else:
            self._held_back.append((event, data))
