from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from calls.voice import mixing
from tests.voice.signals import as_pcm, as_samples

sound = st.lists(st.integers(-32768, 32767), max_size=60).map(lambda x: as_pcm(np.array(x)))


@given(sound, sound)
def test_mixing_adds_and_saturates(one, other):
    length = max(len(one), len(other)) // 2
    total = np.zeros(length)
    total[: len(one) // 2] += as_samples(one)
    total[: len(other) // 2] += as_samples(other)
    assert mixing.mix(one, other) == as_pcm(total)


@given(sound)
def test_gain_of_two_doubles_and_saturates(pcm):
    assert mixing.gain(pcm, 2.0) == as_pcm(2 * as_samples(pcm))


def test_gain_of_nothing_is_silence():
    assert mixing.gain(as_pcm(np.array([1000.0, -1000.0])), 0.0) == mixing.silence(2)


def test_a_fade_in_rises_from_nothing_to_the_sound_itself():
    flat = as_pcm(np.full(400, 10000.0))
    faded = as_samples(mixing.fade_in(flat, 200))
    assert faded[0] == 0
    assert np.all(np.diff(faded[:200]) >= 0)
    assert np.all(faded[200:] == 10000)


def test_a_fade_out_is_a_fade_in_backwards():
    flat = as_pcm(np.full(400, 10000.0))
    backwards = as_samples(mixing.fade_out(flat, 200))[::-1]
    assert np.array_equal(backwards, as_samples(mixing.fade_in(flat, 200)))


@given(sound, st.integers(0, 100))
def test_fades_keep_the_length_and_are_never_louder(pcm, samples):
    for faded in (mixing.fade_in(pcm, samples), mixing.fade_out(pcm, samples)):
        assert len(faded) == len(pcm)
        assert np.all(np.abs(as_samples(faded)) <= np.abs(as_samples(pcm)))
