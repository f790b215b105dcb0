"""A stand-in for ElevenLabs' multi-context WebSocket, with its rules and its messages.

    python -m tests.peers.elevenlabs --port 5002      ELEVENLABS_BASE_URL=http://127.0.0.1:5002

From the command line it speaks with espeak-ng. See speech.md B.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import http
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from calls.voice.codecs import mulaw_encode
from tests.peers.spoken import espeak_recording

MAX_CONTEXTS = 5
MS_PER_CHARACTER = 20
BYTES_PER_MS = {"ulaw_8000": 8, "pcm_16000": 32}


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of sound in the wanted format; `starts` are the ms of `chars` from its begin."""

    audio: bytes
    chars: str
    starts: tuple[int, ...]


Speaker = Callable[[str, str, str], list[Chunk]]


def tones(text: str, output_format: str, language: str) -> list[Chunk]:
    """A chunk for each word, 20 ms for each character, all bytes known."""
    chunks = []
    for number, word in enumerate(text.split()):
        chars = word + " "
        size = len(chars) * MS_PER_CHARACTER * BYTES_PER_MS[output_format]
        audio = bytes((number * 11 + i) % 253 for i in range(size))
        starts = tuple(index * MS_PER_CHARACTER for index in range(len(chars)))
        chunks.append(Chunk(audio, chars, starts))
    return chunks


def espeaking(text: str, output_format: str, language: str) -> list[Chunk]:
    """One chunk, spoken by espeak-ng; each character has the time of its word."""
    rate = 8000 if output_format == "ulaw_8000" else 16000
    spoken = espeak_recording(text, language, rate)
    chars, starts = "", []
    for word in spoken.words:
        chars += word.text + " "
        starts += [round(word.start)] * (len(word.text) + 1)
    audio = mulaw_encode(spoken.pcm) if rate == 8000 else spoken.pcm
    return [Chunk(audio, chars, tuple(starts))]


@dataclass
class Upgrade:
    """Who connected, and for what."""

    path: str
    query: dict[str, str]
    key: str


@dataclass
class ElevenLabs:
    """The service. Waits are in seconds.

    `refuse` answers every upgrade with that HTTP status. `first_byte` comes before a context's
    first sound, `pace` after each chunk. After `chunks` of a context: `error` is sent, or the
    socket is cut, or nothing more comes (`mute`). `upgrades` and `messages` tell what came.
    """

    key: str = "right-key"
    speaker: Speaker = tones
    refuse: int | None = None
    retry_after: str | None = None
    first_byte: float = 0.0
    pace: float = 0.0
    chunks: int | None = None
    error: dict[str, Any] | None = None
    mute: bool = False
    silent_alignment: bool = False
    upgrades: list[Upgrade] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    open_sockets: int = 0
    chunks_sent: int = 0

    def check(self, _: ServerConnection, request: Request) -> Response | None:
        """`process_request` of the server: None lets the client in."""
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        key = request.headers.get("xi-api-key", "")
        self.upgrades.append(Upgrade(parts.path, query, key))
        if self.refuse:
            return self._refusal(self.refuse, {"status": "refused", "message": "not today"})
        if key != self.key:
            return self._refusal(401, {"status": "invalid_api_key", "message": "Invalid API key"})
        return None

    def _refusal(self, status: int, detail: dict[str, str]) -> Response:
        headers = Headers({"Content-Type": "application/json", "Connection": "close"})
        if self.retry_after is not None:
            headers["Retry-After"] = self.retry_after
        body = json.dumps({"detail": detail}).encode()
        headers["Content-Length"] = str(len(body))
        return Response(status, http.HTTPStatus(status).phrase, headers, body)

    async def serve(self, connection: ServerConnection) -> None:
        """One client, until it goes."""
        self.open_sockets += 1
        session = _Session(self, connection, self.upgrades[-1].query)
        try:
            async for raw in connection:
                message = json.loads(raw)
                self.messages.append(message)
                if message.get("close_socket"):
                    break
                await session.take(message)
        except ConnectionClosed:
            pass
        finally:
            self.open_sockets -= 1
            session.stop()


