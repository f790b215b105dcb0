from __future__ import annotations

import numpy as np
import pytest

from calls.voice.resample import Resampler, resample
from tests.voice.signals import as_pcm, as_samples, decibels, pieces, tone

RATES = [(8000, 16000), (16000, 8000), (24000, 8000), (22050, 8000), (22050, 16000), (48000, 16000)]


def streamed(pcm: bytes, from_rate: int, to_rate: int, piece_ms: int = 20) -> bytes:
    resampler = Resampler(from_rate, to_rate)
    out = [resampler.process(piece) for piece in pieces(pcm, from_rate * piece_ms // 1000 * 2)]
    return b"".join([*out, resampler.flush()])


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("hertz", [300, 1000, 3400])
def test_a_tone_of_the_telephone_band_survives(from_rate, to_rate, hertz):
    converted = as_samples(streamed(as_pcm(tone(hertz, 1, from_rate)), from_rate, to_rate))
    expected = tone(hertz, 1, to_rate)
    middle = slice(to_rate // 10, -to_rate // 10)
    assert len(converted) == to_rate
    assert decibels(expected[middle], (converted - expected)[middle]) > 50


@pytest.mark.parametrize(("from_rate", "to_rate"), [(16000, 8000), (24000, 8000), (22050, 8000)])
def test_what_the_lower_rate_cannot_carry_is_removed(from_rate, to_rate):
    before = tone(5000, 1, from_rate)
    after = as_samples(streamed(as_pcm(before), from_rate, to_rate))[800:-800]
    assert np.sqrt(np.mean(after**2)) < 8000 / 1000


def test_a_stream_gives_20_ms_for_20_ms_and_holds_back_3_ms():
    resampler = Resampler(8000, 16000)
    lengths = [len(resampler.process(bytes(320))) // 2 for _ in range(10)]
    assert lengths == [320 - 48] + [320] * 9
    assert len(resampler.flush()) // 2 == 48


def test_the_pieces_do_not_matter():
    pcm = as_pcm(tone(700, 0.5, 24000))
    whole = streamed(pcm, 24000, 8000, piece_ms=500)
    assert streamed(pcm, 24000, 8000, piece_ms=1) == whole
    resampler = Resampler(24000, 8000)
    assert resampler.process(b"") == b""


def test_after_a_flush_the_next_stream_begins_clean():
    pcm = as_pcm(tone(700, 0.2, 16000))
    resampler = Resampler(16000, 8000)
    first = resampler.process(pcm) + resampler.flush()
    assert resampler.process(pcm) + resampler.flush() == first


def test_loud_sound_saturates_and_does_not_wrap_round():
    square = np.where(np.arange(8000) % 40 < 20, 32767.0, -32768.0)
    upsampled = as_samples(streamed(as_pcm(square), 8000, 16000))
    assert upsampled.max() == 32767
    assert np.abs(np.diff(upsampled)).max() < 45000


def test_equal_rates_pass_through_untouched():
    pcm = as_pcm(tone(440, 0.1, 8000))
    assert Resampler(8000, 8000).process(pcm) is pcm
    assert resample(pcm, 8000, 8000) is pcm


def test_a_whole_clip_keeps_its_length_and_its_tone():
    converted = as_samples(resample(as_pcm(tone(1000, 1, 22050)), 22050, 8000))
    assert len(converted) == 8000
    expected = tone(1000, 1, 8000)
    assert decibels(expected[800:-800], (converted - expected)[800:-800]) > 60


def test_stream_at_the_lines_own_rate_passes_through_and_holds_nothing_back():
    same = Resampler(8000, 8000)
    assert same.process(b"\x01\x02") == b"\x01\x02"
    assert same.flush() == b""
