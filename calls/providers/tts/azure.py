"""Azure's voices through its own SDK, streaming, with word boundaries and visemes.

Of the SDK's three ways to stream, its events cost least: measured against `AudioDataStream`, the
first sound is there as early (17 ms after it left the server), and no thread of ours waits while
a call speaks. What the SDK does by blocking (connecting, stopping) runs in a small pool of
threads; its events come on threads of its own and are handed to the call's loop.
See speech.md A4.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import azure.cognitiveservices.speech as speechsdk

from agents.brain.errors import ProviderDown, ProviderError, ProviderTimeout
from calls.providers.azure_speech import NAME, error_of, missing, speech_config
from calls.providers.health import ProviderHealth
from calls.providers.provider import SynthesiserProvider, SynthesiserRequest
from calls.providers.tts.cache import cached
from calls.providers.tts.lexicon import Lexicon
from calls.providers.tts.options import Limits, VoiceOptions
from calls.providers.tts.pipeline import Sound, observed, speak_ahead
from calls.providers.tts.ssml import speech_markup
from calls.providers.tts.timing import WordTimer
from calls.providers.tts.voices import voice_name
from calls.voice.codecs import mulaw_decode
from calls.voice.ports import Speech, Viseme

_TICKS_PER_MS = 10_000
_PATIENCE = 1000  # ms to wait for a connection of which the SDK may never tell
_FORMATS = {
    8000: speechsdk.SpeechSynthesisOutputFormat.Raw8Khz8BitMonoMULaw,
    16000: speechsdk.SpeechSynthesisOutputFormat.Raw16Khz16BitMonoPcm,
}


@dataclass(frozen=True, slots=True)
class _Audio:
    data: bytes


@dataclass(frozen=True, slots=True)
class _Boundary:
    text: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class _Over:
    """The utterance is complete, or failed by `error`."""

    error: ProviderError | None = None


_Event: TypeAlias = _Audio | _Boundary | Viseme | _Over


class _Utterance:
    """What one text's synthesis tells, from the SDK's threads to the loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._events: asyncio.Queue[_Event] = asyncio.Queue()
        self.over = asyncio.Event()
        self.dropped = False  # set and read by the link, under its lock

    def post(self, event: _Event) -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop is closed: the call is over
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: _Event) -> None:
        self._events.put_nowait(event)
        if isinstance(event, _Over):
            self.over.set()

    async def next(self) -> _Event:
        return await self._events.get()


