"""Callers who telephone the ASGI application without a network, and providers on a script."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Any

import numpy as np

from calls.voice.codecs import mulaw_encode
from calls.voice.ports import Final, Partial, Speech, Word
from tests.calls.sockets import Socket, connected, media, start, stop

FRAME_MS = 20
TWILIO = "/api/v1/ws/media-stream/twilio"
BROWSER = "/api/v1/ws/media-stream"


def noise(ms: int, rate: int, level: int = 6000) -> bytes:
    """PCM16 that is loud enough to be taken for speech by `LoudIsSpeech`."""
    samples = np.random.default_rng(7).integers(-level, level, ms * rate // 1000)
    return bytes(samples.astype("<i2"))


class LoudIsSpeech:
    """A speech detector for sound that is no speech."""

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.chunk_samples = sample_rate * 32 // 1000

    def process(self, chunk: bytes) -> float:
        return 0.99 if np.abs(np.frombuffer(chunk, "<i2")).max() > 1000 else 0.01

    def reset(self) -> None:
        pass


class Scribe:
    """A recogniser that hears the same words in every utterance."""

    name = "scribe"

    def __init__(self, words: str) -> None:
        self._words = words
        self._finals: asyncio.Queue[Final | None] = asyncio.Queue()

    async def open(self) -> None:
        pass

    def push(self, pcm: bytes) -> None:
        pass

    def start_utterance(self) -> None:
        pass

    def finish_utterance(self) -> None:
        self._finals.put_nowait(Final(self._words, confidence=1.0))

    async def __aiter__(self) -> AsyncIterator[Partial | Final]:
        while (final := await self._finals.get()) is not None:
            yield final

    async def aclose(self) -> None:
        self._finals.put_nowait(None)


class Reader:
    """A voice that takes 40 ms for every word."""

    name = "reader"

    def __init__(self, sample_rate: int, word_ms: int = 40) -> None:
        self.sample_rate, self._word_ms = sample_rate, word_ms

    async def open(self) -> None:
        pass

    async def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        number = 0
        async for text in segments:
            words = text.split()
            timed = tuple(
                Word(word, at * self._word_ms, (at + 1) * self._word_ms)
                for at, word in enumerate(words)
            )
            pcm = bytes(2 * self.sample_rate * self._word_ms * len(words) // 1000)
            yield Speech(pcm, number, words=timed, last=True)
            number += 1

    async def aclose(self) -> None:
        pass


TOUR = "¿Cuánto cuesta el tour?"


def on_a_script(
    monkeypatch: Any, *, words: str = TOUR, voice: Callable[[int], Any] = Reader
) -> None:
    """Calls are heard, spoken and detected by the above; the mind is the real embedded one."""
    from calls.line import setup
    from calls.providers import registry

    def recognisers(**wishes: Any) -> list[Any]:
        found = registry.build_recognisers(**wishes)
        return [ear for ear in found if ear.name == "browser"] + [Scribe(words)]

    monkeypatch.setattr(setup, "build_recognisers", recognisers)
    monkeypatch.setattr(
        setup, "build_synthesisers", lambda *, sample_rate, **_kwargs: [voice(sample_rate)]
    )
    monkeypatch.setattr(setup, "SileroDetector", LoudIsSpeech)
    monkeypatch.setattr(setup, "warm_up", lambda: None)


QUICK = {
    "vad_min_silence": 60,
    "endpointing_min": 60,
    "endpointing_max": 400,
    "endpointing_adaptive": False,
    "noise_adaptation": False,
}


class Phone:
    """One socket to the application, served by a task of its own."""

    def __init__(
        self,
        application: Callable[..., Any],
        path: str = TWILIO,
        query: str = "",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        self.socket = Socket()
        self._position = 0
        self._send = self.socket.send
        scope = {
            "type": "websocket",
            "path": path,
            "query_string": query.encode(),
            "headers": list(headers),
            "subprotocols": [],
        }
        self.socket.connect()
        self.task = asyncio.create_task(
            application(scope, self.socket.receive, self._deliver), name="phone"
        )
        self.deaf = False
        self.acknowledges = True

    async def _deliver(self, message: Any) -> None:
        await self._send(message)
        if not self.acknowledges:
            return
        content = json.loads(message["text"]) if message.get("text") else {}
        if content.get("event") == "mark":
            self.socket.put({"event": "mark", "streamSid": "MZ1", "mark": content["mark"]})
        elif content.get("type") == "mark":
            self.socket.put({"type": "played", "mark": content["name"]})

    def start(self, call_sid: str = "CA" + "1" * 32, token: str = "", **changes: Any) -> None:
        """Twilio's first two messages."""
        self.socket.put(connected())
        self.socket.put(start(call_sid, token, **changes))

    def talk(self, ms: int, *, aloud: bool = True) -> None:
        """Send that much sound, loud or silent, at once."""
        sound = noise(ms, 8000) if aloud else bytes(16 * ms)
        for at in range(0, len(sound), 2 * 8 * FRAME_MS):
            frame = mulaw_encode(sound[at : at + 2 * 8 * FRAME_MS])
            self.socket.put(media(str(self._position), frame))
            self._position += FRAME_MS

    def stop(self) -> None:
        """Hang up as Twilio does."""
        self.socket.put(stop())
        self.socket.disconnect()

    async def until(self, fits: Callable[[dict[str, Any]], bool], seconds: float = 10) -> Any:
        """Wait for a JSON message that fits, and give it."""
        async with asyncio.timeout(seconds):
            while True:
                for message in self.socket.texts:
                    if fits(message):
                        return message
                if self.task.done():
                    raise AssertionError(f"the socket is closed: {self.socket.close}")
                await asyncio.sleep(0.01)

    async def hears(self) -> None:
        """Wait for the first sound."""
        await self.until(lambda message: message.get("event") == "media")

    async def over(self, seconds: float = 10) -> dict[str, Any] | None:
        """Wait until the application is done with the socket; how it closed it."""
        async with asyncio.timeout(seconds):
            await self.task
        return self.socket.close
