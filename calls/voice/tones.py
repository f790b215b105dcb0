"""Two soft tones: what a caller hears when there is neither a voice nor a recorded apology."""

from __future__ import annotations

import numpy as np

_NOTES = ((660.0, 0.25), (520.0, 0.35))  # Hz, seconds
_PEAK = 4000
_EDGE = 0.02  # seconds of fade at both ends of a note, against clicks


def soft_tones(sample_rate: int) -> bytes:
    """PCM16 of 0.6 s at this rate."""
    return b"".join(_note(frequency, length, sample_rate) for frequency, length in _NOTES)


def _note(frequency: float, length: float, sample_rate: int) -> bytes:
    at = np.arange(int(length * sample_rate)) / sample_rate
    fade = np.clip(np.minimum(at, length - at) / _EDGE, 0.0, 1.0)
    return bytes((_PEAK * fade * np.sin(2 * np.pi * frequency * at)).astype("<i2").tobytes())
