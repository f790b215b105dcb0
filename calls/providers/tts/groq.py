"""Groq's voices: OpenAI's interface with their own model, WAV answers and short inputs.

The model speaks English only and takes 200 characters at a time. See llm.md.
"""

from __future__ import annotations

from typing import Final

from calls.providers.provider import Credentials, SynthesiserProvider, SynthesiserRequest
from calls.providers.tts.cache import cached
from calls.providers.tts.openai import Decoder, Endpoint, HttpSynthesiser
from calls.providers.tts.options import VoiceOptions
from calls.providers.tts.voices import voice_name
from calls.providers.tts.wav import WavStream

NAME: Final = "groq"
MODEL = "canopylabs/orpheus-v1-english"
MAX_CHARACTERS = 200


def _endpoint(options: VoiceOptions, credentials: Credentials) -> Endpoint:
    voice = voice_name(NAME, options.voice, options.dialect)

    def body(text: str) -> dict[str, object]:
        return {"model": MODEL, "input": text, "voice": voice, "response_format": "wav"}

    def decoder() -> Decoder:
        return WavStream(options.sample_rate)

    base = credentials.groq_base_url.rstrip("/") + "/openai/v1"
    return Endpoint(NAME, base, credentials.groq_key, body, decoder, MAX_CHARACTERS)


def _missing(credentials: Credentials) -> str:
    return "" if credentials.groq_key else "no GROQ_API_KEY"


def _cannot(language: str) -> str:
    return "" if language.casefold().startswith("en") else "speaks English only"


def _build(request: SynthesiserRequest) -> HttpSynthesiser:
    options = VoiceOptions.of(request)
    return HttpSynthesiser(options, _endpoint(options, request.credentials), request.health)


PROVIDER = SynthesiserProvider(NAME, "synthesiser", cached(_build), _missing, cannot=_cannot)
