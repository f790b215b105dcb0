"""A recogniser that lives in the caller's browser: the page sends what it understood."""

from __future__ import annotations

from collections.abc import AsyncIterator

from calls.providers.provider import Credentials, RecogniserProvider, RecogniserRequest
from calls.providers.stt.own_ear import OwnEar
from calls.providers.stt.transcripts import Transcripts
from calls.voice.ports import Final, Partial, Recogniser

NAME = "browser"


class BrowserRecogniser:
    """A `Recogniser` fed by `push_transcript`; it ignores the sound."""

    name = NAME

    def __init__(self, request: RecogniserRequest) -> None:
        self._language = request.language
        self._health = request.health
        self._transcripts = Transcripts()
        self._ear = OwnEar(self._transcripts.put, request.options.patience, lambda: None)

    async def open(self) -> None:
        return None

    def push_transcript(self, text: str, final: bool) -> None:
        """What the page understood: the whole utterance so far, or all of it when `final`."""
        words = " ".join(text.split())
        if not final:
            self._ear.partial(words)
            return
        self._health.succeeded(self._ear.final(Final(words, language=self._language)))

    def push(self, pcm: bytes) -> None:  # noqa: ARG002 - the port's name
        return None

    def start_utterance(self) -> None:
        self._ear.started()

    def finish_utterance(self) -> None:
        self._ear.finished()

    def __aiter__(self) -> AsyncIterator[Partial | Final]:
        return aiter(self._transcripts)

    async def aclose(self) -> None:
        self._ear.close()
        self._transcripts.close()


def _never_missing(_: Credentials) -> str:
    return ""


def _build(request: RecogniserRequest) -> Recogniser:
    return BrowserRecogniser(request)


PROVIDER = RecogniserProvider(
    name=NAME,
    kind="recogniser",
    build=_build,
    missing=_never_missing,
    note="the page's own SpeechRecognition, where the browser has one",
    on_request=True,
)
