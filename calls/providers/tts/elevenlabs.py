"""ElevenLabs over its multi-context WebSocket: one socket for a call, one context for a segment.

A context that was flushed and closed goes on until its sound is complete and says `isFinal`; the
service has no way to take that back, so an interrupted one is only listened to no more. It counts
against the five contexts that a socket may hold until it is final: before that limit is reached
a new socket is used. See speech.md B.
"""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Final
from urllib.parse import quote, urlencode

import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from agents.brain.errors import (
    BadKey,
    BadRequest,
    NetworkFailure,
    ProviderDown,
    ProviderError,
    ProviderTimeout,
    QuotaExceeded,
)
from calls.providers.health import ProviderHealth
from calls.providers.http_errors import error_of_status
from calls.providers.provider import Credentials, SynthesiserProvider, SynthesiserRequest
from calls.providers.tls import shared_tls
from calls.providers.tts.cache import cached
from calls.providers.tts.lexicon import Lexicon, spoken_text
from calls.providers.tts.options import Limits, VoiceOptions
from calls.providers.tts.pipeline import Sound, observed, speak_ahead
from calls.providers.tts.timing import WordTimer
from calls.providers.tts.voices import voice_name
from calls.voice.codecs import mulaw_decode
from calls.voice.ports import Speech, Word

NAME: Final = "elevenlabs"
MODEL = "eleven_flash_v2_5"
MAX_CONTEXTS = 5

_FORMATS = {8000: "ulaw_8000", 16000: "pcm_16000"}
_SPEEDS = (0.7, 1.2)  # what the service accepts
_INACTIVITY = 180  # s until the service hangs up, its longest
_KEEPALIVE = 60.0  # s
_CAUSES: tuple[tuple[type[ProviderError], tuple[str, ...]], ...] = (
    (BadKey, ("api_key", "unauthorized", "authorization", "permission")),
    (QuotaExceeded, ("quota", "too_many", "rate_limit", "payment", "max_active")),
    (ProviderDown, ("busy", "internal", "unavailable")),
    (BadRequest, ("voice", "model", "invalid", "unsupported", "not_found", "limit", "text")),
)

_Message = Mapping[str, Any]


class _Socket:
    """One connection; `messages` of each context come in order, an error ends them all."""

    def __init__(self, connection: ClientConnection, keepalive: float) -> None:
        self._connection = connection
        self._keepalive = keepalive
        self._contexts: dict[str, asyncio.Queue[_Message | ProviderError]] = {}
        self._numbers = count(1)
        self._tasks = [
            asyncio.create_task(self._read(), name="tts-elevenlabs-read"),
            asyncio.create_task(self._keep_alive(), name="tts-elevenlabs-keepalive"),
        ]
        self.usable = True

    @property
    def full(self) -> bool:
        """Whether one context more would be too many for the service."""
        return len(self._contexts) >= MAX_CONTEXTS

    async def say(self, text: str, settings: _Message) -> tuple[str, asyncio.Queue[Any]]:
        """Have a text spoken in a context of its own: its name and its messages."""
        name = f"segment-{next(self._numbers)}"
        queue: asyncio.Queue[_Message | ProviderError] = asyncio.Queue()
        self._contexts[name] = queue
        for message in (
            {"text": " ", "voice_settings": settings},
            {"text": f"{text} ", "flush": True},
            {"close_context": True},
        ):
            await self._send({**message, "context_id": name})
        return name, queue

    async def aclose(self) -> None:
        """Hang up and wait until nothing of it runs any more."""
        self.usable = False
        with suppress(ProviderError):
            await self._send({"close_socket": True})
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.close()

    async def _send(self, message: _Message) -> None:
        try:
            await self._connection.send(orjson.dumps(message).decode())
        except ConnectionClosed as error:
            raise _closed(error) from error

    async def _read(self) -> None:
        error: ProviderError = NetworkFailure(NAME, "the connection ended")
        try:
            async for raw in self._connection:
                self._take(orjson.loads(raw))
        except ConnectionClosed as closed:
            error = _closed(closed)
        except (ValueError, TypeError, AttributeError) as fault:
            error = ProviderDown(NAME, f"a message that is none: {fault}")
        finally:
            self._fail(error)

    def _take(self, message: _Message) -> None:
        name = message.get("contextId") or message.get("context_id")
        queue = self._contexts.get(str(name))
        if message.get("error") and not message.get("audio"):
            error = _typed(message)
            if queue is None:
                self._fail(error)
            else:
                queue.put_nowait(error)
                del self._contexts[str(name)]
        elif queue is not None:
            queue.put_nowait(message)
            if message.get("isFinal"):
                del self._contexts[str(name)]

    def _fail(self, error: ProviderError) -> None:
        self.usable = False
        for queue in self._contexts.values():
            queue.put_nowait(error)
        self._contexts.clear()

    async def _keep_alive(self) -> None:
        with suppress(ProviderError):
            while True:
                await asyncio.sleep(self._keepalive)
                open_context = next(iter(self._contexts), None)
                named = {"context_id": open_context} if open_context else {}
                await self._send({"text": "", **named})


