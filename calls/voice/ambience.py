"""The sound of the room an agent seems to sit in: an office or a café, under speech and silence.

The rooms are made here, from noise of a fixed seed, as loops of eight seconds: every piece is
periodic over the loop, so it has no seam. One loop serves all calls of a process.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

KINDS = ("none", "office", "cafe")

_RATE = 16000  # the rooms are made at this rate; 8 kHz lines get the lower half of the spectrum
_SECONDS = 8
_SAMPLES = _RATE * _SECONDS
_LOUDNESS = 10 ** (-30 / 20) * 32768  # root mean square at full volume


def load() -> None:
    """Make every room for every line, so that no call waits for it."""
    for kind in KINDS[1:]:
        for rate in (8000, 16000):
            _room(kind, rate)


class Ambience:
    """One call's place in the endless sound of a room.

    `kind` is one of KINDS, `volume` 0 to 1 (1 is 30 dB below full scale). Both `mix` and
    `take` move on in the room by as many samples as they give.
    """

    def __init__(self, kind: str, volume: float, sample_rate: int) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown ambience {kind!r}: choose one of {', '.join(KINDS)}")
        self.kind, self.volume, self.sample_rate = kind, volume, sample_rate
        self.silent = kind == "none" or volume <= 0
        self._room = None if self.silent else _room(kind, sample_rate)
        self._at = 0

    def mix(self, pcm: bytes) -> bytes:
        """PCM16 with the room under it."""
        if self._room is None:
            return pcm
        speech = np.frombuffer(pcm, "<i2")
        total = self._next(self._room, len(speech)) + speech
        return bytes(np.clip(total, -32768, 32767).astype("<i2"))

    def take(self, samples: int) -> bytes:
        """PCM16 of the room alone."""
        if self._room is None:
            return bytes(2 * samples)
        return self._next(self._room, samples).astype("<i2").tobytes()

    def _next(self, room: NDArray[np.float32], samples: int) -> NDArray[np.float32]:
        start, self._at = self._at, (self._at + samples) % len(room)
        if start + samples <= len(room):
            stretch = room[start : start + samples]
        else:
            stretch = np.take(room, np.arange(start, start + samples), mode="wrap")
        return stretch * np.float32(self.volume)


@lru_cache(maxsize=4)
def _room(kind: str, sample_rate: int) -> NDArray[np.float32]:
    """The loop of one room at one rate (Hz), at full volume."""
    spectrum = np.fft.rfft(_sound(kind))[: sample_rate * _SECONDS // 2 + 1]
    loop = np.fft.irfft(spectrum, sample_rate * _SECONDS)
    loop *= _LOUDNESS / np.sqrt(np.mean(loop**2))
    return loop.astype(np.float32)


@lru_cache(maxsize=2)
def _sound(kind: str) -> Floats:
    make = {"office": _office, "cafe": _cafe}[kind]
    return make(np.random.default_rng(20260101))


def _office(rng: np.random.Generator) -> Floats:
    """Air conditioning, colleagues far off, somebody typing."""
    sound = 1.0 * _noise(rng, 60, 400) + 0.3 * _noise(rng, 400, 2500)
    for _ in range(3):
        sound += 0.25 * _voice(rng)
    for burst in rng.uniform(0, _SECONDS, 4):
        for key in np.cumsum(rng.uniform(0.09, 0.28, 9)):
            _place(sound, _click(rng), burst + key, 1.5 * rng.uniform(0.4, 1.0))
    return sound


def _cafe(rng: np.random.Generator) -> Floats:
    """Many voices, none to be understood, and now and then a cup."""
    sound = 0.4 * _noise(rng, 80, 1200)
    for _ in range(8):
        sound += rng.uniform(0.3, 1.0) * _voice(rng)
    for cup in rng.uniform(0, _SECONDS, 6):
        _place(sound, _clink(rng), cup, rng.uniform(0.8, 2.0))
    return sound


def _noise(rng: np.random.Generator, low: float, high: float) -> Floats:
    """Periodic noise between two frequencies (Hz), falling with frequency, of unit loudness."""
    bins = np.fft.rfftfreq(_SAMPLES, 1 / _RATE)
    band = 1 / (1 + (low / np.maximum(bins, 1)) ** 4) / (1 + (bins / high) ** 6)
    phases = np.exp(2j * np.pi * rng.uniform(size=len(bins)))
    sound = np.fft.irfft(band / np.sqrt(np.maximum(bins, 20)) * phases, _SAMPLES)
    return np.asarray(sound / np.std(sound))


def _voice(rng: np.random.Generator) -> Floats:
    """The murmur of one talker: three formants, each opening and closing in syllables."""
    formants = ((250, 700, 1.0), (900, 1900, 0.5), (2200, 3200, 0.2))
    phrases = _swell(rng, 0.4)
    return np.asarray(
        sum(
            loudness * phrases * _swell(rng, 4.0) * _noise(rng, low, high)
            for low, high, loudness in formants
        )
    )


def _swell(rng: np.random.Generator, rate: float) -> Floats:
    """A periodic random envelope, 0 and up, that moves up to `rate` times a second."""
    swings = max(2, int(rate * _SECONDS))
    spectrum = np.zeros(_SAMPLES // 2 + 1, complex)
    spectrum[1 : swings + 1] = np.exp(2j * np.pi * rng.uniform(size=swings))
    wave = np.fft.irfft(spectrum, _SAMPLES)
    return np.clip(wave / np.std(wave), 0, None)


def _click(rng: np.random.Generator) -> Floats:
    time = np.arange(int(0.02 * _RATE)) / _RATE
    return np.asarray(rng.standard_normal(len(time)) * np.exp(-time * 300))


def _clink(rng: np.random.Generator) -> Floats:
    time = np.arange(int(0.35 * _RATE)) / _RATE
    tones = rng.uniform(1800, 3600) * np.array([1.0, 1.52, 1.97])
    return np.asarray(np.sin(2 * np.pi * tones[:, None] * time).sum(0) * np.exp(-time * 18))


def _place(sound: Floats, piece: Floats, at: float, loudness: float) -> None:
    """Add a short sound at a time (s) of the loop; what overhangs comes in at its start."""
    where = (int(at * _RATE) + np.arange(len(piece))) % _SAMPLES
    sound[where] += loudness * piece
