"""The recogniser that needs no key: PocketSphinx, English, for demonstrations.

It knows the words of the agent's knowledge and of any telephone conversation, nothing else.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable
from statistics import fmean

from agents.brain.errors import ProviderDown
from calls.providers.provider import Credentials, RecogniserProvider, RecogniserRequest
from calls.providers.stt.sphinx.band import MirroredBand
from calls.providers.stt.sphinx.pool import WorkerProcess, shared_pool
from calls.providers.stt.sphinx.vocabulary import vocabulary_of
from calls.providers.stt.sphinx.wire import Kind, Message
from calls.providers.stt.transcripts import Prefix, Transcripts
from calls.voice.ports import Final, Partial, Recogniser, Word
from calls.voice.resample import Resampler

NAME = "embedded"
_NOTE = "a demonstration recogniser: English, and only words that the agent's knowledge has"
_DECODER_RATE = 16000
_BLOCK_MS = 100
_LEAST_CONFIDENCE = 0.3  # "um" came out as some word at 0.25, real words at 0.4 and more
# Where the mean of the spectrum lies before anything was heard, by line rate; the decoder adapts
# to the caller from there. With its own default the first three sentences of a telephone call
# came out wrong (word error rate 33 %). Measured with the simulated caller's clips, as the mean
# that the decoder itself arrives at after three of them, begun twice.
_CEPSTRAL_MEAN = {
    8000: "41.68,26.64,-30.22,46.03,-19.01,1.59,18.13,-28.23,17.03,-10.27,1.71,14.76,-12.46",
    16000: "49.89,2.55,5.25,16.76,0.24,-0.84,7.16,-8.31,-2.93,0.32,2.31,7.07,0.07",
}
_DIGITS = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
Segment = tuple[str, float, float, float]  # text, start and end in ms, posterior probability
_ARTICLES = frozenset({"a", "an", "the"})
_DIGIT_RUN = re.compile(rf"\b(?:{'|'.join(_DIGITS)})(?: (?:{'|'.join(_DIGITS)})){{2,}}\b")

log = logging.getLogger(__name__)


class EmbeddedRecogniser:
    """A `Recogniser` whose decoding runs in another process while the caller speaks.

    In other languages than English it answers each utterance with an empty `Final`: guessing
    English words would be worse than asking to repeat.
    """

    name = NAME

    def __init__(self, request: RecogniserRequest) -> None:
        self._request = request
        self._transcripts = Transcripts()
        self._prefix = Prefix(request.options.prefix, request.sample_rate)
        self._resampler = Resampler(request.sample_rate, _DECODER_RATE)
        self._band = MirroredBand() if request.sample_rate == _DECODER_RATE else None
        self._block = request.sample_rate * _BLOCK_MS // 1000 * 2
        self._held = bytearray()
        self._deaf = bool(_cannot(request.language))
        self._hearing = False
        self._asked: deque[float] = deque()
        self._early: list[tuple[Kind, bytes]] = []  # what was said before `open` was done
        self._worker: WorkerProcess | None = None
        self._session = 0
        self._closed = False

    async def open(self) -> None:
        """Make the vocabulary, if it is new, and get a decoder: 0.2 s once, 10 ms later."""
        if self._deaf:
            log.warning("embedded recogniser: %s", _cannot(self._request.language))
            return
        log.warning("embedded recogniser in use: %s", _NOTE)
        self._loop = asyncio.get_running_loop()
        phrases = (*self._request.phrases, *self._request.keyterms)
        try:
            vocabulary = await asyncio.to_thread(vocabulary_of, phrases)
            worker = await asyncio.to_thread(shared_pool().get)
            session = worker.join(self._from_worker)
        except OSError as error:
            raise self._failed(f"no decoder could be started: {error}") from error
        self._worker, self._session = worker, session
        setup = {
            "dictionary": str(vocabulary.dictionary),
            "model": str(vocabulary.model),
            "cepstral_mean": _CEPSTRAL_MEAN[self._request.sample_rate],
        }
        worker.send(Message(Kind.OPEN, session, json.dumps(setup).encode()))
        for kind, body in self._early:
            self._send(kind, body)
        self._early.clear()
        if self._closed:
            worker.leave(session)

    def push(self, pcm: bytes) -> None:
        if not self._hearing:
            self._prefix.push(pcm)
            return
        self._held += pcm
        if len(self._held) >= self._block:
            self._send_held()

    def start_utterance(self) -> None:
        if self._deaf or self._hearing:
            return
        self._hearing = True
        self._send(Kind.START)
        self._held += self._prefix.take()
        self._send_held()

    def finish_utterance(self) -> None:
        if self._deaf:
            self._transcripts.put(Final(""))
            return
        if self._hearing:
            self._send_held()
            self._send(Kind.AUDIO, self._resampler.flush())
        self._hearing = False
        self._asked.append(time.perf_counter())
        self._send(Kind.FINISH)

    def __aiter__(self) -> AsyncIterator[Partial | Final]:
        return aiter(self._transcripts)

    async def aclose(self) -> None:
        self._closed = True
        self._transcripts.close()
        if self._worker:
            self._worker.leave(self._session)

    def _send_held(self) -> None:
        """Frame by frame, resampling and handing over would cost five times as much."""
        pcm = self._resampler.process(bytes(self._held))
        self._send(Kind.AUDIO, pcm if self._band is None else self._band.process(pcm))
        self._held.clear()

    def _send(self, kind: Kind, body: bytes = b"") -> None:
        if self._worker:
            self._worker.send(Message(kind, self._session, body))
        else:
            self._early.append((kind, body))

    def _from_worker(self, message: Message) -> None:
        """Called on the pool's reading thread."""
        try:
            self._loop.call_soon_threadsafe(self._heard, message)
        except RuntimeError:  # the loop is closed: nobody listens any more
            return

    def _heard(self, message: Message) -> None:
        if message.kind is Kind.PARTIAL:
            self._transcripts.put(Partial(_written(json.loads(message.body))))
        elif message.kind is Kind.FINAL:
            latency = (time.perf_counter() - self._asked.popleft()) * 1000
            self._request.health.succeeded(latency)
            self._transcripts.put(_final(json.loads(message.body), self._request.language))
        else:
            reason = json.loads(message.body) if message.body else "its process ended"
            self._transcripts.fail(self._failed(f"the decoder failed: {reason}"))

    def _failed(self, message: str) -> ProviderDown:
        error = ProviderDown(NAME, message)
        self._request.health.failed(error)
        return error