class ElevenLabsSynthesiser:
    """One call's ElevenLabs voice."""

    name = NAME

    def __init__(
        self,
        options: VoiceOptions,
        *,
        key: str,
        base_url: str,
        health: ProviderHealth,
        limits: Limits | None = None,
        keepalive: float = _KEEPALIVE,
    ) -> None:
        self.sample_rate = options.sample_rate
        self._key = key
        self._health = health
        self._limits = limits or Limits()
        self._keepalive = keepalive
        self._lexicon = Lexicon(options.lexicon)
        self._url = _url(base_url, options)
        speed = max(_SPEEDS[0], min(_SPEEDS[1], options.speed))
        self._settings = {"stability": 0.5, "similarity_boost": 0.8, "speed": speed}
        self._socket: _Socket | None = None
        self._connecting = asyncio.Lock()

    async def open(self) -> None:
        """Connect before the first word. Raises the error that `speak` would."""
        await self._connected()

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak each segment as it comes; closing the generator stops at once."""
        return speak_ahead(segments, observed(self._synthesise, self._health))

    async def aclose(self) -> None:
        """Hang up."""
        socket, self._socket = self._socket, None
        if socket is not None:
            await socket.aclose()

    async def _synthesise(self, text: str) -> AsyncGenerator[Sound, None]:
        pieces = self._lexicon.pieces(text)
        spoken = spoken_text(pieces)
        socket = await self._connected()
        _, messages = await socket.say(spoken, self._settings)
        track = _Track(WordTimer(pieces), spoken, self.sample_rate)
        limit, what = self._limits.first_sound, "first"
        while True:
            message = await self._next(messages, limit, what)
            if message.get("audio"):
                yield track.sound(message)
                limit, what = self._limits.next_sound, "further"
            if message.get("isFinal"):
                yield Sound(b"", track.finish())
                return

    async def _next(self, messages: asyncio.Queue[Any], limit: float, what: str) -> _Message:
        try:
            async with asyncio.timeout(limit / 1000):
                message = await messages.get()
        except TimeoutError:
            await self.aclose()  # a socket that is mute now will be so for the next segment
            raise ProviderTimeout(NAME, f"no {what} sound in {limit:.0f} ms") from None
        if isinstance(message, ProviderError):
            raise message
        fetched: _Message = message
        return fetched

    async def _connected(self) -> _Socket:
        async with self._connecting:
            if self._socket is None or not self._socket.usable or self._socket.full:
                await self.aclose()
                self._socket = _Socket(await self._dial(), self._keepalive)
            return self._socket

    async def _dial(self) -> ClientConnection:
        try:
            return await connect(
                self._url,
                additional_headers={"xi-api-key": self._key},
                ssl=shared_tls() if self._url.startswith("wss:") else None,
                open_timeout=self._limits.open / 1000,
                close_timeout=1,
                compression=None,
                max_size=2**24,
            )
        except InvalidStatus as error:
            response = error.response
            body = response.body.decode(errors="replace") if response.body else ""
            status = response.status_code
            raise error_of_status(
                NAME, status, body, response.headers.get("Retry-After")
            ) from error
        except TimeoutError as error:
            limit = self._limits.open
            raise ProviderTimeout(NAME, f"not connected in {limit:.0f} ms") from error
        except (OSError, WebSocketException) as error:
            raise NetworkFailure(NAME, f"cannot connect: {error}") from error


class _Track:
    """One segment's sound and the words in it."""

    def __init__(self, timer: WordTimer, spoken: str, sample_rate: int) -> None:
        self._timer = timer
        self._spoken = spoken
        self._rate = sample_rate
        self._position = 0  # characters of `spoken` that were aligned
        self._bytes = 0

    @property
    def _ms(self) -> float:
        return self._bytes / 2 * 1000 / self._rate

    def sound(self, message: _Message) -> Sound:
        """The sound of a message; its alignment counts from the message's own start."""
        coded = binascii.a2b_base64(message["audio"])
        pcm = mulaw_decode(coded) if self._rate == 8000 else coded
        words = self._align(message.get("alignment") or {}, self._ms)
        self._bytes += len(pcm)
        return Sound(pcm, words)

    def finish(self) -> tuple[Word, ...]:
        """The words that were not complete before."""
        return self._timer.finish(self._ms)

    def _align(self, alignment: _Message, offset: float) -> tuple[Word, ...]:
        words: list[Word] = []
        starts = alignment.get("charStartTimesMs") or ()
        for char, start in zip(alignment.get("chars") or (), starts, strict=False):
            if char.isspace():
                continue
            position = self._spoken.find(char, self._position, self._position + 16)
            if position >= 0:
                self._position = position + 1
                words += self._timer.at(position, offset + start)
        return tuple(words)


