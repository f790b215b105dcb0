from __future__ import annotations

import numpy as np
import pytest

from calls.voice.denoise import Denoiser
from calls.voice.resample import resample
from calls.voice.testing import run_script
from calls.voice.testing.peers import (
    CHUNK_SAMPLES,
    ScriptedDetector,
    ScriptedRecogniser,
    ScriptedRecorder,
)
from tests.voice.signals import as_pcm, as_samples, clip, decibels, pieces
from tests.voice.test_scripted_calls import booking, options


def denoised(noisy: np.ndarray, rate: int = 8000) -> np.ndarray:
    """What comes out, put back in time by the delay that the denoiser states."""
    denoiser = Denoiser("spectral", rate)
    out = b"".join(denoiser.process(piece) for piece in pieces(as_pcm(noisy), rate // 50 * 2))
    return as_samples(out)[denoiser.delay_ms * rate // 1000 :]


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """A second of silence, a sentence, half a second of silence, at 8 kHz."""
    pcm, rate = clip("book-a-tour")
    sentence = as_samples(resample(pcm, rate, 8000))
    whole = np.concatenate((np.zeros(8000), sentence, np.zeros(4000)))
    return whole[: len(whole) // 160 * 160]


def spoken(speech: np.ndarray) -> np.ndarray:
    return np.convolve(np.abs(speech), np.ones(400) / 400, "same") > 100


def noise_at(speech: np.ndarray, snr: float) -> np.ndarray:
    loudness = np.sqrt(np.mean(speech[spoken(speech)] ** 2))
    noise = np.random.default_rng(1).standard_normal(len(speech))
    return noise * loudness * 10 ** (-snr / 20)


@pytest.mark.parametrize(("snr", "gain"), [(0, 6), (5, 5), (10, 4), (20, 1)])
def test_speech_stands_out_more_from_the_noise(speech, snr, gain):
    noise = noise_at(speech, snr)
    out = denoised(speech + noise)
    clean, talk = speech[: len(out)], spoken(speech)[: len(out)]
    before = decibels(clean[talk], noise[: len(out)][talk])
    assert decibels(clean[talk], (out - clean)[talk]) > before + gain


def test_the_noise_between_words_is_15_db_lower(speech):
    noise = noise_at(speech, 10)
    out = denoised(speech + noise)
    pause = slice(4000, 7800)
    assert 20 * np.log10(np.std(noise[pause]) / np.std(out[pause])) > 14


def test_clean_speech_is_left_nearly_alone(speech):
    out = denoised(speech)
    assert decibels(speech[: len(out)], out - speech[: len(out)]) > 20


def test_noise_that_grows_is_learned_again():
    noise = np.random.default_rng(2).standard_normal(8000 * 12) * 100
    noise[8000 * 2 :] *= 6
    out = denoised(noise)
    last = slice(8000 * 11, 8000 * 11 + 7000)
    assert 20 * np.log10(np.std(noise[last]) / np.std(out[last])) > 10


def test_as_much_comes_out_as_goes_in_whatever_the_pieces(speech):
    pcm = as_pcm(speech)
    by_size = []
    for size in (2, 34, 320, 5000):
        denoiser = Denoiser("spectral", 8000)
        parts = pieces(pcm[:20000], size)
        out = [denoiser.process(part) for part in parts]
        assert [len(part) for part in out] == [len(part) for part in parts]
        by_size.append(b"".join(out))
    assert len(set(by_size)) == 1


def test_digital_silence_stays_silent_and_is_not_taken_for_the_noise(speech):
    assert not denoised(np.zeros(8000)).any()
    noise = noise_at(speech, 10)
    late = np.concatenate((np.zeros(8000), speech + noise))
    out = denoised(late)[8000:]
    pause = slice(4000, 7800)
    assert 20 * np.log10(np.std(noise[pause]) / np.std(out[pause])) > 14


def test_reset_forgets_the_line(speech):
    pcm = as_pcm(speech + noise_at(speech, 5))
    denoiser = Denoiser("spectral", 8000)
    first = denoiser.process(pcm)
    denoiser.reset()
    assert denoiser.process(pcm) == first


def test_sixteen_kilohertz_as_well():
    noise = np.random.default_rng(3).standard_normal(32000) * 500
    out = denoised(noise, rate=16000)
    assert np.std(out[8000:]) < np.std(noise) / 5


def test_none_passes_through_without_delay():
    denoiser = Denoiser("none", 8000)
    pcm = bytes(range(200))
    assert denoiser.process(pcm) is pcm
    assert denoiser.delay_ms == 0


def test_an_unknown_kind_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'magic': choose one of none, spectral"):
        Denoiser("magic", 8000)


class Late:
    """A cleaner that only delays, and counts what it was given. Implements `Cleaner`."""

    delay_ms = 100

    def __init__(self) -> None:
        self.given: list[bytes] = []
        self._held = bytes(int(self.delay_ms * 16))

    def process(self, pcm: bytes) -> bytes:
        self.given.append(pcm)
        self._held += pcm
        ready, self._held = self._held[: len(pcm)], self._held[len(pcm) :]
        return ready


def test_one_cleaned_stream_is_heard_and_the_callers_own_sound_is_recorded(monkeypatch):
    detected, pushed, recorded = [], [], []
    spy(monkeypatch, ScriptedDetector, "process", detected)
    spy(monkeypatch, ScriptedRecogniser, "push", pushed)
    spy(monkeypatch, ScriptedRecorder, "caller", recorded)
    cleaner = Late()
    timeline = run_script(booking(), options(), cleaner=cleaner)
    assert cleaner.given == recorded
    assert b"".join(pushed) == (bytes(1600) + b"".join(recorded))[: len(b"".join(pushed))]
    assert set(detected) <= set(pieces(b"".join(pushed), CHUNK_SAMPLES * 2))
    assert timeline.turns[0].text == "book a tour"


def test_the_delay_of_cleaning_moves_no_moment_of_speech():
    plain = run_script(booking(), options())
    cleaned = run_script(booking(), options(), cleaner=Late())
    moments = [[(state, at) for at, state in run.caller_states] for run in (plain, cleaned)]
    assert [state for state, _ in moments[0]] == [state for state, _ in moments[1]]
    for (_, before), (_, after) in zip(*moments, strict=True):
        assert after == pytest.approx(before, abs=0.033)  # a chunk of the detector


def spy(monkeypatch, owner, name, seen):
    """Keep the sound that this method of a peer is given."""
    real = getattr(owner, name)

    def watched(self, pcm, *others):
        seen.append(pcm)
        return real(self, pcm, *others)

    monkeypatch.setattr(owner, name, watched)
