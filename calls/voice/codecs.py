"""G.711 mu-law and A-law, as telephone lines carry them, by table.

Bit-exact with the reference code of ITU-T G.191 (`ulaw_compress`, `alaw_expand`, ...).
PCM is signed 16-bit little-endian mono, at two bytes a sample; one byte a sample coded.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MULAW_SILENCE = 0xFF
ALAW_SILENCE = 0xD5


def _all_samples() -> NDArray[np.int32]:
    """Every 16-bit sample, at the index that its bits are as an unsigned number."""
    return np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)


def _folded(samples: NDArray[np.int32]) -> NDArray[np.int32]:
    """Magnitudes as the reference takes them: one's complement below zero."""
    return np.where(samples < 0, ~samples, samples)


def _bit_length(values: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.frexp(values.astype(np.float64))[1].astype(np.int32)


def _mulaw_encode_table() -> NDArray[np.uint8]:
    samples = _all_samples()
    magnitude = np.minimum((_folded(samples) >> 2) + 33, 0x1FFF)
    segment = 1 + _bit_length(magnitude >> 6)
    code = ((8 - segment) << 4) | (0xF - ((magnitude >> segment) & 0xF))
    return np.asarray(np.where(samples >= 0, code | 0x80, code), np.uint8)


def _mulaw_decode_table() -> NDArray[np.int16]:
    codes = np.arange(256, dtype=np.int32)
    exponent, mantissa = (~codes >> 4) & 0x7, ~codes & 0xF
    step = np.left_shift(8, exponent)
    magnitude = np.left_shift(0x80, exponent) + step * mantissa + step // 2 - 4 * 33
    return np.asarray(np.where(codes < 0x80, -magnitude, magnitude), "<i2")


def _alaw_encode_table() -> NDArray[np.uint8]:
    samples = _all_samples()
    magnitude = _folded(samples) >> 4
    exponent = np.maximum(_bit_length(magnitude) - 4, 0)
    mantissa = magnitude >> np.maximum(exponent - 1, 0)
    code = np.where(exponent > 0, (mantissa - 16) + (exponent << 4), mantissa)
    return np.asarray(np.where(samples >= 0, code | 0x80, code) ^ 0x55, np.uint8)


def _alaw_decode_table() -> NDArray[np.int16]:
    codes = np.arange(256, dtype=np.int32)
    exponent, mantissa = ((codes ^ 0x55) & 0x7F) >> 4, (codes ^ 0x55) & 0xF
    magnitude = ((mantissa + np.where(exponent > 0, 16, 0)) << 4) + 8
    magnitude = np.left_shift(magnitude, np.maximum(exponent - 1, 0))
    return np.asarray(np.where(codes > 0x7F, magnitude, -magnitude), "<i2")


_MULAW_ENCODE, _MULAW_DECODE = _mulaw_encode_table(), _mulaw_decode_table()
_ALAW_ENCODE, _ALAW_DECODE = _alaw_encode_table(), _alaw_decode_table()


def mulaw_decode(coded: bytes) -> bytes:
    """PCM16 of mu-law."""
    return bytes(_MULAW_DECODE[np.frombuffer(coded, np.uint8)])


def mulaw_encode(pcm: bytes) -> bytes:
    """Mu-law of PCM16. Raises ValueError for half a sample."""
    return bytes(_MULAW_ENCODE[np.frombuffer(pcm, "<u2")])


def alaw_decode(coded: bytes) -> bytes:
    """PCM16 of A-law."""
    return bytes(_ALAW_DECODE[np.frombuffer(coded, np.uint8)])


def alaw_encode(pcm: bytes) -> bytes:
    """A-law of PCM16. Raises ValueError for half a sample."""
    return bytes(_ALAW_ENCODE[np.frombuffer(pcm, "<u2")])
