"""A server that does with a carrier's adapter what a real one has to, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, ClassVar

import numpy as np

from calls.carriers import hold_music
from calls.providers.carriers.port import Dial, HoldMusic, StreamTarget
from calls.providers.carriers.signals import Event, MessageMoved, Signal
from calls.providers.carriers.stream import CallMedia
from tests.peers.serving import on_a_port

MUSIC = "/hold.wav"
TONE = (np.sin(np.arange(800) / 4) * 8000).astype("<i2").tobytes()  # 100 ms


class Witness:
    """Keeps all that a carrier's adapter tells: signals of legs, and events of their media."""

    def __init__(self) -> None:
        self.signals: list[Signal] = []
        self.media: list[CallMedia] = []
        self.events: list[Any] = []

    async def until(self, found: Any, seconds: float = 5.0) -> Any:
        """What `found` gives, once it gives something."""
        async with asyncio.timeout(seconds):
            while not (value := found()):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
        return value

    async def told(self, kind: type[Signal], leg: str = "") -> Any:
        """The first signal of a kind, once it is there."""
        return await self.until(
            lambda: next(
                (s for s in self.signals if isinstance(s, kind) and leg in ("", s.leg)), None
            )
        )


class Office(Witness, ABC):
    """Takes webhooks, keeps what they say once, and keeps the media of its calls.

    `starts` are the streams' start messages.
    """

    content_type: ClassVar[bytes] = b"application/json"

    def __init__(self) -> None:
        super().__init__()
        self.url = ""
        self.starts: list[Any] = []
        self.fail_webhooks = 0
        self.answers = True
        self.seen: set[str] = set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == MUSIC:
            await _answer(send, 200, b"audio/wav", hold_music.wav())
        elif scope["type"] == "http":
            await self._webhook(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            await self._carry(receive, send)

    async def _webhook(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.fail_webhooks -= 1
        status, answer = (500, "") if self.fail_webhooks >= 0 else await self.take(scope, body)
        await _answer(send, status, self.content_type, answer.encode())

    @property
    def music(self) -> HoldMusic:
        """What its callers hear while they wait."""
        return HoldMusic(self.url + MUSIC, hold_music.SECONDS)

    async def _carry(self, receive: Any, send: Any) -> None:
        stream = await self.open_media(receive, send)
        self.media.append(stream)
        async for event in stream:
            self.events.append(event)

    @abstractmethod
    async def take(self, scope: dict[str, Any], body: bytes) -> tuple[int, str]:
        """Take one webhook; HTTP's status, and what to answer."""

    @abstractmethod
    async def open_media(self, receive: Any, send: Any) -> CallMedia:
        """Read a stream's start, and make the stream of it."""

    def keep(self, signals: list[Signal]) -> list[Signal]:
        """Remember what was not told before; that."""
        fresh = [signal for signal in signals if signal.event_id not in self.seen]
        self.seen |= {signal.event_id for signal in fresh}
        self.signals += fresh
        return fresh

    def is_new(self, event: Event) -> bool:
        """Whether an event comes for the first time."""
        key = f"event {event.event_id}"
        if key in self.seen:
            return False
        self.seen.add(key)
        return True

    def target(self, token: str, signals_url: str = "") -> StreamTarget:
        """Where a call's sound is to be brought."""
        url = self.url.replace("http", "ws") + "/media"
        return StreamTarget(url, {"token": token}, signals_url=signals_url)


async def on_the_phone(office: Any, cloud: Any) -> tuple[Any, Any, CallMedia]:
    """A call that has come in, was answered, and whose stream runs: leg, caller and media."""
    leg = await cloud.call(to="+1", caller="+52")
    await office.until(lambda: office.media and leg.stream)
    return leg, leg.stream, office.media[-1]


def dial(office: Any, to: str = "+49", **changes: Any) -> Dial:
    """A call that the office wants placed."""
    fields = {"stream": office.target("out"), "signals_url": office.hooks}
    return Dial(to, "+1", command_id=uuid.uuid4(), **{**fields, **changes})


def moved(office: Witness) -> list[MessageMoved]:
    """What became of messages, the first news first."""
    return [signal for signal in office.signals if isinstance(signal, MessageMoved)]


async def _answer(send: Any, status: int, content_type: bytes, body: bytes) -> None:
    headers = [(b"content-type", content_type)]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def open_office(office: Office) -> AsyncIterator[str]:
    """Serve it on loopback until the block ends; its address."""
    async with on_a_port(office) as office.url:
        yield office.url
