"""Builds one call out of a published agent version, and sees it through to its last row.

Everything that touches the database happens before the first frame, or through the store's
writer, or in `run_in_tenant`. What the webhook can do while the phone still rings, it does
(`calls.ringing`): the greeting is in the phrase cache by the time the caller listens.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from agents.brain.mind import Mind
from agents.profiles import AdvancedSettings, ChannelProfile
from agents.selectors import recognition_hints
from agents.services.mind import build_mind
from calls.adapters import (
    DenoisedDetector,
    DenoisedRecogniser,
    MindBrain,
    NoRecorder,
    PageRecogniser,
    denoiser,
)
from calls.feed import PageFeed
from calls.live import live
from calls.models import Call, Recording
from calls.providers.carriers.socket import SocketStream
from calls.providers.registry import (
    Credentials,
    RecogniserOptions,
    build_recognisers,
    build_synthesisers,
)
from calls.providers.tts.apology import apology_pcm
from calls.recordings import recording_path, recordings_folder
from calls.startup import warm_up
from calls.store import CallRef, CallStore, Closing
from calls.voice import (
    CallSession,
    Event,
    HeuristicJudge,
    LoopClock,
    Phrases,
    Ports,
    Transfer,
    TurnOptions,
)
from calls.voice.ambience import Ambience
from calls.voice.ports import Recogniser, SpeechDetector, Synthesiser
from calls.voice.recording import WavRecorder
from calls.voice.silero import SileroDetector
from tenants.db import run_in_tenant

log = logging.getLogger(__name__)

# For the page alone: partials pass, and a finished turn is a row of its own.
TRANSIENT = frozenset({Event.TRANSCRIPT_PARTIAL.value, Event.TURN_FINISHED.value})
MEDIA_FIGURES, MEDIA_FAULT = "media_figures", "media_fault"
FLUSH_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a call before anybody has said anything."""

    profile: ChannelProfile
    language: str
    greeting: str | None
    phrases: Phrases

    def texts(self) -> list[str]:
        """Everything that the agent says word for word in every call."""
        own = self.phrases
        fixed = (own.ask_to_repeat, own.goodbye, own.apology, own.turn_limit)
        texts = (self.greeting or "", *own.fillers, *own.away_prompts, *fixed)
        return [text for text in texts if text]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a call needs from the database."""

    opening: Opening
    keyterms: Sequence[str]
    sentences: Sequence[str]
    mind: Mind
    recording: Path | None


def load(call: Call, sample_rate: int) -> Setup:
    """Read what the call needs, and note its recording. Inside the call's tenant."""
    warm_up()
    opening = opening_of(call, sample_rate)
    profile = opening.profile
    keyterms, sentences = recognition_hints(call.version, call.language)
    return Setup(
        opening=opening,
        keyterms=(*profile.transcriber.keyterms, *keyterms),
        sentences=sentences,
        mind=build_mind(call.version, profile, language=call.language),
        recording=_note_recording(call, sample_rate) if profile.advanced.recording else None,
    )


def opening_of(call: Call, sample_rate: int) -> Opening:
    """How the call begins. Reads a file the first time: not for the event loop."""
    profile = call.version.profile(call.channel)
    phrases = replace(
        Phrases.for_language(call.language),
        apology_pcm=apology_pcm(call.language, sample_rate),
    )
    if idle := profile.advanced.idle_messages:
        phrases = replace(phrases, away_prompts=tuple(idle))
    greeting = call.version.greeting_in(call.language)
    return Opening(profile, call.language, greeting, phrases)


def _note_recording(call: Call, sample_rate: int) -> Path:
    path = recording_path(call)
    Recording.objects.create(call=call, path=path, sample_rate=sample_rate)
    return recordings_folder() / path


