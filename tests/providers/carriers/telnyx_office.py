"""A server that does with our Telnyx adapter what a real one has to, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator
from typing import Any

import uvicorn

from calls.providers.carriers.port import StreamTarget
from calls.providers.carriers.signals import Ringing, Signal
from calls.providers.carriers.telnyx import webhooks
from calls.providers.carriers.telnyx.api import TelnyxApi
from calls.providers.carriers.telnyx.client import Pace
from calls.providers.carriers.telnyx.credentials import TelnyxCredentials
from calls.providers.carriers.telnyx.media import StreamStart, TelnyxMedia, read_start
from calls.voice.ports import MediaEvent
from tests.peers.telnyx import RudeCloud

QUICK = Pace(patience=0.15, pause=0.01, limit=2.0)


class Office:
    """Takes webhooks once each, follows them up, answers calls and keeps their media."""

    def __init__(self) -> None:
        self.url = ""
        self.api: TelnyxApi
        self.credentials: TelnyxCredentials
        self.signals: list[Signal] = []
        self.starts: list[StreamStart] = []
        self.media: list[TelnyxMedia] = []
        self.events: list[MediaEvent] = []
        self.fail_webhooks = 0
        self.answers = True
        self._seen: set[str] = set()

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await self._webhook(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._socket(receive, send)

    async def _webhook(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.fail_webhooks -= 1
        status = 500 if self.fail_webhooks >= 0 else await self._take(scope, body)
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body"})

    async def _take(self, scope: dict[str, Any], body: bytes) -> int:
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        key = self.credentials.public_key_bytes
        try:
            webhooks.verify(headers, body, public_key=key, now=time.time())
        except webhooks.NotSigned:
            return 403
        fresh = [s for s in webhooks.read(body) if s.event_id not in self._seen]
        self._seen |= {signal.event_id for signal in fresh}
        self.signals += fresh
        for step in webhooks.follow_ups(body):  # even twice: their ids have to make up for it
            await self.api.take(step)
        for signal in fresh:
            if self.answers and isinstance(signal, Ringing) and signal.incoming:
                await self.api.answer(signal.leg, self.target("secret"), uuid.uuid4())
        return 200

    def target(self, token: str) -> StreamTarget:
        return StreamTarget(self.url.replace("http", "ws") + "/media", {"token": token})

    async def _socket(self, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        start = await read_start(receive)
        start.check_format()
        stream = TelnyxMedia(receive, send, start)
        self.starts.append(start)
        self.media.append(stream)
        async for event in stream:
            self.events.append(event)

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


@contextlib.asynccontextmanager
async def an_office(pace: Pace = QUICK) -> AsyncIterator[tuple[Office, RudeCloud]]:
    """An office and the Telnyx that it has an account with."""
    office = Office()
    config = uvicorn.Config(
        office, port=0, lifespan="off", log_level="error", ws="websockets-sansio"
    )
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    office.url = f"http://127.0.0.1:{port}"
    try:
        async with RudeCloud(office.url).running() as cloud:
            office.credentials = credentials_of(cloud)
            office.api = TelnyxApi(office.credentials, base_url=cloud.url, pace=pace)
            yield office, cloud
            await office.api.aclose()
    finally:
        server.should_exit = True
        await serving


def credentials_of(cloud: RudeCloud, **changes: str) -> TelnyxCredentials:
    """What has to be entered for this account."""
    fields = {
        "api_key": cloud.key,
        "public_key": cloud.public_key,
        "connection_id": cloud.connection_id,
        **changes,
    }
    return TelnyxCredentials.model_validate(fields)
