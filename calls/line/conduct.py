"""Conducts one admitted call, in sound or in text, from its start to its last stored word."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import structlog

from calls.line.live import LiveCalls
from calls.providers.carriers.stream import CallLine
from calls.voice.end_reasons import EndReason

log = logging.getLogger(__name__)

Press = Callable[[str], Awaitable[None]]

CLOSE_SECONDS = 2.0
END_SECONDS = 5.0


class Session(Protocol):
    """What is asked of a `calls.voice.CallSession` here."""

    async def run(self) -> str: ...

    def end(self, reason: str) -> None: ...


AnyLine = TypeVar("AnyLine", bound=CallLine, contravariant=True)


class AdmittedCall(Protocol[AnyLine]):
    """A call that was let in, and everything round the conversation itself."""

    public_id: uuid.UUID

    @property
    def press(self) -> Press | None:
        """Presses keys by an order to the carrier, for media that have none; None: as tones."""

    async def begin(self, line: AnyLine) -> Session:
        """Build the session."""

    async def hand_off(self, line: AnyLine) -> Session | None:
        """The session of the agent who goes on after `handed_off`; None: the call is over."""

    def close(self, reason: str, line: AnyLine) -> None:
        """The conversation is over. In memory only: this also happens when we are cancelled."""

    async def let_go(self) -> None:
        """Wait, for a limited time, until all is stored."""


StreamT = TypeVar("StreamT", bound=CallLine)


class Line:
    """A call's place in the registry, there before its session is."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._reason: str | None = None

    def connect(self, session: Session) -> None:
        """The session that `end` goes to from now on."""
        self._session = session
        if self._reason is not None:
            session.end(self._reason)

    def end(self, reason: str) -> None:
        """Ask for an orderly end, now or as soon as there is a session."""
        self._reason = reason
        if self._session is not None:
            self._session.end(reason)


async def conduct(call: AdmittedCall[StreamT], media: StreamT, live: LiveCalls) -> str:
    """Run the call and close its socket; returns the end reason. Raises CancelledError only."""
    line = Line()
    with (
        structlog.contextvars.bound_contextvars(call=str(call.public_id)),
        live.on_the_line(call.public_id, line),
    ):
        reason = await _converse(call, media, line)
        await call.let_go()
        await hang_up(media, reason)
    return reason


async def _converse(call: AdmittedCall[StreamT], media: StreamT, line: Line) -> str:
    reason: str = EndReason.MEDIA_LOST  # if the server takes the socket away from us
    try:
        if media.fault is not None:
            reason = EndReason.FAILED
            return reason
        session: Session | None = await call.begin(media)
        while session is not None:
            line.connect(session)
            reason = await _run(session)
            session = await call.hand_off(media) if reason == EndReason.HANDED_OFF else None
    except Exception:
        log.exception("call %s broke off", call.public_id)
        reason = EndReason.INTERNAL_ERROR
    finally:
        call.close(reason, media)
    return reason


async def _run(session: Session) -> str:
    """Run to the end, also when the server takes the socket and our task away from us."""
    running = asyncio.ensure_future(session.run())
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        session.end(EndReason.MEDIA_LOST)
        _, late = await asyncio.wait({running}, timeout=END_SECONDS)
        for task in late:
            task.cancel()
        raise


async def hang_up(media: CallLine, reason: str) -> None:
    """Close the socket; one that does not even take this is left to the server."""
    code, why = 1000, reason
    if media.fault is not None:
        code, why = media.fault.close_code, media.fault.fault.value
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await media.hang_up(code, why)
    except TimeoutError:
        log.warning("the socket did not take its close within %g s", CLOSE_SECONDS)
