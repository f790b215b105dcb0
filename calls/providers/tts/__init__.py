"""Voices: text in, sound out. One file per vendor, each with its `PROVIDER`."""

from calls.providers.provider import SynthesiserProvider
from calls.providers.tts import azure, elevenlabs, embedded, groq, openai

SYNTHESISERS: tuple[SynthesiserProvider, ...] = (
    azure.PROVIDER,
    elevenlabs.PROVIDER,
    groq.PROVIDER,
    openai.PROVIDER,
    embedded.PROVIDER,
)
