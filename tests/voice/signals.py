"""Synthetic sound for tests: tones, noise, and recorded speech."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

CLIPS = Path(__file__).resolve().parents[2] / "calls" / "simulator" / "clips"


def tone(hertz: float, seconds: float, rate: int, loudness: float = 8000) -> np.ndarray:
    return loudness * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


def as_pcm(samples: np.ndarray) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()


def as_samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(float)


def decibels(signal: np.ndarray, error: np.ndarray) -> float:
    """How far `error` lies below `signal`."""
    return float(10 * np.log10(np.mean(signal**2) / np.mean(error**2)))


def clip(name: str) -> tuple[bytes, int]:
    """PCM16 and rate of one of the simulated caller's recordings."""
    with wave.open(str(CLIPS / f"{name}.wav")) as recording:
        return recording.readframes(recording.getnframes()), recording.getframerate()


def pieces(pcm: bytes, size: int) -> list[bytes]:
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]
