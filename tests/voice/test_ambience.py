from __future__ import annotations

import numpy as np
import pytest

from calls.voice import ambience
from calls.voice.ambience import Ambience
from tests.voice.signals import as_pcm, as_samples, tone

ROOMS = [(kind, rate) for kind in ("office", "cafe") for rate in (8000, 16000)]


@pytest.fixture(scope="module", autouse=True)
def loaded():
    ambience.load()


@pytest.mark.parametrize(("kind", "rate"), ROOMS)
def test_a_room_is_as_loud_as_promised_and_never_clips(kind, rate):
    loop = as_samples(Ambience(kind, 1.0, rate).take(8 * rate))
    assert 20 * np.log10(np.std(loop) / 32768) == pytest.approx(-30, abs=0.1)
    assert np.abs(loop).max() < 20000


@pytest.mark.parametrize(("kind", "rate"), ROOMS)
def test_the_loop_has_no_seam(kind, rate):
    room = Ambience(kind, 1.0, rate)
    twice = as_samples(room.take(8 * rate)), as_samples(room.take(8 * rate))
    assert np.array_equal(*twice)
    steps = np.abs(np.diff(twice[0]))
    seam = abs(twice[1][0] - twice[0][-1])
    assert seam <= np.quantile(steps, 0.999)


def test_the_room_goes_on_over_speech_and_silence_alike():
    steady, alternating = Ambience("cafe", 0.5, 8000), Ambience("cafe", 0.5, 8000)
    expected = steady.take(8 * 8000 + 1600)
    heard = b"".join(
        alternating.take(160) if turn % 2 else alternating.mix(bytes(320))
        for turn in range(8 * 50 + 10)
    )
    assert heard == expected


def test_speech_stays_what_it_was_above_the_room():
    speech = tone(440, 0.5, 8000)
    mixed = as_samples(Ambience("office", 0.3, 8000).mix(as_pcm(speech)))
    alone = as_samples(Ambience("office", 0.3, 8000).take(4000))
    assert np.abs(mixed - alone - speech).max() <= 2


def test_loud_speech_saturates():
    loud = np.full(8000, 32767.0)
    mixed = as_samples(Ambience("cafe", 1.0, 8000).mix(as_pcm(loud)))
    assert mixed.max() == 32767
    assert mixed.min() > 0


def test_volume_scales_the_room():
    full, half = (as_samples(Ambience("office", volume, 8000).take(8000)) for volume in (1, 0.5))
    assert np.abs(full - 2 * half).max() <= 2


@pytest.mark.parametrize(("kind", "volume"), [("none", 1.0), ("office", 0.0)])
def test_no_room_is_silence_and_leaves_speech_alone(kind, volume):
    room = Ambience(kind, volume, 8000)
    speech = as_pcm(tone(440, 0.1, 8000))
    assert room.silent
    assert room.mix(speech) is speech
    assert room.take(160) == bytes(320)


def test_an_unknown_room_is_refused_with_the_choices():
    with pytest.raises(ValueError, match="'beach': choose one of none, office, cafe"):
        Ambience("beach", 1.0, 8000)
