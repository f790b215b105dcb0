"""Noise suppression for one call's caller: a spectral gain, 20 ms windows, 10 ms steps.

The noise is followed by the probability of speech in each band (Gerkmann and Hendriks, "Unbiased
MMSE-based noise power estimation", 2012), the gain is Wiener's on a decision-directed estimate
of the signal (Ephraim and Malah, 1984). It follows steady noise (lines, fans, cars), not other
people's voices. The sound comes out `delay_ms` later than it went in, sample for sample.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

KINDS = ("none", "spectral")

_STEP_MS = 10
_SPEECH_SNR = 10**1.5  # what speech, where there is some, is expected to have over the noise
_NOISE_KEPT = 0.8  # smoothing of the noise over steps
_SIGNAL_KEPT = 0.96  # of the decision-directed estimate
_FLOOR = 0.12  # least gain, -18 dB: silence sounds like the line, only quieter
_LEARNING_STEPS = 10  # at first everything is taken for noise, except digital silence
_FAINTEST = 0.5  # power of a sample below which a line is digitally silent


class Denoiser:
    """A `Cleaner` of PCM16; `kind` is one of KINDS, `sample_rate` in Hz."""

    def __init__(self, kind: str, sample_rate: int) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown denoiser {kind!r}: choose one of {', '.join(KINDS)}")
        self.kind = kind
        self._step = sample_rate * _STEP_MS // 1000
        self.delay_ms = 0 if kind == "none" else 2 * _STEP_MS
        phase = (np.arange(2 * self._step) + 0.5) / (2 * self._step)
        self._window = np.sin(np.pi * phase).astype(np.float32)
        self._faintest = np.float32(_FAINTEST * self._step)
        self.reset()

    def reset(self) -> None:
        """Forget the noise and what is held."""
        bins = self._step + 1
        self._held = np.zeros(self._step, np.float32)
        self._overlap = np.zeros(self._step, np.float32)
        self._ready = np.zeros(self._step, np.float32)
        self._noise = np.full(bins, self._faintest, np.float32)
        self._clean = np.zeros(bins, np.float32)
        self._speech = np.full(bins, 0.5, np.float32)
        self._steps = 0

    def process(self, pcm: bytes) -> bytes:
        """As many samples as were given, with less noise, `delay_ms` late."""
        if self.kind == "none":
            return pcm
        fresh = np.frombuffer(pcm, "<i2").astype(np.float32)
        self._held = np.concatenate((self._held, fresh))
        done = [self._ready]
        while len(self._held) >= 2 * self._step:
            done.append(self._one_step(self._held[: 2 * self._step]))
            self._held = self._held[self._step :]
        ready = np.concatenate(done)
        sound, self._ready = ready[: len(fresh)], ready[len(fresh) :]
        return np.clip(np.rint(sound), -32768, 32767).astype("<i2").tobytes()

    def _one_step(self, samples: Floats) -> Floats:
        spectrum = np.fft.rfft(samples * self._window)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
        self._follow_noise(power)
        filtered = np.fft.irfft(spectrum * self._gain(power), len(samples))
        windowed = filtered.astype(np.float32) * self._window
        sound = self._overlap + windowed[: self._step]
        self._overlap = windowed[self._step :]
        return sound

    def _follow_noise(self, power: Floats) -> None:
        if power.mean() < self._faintest:
            return
        self._steps += 1
        if self._steps <= _LEARNING_STEPS:
            self._set_noise(self._noise + (power - self._noise) / self._steps)
            return
        exponent = np.minimum(power / self._noise * (_SPEECH_SNR / (1 + _SPEECH_SNR)), 80)
        speech = 1 / (1 + np.float32(1 + _SPEECH_SNR) * np.exp(-exponent))
        self._speech += 0.1 * (speech - self._speech)
        # A band that has been sure for long may just be louder noise: let it learn a little.
        speech = np.where(self._speech > 0.99, np.minimum(speech, 0.99), speech)
        estimate = speech * self._noise + (1 - speech) * power
        self._set_noise(_NOISE_KEPT * self._noise + (1 - _NOISE_KEPT) * estimate)

    def _set_noise(self, noise: NDArray[np.floating]) -> None:
        self._noise = np.maximum(noise, self._faintest).astype(np.float32)

    def _gain(self, power: Floats) -> Floats:
        excess = np.maximum(power / self._noise - 1, 0)
        prior = _SIGNAL_KEPT * self._clean / self._noise + (1 - _SIGNAL_KEPT) * excess
        gain = np.maximum(prior / (1 + prior), _FLOOR)
        self._clean = gain * gain * power
        return np.asarray(gain, np.float32)
