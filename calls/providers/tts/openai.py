"""Voices of any server with OpenAI's `/audio/speech`: theirs, Kokoro, and many more.

One HTTP request a segment over a connection that is kept, sound streamed as it is made. There are
no word timings. See speech.md D.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, Protocol

import httpx

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderTimeout
from calls.providers.health import ProviderHealth
from calls.providers.http_errors import error_of_status
from calls.providers.provider import Credentials, SynthesiserProvider, SynthesiserRequest
from calls.providers.tls import shared_tls
from calls.providers.tts.cache import cached
from calls.providers.tts.lexicon import Lexicon, spoken_text
from calls.providers.tts.options import Limits, VoiceOptions
from calls.providers.tts.pipeline import Sound, observed, speak_ahead
from calls.providers.tts.voices import voice_name
from calls.providers.tts.wav import RawPcm, SoundError
from calls.voice.ports import Speech

NAME: Final = "openai"
CLOUD = "https://api.openai.com/v1"
CLOUD_MODEL = "gpt-4o-mini-tts"
SERVER_MODEL = "tts-1"  # what self-hosted servers take for "the one you have"
PCM_RATE = 24_000  # Hz, of the format `pcm`

_KEEP_ALIVE = 120.0  # s; agents listen for longer than httpx keeps connections
_READ_BYTES = 4800  # 100 ms: small enough for a first sound, large enough to be few


class Decoder(Protocol):
    """Turns the bytes of one answer into PCM16 at the line's rate."""

    def feed(self, data: bytes) -> bytes: ...

    def finish(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a server speaks: `base_url` ends before `/audio/speech`.

    `body` makes the request's JSON of a text, `decoder` reads an answer, and a text of more than
    `max_characters` is asked for in parts.
    """

    name: str
    base_url: str
    key: str
    body: Callable[[str], dict[str, object]]
    decoder: Callable[[], Decoder]
    max_characters: int = 4096


class HttpSynthesiser:
    """One call's voice at a server of this kind."""

    def __init__(
        self,
        options: VoiceOptions,
        endpoint: Endpoint,
        health: ProviderHealth,
        limits: Limits | None = None,
    ) -> None:
        self.name = endpoint.name
        self.sample_rate = options.sample_rate
        self._endpoint = endpoint
        self._health = health
        self._limits = limits or Limits()
        self._lexicon = Lexicon(options.lexicon)
        timeout = httpx.Timeout(
            self._limits.next_sound / 1000,
            connect=self._limits.open / 1000,
            read=max(self._limits.first_sound, self._limits.next_sound) / 1000,
        )
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        base = endpoint.base_url.rstrip("/") + "/"
        self._client = httpx.AsyncClient(
            base_url=base,
            headers=headers,
            timeout=timeout,
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
            verify=shared_tls(),
        )

    async def open(self) -> None:
        """Connect, and find out whether the key is right. Raises BadKey or NetworkFailure.

        Servers without a list of models are none the worse for it.
        """
        try:
            answer = await self._client.get("models")
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        if answer.status_code in (401, 403):
            raise error_of_status(self.name, answer.status_code, answer.text)

    def speak(self, segments: AsyncIterator[str]) -> AsyncGenerator[Speech, None]:
        """Speak each segment as it comes; closing the generator stops at once."""
        return speak_ahead(segments, observed(self._synthesise, self._health))

    async def aclose(self) -> None:
        """Hang up."""
        await self._client.aclose()

    async def _synthesise(self, text: str) -> AsyncGenerator[Sound, None]:
        spoken = spoken_text(self._lexicon.pieces(text))
        for part in parts(spoken, self._endpoint.max_characters):
            async with aclosing(self._fetch_again(part)) as sounds:
                async for sound in sounds:
                    yield sound

    async def _fetch_again(self, text: str) -> AsyncGenerator[Sound, None]:
        """Ask, and once more if the kept connection turns out to be dead."""
        for last in (False, True):
            sounded = False
            try:
                async with aclosing(self._fetch(text)) as sounds:
                    async for sound in sounds:
                        sounded = True
                        yield sound
                return
            except NetworkFailure:
                if sounded or last:
                    raise

    async def _fetch(self, text: str) -> AsyncGenerator[Sound, None]:
        decoder = self._endpoint.decoder()
        try:
            async with self._client.stream(
                "POST", "audio/speech", json=self._endpoint.body(text)
            ) as answer:
                await self._check(answer)
                async for data in answer.aiter_bytes(_READ_BYTES):
                    if pcm := decoder.feed(data):
                        yield Sound(pcm)
            yield Sound(decoder.finish())
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        except SoundError as error:
            raise ProviderDown(self.name, str(error)) from error

    async def _check(self, answer: httpx.Response) -> None:
        if answer.status_code != httpx.codes.OK:
            body = (await answer.aread()).decode(errors="replace")
            retry_after = answer.headers.get("Retry-After")
            raise error_of_status(self.name, answer.status_code, body, retry_after)

    def _broken(self, error: httpx.HTTPError) -> ProviderTimeout | NetworkFailure:
        message = str(error) or type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            return ProviderTimeout(self.name, f"no answer in time ({type(error).__name__})")
        return NetworkFailure(self.name, message[:300])


def parts(text: str, most: int) -> list[str]:
    """`text` in pieces of at most `most` characters, cut after a clause or between words."""
    pieces = []
    rest = text.strip()
    while len(rest) > most:
        head = rest[: most + 1]
        cut = max(head.rfind(mark) + 1 for mark in (", ", "; ", ": ", ". "))
        if cut <= 0:
            cut = head.rfind(" ") if " " in head else most
        pieces.append(rest[:cut].strip())
        rest = rest[cut:].strip()
    return [*pieces, rest]


def _endpoint(options: VoiceOptions, credentials: Credentials) -> Endpoint:
    base = credentials.openai_audio_base_url or CLOUD
    model, _, voice = (options.voice or "").rpartition("@")
    chosen = voice_name(NAME, voice, options.dialect)
    default = CLOUD_MODEL if base.startswith(CLOUD) else SERVER_MODEL

    def body(text: str) -> dict[str, object]:
        wanted: dict[str, object] = {
            "model": model or default,
            "input": text,
            "voice": chosen,
            "response_format": "pcm",
        }
        if options.speed != 1:
            wanted["speed"] = options.speed
        if options.style:
            wanted["instructions"] = f"Speak in a {options.style} style."
        return wanted

    def decoder() -> Decoder:
        return RawPcm(PCM_RATE, options.sample_rate)

    return Endpoint(NAME, base, credentials.openai_audio_key, body, decoder)


def _missing(credentials: Credentials) -> str:
    if credentials.openai_audio_key or credentials.openai_audio_base_url:
        return ""
    return "neither OPENAI_AUDIO_API_KEY nor OPENAI_AUDIO_BASE_URL"


def _build(request: SynthesiserRequest) -> HttpSynthesiser:
    options = VoiceOptions.of(request)
    return HttpSynthesiser(options, _endpoint(options, request.credentials), request.health)


PROVIDER = SynthesiserProvider(
    NAME,
    "synthesiser",
    cached(_build),
    _missing,
    note="a voice `model@name` chooses the server's model as well",
)
