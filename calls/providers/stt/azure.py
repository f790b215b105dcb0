"""Azure's recogniser through its own SDK: a continuous stream, partials as the caller speaks.

On telephone lines the sound goes as 8 kHz mu-law, half of what PCM would take and just what the
line carried. The SDK calls back on threads of its own: what they bring is handed to the loop.
What blocks (start, stop) runs on a few threads kept for it. Source: speech.md A2, A3.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, ClassVar

import azure.cognitiveservices.speech as speechsdk

from agents.brain.errors import ProviderDown, ProviderError, ProviderTimeout
from calls.providers.azure_speech import NAME, error_of, missing, speech_config
from calls.providers.provider import RecogniserProvider, RecogniserRequest
from calls.providers.stt.own_ear import OwnEar
from calls.providers.stt.transcripts import Transcripts
from calls.voice.codecs import mulaw_encode
from calls.voice.ports import Final, Partial, Recogniser, Word

_TELEPHONE_RATE = 8000
_TICKS_PER_MS = 10_000
_SEGMENTATION_BOUNDS = (100, 5000)  # ms, what the service accepts
_MOST_PHRASES = 500
_UNANSWERED_LIMIT = 2  # one unanswered utterance may be a cough, two are a mute socket
_CLOSE_TIMEOUT = 2.0  # s
_COMMIT_INTERVAL = 0.11  # s; the SDK refuses a commit within 100 ms of another
_MOST_EARLY_FRAMES = 1500  # 30 s
_LOCALES = {
    "es": "es-MX",
    "en": "en-US",
    "pt": "pt-BR",
    "fr": "fr-FR",
    "de": "de-DE",
    "it": "it-IT",
    "nl": "nl-NL",
    "ja": "ja-JP",
    "zh": "zh-CN",
    "ko": "ko-KR",
}

log = logging.getLogger(__name__)
_sdk_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="azure-stt")


class _Link:
    """The SDK's objects of one call. Making and closing it block; the rest does not.

    Links are kept alive until they are closed: releasing a running recogniser from the garbage
    collector would block whatever thread that happens on, the loop's as well.
    """

    _open: ClassVar[set[_Link]] = set()

    def __init__(self, request: RecogniserRequest, owner: AzureRecogniser) -> None:
        self._stream = speechsdk.audio.PushAudioInputStream(_wire_format(request.sample_rate))
        self._recogniser = _sdk_recogniser(request, self._stream)
        self._handlers = (
            (self._recogniser.recognizing, owner.on_recognizing),
            (self._recogniser.recognized, owner.on_recognized),
            (self._recogniser.speech_start_detected, owner.on_speech),
            (self._recogniser.canceled, owner.on_canceled),
        )
        for signal, handler in self._handlers:
            signal.connect(handler)
        self._connection = speechsdk.Connection.from_recognizer(self._recogniser)
        self._connection.open(True)
        self._open.add(self)
        self._recogniser.start_continuous_recognition_async().get()

    def write(self, sound: bytes) -> None:
        """2 µs for a frame of 20 ms."""
        self._stream.write(sound)

    def commit(self) -> bool:
        """Ask the service to finish the segment now: 0.15 ms. False if asked again too soon."""
        return bool(self._stream.commit())

    def close(self) -> None:
        """Stop and release: 20 ms, or seconds if the service is gone."""
        if self not in self._open:
            return
        self._open.discard(self)
        self._silence()
        self._stream.close()
        with suppress(RuntimeError):  # it is dead already
            self._recogniser.stop_continuous_recognition_async().get()
            self._connection.close()
        del self._handlers, self._connection, self._recogniser, self._stream  # released here

    def _silence(self) -> None:
        for signal, _ in self._handlers:
            signal.disconnect_all()

    @classmethod
    def silence_all(cls) -> None:
        """A callback into an interpreter that is ending kills the process: none may come."""
        for link in tuple(cls._open):
            link._silence()


atexit.register(_Link.silence_all)


class AzureRecogniser:
    """A `Recogniser` with an ear of its own, which also finishes a segment when told to."""

    name = NAME

    def __init__(self, request: RecogniserRequest) -> None:
        self._request = request
        self._transcripts = Transcripts()
        self._ear = OwnEar(self._transcripts.put, request.options.patience, self._unanswered)
        self._encode: Callable[[bytes], bytes] = (
            mulaw_encode if request.sample_rate == _TELEPHONE_RATE else bytes
        )
        self._early: deque[bytes] = deque(maxlen=_MOST_EARLY_FRAMES)  # from before it was open
        self._link: _Link | None = None
        self._connecting: Future[_Link] | None = None
        self._silences = 0
        self._closed = False

    async def open(self) -> None:
        """Start the stream: a few ms, the socket connects meanwhile. Its failure comes later."""
        self._loop = asyncio.get_running_loop()
        self._connecting = _sdk_threads.submit(_Link, self._request, self)
        try:
            async with asyncio.timeout(self._request.options.open_timeout / 1000):
                link = await asyncio.wrap_future(self._connecting)
        except TimeoutError as error:
            raise self._failed(ProviderTimeout(NAME, "the SDK did not start in time")) from error
        except (RuntimeError, ValueError) as error:
            raise self._failed(ProviderDown(NAME, f"the SDK did not start: {error}")) from error
        if self._closed:
            return
        for sound in self._early:
            link.write(sound)
        self._early.clear()
        self._link = link
        if self._ear.owes:
            self._commit()

    def push(self, pcm: bytes) -> None:
        sound = self._encode(pcm)
        if self._link:
            self._link.write(sound)
        elif not self._closed:
            self._early.append(sound)

    def start_utterance(self) -> None:
        self._ear.started()

    def finish_utterance(self) -> None:
        self._ear.finished()
        self._commit()

    def __aiter__(self) -> AsyncIterator[Partial | Final]:
        return aiter(self._transcripts)

    async def aclose(self) -> None:
        """Give everything back, on a thread, waiting 2 s for it at most."""
        if self._closed:
            return
        self._closed = True
        self._link = None
        self._early.clear()
        self._ear.close()
        self._transcripts.close()
        if self._connecting is None:
            return
        closing = asyncio.wrap_future(_sdk_threads.submit(_close, self._connecting))
        try:
            await asyncio.wait_for(asyncio.shield(closing), _CLOSE_TIMEOUT)
        except TimeoutError:
            log.warning("azure recogniser: closing takes over %s s, left behind", _CLOSE_TIMEOUT)

    def _commit(self) -> None:
        if self._link and not self._link.commit() and self._ear.owes:
            self._loop.call_later(_COMMIT_INTERVAL, self._commit)

    # --- on the SDK's threads ---

    def on_recognizing(self, event: Any) -> None:
        """Words so far."""
        self._to_loop(self._heard_partial, event.result.text)

    def on_recognized(self, event: Any) -> None:
        """A finished segment, or one that had no words."""
        self._to_loop(self._heard_final, _final(event.result, self._request.language))

    def on_speech(self, _: Any) -> None:
        """The service hears somebody speak: it is alive."""
        self._to_loop(self._alive)

    def on_canceled(self, event: Any) -> None:
        """The end of the stream, or a failure; after it this recogniser is dead."""
        details = event.cancellation_details
        if details.reason == speechsdk.CancellationReason.Error:
            self._to_loop(self._canceled, error_of(details))

    def _to_loop(self, handler: Callable[..., None], *arguments: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the call is over
            self._loop.call_soon_threadsafe(handler, *arguments)

    # --- on the loop's thread ---

    def _heard_partial(self, text: str) -> None:
        self._silences = 0
        if text:
            self._ear.partial(text)

    def _heard_final(self, final: Final) -> None:
        self._silences = 0
        self._request.health.succeeded(self._ear.final(final))

    def _alive(self) -> None:
        self._silences = 0

    def _unanswered(self) -> None:
        """The loop heard speech and the service said nothing at all."""
        self._silences += 1
        if self._silences >= _UNANSWERED_LIMIT:
            message = f"no answer to {self._silences} utterances in a row"
            self._canceled(ProviderTimeout(NAME, message))

    def _canceled(self, error: ProviderError) -> None:
        self._ear.close()
        self._transcripts.fail(self._failed(error))

    def _failed(self, error: ProviderError) -> ProviderError:
        self._request.health.failed(error)
        return error


def _close(connecting: Future[_Link]) -> None:
    with suppress(CancelledError, RuntimeError, ValueError):
        connecting.result().close()


def _wire_format(sample_rate: int) -> speechsdk.audio.AudioStreamFormat:
    if sample_rate != _TELEPHONE_RATE:
        return speechsdk.audio.AudioStreamFormat(sample_rate, 16, 1)
    return speechsdk.audio.AudioStreamFormat(
        sample_rate, 8, 1, wave_stream_format=speechsdk.AudioStreamWaveFormat.MULAW
    )


def _sdk_recogniser(
    request: RecogniserRequest, stream: speechsdk.audio.PushAudioInputStream
) -> speechsdk.SpeechRecognizer:
    config = speech_config(request.credentials)
    least, most = _SEGMENTATION_BOUNDS
    silence = min(max(request.options.segmentation_silence, least), most)
    config.set_property(
        speechsdk.PropertyId.Speech_SegmentationSilenceTimeoutMs, str(round(silence))
    )
    config.output_format = speechsdk.OutputFormat.Detailed
    config.set_profanity(speechsdk.ProfanityOption.Raw)
    audio = speechsdk.audio.AudioConfig(stream=stream)
    locales = _locales(request)
    if len(locales) == 1:
        recogniser = speechsdk.SpeechRecognizer(config, audio, language=locales[0])
    else:
        config.set_property(
            speechsdk.PropertyId.SpeechServiceConnection_LanguageIdMode, "Continuous"
        )
        detect = speechsdk.languageconfig.AutoDetectSourceLanguageConfig(languages=locales)
        recogniser = speechsdk.SpeechRecognizer(
            config, audio_config=audio, auto_detect_source_language_config=detect
        )
    phrases = speechsdk.PhraseListGrammar.from_recognizer(recogniser)
    for phrase in request.keyterms[:_MOST_PHRASES]:
        phrases.addPhrase(phrase)
    return recogniser


def _locales(request: RecogniserRequest) -> list[str]:
    """Full locales, one for each language, as the service wants them."""
    chosen: dict[str, str] = {}
    for tag in (request.language, *request.options.further_languages):
        language = tag.split("-")[0].lower()
        chosen.setdefault(language, _LOCALES.get(language, tag) if "-" not in tag else tag)
    return list(chosen.values())


def _final(result: Any, language: str) -> Final:
    """What the SDK's result says; empty when nothing was understood."""
    if result.reason != speechsdk.ResultReason.RecognizedSpeech or not result.text:
        return Final("")
    details = json.loads(result.json or "{}")
    best = (details.get("NBest") or [{}])[0]
    return Final(
        result.text,
        words=tuple(_word(word, details.get("Offset", 0)) for word in best.get("Words", ())),
        confidence=best.get("Confidence"),
        language=details.get("PrimaryLanguage", {}).get("Language", language),
    )


def _word(word: dict[str, Any], origin: int) -> Word:
    start = (word["Offset"] - origin) / _TICKS_PER_MS
    return Word(word["Word"], start, start + word["Duration"] / _TICKS_PER_MS)


def _build(request: RecogniserRequest) -> Recogniser:
    return AzureRecogniser(request)


PROVIDER = RecogniserProvider(name=NAME, kind="recogniser", build=_build, missing=missing)
