"""What an adapter must tell the registry about itself: one `Provider` record per file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from calls.providers.health import ProviderHealth
from calls.voice.ports import Recogniser, Synthesiser

Kind = Literal["recogniser", "synthesiser"]


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """Keys and addresses of the vendors; an empty one means that we have none.

    `azure_endpoint` is a base address such as `ws://127.0.0.1:5000` that stands in for the
    cloud of `azure_region` (a container or a stand-in; it may need no key). The `base_url`s end
    where `/audio/…` or, for Groq, `/openai/v1/…` begins.
    """

    azure_key: str = ""
    azure_region: str = ""
    azure_endpoint: str = ""
    groq_key: str = ""
    groq_base_url: str = "https://api.groq.com"
    elevenlabs_key: str = ""
    elevenlabs_base_url: str = "https://api.elevenlabs.io"
    openai_audio_key: str = ""
    openai_audio_base_url: str = ""

    def __repr__(self) -> str:
        return "Credentials(…)"  # keys never reach a log by accident


@dataclass(frozen=True, slots=True)
class RecogniserOptions:
    """How to recognise, whoever does it. All times in ms.

    `prefix` is how much sound before `start_utterance` belongs to the utterance;
    `segmentation_silence` after how much silence a streaming recogniser may finish by itself;
    `patience` is how long one with an ear of its own may take to finish an utterance, before
    its last partial is taken for final; `request_timeout` bounds one answer over HTTP,
    `open_timeout` connecting. `models` overrides the model of a provider by its name.
    """

    prefix: float = 300
    segmentation_silence: float = 500
    patience: float = 2000
    request_timeout: float = 2500
    open_timeout: float = 3000
    further_languages: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecogniserRequest:
    """What a recogniser is built from.

    `language` is a BCP-47 tag (`es-MX`, or just `es`); `keyterms` are names to listen for,
    `phrases` whole sentences of the agent's knowledge; `sample_rate` is 8000 or 16000 Hz.
    """

    language: str
    sample_rate: int
    keyterms: tuple[str, ...]
    phrases: tuple[str, ...]
    credentials: Credentials
    options: RecogniserOptions
    health: ProviderHealth


@dataclass(frozen=True, slots=True)
class SynthesiserRequest:
    """What a voice is built from.

    `voice` is a voice's name at the wished provider, `female`, `male`, or empty for the default
    of the language; the other providers choose the voice most like it (`tts/voices.py`). `speed`
    is a factor round 1, `pitch` in percent round 0, `style_degree` is Azure's (0.01 to 2),
    `lexicon` maps written forms to how they are spoken.
    """

    voice: str
    language: str
    speed: float
    pitch: float
    style: str
    style_degree: float
    lexicon: Mapping[str, str]
    sample_rate: int
    credentials: Credentials
    health: ProviderHealth


RequestT = TypeVar("RequestT", RecogniserRequest, SynthesiserRequest)
BackendT = TypeVar("BackendT", Recogniser, Synthesiser)


def _every_language(language: str) -> str:  # noqa: ARG001
    return ""


def _nothing_to_load() -> None:
    return None


@dataclass(frozen=True)  # a generic alias of a frozen class with slots cannot be called
class Provider(Generic[RequestT, BackendT]):
    """One way to recognise or to speak.

    `missing(credentials)` and `cannot(language)` answer in a few words why it cannot be used,
    or "" if it can. `warm_up` loads what is shared by all calls and may block. `note` is
    something the operator should know even when all is well. One that is `on_request` is used
    only where the profile names it, never as a substitute.
    """

    name: str
    kind: Kind
    build: Callable[[RequestT], BackendT]
    missing: Callable[[Credentials], str]
    cannot: Callable[[str], str] = _every_language
    warm_up: Callable[[], None] = _nothing_to_load
    note: str = ""
    on_request: bool = False
    last_resort: bool = False


RecogniserProvider = Provider[RecogniserRequest, Recogniser]
SynthesiserProvider = Provider[SynthesiserRequest, Synthesiser]
