"""Voices: text in, sound out. One file per vendor, each with its `PROVIDER`."""

from calls.providers.provider import SynthesiserProvider

SYNTHESISERS: tuple[SynthesiserProvider, ...] = ()
