"""What the media streams of all carriers have in common: one socket, watched closely.

A stream iterates straight on ASGI's `receive`: no queue, no task and no copy stand between a
frame and the voice loop.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar

import orjson

from calls.providers.carriers.asgi import Message, Receive, Send
from calls.providers.carriers.errors import Fault, MediaFault
from calls.providers.carriers.positions import Positions
from calls.voice.ports import Audio, Closed, Dtmf, MediaEvent

log = logging.getLogger(__name__)

STALLED_SECONDS = 0.25

_KEYS = frozenset("0123456789*#ABCD")

Event = TypeVar("Event")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one socket may do before it is closed.

    `message_bytes` bounds one message, `malformed` how many bad ones are overlooked,
    `ahead_ms` how much sound may come before its time (a stall is caught up with, a flood
    is not), `start_seconds` how long the start may take.
    """

    message_bytes: int = 64 * 1024
    malformed: int = 10
    ahead_ms: float = 5000.0
    start_seconds: float = 5.0


DEFAULT_LIMITS = Limits()


def parse(text: str) -> dict[str, Any]:
    """One message as a dict. Raises MediaFault for anything else."""
    try:
        message = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MediaFault(Fault.MALFORMED, f"no JSON: {error}") from None
    if not isinstance(message, dict):
        raise MediaFault(Fault.MALFORMED, f"a JSON {type(message).__name__}, not an object")
    return message


def key_pressed(message: dict[str, Any]) -> Dtmf:
    """The key in a message's `digit`. Raises MediaFault for what no telephone has."""
    digit = str(message.get("digit", "")).upper()
    if digit not in _KEYS:
        raise MediaFault(Fault.MALFORMED, f"{digit[:8]!r} is no key of a telephone")
    return Dtmf(digit)


class WatchedSocket(ABC, Generic[Event]):
    """What comes over one socket of a carrier's, as events that make sense.

    Iterating ends after `Closed`. A socket that breaks the rules ends it too, as `media_lost`,
    and `fault` then says which. Sending on a socket that is gone does nothing: its `Closed` is
    on the way.
    """

    # Close codes after which the other side left in good order: normal, and going away. uvicorn
    # tells 1005, "none given", of a connection that broke as well.
    orderly: frozenset[int] = frozenset({1000, 1001})

    def __init__(
        self,
        receive: Receive,
        send: Send,
        *,
        limits: Limits = DEFAULT_LIMITS,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.fault: MediaFault | None = None
        self.malformed = 0
        self._receive, self._send = receive, send
        self._limits, self._now = limits, now
        self._began = now()
        self._over = False
        self.gone = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event | Closed:
        while not self._over:
            message = await self._receive()
            try:
                event = self._take(message)
            except MediaFault as fault:
                event = self._forgive(fault)
            if event is not None:
                self._over = type(event) is Closed
                return event
        raise StopAsyncIteration

    def _take(self, message: Message) -> Event | Closed | None:
        if message["type"] == "websocket.disconnect":
            self.gone = True
            code = message.get("code", 1005)
            return Closed("caller_hung_up" if code in self.orderly else "media_lost")
        text, data = message.get("text"), message.get("bytes")
        size = len(text) if text is not None else len(data or b"")
        if size > self._limits.message_bytes:
            raise MediaFault(
                Fault.OVERSIZED, f"{size} bytes; {self._limits.message_bytes} is the most"
            )
        if text is not None:
            return self._take_text(text)
        return self._take_bytes(data or b"")

    @abstractmethod
    def _take_text(self, text: str) -> Event | Closed | None:
        """Read one text message; raises MediaFault."""

    @abstractmethod
    def _take_bytes(self, data: bytes) -> Event | Closed | None:
        """Read one binary message; raises MediaFault."""

    def _forgive(self, fault: MediaFault) -> Closed | None:
        """Overlook a few messages that make no sense; anything worse ends the stream."""
        self.malformed += 1
        harmless = fault.fault in {Fault.MALFORMED, Fault.BINARY}
        if harmless and self.malformed <= self._limits.malformed:
            return None
        self.fault = fault
        return Closed("media_lost")

    async def send_text(self, text: str) -> None:
        """Send one text message, unless the socket is gone."""
        await self._put({"type": "websocket.send", "text": text})

    async def _put(self, message: Message) -> None:
        if self.gone:
            return
        began = self._now()
        try:
            await self._send(message)
        except asyncio.CancelledError:
            self._note_stall(self._now() - began)
            raise
        except (OSError, RuntimeError):  # what servers raise for a socket that just closed
            self.gone = True
        except Exception:  # daphne's WebSocket library raises bare ones
            log.exception("the socket took no %s", message["type"])
            self.gone = True

    def _note_stall(self, seconds: float) -> None:
        """A send was given up: after so long it was the other side that did not read."""
        if seconds >= STALLED_SECONDS and self.fault is None:
            self.fault = MediaFault(Fault.NOT_READING, f"it took nothing for {seconds:.1f} s")

    async def close(self) -> None:
        """Stop listening. The socket itself is closed by its consumer, once all is stored."""
        self._over = True

    async def hang_up(self, code: int, reason: str = "") -> None:
        """Close the socket with a WebSocket close code."""
        self._over = True
        await self._put({"type": "websocket.close", "code": code, "reason": reason})
        self.gone = True


class SocketStream(WatchedSocket[MediaEvent]):
    """One call's sound over one socket; implements `MediaStream` for the voice loop."""

    def __init__(self, receive: Receive, send: Send, *, sample_rate: int, **options: Any) -> None:
        super().__init__(receive, send, **options)
        self.sample_rate = sample_rate
        self.positions = Positions()

    def _place(self, pcm: bytes, timestamp: float | None) -> Audio | None:
        if not pcm:
            return None
        duration = len(pcm) * 500.0 / self.sample_rate
        horizon = (self._now() - self._began) * 1000.0 + self._limits.ahead_ms
        if timestamp is not None and not 0.0 <= timestamp <= horizon:
            raise MediaFault(Fault.MALFORMED, f"timestamp {timestamp} at {horizon:.0f} at most")
        if self.positions.expected > horizon:
            raise MediaFault(
                Fault.FLOOD, f"{self.positions.expected:.0f} ms of sound in {horizon:.0f} ms"
            )
        position = self.positions.place(timestamp, duration)
        return None if position is None else Audio(pcm, self.sample_rate, position)

    @abstractmethod
    async def send(self, pcm: bytes) -> None:
        """Have the other side play this after what it has already."""

    @abstractmethod
    async def mark(self, name: str) -> None:
        """Ask to be told when all sound sent so far has been played."""

    @abstractmethod
    async def clear(self) -> None:
        """Have the other side throw away what it has not played."""

    @abstractmethod
    async def send_dtmf(self, digits: str) -> None:
        """Press keys towards the other side."""
