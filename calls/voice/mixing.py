"""Loudness and mixing of PCM16 mono: saturating, never wrapping round."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SAMPLE_BYTES = 2


def silence(samples: int) -> bytes:
    """That many samples of nothing."""
    return bytes(samples * SAMPLE_BYTES)


def gain(pcm: bytes, factor: float) -> bytes:
    """The same sound `factor` times as loud."""
    return _saturated(np.frombuffer(pcm, "<i2") * np.float32(factor))


def mix(one: bytes, other: bytes) -> bytes:
    """Both at once, as long as the longer of them."""
    longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
    total = np.frombuffer(longer, "<i2").astype(np.int32)
    total[: len(shorter) // SAMPLE_BYTES] += np.frombuffer(shorter, "<i2")
    return _saturated(total)


def fade_in(pcm: bytes, samples: int) -> bytes:
    """Rises from nothing over the first `samples` samples."""
    return _shaped(pcm, _ramp(pcm, samples), at_end=False)


def fade_out(pcm: bytes, samples: int) -> bytes:
    """Falls to nothing over the last `samples` samples."""
    return _shaped(pcm, _ramp(pcm, samples)[::-1], at_end=True)


def _ramp(pcm: bytes, samples: int) -> NDArray[np.float32]:
    """A raised cosine from 0 towards 1; no longer than the sound itself."""
    length = max(0, min(samples, len(pcm) // SAMPLE_BYTES))
    phase = np.arange(length, dtype=np.float32) / max(length, 1)
    return (0.5 - 0.5 * np.cos(np.pi * phase)).astype(np.float32)


def _shaped(pcm: bytes, ramp: NDArray[np.float32], *, at_end: bool) -> bytes:
    samples = np.frombuffer(pcm, "<i2").astype(np.float32)
    part = slice(len(samples) - len(ramp), None) if at_end else slice(len(ramp))
    samples[part] *= ramp
    return _saturated(samples)


def _saturated(samples: NDArray[np.float32] | NDArray[np.int32]) -> bytes:
    return np.clip(samples, -32768, 32767).astype("<i2").tobytes()
