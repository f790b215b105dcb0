"""Callers behind a 3CX: a PBX's streams, at next to no cost, and its parties.

The server under test is told to attach to a leg, as by an event, and opens the GET that it hears
the caller by and the POST that it speaks into. A PBX throws nothing away: an interrupted agent
has stopped when the sound that came is played.
"""

from __future__ import annotations

import asyncio
import urllib.request
from functools import partial
from typing import cast

from bench.callers.caller import FRAME_SECONDS, Caller
from bench.server import HOST, Server
from calls.simulator.bench_paths import PBX_PATH

_BYTES_PER_SECOND = 16_000
_SOUND = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
_DRY_SECONDS = 2 * FRAME_SECONDS  # without sound for so long, the agent is silent
_OPEN_SECONDS = 10.0


class ThreeCxCaller(Caller[bytes]):
    """A party on the line of a PBX of its own."""

    _ear: Stream
    _server: asyncio.Server

    @classmethod
    def coded(cls, pcm: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(pcm), pcm)

    async def connect(self, server: Server) -> None:
        """Have the server attach to our leg, then begin the silence."""
        self._streaming: asyncio.Future[Stream] = self._loop.create_future()
        self._server = await self._loop.create_server(lambda: Stream(self), HOST, 0)
        port = self._server.sockets[0].getsockname()[1]
        leg = f"http://{HOST}:{port}/callcontrol/bench/participants/{self.number}/stream"
        ask = urllib.request.Request(
            f"http://{HOST}:{server.port}{PBX_PATH}", leg.encode(), method="POST"
        )
        await asyncio.to_thread(partial(urllib.request.urlopen, ask, timeout=_OPEN_SECONDS))
        self._ear = await asyncio.wait_for(self._streaming, _OPEN_SECONDS)
        self._begin()

    def fetched(self, stream: Stream) -> None:
        """The server fetches our sound by this stream."""
        self._streaming.set_result(stream)

    def posted(self, size: int) -> None:
        """So many bytes of sound came."""
        self._hear(self._loop.time(), size / _BYTES_PER_SECOND)

    def gone(self) -> None:
        """The server let go of a stream."""
        self._lost("a stream was closed")

    def _put(self, frame: bytes) -> None:
        self._ear.write(frame)

    def _tick(self) -> None:
        super()._tick()
        waits = self._cleared is not None and not self._cleared.done()
        if waits and self._loop.time() > self._plays_until + _DRY_SECONDS:
            self._clear(self._plays_until)

    async def _disconnect(self) -> None:
        self._ear.write(b"0\r\n\r\n")
        self._server.close()


class Stream(asyncio.Protocol):
    """One connection of the server's: a GET that is answered with sound, or a POST of sound."""

    def __init__(self, party: ThreeCxCaller) -> None:
        self._party = party
        self._buffer = b""
        self._head = True
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, error: Exception | None) -> None:  # noqa: ARG002
        self._party.gone()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._head and not self._read_head():
            return
        while (size := self._next_chunk()) is not None:
            if size:
                self._party.posted(size)

    def _read_head(self) -> bool:
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return False
        self._buffer, self._head = rest, False
        if head.startswith(b"GET"):
            self._transport.write(_SOUND)
            self._party.fetched(self)
        return True

    def _next_chunk(self) -> int | None:
        """The size of the next whole chunk."""
        size_line, found, rest = self._buffer.partition(b"\r\n")
        if not found:
            return None
        size = int(size_line, 16)
        if len(rest) < size + 2:
            return None
        self._buffer = rest[size + 2 :]
        return size

    def write(self, data: bytes) -> None:
        self._transport.write(data)
