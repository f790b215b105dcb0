"""Where the caller's speech starts and stops, exact to the sample.

    sound        ___####___########__________________
    probability  ___.9.8_.1_.9.9.8.9_________________
    speaking              |<------------->|
    started at      ^ first sample of the first chunk over the threshold, once `vad_min_speech`
                      of it is there
    stopped at                     ^ last sample of the last chunk with voice, reported once
                                     `vad_min_silence` without voice has passed

Positions come from the timestamps of the audio, never from its arrival: a stall or a burst of
frames moves nothing. Lost sound (a gap between timestamps) counts as silence.

Once speech has started a chunk needs less than the threshold to count as voice (hysteresis), so
that a soft syllable does not split a word. The model itself goes on saying "speech" for 50 to
90 ms after the last sound, which every answer would wait for; a chunk `DROP` dB below the
loudest of the utterance is therefore silence whatever the model remembers.

Chunks below `SILENCE` are never speech on any line: they do not reach the model, which spares
most of its work, since a caller mostly listens. With `noise_adaptation` an energy floor follows
the line's noise: chunks that do not rise above it are silence and never reach the model either,
and on a noisy line the model must be surer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calls.voice.options import TurnOptions
from calls.voice.ports import SpeechDetector

HYSTERESIS = 0.15
SILENCE = -60.0  # dBFS: mu-law's own noise lies at -70, whispering on a bad line at -50
DROP = 40.0  # dB: more than speech itself ranges over, less than a silent line lies below it
_LATE = 10.0  # ms of jitter in timestamps that do not mean lost sound


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    at: float  # ms by the sender's sample clock


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    at: float
    voiced: float  # ms from the start to the last voice


SpeechChange = SpeechStarted | SpeechStopped


class EnergyFloor:
    """The line's noise level in dBFS: falls fast to any quieter chunk, rises slowly."""

    QUIETEST = -65.0
    LOUDEST = -30.0
    MARGIN = 6.0
    RISE_PER_SECOND = 3.0
    LEARNING = 2000.0  # ms at first in which it rises faster
    FASTER = 4.0
    STRICTER = 0.2  # added to the threshold on the noisiest line

    def __init__(self) -> None:
        self._level = self.QUIETEST
        self._heard = 0.0

    def is_silence(self, level: float, length: float, speaking: bool) -> bool:
        """Whether a chunk of `length` ms at `level` dBFS is no louder than the noise; learns."""
        self._heard += length
        if level < self._level:
            self._level += (max(level, self.QUIETEST) - self._level) * 0.5
        elif not speaking:
            pace = self.FASTER if self._heard < self.LEARNING else 1.0
            step = self.RISE_PER_SECOND * pace * length / 1000
            self._level = min(self._level + step, level, self.LOUDEST)
        return level < self._level + self.MARGIN

    def threshold(self, base: float) -> float:
        """`base`, raised with the noise."""
        noise = (self._level - self.QUIETEST) / (self.LOUDEST - self.QUIETEST)
        return min(0.95, base + self.STRICTER * noise)


def decibels(chunk: bytes) -> float:
    """Root mean square of PCM16 in dB below full scale; -100 for digital silence."""
    samples = np.frombuffer(chunk, dtype="<i2").astype(np.float32)
    power = float(np.dot(samples, samples)) / max(1, len(samples))
    return 10 * math.log10(power / 32768**2) if power > 0.11 else -100.0


