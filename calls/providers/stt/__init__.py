"""Recognisers: sound in, transcripts out. One file per vendor, each with its `PROVIDER`."""

from calls.providers.provider import RecogniserProvider

RECOGNISERS: tuple[RecogniserProvider, ...] = ()