class _Link:
    """One synthesiser of the SDK with its socket. The methods block: call them in the pool."""

    def __init__(self, config: speechsdk.SpeechConfig, *, visemes: bool) -> None:
        self._lock = threading.Lock()
        self._utterance: _Utterance | None = None
        self._pending: Any = None
        self._synthesiser = speechsdk.SpeechSynthesizer(speech_config=config, audio_config=None)
        self._connection = speechsdk.Connection.from_speech_synthesizer(self._synthesiser)
        handlers: list[tuple[Any, Callable[[Any], None]]] = [
            (self._synthesiser.synthesizing, self._on_sound),
            (self._synthesiser.synthesis_word_boundary, self._on_word),
            (self._synthesiser.synthesis_completed, self._on_completed),
            (self._synthesiser.synthesis_canceled, self._on_canceled),
        ]
        if visemes:
            handlers.append((self._synthesiser.viseme_received, self._on_viseme))
        for signal, handler in handlers:
            signal.connect(handler)
        self._signals = [signal for signal, _ in handlers]

    def connect(self, loop: asyncio.AbstractEventLoop, connected: asyncio.Event) -> None:
        """Begin to connect; `connected` is set on `loop` when that is done."""

        def tell(_: Any) -> None:
            with suppress(RuntimeError):
                loop.call_soon_threadsafe(connected.set)

        self._connection.connected.connect(tell)
        self._signals.append(self._connection.connected)
        self._connection.open(True)

    def speak(self, markup: str, utterance: _Utterance) -> None:
        with self._lock:
            if utterance.dropped:
                utterance.post(_Over())
                return
            self._utterance = utterance
            self._pending = self._synthesiser.speak_ssml_async(markup)

    def end(self, utterance: _Utterance) -> None:
        """Nobody listens to `utterance` any more: stop it if it still speaks, and clean up.

        Stopping makes the SDK drop its socket, so the next one is opened at once. It may come
        before `speak`, from another thread of the pool: then that will do nothing.
        """
        with self._lock:
            utterance.dropped = True
            if self._pending is not None and not utterance.over.is_set():
                self._synthesiser.stop_speaking_async().get()
                self._connection.open(True)
            self._release()

    def _release(self) -> None:
        """Give the SDK back what it holds for the utterance that is over."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.get()

    def close(self) -> None:
        """Callbacks first: one that comes while the interpreter ends would abort the process."""
        with self._lock:
            for signal in self._signals:
                signal.disconnect_all()
            self._synthesiser.stop_speaking_async().get()
            self._release()
            self._connection.close()

    def _post(self, event: _Event) -> None:
        if self._utterance is not None:
            self._utterance.post(event)

    def _on_sound(self, event: Any) -> None:
        self._post(_Audio(event.result.audio_data))

    def _on_word(self, event: Any) -> None:
        if event.boundary_type == speechsdk.SpeechSynthesisBoundaryType.Word:
            start = event.audio_offset / _TICKS_PER_MS
            length = event.duration.total_seconds() * 1000
            self._post(_Boundary(event.text, start, start + length))

    def _on_viseme(self, event: Any) -> None:
        self._post(Viseme(event.viseme_id, event.audio_offset / _TICKS_PER_MS))

    def _on_completed(self, _: Any) -> None:
        self._post(_Over())

    def _on_canceled(self, event: Any) -> None:
        self._post(_Over(error_of(event.result.cancellation_details)))


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """For the SDK's blocking calls of all calls: each takes 1 to 25 ms."""
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="azure-tts")


def _ignore_failure(done: Future[None]) -> None:
    """Ending an utterance may fail when its link is already closed; nobody is there to care."""
    done.exception()


