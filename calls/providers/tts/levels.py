"""Bringing a voice to the loudness that a telephone line wants."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SPEECH_LEVEL = 10 ** (-18 / 20) * 32768  # RMS of active speech: -18 dBFS, as loud as the others
_ACTIVE = 300.0  # samples below it are pauses
_KNEE = 0.75 * 32767  # above it peaks are rounded off instead of clipped


def speech_gain(pcm: bytes) -> float:
    """The factor that brings this stretch of speech (PCM16) to `SPEECH_LEVEL`; 1 for silence."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64)
    active = samples[np.abs(samples) > _ACTIVE]
    if not len(active):
        return 1.0
    return float(SPEECH_LEVEL / np.sqrt(np.mean(active**2)))


def amplify(samples: NDArray[np.int16], factor: float) -> NDArray[np.int16]:
    """`factor` times as loud; peaks that would clip are bent smoothly below full scale."""
    louder = samples.astype(np.float32) * np.float32(factor)
    over = np.abs(louder) > _KNEE
    if over.any():
        room = 32767 - _KNEE
        peaks = louder[over]
        excess = np.tanh((np.abs(peaks) - _KNEE) / room) * room
        louder[over] = np.sign(peaks) * (_KNEE + excess)
    return louder.astype(np.int16)
