"""Whisper by utterance, at Groq or any server with OpenAI's `/audio/transcriptions`.

Not a stream: the sound of an utterance is sent when the loop finishes it, over a connection that
was made before. Whisper invents text for noise; what its own figures say of a segment decides
whether it is believed. Source: speech.md D, llm.md 1.3.
"""

from __future__ import annotations

import asyncio
import math
import re
import struct
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx

from agents.brain.errors import NetworkFailure, ProviderDown, ProviderError, ProviderTimeout
from calls.providers.http_errors import error_of_status
from calls.providers.provider import Credentials, RecogniserProvider, RecogniserRequest
from calls.providers.stt.transcripts import Prefix, Transcripts
from calls.providers.tls import shared_tls
from calls.voice.ports import Final, Partial, Recogniser

OPENAI_CLOUD = "https://api.openai.com/v1"

_SHORTEST = 100  # ms; servers refuse less
_KEEP_ALIVE = 120.0  # s; callers fall silent for longer than httpx keeps connections
_KEYTERM_CHARACTERS = 500  # of the prompt, which ends at 224 tokens
_CONTEXT_CHARACTERS = 200
# Whisper's own limits for believing a segment, from its reference decoder.
_NO_SPEECH = 0.6
_UNLIKELY = -1.0
_REPETITIVE = 2.4
# What it learned from film subtitles and hears in silence; no caller says it.
_NEVER_SAID = re.compile(
    r"amara\.org|subt[ií]tulos (?:realizados|por)|subtitles by|gracias por ver (?:el|este) v[ií]deo"
    r"|thanks? (?:you )?for watching|suscr[ií]b\w+ al canal|subscribe to (?:my|our|the) channel",
    re.IGNORECASE,
)
_LANGUAGES = {
    "spanish": "es",
    "english": "en",
    "portuguese": "pt",
    "french": "fr",
    "german": "de",
    "italian": "it",
    "dutch": "nl",
    "japanese": "ja",
    "chinese": "zh",
    "korean": "ko",
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server: `base_url` ends before `/audio/transcriptions`."""

    name: str
    base_url: str
    key: str
    model: str

    @property
    def gives_figures(self) -> bool:
        """Whether the model knows `verbose_json`; OpenAI's newer ones do not."""
        return not self.model.startswith("gpt-")


@dataclass(frozen=True, slots=True)
class _Utterance:
    pcm: bytes
    finished: float  # perf_counter


class WhisperRecogniser:
    """A `Recogniser` that sends each utterance whole, one after the other."""

    def __init__(self, request: RecogniserRequest, endpoint: Endpoint) -> None:
        self.name = endpoint.name
        self._request = request
        self._endpoint = endpoint
        self._transcripts = Transcripts()
        self._prefix = Prefix(request.options.prefix, request.sample_rate)
        self._hearing: list[bytes] | None = None
        self._utterances: asyncio.Queue[_Utterance] = asyncio.Queue()
        self._context = ""
        self._working: asyncio.Task[None] | None = None
        headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
        self._client = httpx.AsyncClient(
            base_url=endpoint.base_url.rstrip("/") + "/",
            headers=headers,
            timeout=httpx.Timeout(
                request.options.request_timeout / 1000,
                connect=request.options.open_timeout / 1000,
            ),
            limits=httpx.Limits(keepalive_expiry=_KEEP_ALIVE),
            verify=shared_tls(),
        )

    async def open(self) -> None:
        """Connect, and find out whether the key is right. Raises BadKey or NetworkFailure.

        Servers without a list of models are none the worse for it.
        """
        self._working = asyncio.create_task(self._work(), name=f"{self.name} recogniser")
        try:
            answer = await self._client.get("models")
        except httpx.HTTPError as error:
            raise self._failed(self._broken(error)) from error
        if answer.status_code in (401, 403):
            raise self._failed(error_of_status(self.name, answer.status_code, answer.text))

    def push(self, pcm: bytes) -> None:
        if self._hearing is None:
            self._prefix.push(pcm)
        else:
            self._hearing.append(pcm)

    def start_utterance(self) -> None:
        if self._hearing is None:
            self._hearing = [self._prefix.take()]

    def finish_utterance(self) -> None:
        pcm = b"".join(self._hearing or ())
        self._hearing = None
        self._utterances.put_nowait(_Utterance(pcm, time.perf_counter()))

    def __aiter__(self) -> AsyncIterator[Partial | Final]:
        return aiter(self._transcripts)

    async def aclose(self) -> None:
        """Give up what is under way and hang up."""
        self._transcripts.close()
        if self._working:
            self._working.cancel()
            with suppress(asyncio.CancelledError):
                await self._working
        await self._client.aclose()

    async def _work(self) -> None:
        try:
            while True:
                utterance = await self._utterances.get()
                self._transcripts.put(await self._final(utterance))
        except ProviderError as error:
            self._transcripts.fail(self._failed(error))

    async def _final(self, utterance: _Utterance) -> Final:
        if len(utterance.pcm) < self._request.sample_rate * 2 * _SHORTEST // 1000:
            return Final("")
        answer = await self._transcribe(wav(utterance.pcm, self._request.sample_rate))
        self._request.health.succeeded((time.perf_counter() - utterance.finished) * 1000)
        final = final_of(answer, self._request.language)
        if _echoes(final.text, self._request.keyterms):
            return Final("")
        self._context = final.text or self._context
        return final

    async def _transcribe(self, sound: bytes) -> Mapping[str, Any]:
        """Ask, and once more if the kept connection turns out to be dead."""
        try:
            async with asyncio.timeout(self._request.options.request_timeout / 1000):
                try:
                    return await self._ask(sound)
                except NetworkFailure:
                    return await self._ask(sound)
        except TimeoutError as error:
            raise ProviderTimeout(self.name, "no transcript in time") from error

    async def _ask(self, sound: bytes) -> Mapping[str, Any]:
        file = ("utterance.wav", sound, "audio/wav")
        try:
            answer = await self._client.post(
                "audio/transcriptions", files={"file": file}, data=self._form()
            )
        except httpx.HTTPError as error:
            raise self._broken(error) from error
        if answer.status_code != httpx.codes.OK:
            retry_after = answer.headers.get("Retry-After")
            raise error_of_status(self.name, answer.status_code, answer.text, retry_after)
        return self._parsed(answer)

    def _parsed(self, answer: httpx.Response) -> Mapping[str, Any]:
        with suppress(ValueError):
            content = answer.json()
            if isinstance(content, dict) and isinstance(content.get("text"), str):
                return content
        raise ProviderDown(self.name, f"not a transcript: {answer.text[:200]!r}")

    def _form(self) -> dict[str, str]:
        form = {
            "model": self._endpoint.model,
            "temperature": "0",
            "response_format": "verbose_json" if self._endpoint.gives_figures else "json",
        }
        if not self._request.options.further_languages:
            form["language"] = self._request.language.split("-")[0].lower()
        prompt = prompt_of(self._request.keyterms, self._context)
        return form | ({"prompt": prompt} if prompt else {})

    def _broken(self, error: httpx.HTTPError) -> ProviderError:
        kind = type(error).__name__
        if isinstance(error, httpx.TimeoutException):
            return ProviderTimeout(self.name, f"no answer in time ({kind})")
        return NetworkFailure(self.name, f"{error or kind}"[:300])

    def _failed(self, error: ProviderError) -> ProviderError:
        self._request.health.failed(error)
        return error


def prompt_of(keyterms: Sequence[str], last: str) -> str:
    """What Whisper takes for the text before: how names are written, and what was just said."""
    names = ", ".join(keyterms)[:_KEYTERM_CHARACTERS]
    return " ".join(part for part in (names and f"{names}.", last[-_CONTEXT_CHARACTERS:]) if part)


def final_of(answer: Mapping[str, Any], language: str) -> Final:
    """The believable part of an answer, `json` or `verbose_json`."""
    spoken = _LANGUAGES.get(str(answer.get("language", "")).lower(), language)
    segments = answer.get("segments")
    if segments is None:
        text = answer["text"].strip()
        return Final("" if _NEVER_SAID.search(text) else text, language=spoken)
    believed = [segment for segment in segments if _believable(segment)]
    text = "".join(segment.get("text", "") for segment in believed).strip()
    if not text:
        return Final("", language=spoken)
    mean = sum(segment.get("avg_logprob", 0.0) for segment in believed) / len(believed)
    return Final(text, confidence=min(1.0, math.exp(mean)), language=spoken)


def _believable(segment: Mapping[str, Any]) -> bool:
    unlikely = segment.get("avg_logprob", 0.0) < _UNLIKELY
    if unlikely and segment.get("no_speech_prob", 0.0) > _NO_SPEECH:
        return False
    if segment.get("compression_ratio", 0.0) > _REPETITIVE:
        return False
    return not _NEVER_SAID.search(segment.get("text", ""))


def _echoes(text: str, keyterms: Sequence[str]) -> bool:
    """Whether it merely reads the prompt back, as Whisper does with noise."""
    said, prompted = (re.findall(r"\w+", part.casefold()) for part in (text, " ".join(keyterms)))
    return len(keyterms) > 1 and said == prompted


def wav(pcm: bytes, sample_rate: int) -> bytes:
    """PCM16 mono as a WAV file."""
    head = struct.pack("<4sI8sIHHIIHH", b"RIFF", 36 + len(pcm), b"WAVEfmt ", 16, 1, 1,
                       sample_rate, sample_rate * 2, 2, 16)  # fmt: skip
    return head + struct.pack("<4sI", b"data", len(pcm)) + pcm


def _missing_groq(credentials: Credentials) -> str:
    return "" if credentials.groq_key else "GROQ_API_KEY is not set"


def _missing_openai(credentials: Credentials) -> str:
    if credentials.openai_audio_key or credentials.openai_audio_base_url:
        return ""
    return "neither OPENAI_AUDIO_API_KEY nor OPENAI_AUDIO_BASE_URL is set"


def _build_groq(request: RecogniserRequest) -> Recogniser:
    credentials = request.credentials
    base = credentials.groq_base_url.rstrip("/") + "/openai/v1"
    model = request.options.models.get("groq") or "whisper-large-v3-turbo"
    return WhisperRecogniser(request, Endpoint("groq", base, credentials.groq_key, model))


def _build_openai(request: RecogniserRequest) -> Recogniser:
    credentials = request.credentials
    base = credentials.openai_audio_base_url or OPENAI_CLOUD
    default = "gpt-4o-mini-transcribe" if base.startswith(OPENAI_CLOUD) else "whisper-1"
    model = request.options.models.get("openai") or default
    return WhisperRecogniser(request, Endpoint("openai", base, credentials.openai_audio_key, model))


GROQ = RecogniserProvider(name="groq", kind="recogniser", build=_build_groq, missing=_missing_groq)
OPENAI = RecogniserProvider(
    name="openai", kind="recogniser", build=_build_openai, missing=_missing_openai
)