def _url(base_url: str, options: VoiceOptions) -> str:
    voice = quote(voice_name(NAME, options.voice, options.dialect), safe="")
    query = urlencode(
        {
            "model_id": MODEL,
            "output_format": _FORMATS[options.sample_rate],
            "language_code": options.dialect.partition("-")[0].lower(),
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": _INACTIVITY,
        }
    )
    socket = "ws" + base_url.removeprefix("http").rstrip("/")
    return f"{socket}/v1/text-to-speech/{voice}/multi-stream-input?{query}"


def _typed(message: _Message) -> ProviderError:
    """The service's own error messages, told apart by their names."""
    name = str(message.get("error", ""))
    said = f"{name}: {message.get('message', '')}"[:300]
    for kind, marks in _CAUSES:
        if any(mark in name.casefold() for mark in marks):
            return kind(NAME, said)
    return ProviderDown(NAME, said)


def _closed(error: ConnectionClosed) -> ProviderError:
    received = error.rcvd
    if received is None:
        return NetworkFailure(NAME, "the connection broke")
    if received.code == 1008 and received.reason:
        return _typed({"error": received.reason, "message": f"closed with {received.code}"})
    return NetworkFailure(NAME, f"hung up with {received.code} {received.reason}".rstrip())


def _missing(credentials: Credentials) -> str:
    return "" if credentials.elevenlabs_key else "no ELEVENLABS_API_KEY"


def _build(request: SynthesiserRequest) -> ElevenLabsSynthesiser:
    return ElevenLabsSynthesiser(
        VoiceOptions.of(request),
        key=request.credentials.elevenlabs_key,
        base_url=request.credentials.elevenlabs_base_url,
        health=request.health,
    )


PROVIDER = SynthesiserProvider(NAME, "synthesiser", cached(_build), _missing)
