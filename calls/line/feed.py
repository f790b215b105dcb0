"""What a page is shown while its call runs: the store's news, in the page's own words.

Nothing waits for the page: one that does not keep up misses news, not sound.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from calls.jsontext import clean
from calls.line.rows import EventRow, TurnRow
from calls.voice.events import Event

QUEUE = 256

Json = dict[str, Any]


class PageFeed:
    """Translates a store's rows and sends them, one after the other."""

    def __init__(self, send: Callable[[Json], Awaitable[None]]) -> None:
        self._send = send
        self._queue: asyncio.Queue[Json] = asyncio.Queue(QUEUE)
        self._states = {"agent": "listening", "caller": "silent"}
        self._task: asyncio.Task[None] | None = None
        self.missed = 0

    async def ready(self, message: Json) -> None:
        """Say what the call is made of, then show what happens in it."""
        await self._send({"type": "ready", **message})
        self._task = asyncio.create_task(self._run(), name="calls.line.feed")

    def take(self, row: EventRow | TurnRow) -> None:
        """Show this, if the page knows what it is."""
        message = self._turn(row) if isinstance(row, TurnRow) else self._event(row)
        if message is None:
            return
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.missed += 1

    async def ended(self, reason: str) -> None:
        """Show what is left, and why it is over."""
        self.stop()
        while not self._queue.empty():
            await self._send(self._queue.get_nowait())
        await self._send({"type": "ended", "reason": reason})

    def stop(self) -> None:
        """Show nothing more. Doing it twice is harmless."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while True:
            await self._send(await self._queue.get())

    def _event(self, row: EventRow) -> Json | None:
        translate = _TRANSLATIONS.get(row.name)
        if row.name in (Event.AGENT_STATE, Event.CALLER_STATE):
            side = "agent" if row.name == Event.AGENT_STATE else "caller"
            self._states[side] = str(row.data.get("state", ""))
            return {"type": "state", **self._states, "at": round(row.at)}
        return None if translate is None else translate(row)

    def _turn(self, row: TurnRow) -> Json:
        turn = row.turn
        return {
            "type": "turn",
            "role": turn.role,
            "text": turn.text,
            "heard_text": turn.heard_text,
            "interrupted": turn.interrupted,
            "started": turn.started,
            "ended": turn.ended,
            "metrics": clean(turn.metrics),
        }


def _transcript(role: str, final: bool) -> Callable[[EventRow], Json]:
    def translate(row: EventRow) -> Json:
        text = str(row.data.get("text", ""))
        return {
            "type": "transcript", "role": role, "text": text, "final": final, "at": round(row.at),
        }  # fmt: skip

    return translate


def _tool(status: str) -> Callable[[EventRow], Json]:
    def translate(row: EventRow) -> Json:
        return {
            "type": "tool",
            "name": str(row.data.get("tool", "")),
            "status": status,
            "failed": row.data.get("error") is not None,
        }

    return translate


def _trouble(row: EventRow) -> Json:
    details = ", ".join(f"{key}: {value}" for key, value in row.data.items())
    provider = str(row.data.get("provider", ""))
    return {
        "type": "error", "code": str(row.name), "message": details[:500], "provider": provider,
    }  # fmt: skip


_TRANSLATIONS: dict[str, Callable[[EventRow], Json]] = {
    Event.TRANSCRIPT_PARTIAL: _transcript("caller", final=False),
    Event.TRANSCRIPT_FINAL: _transcript("caller", final=True),
    Event.AGENT_SAYS: _transcript("agent", final=False),
    Event.TOOL_STARTED: _tool("started"),
    Event.TOOL_FINISHED: _tool("finished"),
    Event.PROVIDER_FAILED: _trouble,
    Event.PROVIDER_REPLACED: _trouble,
    Event.TRANSCRIPT_TIMEOUT: _trouble,
    Event.WATCHDOG: _trouble,
    Event.INTERNAL_ERROR: _trouble,
}
