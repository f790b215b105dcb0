"""Understands the simulated caller's recordings, by recognising the recordings themselves.

So a demonstration call in any language works through the stand-ins without a real recogniser:
each utterance is compared with every clip, whole or in part, and the words that sound there are
its transcript.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calls.simulator.clips import RATE, Clip, index
from calls.voice.resample import resample

Features = NDArray[np.float32]

_FRAME = RATE // 50  # 20 ms
_BANDS = 12
_MARGIN = 40  # frames of silence before and after each clip, since utterances have some
_LEAST_LIKENESS = 0.6  # the same sound scores over 0.9 through mu-law, other speech under 0.4
_COVERED = 0.2  # what a clip that is heard whole is worth more than one of which a part is
_FLOOR = 1e3  # power below which a band counts as silent


@dataclass(frozen=True, slots=True)
class _Known:
    words: tuple[str, ...]
    middles: tuple[float, ...]  # where each word lies in the features, in frames
    features: Features

    def between(self, start: int, end: int) -> str:
        """The words that sound in these frames."""
        pairs = zip(self.words, self.middles, strict=True)
        return " ".join(word for word, middle in pairs if start <= middle < end)


class ClipHearing:
    """A `Hearing` (see azure.py) that knows these clips, by default all of the simulator's."""

    def __init__(self, clips: Iterable[Clip] | None = None) -> None:
        self._known = [_known(clip) for clip in (index().values() if clips is None else clips)]

    def words(self, pcm: bytes, rate: int, whole: bool) -> str:
        """What the clips say where they sound most like this; empty if none does."""
        features = _features(resample(pcm, rate, RATE))
        if len(features) < 5:
            return ""
        places = [_best_place(features, known.features) for known in self._known]
        known, (likeness, start) = max(
            zip(self._known, places, strict=True),
            key=lambda found: found[1][0] + whole * _COVERED * _covered(features, found[0]),
        )
        return known.between(start, start + len(features)) if likeness > _LEAST_LIKENESS else ""


def _covered(part: Features, known: _Known) -> float:
    """How much of the clip's sound there is in this: "sí" is not the end of "please"."""
    return min(1.0, float(part.sum() / known.features.sum()))


def _known(clip: Clip) -> _Known:
    features = _features(clip.pcm())
    loud = np.flatnonzero(features.sum(axis=1) > 0)
    first, last = (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(features))
    words = clip.text.split()
    ends = np.cumsum([len(word) + 1 for word in words])
    middles = (ends - [(len(word) + 1) / 2 for word in words]) / ends[-1]
    if len(words) > 1:  # whoever listens from a threshold on misses the soft onset of the first
        middles[0] = ends[0] / ends[-1]
    silence = np.zeros((_MARGIN, _BANDS), np.float32)
    places = tuple(float(_MARGIN + first + middle * (last - first)) for middle in middles)
    return _Known(tuple(words), places, np.concatenate((silence, features, silence)))


def _features(pcm: bytes) -> Features:
    """Log power in bands, per 20 ms; silence is 0."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    frames = samples[: len(samples) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.abs(np.fft.rfft(frames * np.hanning(_FRAME), axis=1)) ** 2
    edges = np.geomspace(2, power.shape[1], _BANDS + 1).astype(int)
    bands = np.add.reduceat(power, edges[:-1], axis=1)
    return np.log10(np.maximum(bands, _FLOOR) / _FLOOR).astype(np.float32)


def _best_place(part: Features, whole: Features) -> tuple[float, int]:
    """How alike they are (0 to 1) where `part` fits best into `whole`, and at which frame."""
    if len(part) > len(whole):
        part = part[: len(whole)]
    windows = np.lib.stride_tricks.sliding_window_view(whole, part.shape)[:, 0]
    overlap = np.einsum("wfb,fb->w", windows, part)
    sizes = np.sqrt(np.einsum("wfb,wfb->w", windows, windows) * np.sum(part**2))
    likeness = overlap / np.maximum(sizes, 1e-9)
    place = int(np.argmax(likeness))
    return float(likeness[place]), place