class VoiceActivity:
    """Turns frames of any length into speech starts and stops. One per call."""

    def __init__(self, detector: SpeechDetector, options: TurnOptions) -> None:
        self.speaking = False
        self.voiced_until = 0.0  # end of the last chunk with voice
        self.started_at = 0.0
        self.position = 0.0  # end of the last chunk looked at
        self._detector = detector
        self._options = options
        self._floor = EnergyFloor() if options.noise_adaptation else None
        self._chunk_bytes = detector.chunk_samples * 2
        self._chunk_ms = detector.chunk_samples * 1000 / detector.sample_rate
        self._bytes_per_ms = detector.sample_rate * 2 / 1000
        self._rest = bytearray()
        self._begun = False
        self._unheard = b""  # the newest chunk that was too quiet for the model
        self._loudest = -math.inf  # dBFS, of the chunks of this utterance
        self._voice_from: float | None = None  # first chunk of a possible start

    @property
    def voiced(self) -> float:
        """Ms of speech in the utterance so far, up to the last voice."""
        return self.voiced_until - self.started_at if self.speaking else 0.0

    @property
    def grain(self) -> float:
        """Half a chunk in ms: how far from the truth a length of speech may be, on average."""
        return self._chunk_ms / 2

    @property
    def silent_now(self) -> bool:
        """No voice in the newest chunk, even if speech does not count as stopped yet."""
        return self.voiced_until < self.position

    @property
    def onset(self) -> bool:
        """Voice, but not enough of it yet to count as speech."""
        return self._voice_from is not None

    def process(self, pcm: bytes, timestamp: float) -> tuple[SpeechChange, ...]:
        """Take the next frame; tell what changed, in order."""
        changes = self._skip_gap(timestamp)
        self._rest += pcm
        while len(self._rest) >= self._chunk_bytes:
            chunk = bytes(self._rest[: self._chunk_bytes])
            del self._rest[: self._chunk_bytes]
            changes += self._advance(self._is_voice(chunk), self._chunk_ms)
        return changes

    def _skip_gap(self, timestamp: float) -> tuple[SpeechChange, ...]:
        if not self._begun:
            self._begun = True
            self.position = self.voiced_until = timestamp
            return ()
        gap = timestamp - (self.position + len(self._rest) / self._bytes_per_ms)
        if gap <= _LATE:
            return ()
        self._rest.clear()
        return self._advance(voice=False, length=timestamp - self.position)

    def _is_voice(self, chunk: bytes) -> bool:
        threshold = self._options.vad_threshold
        level = decibels(chunk)
        if level < SILENCE:
            self._unheard = chunk
            return False
        if self._unheard:
            self._detector.process(self._unheard)  # an onset is noticed by what comes before it
            self._unheard = b""
        if self._floor is not None:
            if self._floor.is_silence(level, self._chunk_ms, self.speaking):
                return False
            threshold = self._floor.threshold(threshold)
        probability = self._detector.process(chunk)
        if not self.speaking:
            return probability >= threshold
        self._loudest = max(self._loudest, level)
        return level >= self._loudest - DROP and probability >= threshold - HYSTERESIS

    def _advance(self, voice: bool, length: float) -> tuple[SpeechChange, ...]:
        begin, self.position = self.position, self.position + length
        if voice:
            self.voiced_until = self.position
        if self.speaking:
            return self._maybe_stop()
        return self._maybe_start(voice, begin)

    def _maybe_start(self, voice: bool, begin: float) -> tuple[SpeechChange, ...]:
        if not voice:
            self._voice_from = None
            return ()
        if self._voice_from is None:
            self._voice_from = begin
        if self.position - self._voice_from < self._options.vad_min_speech:
            return ()
        self.speaking, self.started_at, self._voice_from = True, self._voice_from, None
        self._loudest = -math.inf
        return (SpeechStarted(self.started_at),)

    def _maybe_stop(self) -> tuple[SpeechChange, ...]:
        # To the nearest chunk, not to the next: what is missing of the silence the endpoint waits
        # for anyway, and a whole chunk more would be added to every answer.
        silence = self.position - self.voiced_until
        if silence < self._options.vad_min_silence - self.grain:
            return ()
        return self._stop()

    def finish(self) -> tuple[SpeechChange, ...]:
        """No more sound will come: speech in flight is over."""
        return self._stop() if self.speaking else ()

    def _stop(self) -> tuple[SpeechChange, ...]:
        voiced = self.voiced
        self.speaking = False
        self._detector.reset()  # or it would take the next sound for more of this speech
        return (SpeechStopped(self.voiced_until, voiced),)
