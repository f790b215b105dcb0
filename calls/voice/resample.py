"""Sample-rate conversion: streaming with a short fixed delay, or a whole clip at once.

libsoxr works in large blocks when it streams: at 8 to 16 kHz its high quality gives nothing for
100 ms and then all of it, which a telephone call cannot afford. So the stream is a polyphase
windowed sinc (60 dB, 3 ms of delay) in numpy, and soxr converts what is there as a whole.
"""

from __future__ import annotations

from functools import lru_cache
from math import gcd

import numpy as np
import soxr
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LOBES = 24  # zero crossings on each side, at the lower of the two rates: 3 ms at 8 kHz
_CUTOFF = 0.925  # of the lower Nyquist frequency: flat to 3.4 kHz on a telephone line
_KAISER_BETA = 5.65  # 60 dB


@lru_cache(maxsize=16)
def _phases(up: int, down: int) -> Floats:
    """The filter taps of each of the `up` positions between two input samples."""
    stretch = max(1.0, down / up)
    half = int(np.ceil(_LOBES * stretch))
    offsets = np.arange(-half + 1, half + 1)[None, :] - np.arange(up)[:, None] / up
    edge = np.clip(1 - (offsets / half) ** 2, 0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(edge)) / np.i0(_KAISER_BETA)
    taps = np.sinc(offsets * _CUTOFF / stretch) * window
    return np.asarray(taps / taps.sum(axis=1, keepdims=True), np.float32)


class Resampler:
    """Converts a stream of PCM16 mono from one rate (Hz) to another.

    What comes out is aligned with what went in; the newest 3 ms or less wait inside until
    more comes or until `flush`.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        common = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        self._filters = _phases(self._up, self._down)
        self._taps = self._filters.shape[1]
        self._restart()

    def _restart(self) -> None:
        self._held: Floats = np.zeros(self._taps // 2 - 1, np.float32)
        self._next = 0  # position of the next output sample, in 1/up of an input sample

    def process(self, pcm: bytes) -> bytes:
        """All that can be told so far of the converted stream."""
        if self._up == self._down:
            return pcm
        fresh = np.frombuffer(pcm, "<i2").astype(np.float32)
        samples = np.concatenate((self._held, fresh))
        ready = (len(samples) - self._taps + 1) * self._up
        positions = np.arange(self._next, max(ready, self._next), self._down)
        if not len(positions):
            self._held = samples
            return b""
        starts, phases = np.divmod(positions, self._up)
        windows = np.lib.stride_tricks.sliding_window_view(samples, self._taps)[starts]
        converted = np.einsum("ij,ij->i", windows, self._filters[phases])
        self._keep(samples, int(positions[-1]) + self._down)
        return _as_pcm(converted)

    def _keep(self, samples: Floats, following: int) -> None:
        drop = min(following // self._up, len(samples))
        self._held, self._next = samples[drop:], following - drop * self._up

    def flush(self) -> bytes:
        """The end of the stream; after it the next one may begin."""
        if self._up == self._down:
            return b""
        tail = self.process(b"\0\0" * (self._taps // 2))
        self._restart()
        return tail


class Halver:
    """Every second sample of a stream, low-passed: of `n` samples that come, `n / 2` go at once.

    What goes lags by 3 ms, which is nothing to who only asks whether there is speech.
    """

    def __init__(self) -> None:
        self._filter = _phases(1, 2)[0]
        self._held: Floats = np.zeros(len(self._filter) - 1, np.float32)

    def process(self, samples: NDArray[np.int16]) -> Floats:
        """An even number of samples at twice the rate."""
        known = np.concatenate((self._held, samples.astype(np.float32)))
        self._held = known[-len(self._held) :]
        return np.convolve(known, self._filter, "valid")[::2]

    def reset(self) -> None:
        """Forget what was before."""
        self._held[:] = 0


def resample(pcm: bytes, from_rate: int, to_rate: int) -> bytes:
    """A whole clip of PCM16 mono at another rate (Hz), in the best quality."""
    if from_rate == to_rate:
        return pcm
    samples = np.frombuffer(pcm, "<i2")
    return bytes(soxr.resample(samples, from_rate, to_rate, quality="VHQ").tobytes())


def _as_pcm(samples: Floats) -> bytes:
    return np.clip(np.rint(samples), -32768, 32767).astype("<i2").tobytes()