class AzureSynthesiser:
    """One call's Azure voice. The socket is opened by `open` and used for all that is said."""

    name = NAME

    def __init__(
        self,
        options: VoiceOptions,
        config: Callable[[], speechsdk.SpeechConfig],
        health: ProviderHealth,
        limits: Limits | None = None,
    ) -> None:
        self.sample_rate = options.sample_rate
        self._options = options
        self._config = config
        self._health = health
        self._limits = limits or Limits()
        self._lexicon = Lexicon(options.lexicon)
        self._voice = voice_name(NAME, options.voice, options.dialect)
        self._link: _Link | None = None
        self._spoken: _Utterance | None = None  # the newest, perhaps being stopped
        self._one_at_a_time = asyncio.Lock()
        self._opening = asyncio.Lock()

    async def open(self) -> None:
        """Connect, so that the first word need not wait for it.

        The SDK does not tell when this fails, so it is waited for but briefly and never raises:
        `speak` does, with the cause, a bad key say, within milliseconds.
        """
        link = await self._linked()
        connected = asyncio.Event()
        await self._run(link.connect, asyncio.get_running_loop(), connected)
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._limits.open, _PATIENCE) / 1000):
                await connected.wait()

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak each segment as it comes; closing the generator stops at once."""
        return speak_ahead(segments, observed(self._synthesise, self._health))

    async def aclose(self) -> None:
        """Stop, hang up and leave nothing of the SDK behind."""
        link, self._link = self._link, None
        if link is not None:
            await self._run(link.close)

    async def _synthesise(self, text: str) -> AsyncGenerator[Sound, None]:
        pieces = self._lexicon.pieces(text)
        assembly = _Assembly(WordTimer(pieces), self.sample_rate)
        async with self._one_at_a_time:
            await self._settled()
            link = await self._linked()
            markup = speech_markup(pieces, self._options, voice=self._voice)
            self._spoken = utterance = _Utterance(asyncio.get_running_loop())
            try:
                await self._run(link.speak, markup, utterance)
                async for event in self._events(utterance):
                    if sound := assembly.take(event):
                        yield sound
                yield assembly.rest()
            finally:
                # Not awaited: who interrupts must not wait for the 20 ms that stopping takes.
                _pool().submit(link.end, utterance).add_done_callback(_ignore_failure)

    async def _settled(self) -> None:
        """Wait until an utterance that was stopped is over; a link that hangs is given up."""
        if self._spoken is None or self._spoken.over.is_set():
            return
        try:
            async with asyncio.timeout(self._limits.open / 1000):
                await self._spoken.over.wait()
        except TimeoutError:
            await self.aclose()

    async def _linked(self) -> _Link:
        async with self._opening:
            if self._link is None:
                self._link = await self._run(self._new_link)
            return self._link

    def _new_link(self) -> _Link:
        config = self._config()
        config.set_speech_synthesis_output_format(_FORMATS[self.sample_rate])
        config.set_property(
            speechsdk.PropertyId.SpeechServiceConnection_SynthEnableCompressedAudioTransmission,
            "false",
        )
        # Only a browser page has a face to move.
        return _Link(config, visemes=self.sample_rate > 8000)

    async def _events(self, utterance: _Utterance) -> AsyncIterator[_Event]:
        limit, sounded = self._limits.first_sound, False
        while True:
            try:
                async with asyncio.timeout(limit / 1000):
                    event = await utterance.next()
            except TimeoutError:
                what = "further" if sounded else "first"
                raise ProviderTimeout(NAME, f"no {what} sound in {limit:.0f} ms") from None
            if isinstance(event, _Over):
                if event.error:
                    raise event.error
                return
            sounded = sounded or isinstance(event, _Audio)
            limit = self._limits.next_sound if sounded else limit
            yield event

    async def _run(self, function: Callable[..., Any], *args: Any) -> Any:
        """A blocking call of the SDK, in the pool; its own errors become ours."""
        try:
            return await asyncio.get_running_loop().run_in_executor(_pool(), function, *args)
        except RuntimeError as error:
            raise ProviderDown(NAME, str(error).splitlines()[0][:300]) from error


class _Assembly:
    """Puts one segment's sound, words and visemes together."""

    def __init__(self, timer: WordTimer, sample_rate: int) -> None:
        self._timer = timer
        self._rate = sample_rate
        self._bytes = 0
        self._half = b""  # a sample whose second byte is still to come
        self._words: list[Any] = []
        self._visemes: list[Viseme] = []

    def take(self, event: _Event) -> Sound | None:
        """The next piece of sound with all that was learned before it, if `event` has any."""
        match event:
            case _Boundary(text, start, end):
                self._words += self._timer.said(text, start, end)
            case Viseme():
                self._visemes.append(event)
            case _Audio(data):
                return self._sound(self._decoded(data))
        return None

    def rest(self) -> Sound:
        """What was learned after the last sound."""
        self._words += self._timer.finish(self._bytes / 2 * 1000 / self._rate)
        return self._sound(b"")

    def _decoded(self, data: bytes) -> bytes:
        if self._rate == 8000:
            return mulaw_decode(data)
        data = self._half + data
        whole = len(data) - len(data) % 2
        self._half = data[whole:]
        return data[:whole]

    def _sound(self, pcm: bytes) -> Sound:
        self._bytes += len(pcm)
        words, visemes = tuple(self._words), tuple(self._visemes)
        self._words, self._visemes = [], []
        return Sound(pcm, words, visemes)


def _build(request: SynthesiserRequest) -> AzureSynthesiser:
    credentials = request.credentials
    return AzureSynthesiser(
        VoiceOptions.of(request), lambda: speech_config(credentials), request.health
    )


PROVIDER = SynthesiserProvider(NAME, "synthesiser", cached(_build), missing)
