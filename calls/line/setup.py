"""What a published agent version makes of a call: its voice, its ears, its mind, its manners."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

from django.conf import settings

from agents.brain.mind import Mind
from agents.models import AgentVersion
from agents.profiles import AdvancedSettings, Channel, ChannelProfile
from agents.selectors import recognition_hints
from agents.services.mind import build_mind
from calls.line.adapters import denoiser
from calls.line.startup import warm_up
from calls.models import Call
from calls.providers.registry import (
    Credentials,
    RecogniserOptions,
    build_recognisers,
    build_synthesisers,
)
from calls.providers.stt import browser
from calls.providers.tts.apology import apology_pcm
from calls.providers.tts.voices import voice_for_language
from calls.voice import Phrases, TurnOptions
from calls.voice.ambience import Ambience
from calls.voice.ports import Cleaner, Recogniser, SpeechDetector, Synthesiser
from calls.voice.silero import SileroDetector


@dataclass(frozen=True, slots=True)
class Opening:
    """What is known of a call before anybody has said anything."""

    profile: ChannelProfile
    language: str
    greeting: str | None
    phrases: Phrases

    def texts(self) -> list[str]:
        """Everything that the agent says word for word in every call."""
        return [text for text in (self.greeting or "", *self.later_texts()) if text]

    def later_texts(self) -> list[str]:
        """The same without the greeting."""
        own = self.phrases
        fixed = (
            *(own.ask_to_repeat, own.not_understood, own.putting_through),
            *(own.goodbye, own.apology, own.turn_limit),
        )
        return [text for text in (*own.fillers, *own.away_prompts, *fixed) if text]


@dataclass(frozen=True, slots=True)
class Setup:
    """All that a call needs from the database."""

    opening: Opening
    keyterms: Sequence[str]
    sentences: Sequence[str]
    mind: Mind


def load(
    version: AgentVersion,
    channel: Channel,
    language: str,
    sample_rate: int,
    *,
    greeting: str = "",
    context: Mapping[str, str] | None = None,
) -> Setup:
    """Read all that the version needs to take a call. Inside its tenant; not on the loop."""
    warm_up()
    opening = opening_of(version, channel, language, sample_rate, greeting=greeting)
    profile = opening.profile
    keyterms, sentences = recognition_hints(version, opening.language)
    return Setup(
        opening=opening,
        keyterms=(*profile.transcriber.keyterms, *keyterms),
        sentences=sentences,
        mind=build_mind(version, profile, language=opening.language, context=context),
    )


def channel_of(call: Call) -> Channel:
    """Which of the version's profiles the call uses."""
    return cast(Channel, call.channel)  # TextChoices and the profile's Literal name the same


def opening_of(
    version: AgentVersion, channel: Channel, language: str, sample_rate: int, *, greeting: str = ""
) -> Opening:
    """How the version begins a call. Reads a file the first time: not for the event loop.

    It speaks `language` if it can, and else its own. A `greeting` goes before its own.
    """
    spoken = language if language in version.languages else version.language
    profile = version.profile(channel)
    phrases = replace(Phrases.for_language(spoken), apology_pcm=apology_pcm(spoken, sample_rate))
    if idle := profile.advanced.idle_messages:
        phrases = replace(phrases, away_prompts=tuple(idle))
    return Opening(profile, spoken, greeting or version.greeting_in(spoken), phrases)


def credentials() -> Credentials:
    """The installation's keys for speech."""
    found: Credentials = settings.SPEECH_CREDENTIALS
    return found


def turn_options(profile: ChannelProfile) -> TurnOptions:
    """The profile's turn-taking; what it leaves at the default stays the loop's to choose."""
    return TurnOptions(**profile.transcriber.turns.model_dump(exclude_defaults=True))


def voices_for(opening: Opening, sample_rate: int) -> list[Synthesiser]:
    """Who may speak on this call, in order, in the call's language."""
    voice = opening.profile.voice
    dialect, name = voice.in_language(opening.language)
    if name is None:
        name = voice_for_language(voice.voice, opening.language)
    return build_synthesisers(
        provider=voice.provider,
        fallbacks=voice.fallbacks,
        voice=name,
        language=dialect,
        speed=voice.speed,
        pitch=voice.pitch,
        style=voice.style,
        style_degree=voice.style_degree,
        lexicon=voice.lexicon,
        sample_rate=sample_rate,
        credentials=credentials(),
    )


def recognisers_for(
    setup: Setup, sample_rate: int, *, page_recognises: bool
) -> Sequence[Recogniser]:
    """Who may listen on this call, in order.

    The browser's own recogniser is passed over where no page with one is on the line.
    """
    transcriber = setup.opening.profile.transcriber
    first, *others = transcriber.languages_in(setup.opening.language)
    provider, *fallbacks = (
        "" if name == browser.NAME and not page_recognises else name
        for name in (transcriber.provider, *transcriber.fallbacks)
    )
    return build_recognisers(
        provider=provider,
        fallbacks=fallbacks,
        language=first,
        sample_rate=sample_rate,
        keyterms=setup.keyterms,
        phrases=setup.sentences,
        credentials=credentials(),
        options=RecogniserOptions(
            prefix=transcriber.turns.vad_prefix, further_languages=tuple(others)
        ),
    )


def ambience_for(advanced: AdvancedSettings, sample_rate: int) -> Ambience | None:
    """The room round the agent, if it is in one."""
    if advanced.ambience == "none":
        return None
    return Ambience(advanced.ambience, advanced.ambience_volume, sample_rate)


def detector_for(sample_rate: int) -> SpeechDetector:
    """What tells speech from everything else."""
    return SileroDetector(sample_rate)


def cleaner_for(profile: ChannelProfile, sample_rate: int) -> Cleaner | None:
    """What takes noise out of the caller's sound, if anything is to."""
    return denoiser(profile.transcriber.denoising, sample_rate)
