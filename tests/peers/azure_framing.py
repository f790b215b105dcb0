"""The framing of Azure's speech WebSocket, as the real SDK speaks it, and its front door.

Source: protocols/speech.md A5 (SDK 1.53.0 against a server like this one). Text messages are
`Header:Value` lines, an empty line and a JSON body; binary ones begin with the length of their
header as two big-endian bytes. Recognition and synthesis share all of this.
"""

from __future__ import annotations

import asyncio
import http
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

TICKS_PER_MS = 10_000
RECOGNITION_PATH = "/speech/recognition/"
SYNTHESIS_PATH = "/cognitiveservices/websocket/"


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: `path` and `request_id` are its headers `Path` and `X-RequestId`."""

    path: str
    request_id: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.body)
        return body


def parse(message: str | bytes) -> Frame:
    """Take a message of the client apart."""
    if isinstance(message, str):
        head, _, body = message.partition("\r\n\r\n")
        return _frame(head, body.encode())
    (length,) = struct.unpack_from(">H", message)
    return _frame(message[2 : 2 + length].decode(), message[2 + length :])


def _frame(head: str, body: bytes) -> Frame:
    lines = (line.partition(":") for line in head.split("\r\n") if line)
    headers = {name.strip().lower(): value.strip() for name, _, value in lines}
    return Frame(headers.get("path", "").lower(), headers.get("x-requestid", ""), headers, body)


def text(path: str, request_id: str, body: object) -> str:
    """A JSON message to the client."""
    head = (
        f"X-RequestId:{request_id}\r\nContent-Type:application/json; charset=utf-8\r\nPath:{path}"
    )
    return f"{head}\r\n\r\n{json.dumps(body)}"


def binary(
    path: str, request_id: str, body: bytes, *, stream_id: str, content_type: str = "audio/x-wav"
) -> bytes:
    """A binary message to the client; an empty body ends its stream."""
    head = (
        f"X-RequestId:{request_id}\r\nContent-Type:{content_type}\r\n"
        f"X-StreamId:{stream_id}\r\nPath:{path}\r\n"
    ).encode()
    return struct.pack(">H", len(head)) + head + body


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a client asked for when it connected."""

    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]


Handler = Callable[[ServerConnection], Awaitable[None]]


@dataclass
class FrontDoor:
    """Lets clients in by key, refuses them on demand, and sends them to the handler of a path.

    `refuse` is an HTTP status for every upgrade; `key` is the only one accepted, None accepts
    all; `delay` (seconds) comes before each answer to an upgrade. `upgrades` records everyone
    who knocked.
    """

    routes: dict[str, Handler]
    key: str | None = None
    refuse: int | None = None
    delay: float = 0.0
    upgrades: list[Upgrade] = field(default_factory=list)

    async def check(self, _: ServerConnection, request: Request) -> Response | None:
        """`process_request` of the server: None lets the client in."""
        parts = urlsplit(request.path)
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.upgrades.append(Upgrade(parts.path, parse_qs(parts.query), headers))
        await asyncio.sleep(self.delay)
        status = self._verdict(parts.path, headers.get("ocp-apim-subscription-key"))
        if status is None:
            return None
        phrase = http.HTTPStatus(status).phrase
        return Response(status, phrase, Headers({"Content-Length": "0", "Connection": "close"}))

    def _verdict(self, path: str, key: str | None) -> int | None:
        if self.refuse:
            return self.refuse
        if self.key is not None and key != self.key:
            return 401
        return None if self._handler(path) else 404

    def _handler(self, path: str) -> Handler | None:
        return next((self.routes[start] for start in self.routes if path.startswith(start)), None)

    async def serve(self, connection: ServerConnection) -> None:
        """Hand an accepted client to its handler."""
        assert connection.request is not None
        handler = self._handler(urlsplit(connection.request.path).path)
        assert handler is not None
        await handler(connection)


@asynccontextmanager
async def listening(door: FrontDoor, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run a server behind this door; gives its address, `ws://127.0.0.1:5000`."""
    server: Server = await serve(
        door.serve,
        host,
        port,
        process_request=door.check,
        subprotocols=[Subprotocol("USP")],
        max_size=None,
        compression=None,
        close_timeout=1,
    )
    async with server:
        bound = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://{host}:{bound}"
