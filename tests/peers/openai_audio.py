"""A stand-in for servers with OpenAI's `/audio/transcriptions`, and for Groq's: real HTTP, faults.

    python -m tests.peers.openai_audio --port 5002
        OPENAI_AUDIO_BASE_URL=http://127.0.0.1:5002/v1    (or GROQ_BASE_URL=http://127.0.0.1:5002)

From the command line it understands the simulated caller's clips and speaks with espeak-ng, so
one address serves both directions. See speech.md D and llm.md 1.3.
"""

from __future__ import annotations

import argparse
import asyncio
import http
import io
import json
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

from tests.peers.azure import Hearing, Script
from tests.peers.clip_hearing import ClipHearing
from tests.peers.openai_speech import Asked, SpeechServer, espeaking

PATHS = ("/v1/audio/transcriptions", "/openai/v1/audio/transcriptions")


@dataclass(frozen=True, slots=True)
class Transcription:
    """One request: its form fields, and the sound of its file."""

    path: str
    headers: dict[str, str]
    form: dict[str, str]
    file_name: str
    pcm: bytes
    rate: int


@dataclass
class TranscriptionServer:
    """The server. Waits are in seconds.

    `status` other than 200 answers with an error (and `retry_after`); `body` is sent instead of a
    transcript; `figures` are added to its one segment; each of the next `cuts` requests has its
    connection broken; `delay` comes before each answer. `asked` tells what came.
    """

    hearing: Hearing = field(default_factory=lambda: Script(()))
    key: str | None = "right-key"
    status: int = 200
    retry_after: str | None = None
    body: str | None = None
    figures: dict[str, float] = field(default_factory=dict)
    cuts: int = 0
    delay: float = 0.0
    voices: SpeechServer | None = None
    asked: list[Transcription] = field(default_factory=list)
    connections: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which may carry many requests."""
        self.connections += 1
        try:
            while True:
                await self._answer(*await _request(reader), writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            return  # the client has gone
        finally:
            writer.close()

    async def _answer(
        self, path: str, headers: dict[str, str], body: bytes, writer: asyncio.StreamWriter
    ) -> None:
        if self.key is not None and headers.get("authorization") != f"Bearer {self.key}":
            await _send(writer, 401, _error("Invalid API Key", "invalid_api_key"))
        elif path.endswith("/models"):
            await _send(writer, 200, json.dumps({"data": []}))
        elif path in PATHS:
            await self._transcribe(_transcription(path, headers, body), writer)
        elif self.voices:
            await self.voices._answer(Asked(path, headers, json.loads(body)), writer)
        else:
            await _send(writer, 404, _error("Unknown request URL", "unknown_url"))

    async def _transcribe(self, asked: Transcription, writer: asyncio.StreamWriter) -> None:
        self.asked.append(asked)
        await asyncio.sleep(self.delay)
        if self.cuts:
            self.cuts -= 1
            writer.transport.abort()
            raise ConnectionAbortedError
        if self.status != http.HTTPStatus.OK:
            await _send(writer, self.status, _error("so it is", "so"), self.retry_after)
            return
        content = json.dumps(self._transcript(asked)) if self.body is None else self.body
        await _send(writer, 200, content)

    def _transcript(self, asked: Transcription) -> dict[str, Any]:
        text = self.hearing.words(asked.pcm, asked.rate, True)
        if asked.form.get("response_format") != "verbose_json":
            return {"text": text}
        seconds = len(asked.pcm) / 2 / asked.rate
        segment = {"id": 0, "start": 0.0, "end": seconds, "text": f" {text}", "avg_logprob": -0.2}
        segment |= {"compression_ratio": 1.0, "no_speech_prob": 0.01, **self.figures}
        return {"text": text, "language": "spanish", "duration": seconds, "segments": [segment]}


def _transcription(path: str, headers: dict[str, str], body: bytes) -> Transcription:
    head = f"Content-Type: {headers['content-type']}\r\n\r\n".encode()
    form: dict[str, str] = {}
    file_name, sound = "", b""
    for part in BytesParser(policy=HTTP).parsebytes(head + body).iter_parts():
        content = bytes(part.get_payload(decode=True))
        if name := part.get_filename():
            file_name, sound = name, content
        else:
            form[part["content-disposition"].params["name"]] = content.decode()
    with wave.open(io.BytesIO(sound)) as recording:
        pcm = recording.readframes(recording.getnframes())
        return Transcription(path, headers, form, file_name, pcm, recording.getframerate())


async def _request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    _, path, _ = first.split(" ", 2)
    pairs = (line.split(":", 1) for line in lines if line)
    headers = {name.strip().lower(): value.strip() for name, value in pairs}
    return path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def _error(message: str, code: str) -> str:
    return json.dumps({"error": {"message": message, "type": "error", "code": code}})


async def _send(
    writer: asyncio.StreamWriter, status: int, content: str, retry_after: str | None = None
) -> None:
    body = content.encode()
    lines = [
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    if retry_after is not None:
        lines.append(f"Retry-After: {retry_after}")
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    await writer.drain()


@asynccontextmanager
async def listening(server: TranscriptionServer, port: int = 0) -> AsyncIterator[str]:
    """Run the server; gives its address, `http://127.0.0.1:5002`."""
    running: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(server.serve(reader, writer))
        running.add(task)
        task.add_done_callback(running.discard)

    listener = await asyncio.start_server(accept, "127.0.0.1", port, limit=2**22)
    try:
        yield "http://{}:{}".format(*listener.sockets[0].getsockname())
    finally:
        listener.close()
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=5)


async def _main() -> None:
    parser = argparse.ArgumentParser(description="OpenAI's audio: transcriptions and speech")
    parser.add_argument("--port", type=int, default=5002)
    parser.add_argument("--delay", type=float, default=0.2, help="seconds for a transcript")
    parser.add_argument("--say", action="append", help="what an utterance says")
    arguments = parser.parse_args()
    server = TranscriptionServer(
        hearing=Script(arguments.say) if arguments.say else ClipHearing(),
        key=None,
        delay=arguments.delay,
        voices=SpeechServer(key=None, speaker=espeaking),
    )
    async with listening(server, arguments.port) as address:
        print(f"OPENAI_AUDIO_BASE_URL={address}/v1 GROQ_BASE_URL={address}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(_main())