class _Session:
    """The contexts of one socket."""

    def __init__(
        self, service: ElevenLabs, connection: ServerConnection, query: dict[str, str]
    ) -> None:
        self._service = service
        self._connection = connection
        self._query = query
        self._texts: dict[str, str] = {}
        self._speaking: dict[str, asyncio.Task[None]] = {}

    async def take(self, message: dict[str, Any]) -> None:
        context = message.get("context_id")
        if context is None:
            return  # a keepalive
        if context not in self._texts:
            if len(self._texts) >= MAX_CONTEXTS:
                await self._refuse_context()
                return
            assert message.get("text") == " ", "a context begins with one space"
            self._texts[context] = ""
            return
        self._texts[context] += message.get("text", "")
        if message.get("flush"):
            self._speaking[context] = asyncio.create_task(self._answer(context))
        if message.get("close_context") and context not in self._speaking:
            await self._finish(context)

    def stop(self) -> None:
        for task in self._speaking.values():
            task.cancel()

    async def _refuse_context(self) -> None:
        error = {"error": "max_active_conversations", "code": 1008}
        message = f"Maximum simultaneous contexts exceeded ({MAX_CONTEXTS})."
        await self._connection.send(json.dumps({**error, "message": message}))
        await self._connection.close(1008, "max_active_conversations")

    async def _answer(self, context: str) -> None:
        with suppress(ConnectionClosed):
            await self._speak(context)

    async def _speak(self, context: str) -> None:
        service, query = self._service, self._query
        await asyncio.sleep(service.first_byte)
        spoken = service.speaker(
            self._texts[context], query["output_format"], query["language_code"]
        )
        for number, chunk in enumerate(spoken):
            if number == service.chunks:
                await self._misbehave(context)
                return
            await self._connection.send(json.dumps(self._message(context, chunk)))
            service.chunks_sent += 1
            await asyncio.sleep(service.pace)
        await self._finish(context)

    def _message(self, context: str, chunk: Chunk) -> dict[str, Any]:
        alignment = {
            "chars": list(chunk.chars),
            "charStartTimesMs": list(chunk.starts),
            "charDurationsMs": [MS_PER_CHARACTER] * len(chunk.chars),
        }
        return {
            "audio": base64.b64encode(chunk.audio).decode(),
            "contextId": context,
            "isFinal": None,
            "alignment": None if self._service.silent_alignment else alignment,
            "normalizedAlignment": alignment,
        }

    async def _misbehave(self, context: str) -> None:
        service = self._service
        if service.error is not None:
            await self._connection.send(json.dumps({**service.error, "contextId": context}))
        elif not service.mute:
            self._connection.transport.abort()

    async def _finish(self, context: str) -> None:
        await self._connection.send(json.dumps({"isFinal": True, "contextId": context}))
        del self._texts[context]
        self._speaking.pop(context, None)


@asynccontextmanager
async def listening(service: ElevenLabs, port: int = 0) -> AsyncIterator[str]:
    """Run the service; gives its address, `http://127.0.0.1:5002`."""
    server = await serve(
        service.serve, "127.0.0.1", port, process_request=service.check, close_timeout=1
    )
    async with server:
        bound = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{bound}"


async def _main() -> None:
    parser = argparse.ArgumentParser(description="ElevenLabs, played by espeak-ng")
    parser.add_argument("--port", type=int, default=5002)
    parser.add_argument("--key", default="demo", help="the only key that is let in")
    parser.add_argument("--first-byte", type=float, default=0.1, help="seconds")
    arguments = parser.parse_args()
    service = ElevenLabs(key=arguments.key, speaker=espeaking, first_byte=arguments.first_byte)
    async with listening(service, arguments.port) as address:
        print(f"ELEVENLABS_BASE_URL={address} ELEVENLABS_API_KEY={service.key}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
