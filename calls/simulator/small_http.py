"""As much of an HTTP/1.1 server as a simulated carrier's REST API needs."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """One request; names of headers are lower case, `parts` the unquoted parts of its path.

    `client` is the port that it came from, which tells connections apart.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    client: int = 0

    @property
    def parts(self) -> list[str]:
        return [unquote(part) for part in urlsplit(self.path).path.strip("/").split("/")]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[-1] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def json(self) -> dict[str, Any]:
        """The body as an object; empty if there is none."""
        content = json.loads(self.body or b"{}")
        return content if isinstance(content, dict) else {}


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered. `cut` closes the connection instead."""

    status: int = 200
    content: bytes | dict[str, Any] = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False

    def encode(self) -> bytes:
        """As it goes over the wire."""
        is_json = isinstance(self.content, dict)
        body = json.dumps(self.content).encode() if isinstance(self.content, dict) else self.content
        kind = "application/json" if is_json else "application/octet-stream"
        headers = {"content-type": kind, "content-length": str(len(body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {http.HTTPStatus(self.status).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@dataclass(frozen=True, slots=True)
class File:
    """Something that is attached to a message."""

    content_type: str
    content: bytes


Handle: TypeAlias = Callable[[Request], Awaitable[Response]]


@contextlib.asynccontextmanager
async def serving(handle: Handle, port: int = 0) -> AsyncIterator[int]:
    """Serve on loopback until the block ends; gives the port."""
    live: set[asyncio.Task[None]] = set()

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            live.add(task)
            task.add_done_callback(live.discard)
        await _connection(handle, reader, writer)

    listener = await asyncio.start_server(connection, "127.0.0.1", port)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        for task in list(live):
            task.cancel()
        await asyncio.gather(*live, return_exceptions=True)
        await listener.wait_closed()


async def _connection(
    handle: Handle, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Answer one connection's requests, one after the other."""
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
        while True:
            response = await handle(await _request(reader, writer))
            if response.cut:
                break
            writer.write(response.encode())
            await writer.drain()
    writer.close()
    with contextlib.suppress(ConnectionError, asyncio.CancelledError):
        await writer.wait_closed()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    client = writer.get_extra_info("peername")[1]
    return Request(method, path, headers, body, client)
