"""What callers hear while a person is called for them: a soft arpeggio, made here by arithmetic.

It ends as it begins, so that it can be played again and again without a seam. Carriers fetch it
from us (`calls.carriers.playing`).
"""

from __future__ import annotations

import io
import wave
from functools import cache

import numpy as np

RATE = 8000  # Hz, as telephones have it
SECONDS = 8
_NOTES = (392.00, 493.88, 587.33, 493.88, 440.00, 523.25, 659.26, 523.25)  # Hz: G, then A minor
_OVERTONES = ((1, 1.0), (2, 0.25), (3, 0.08))  # of a note: its multiple, and how loud
_DECAY = 0.55  # s in which a note falls to a third
_ATTACK = 0.02  # s in which it comes
_PEAK = 3300  # of 32767: 20 dB below the loudest, well below a voice


def samples() -> np.ndarray:
    """PCM16, one channel. A note that rings beyond the end rings on at the beginning."""
    length = RATE * SECONDS
    time = np.arange(length) / RATE
    envelope = np.exp(-time / _DECAY) * np.minimum(1.0, time / _ATTACK)
    sound = np.zeros(length)
    for place, note in enumerate(_NOTES):
        tone = sum(loud * np.sin(2 * np.pi * note * times * time) for times, loud in _OVERTONES)
        sound += np.roll(tone * envelope, place * length // len(_NOTES))
    scaled: np.ndarray = np.rint(sound * (_PEAK / np.abs(sound).max())).astype("<i2")
    return scaled


@cache
def wav() -> bytes:
    """The file, which is made once."""
    return as_wav(samples())


def as_wav(sound: np.ndarray) -> bytes:
    """A file of such sound."""
    file = io.BytesIO()
    with wave.open(file, "wb") as content:
        content.setnchannels(1)
        content.setsampwidth(2)
        content.setframerate(RATE)
        content.writeframes(sound.tobytes())
    return file.getvalue()