def _final(segments: Iterable[Segment], language: str) -> Final:
    """The utterance, unless the decoder itself hardly believes in it."""
    found = _without_breath(list(segments))
    confidence = fmean(probability for *_, probability in found) if found else 0.0
    if confidence < _LEAST_CONFIDENCE:
        return Final("", language=language)
    words = tuple(Word(text, start, end) for text, start, end, _ in found)
    text = _written(" ".join(word.text for word in words))
    return Final(text, words, confidence=min(1.0, confidence), language=language)


def _without_breath(found: list[Segment]) -> list[Segment]:
    """No utterance ends in an article: what sounds like one there is the caller's breath.

    It would be waited on, as for the rest of a sentence.
    """
    while len(found) > 1 and found[-1][0] in _ARTICLES:
        found = found[:-1]
    return found


def _written(text: str) -> str:
    """Three digits or more in a row are a number: `five five five` becomes `555`."""
    return _DIGIT_RUN.sub(lambda run: "".join(_DIGITS[word] for word in run[0].split()), text)


def _cannot(language: str) -> str:
    if language.lower().split("-")[0] == "en":
        return ""
    return f"it understands English only, not {language}"


def _never_missing(_: Credentials) -> str:
    return ""


def _warm_up() -> None:
    """Start a process and make the general vocabulary."""
    shared_pool().get()
    vocabulary_of(())


def _build(request: RecogniserRequest) -> Recogniser:
    return EmbeddedRecogniser(request)


PROVIDER = RecogniserProvider(
    name=NAME,
    kind="recogniser",
    build=_build,
    missing=_never_missing,
    cannot=_cannot,
    warm_up=_warm_up,
    note=_NOTE,
    last_resort=True,
)
