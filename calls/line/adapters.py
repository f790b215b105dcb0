"""What one call is made of, in the shapes that the voice loop's ports ask for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import fields, replace
from typing import Any

from agents.brain import events as mind
from agents.brain.mind import Mind
from calls.voice import ports
from calls.voice.denoise import KINDS, Denoiser
from calls.voice.ports import (
    BrainEvent,
    Conversation,
    Recorder,
    Store,
    Turn,
)

# The mind's own types mirror the ports name by name (agents may not import calls).
_ITEMS = {
    cls: getattr(mind, cls.__name__)
    for cls in (ports.CallerSaid, ports.CallerPressed, ports.AgentSaid, ports.ToolRan)
}
_EVENTS = {
    getattr(mind, cls.__name__): cls
    for cls in (
        ports.TextDelta,
        ports.ToolStarted,
        ports.ToolFinished,
        ports.HangUp,
        ports.Transfer,
        ports.SendDtmf,
        ports.HandOff,
        ports.TakeMessage,
        ports.CallBack,
    )
}


def _as(kind: Any, value: Any) -> Any:
    return kind(**{field.name: getattr(value, field.name) for field in fields(value)})


class MindBrain:
    """A `Mind` as the loop's `Brain`."""

    def __init__(self, mind: Mind) -> None:
        self._mind = mind
        self.name = mind.model_name

    async def open(self) -> None:
        """Connect before the first reply."""
        await self._mind.open()

    async def reply(
        self, conversation: Conversation, committed: asyncio.Event
    ) -> AsyncGenerator[BrainEvent, None]:
        """Stream the mind's reply to the conversation so far."""
        items = [_as(_ITEMS[type(item)], item) for item in conversation.items]
        async with aclosing(self._mind.reply(items, committed)) as events:
            async for event in events:
                yield _as(_EVENTS[type(event)], event)

    async def aclose(self) -> None:
        """Close its connections."""
        await self._mind.aclose()


class NoRecorder:
    """Implements `Recorder` for a call that is not recorded."""

    def caller(self, pcm: bytes, at: float) -> None:
        """Nothing is kept."""

    def agent(self, pcm: bytes, at: float) -> None:
        """Nothing is kept."""

    def agent_cleared(self, at: float) -> None:
        """Nothing is kept."""

    async def aclose(self) -> None:
        """Nothing to close."""


class LaterStore:
    """A `Store` for a session that began `since` ms into the call."""

    def __init__(self, store: Store, since: float) -> None:
        self._store, self._since = store, since

    def event(self, at: float, name: str, data: Mapping[str, object]) -> None:
        """At its time in the call."""
        self._store.event(at + self._since, name, data)

    def turn(self, turn: Turn) -> None:
        """At its times in the call."""
        since = self._since
        self._store.turn(replace(turn, started=turn.started + since, ended=turn.ended + since))


class LaterRecorder:
    """A `Recorder` for a session that began `since` ms into the call.

    The caller's sound needs no moving unless its stream is a later one too: its places come from
    the stream, which began `stream_since` ms into the call.
    """

    def __init__(self, recorder: Recorder, since: float, *, stream_since: float = 0.0) -> None:
        self._recorder, self._since, self._stream_since = recorder, since, stream_since

    def caller(self, pcm: bytes, at: float) -> None:
        """Where the stream says."""
        self._recorder.caller(pcm, at + self._stream_since)

    def agent(self, pcm: bytes, at: float) -> None:
        """At its time in the call."""
        self._recorder.agent(pcm, at + self._since)

    def agent_cleared(self, at: float) -> None:
        """At its time in the call."""
        self._recorder.agent_cleared(at + self._since)


def denoiser(kind: str, sample_rate: int) -> Denoiser | None:
    """The denoiser of that kind for one call; None where there is nothing to do."""
    if kind == "none":
        return None
    return Denoiser(kind if kind in KINDS else "spectral", sample_rate)
