"""Keypad tones as sound (ITU-T Q.23), for media streams that carry no keys outwards."""

from __future__ import annotations

import numpy as np

_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)
_KEYS = ("123A", "456B", "789C", "*0#D")
_TONES = {
    key: (_ROWS[row], _COLUMNS[column])
    for row, keys in enumerate(_KEYS)
    for column, key in enumerate(keys)
}
TONE_MS, GAP_MS, WAIT_MS = 120, 80, 500
_PEAK = 8000  # two of these stay clear of clipping, at about -6 dBFS together


def tones(digits: str, sample_rate: int) -> bytes:
    """PCM16 of `digits`, each followed by a gap; `w` is half a second of silence.

    Raises ValueError for anything that is not a key.
    """
    return b"".join(_key(digit.upper(), sample_rate) for digit in digits)


def _key(key: str, sample_rate: int) -> bytes:
    if key == "W":
        return bytes(2 * sample_rate * WAIT_MS // 1000)
    if key not in _TONES:
        raise ValueError(f"{key!r} is no key of a telephone: use 0-9, *, #, A-D or w")
    at = np.arange(sample_rate * TONE_MS // 1000) / sample_rate
    low, high = _TONES[key]
    wave = _PEAK * (np.sin(2 * np.pi * low * at) + np.sin(2 * np.pi * high * at))
    return wave.astype("<i2").tobytes() + bytes(2 * sample_rate * GAP_MS // 1000)
