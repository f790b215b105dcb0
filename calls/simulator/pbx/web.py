"""The little of a web framework that a PBX's interface needs, on ASGI."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn

from calls.providers.carriers.asgi import Message, Receive, Send


class HttpError(Exception):
    """What ends a request with this status."""

    def __init__(self, status: int, reason: str = "") -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Request:
    """One HTTP request."""

    def __init__(self, scope: Message, receive: Receive, send: Send) -> None:
        self.method: str = scope["method"]
        # The path as it was sent: `%3A` and `:` are not the same device to a PBX.
        self.path: str = scope["raw_path"].decode("ascii")
        self.headers = {k.decode().lower(): v.decode() for k, v in scope["headers"]}
        self._receive, self._send = receive, send

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Ends early when the client is gone."""
        more = True
        while more:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                return
            yield message.get("body", b"")
            more = message.get("more_body", False)

    async def body(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])

    async def gone(self) -> None:
        """Wait until the client is gone."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def answer(self, status: int, content: Any = None) -> None:
        """Answer with JSON."""
        body = b"" if content is None else json.dumps(content).encode()
        kind = [(b"content-type", b"application/json")] if body else []
        length = [(b"content-length", str(len(body)).encode())]
        await self._send(
            {"type": "http.response.start", "status": status, "headers": kind + length}
        )
        await self._send({"type": "http.response.body", "body": body})

    async def begin(self) -> None:
        """Begin an endless body of bytes."""
        headers = [(b"content-type", b"application/octet-stream")]
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": b"", "more_body": True})

    async def piece(self, data: bytes) -> None:
        """One chunk of it."""
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """Its end."""
        await self._send({"type": "http.response.body", "body": b""})


class _Server(uvicorn.Server):
    """Leaves signals to the program that it runs in."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def serving(application: Any, port: int = 0) -> AsyncIterator[str]:
    """Serve on loopback until the block ends; yields the address. Cuts what is open then."""
    listener = socket.create_server(("127.0.0.1", port))
    config = uvicorn.Config(
        application, log_config=None, lifespan="off", http="h11", ws="websockets-sansio",
        access_log=False, ws_ping_interval=None,
        log_level="critical",  # what is cut on command is no error
    )  # fmt: skip
    server = _Server(config)
    running = asyncio.create_task(server.serve([listener]))
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = server.force_exit = True
        await _cut(server)
        await running
        listener.close()


async def _cut(server: uvicorn.Server) -> None:
    """Break all connections, and do not wait long for who does not notice."""
    for connection in list(server.server_state.connections):
        connection.transport.abort()
    tasks = list(server.server_state.tasks)
    if tasks:
        _, late = await asyncio.wait(tasks, timeout=1.0)
        for task in late:
            task.cancel()
