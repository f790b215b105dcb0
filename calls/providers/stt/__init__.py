"""Recognisers: sound in, transcripts out. One file per vendor, each with its `PROVIDER`."""