class StoredCall:
    """An admitted call with a row: implements `AdmittedCall`.

    `page` shows it while it runs; `page_ears` is the page's own recogniser, used where the
    profile wants it.
    """

    def __init__(
        self,
        call: Call,
        *,
        page: PageFeed | None = None,
        page_ears: PageRecogniser | None = None,
    ) -> None:
        self.public_id: uuid.UUID = call.public_id
        self._call, self._page, self._page_ears = call, page, page_ears
        self._providers: dict[str, str] = {}
        self._transfers: Mapping[str, str] = {}
        self._session: CallSession | None = None
        self._recorder: WavRecorder | NoRecorder = NoRecorder()
        self._reason = ""
        self._began = time.monotonic()
        self._store = CallStore(
            CallRef(call.tenant_id, call.pk, call.public_id),
            live.writer,
            watch=page.take if page is not None else None,
            transient=TRANSIENT,
        )

    async def begin(self, media: SocketStream) -> CallSession:
        """Load and build everything; the page is told who listens, thinks and speaks."""
        self._began = time.monotonic()
        setup = await run_in_tenant(self._call.tenant_id, load, self._call, media.sample_rate)
        setup.mind.observer = self._mind_tells
        functions = setup.opening.profile.functions
        self._transfers = {target.name: target.number for target in functions.transfer_targets}
        if setup.recording is not None:
            self._recorder = WavRecorder(setup.recording, media.sample_rate)
        self._session = self._build(setup, media)
        if self._page is not None:
            await self._page.ready(
                {
                    "call": str(self.public_id),
                    "agent": self._call.agent.name,
                    "providers": self._providers,
                }
            )
        return self._session

    def _mind_tells(self, name: str, data: Mapping[str, object]) -> None:
        self._store.event((time.monotonic() - self._began) * 1000, name, data)

    def _build(self, setup: Setup, media: SocketStream) -> CallSession:
        opening, profile = setup.opening, setup.opening.profile
        recognisers = _recognisers(setup, media.sample_rate, self._page_ears)
        voices = voices_for(profile, media.sample_rate)
        self._providers = {
            "recogniser": recognisers[0].name,
            "voice": voices[0].name,
            "model": setup.mind.model_name,
        }
        ports = Ports(
            media=media,
            detector=_detector(profile, media.sample_rate),
            recognisers=recognisers,
            judge=HeuristicJudge(),
            brain=MindBrain(setup.mind),
            synthesisers=voices,
            store=self._store,
            recorder=self._recorder,
            clock=LoopClock(),
        )
        return CallSession(
            ports,
            turn_options(profile),
            language=opening.language,
            greeting=opening.greeting,
            phrases=opening.phrases,
            ambience=_ambience(profile.advanced, media.sample_rate),
        )

    def close(self, reason: str, media: SocketStream) -> None:
        """Put the end into the store; what was wrong with the media comes before it."""
        self._reason = reason
        self._tell_of(media)
        outcome = self._session.outcome if self._session is not None else None
        target = outcome.target if isinstance(outcome, Transfer) else ""
        self._store.close(
            Closing(
                reason=reason,
                ended_at=timezone.now(),
                transfer_to=self._transfers.get(target, ""),
                providers=self._providers,
            )
        )

    def _tell_of(self, media: SocketStream) -> None:
        at = media.positions.expected
        if media.fault is not None:
            data = {"fault": media.fault.fault.value, "detail": media.fault.detail}
            self._store.event(at, MEDIA_FAULT, data)
        figures = {
            "lost_ms": round(media.positions.lost_ms),
            "late": media.positions.late,
            "malformed": media.malformed,
        }
        if any(figures.values()):
            self._store.event(at, MEDIA_FIGURES, figures)

    async def let_go(self) -> None:
        """Wait for the recording and the rows: what the carrier asks next is answered from them.

        Not for long: the writer goes on without us.
        """
        await self._recorder.aclose()
        if not await self._store.drained(FLUSH_SECONDS):
            log.warning("call %s ended, %d items wait", self.public_id, self._store.pending)
        if self._page is not None:
            await self._page.ended(self._reason)


def credentials() -> Credentials:
    """The installation's keys for speech."""
    found: Credentials = settings.SPEECH_CREDENTIALS
    return found


def turn_options(profile: ChannelProfile) -> TurnOptions:
    """The profile's turn-taking; what it leaves at the default stays the loop's to choose."""
    return TurnOptions(**profile.transcriber.turns.model_dump(exclude_defaults=True))


def voices_for(profile: ChannelProfile, sample_rate: int) -> list[Synthesiser]:
    """Who may speak on this call, in order."""
    voice = profile.voice
    return build_synthesisers(
        provider=voice.provider,
        voice=voice.voice,
        language=voice.dialect,
        speed=voice.speed,
        pitch=voice.pitch,
        style=voice.style,
        style_degree=voice.style_degree,
        lexicon=voice.lexicon,
        sample_rate=sample_rate,
        credentials=credentials(),
    )


def _recognisers(
    setup: Setup, sample_rate: int, page_ears: PageRecogniser | None
) -> Sequence[Recogniser]:
    transcriber = setup.opening.profile.transcriber
    first, *others = transcriber.languages
    found = build_recognisers(
        provider=transcriber.provider,
        language=first,
        sample_rate=sample_rate,
        keyterms=setup.keyterms,
        phrases=setup.sentences,
        credentials=credentials(),
        options=RecogniserOptions(
            prefix=transcriber.turns.vad_prefix, further_languages=tuple(others)
        ),
    )
    heard = [_denoised(each, transcriber.denoising, sample_rate) for each in found]
    if transcriber.provider == "browser" and page_ears is not None:
        return [page_ears, *heard]
    return heard


def _denoised(recogniser: Recogniser, kind: str, sample_rate: int) -> Recogniser:
    cleaner = denoiser(kind, sample_rate)
    return recogniser if cleaner is None else DenoisedRecogniser(recogniser, cleaner)


def _ambience(advanced: AdvancedSettings, sample_rate: int) -> Ambience | None:
    if advanced.ambience == "none":
        return None
    return Ambience(advanced.ambience, advanced.ambience_volume, sample_rate)


def _detector(profile: ChannelProfile, sample_rate: int) -> SpeechDetector:
    detector = SileroDetector(sample_rate)
    cleaner = denoiser(profile.transcriber.denoising, sample_rate)
    return detector if cleaner is None else DenoisedDetector(detector, cleaner)
