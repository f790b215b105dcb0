"""A stand-in for servers with OpenAI's `/audio/speech`, and for Groq's: chunked HTTP, faults.

    python -m tests.peers.openai_speech --port 5003
        OPENAI_AUDIO_BASE_URL=http://127.0.0.1:5003/v1    (or GROQ_BASE_URL=http://127.0.0.1:5003)

From the command line it speaks with espeak-ng. See speech.md D.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import json
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from tests.peers.spoken import espeak_recording

PCM_RATE = 24_000
PATHS = ("/v1/audio/speech", "/openai/v1/audio/speech")

_TYPES = {"pcm": "audio/pcm", "wav": "audio/wav"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


def ramp(asked: Asked) -> bytes:
    """PCM16 at 24 kHz: 100 ms for each word, all samples known."""
    words = len(asked.body["input"].split())
    samples = (index % 4096 - 2048 for index in range(words * PCM_RATE // 10))
    return b"".join(struct.pack("<h", sample) for sample in samples)


def espeaking(asked: Asked) -> bytes:
    """The text spoken by espeak-ng; the language is not in the request, so it is guessed."""
    text = asked.body["input"]
    spanish = any(sign in text.casefold() for sign in "áéíóúñ¿¡") or " de " in text
    return espeak_recording(text, "es" if spanish else "en", PCM_RATE).pcm


def wav(
    pcm: bytes, rate: int = PCM_RATE, *, tag: int = 1, bits: int = 16, extra: bytes = b""
) -> bytes:
    """A streamed WAV file: its sizes say that nobody knew how long it would become."""
    frame = bits // 8
    head = struct.pack("<HHIIHH", tag, 1, rate, rate * frame, frame, bits)
    fmt = b"fmt " + struct.pack("<I", len(head)) + head
    return b"RIFF\xff\xff\xff\xffWAVE" + extra + fmt + b"data\xff\xff\xff\xff" + pcm


@dataclass
class SpeechServer:
    """The server. Waits are in seconds.

    `status` other than 200 answers with `error` (and `retry_after`); `first_byte` comes before
    the sound, `pace` after each piece of `piece` bytes; after `cut` pieces the connection is
    broken, or says nothing more (`mute`); each of the next `hang_ups` requests has its
    connection closed unanswered. `asked`, `sent` and `connections` tell what happened.
    """

    key: str | None = "right-key"
    speaker: Callable[[Asked], bytes] = ramp
    status: int = 200
    error: Any = field(default_factory=lambda: {"error": {"message": "so it is"}})
    retry_after: str | None = None
    first_byte: float = 0.0
    pace: float = 0.0
    piece: int = 4800
    cut: int | None = None
    mute: bool = False
    hang_ups: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    sent: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which may carry many requests."""
        self.connections += 1
        self.open_connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while (asked := await _request(reader)) is not None:
                await self._answer(asked, writer)
        self.open_connections -= 1
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def _answer(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        if self.hang_ups:
            self.hang_ups -= 1
            raise ConnectionAbortedError
        status = self._verdict(asked)
        if status != http.HTTPStatus.OK:
            await _send_json(writer, status, self.error, self.retry_after)
        elif asked.path.endswith("/models"):
            await _send_json(writer, 200, {"data": []})
        else:
            self.asked.append(asked)
            await self._sound(asked, writer)

    def _verdict(self, asked: Asked) -> int:
        if self.key is not None and asked.headers.get("authorization") != f"Bearer {self.key}":
            return 401
        if asked.path not in PATHS and not asked.path.endswith("/models"):
            return 404
        return self.status

    async def _sound(self, asked: Asked, writer: asyncio.StreamWriter) -> None:
        wanted = asked.body["response_format"]
        pcm = self.speaker(asked)
        data = wav(pcm) if wanted == "wav" else pcm
        writer.write(_head(200, {"Content-Type": _TYPES[wanted], "Transfer-Encoding": "chunked"}))
        await asyncio.sleep(self.first_byte)
        for number, at in enumerate(range(0, len(data), self.piece)):
            if number == self.cut:
                await self._misbehave(writer)
                return
            piece = data[at : at + self.piece]
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            self.sent += len(piece)
            await asyncio.sleep(self.pace)
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    async def _misbehave(self, writer: asyncio.StreamWriter) -> None:
        if not self.mute:
            writer.transport.abort()
            raise ConnectionAbortedError


async def _request(reader: asyncio.StreamReader) -> Asked | None:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    _, path, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Asked(path, headers, json.loads(body) if body else {})


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _send_json(
    writer: asyncio.StreamWriter, status: int, content: Any, retry_after: str | None = None
) -> None:
    body = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    if retry_after is not None:
        headers["Retry-After"] = retry_after
    writer.write(_head(status, headers) + body)
    await writer.drain()


@asynccontextmanager
async def listening(server: SpeechServer, port: int = 0) -> AsyncIterator[str]:
    """Run the server; gives its address, `http://127.0.0.1:5003`."""
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", port)
    try:
        yield "http://{}:{}".format(*listener.sockets[0].getsockname())
    finally:
        listener.close()
        if running:
            await asyncio.wait(running, timeout=5)


async def _main() -> None:
    parser = argparse.ArgumentParser(description="OpenAI's /audio/speech, played by espeak-ng")
    parser.add_argument("--port", type=int, default=5003)
    parser.add_argument("--first-byte", type=float, default=0.2, help="seconds")
    arguments = parser.parse_args()
    server = SpeechServer(key=None, speaker=espeaking, first_byte=arguments.first_byte)
    async with listening(server, arguments.port) as address:
        print(f"OPENAI_AUDIO_BASE_URL={address}/v1", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
