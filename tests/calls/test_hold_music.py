"""What a caller hears who waits for a person."""

from __future__ import annotations

import io
import wave

import numpy as np

from calls.carriers import hold_music
from calls.carriers.links import hold_music as told


def test_music_is_soft_never_silent_and_has_no_seam():
    sound = hold_music.samples().astype(float)
    assert np.abs(sound).max() < 32767 / 9
    seconds = sound.reshape(hold_music.SECONDS, -1)
    assert np.sqrt((seconds**2).mean(axis=1)).min() > 300
    assert abs(sound[0] - sound[-1]) < np.abs(np.diff(sound)).max()


async def test_carriers_get_it_at_our_public_address(async_client, settings):
    settings.PUBLIC_BASE_URL = "https://andrea.example"
    music = told()
    assert music.url == "https://andrea.example/api/v1/hold-music.wav"
    answer = await async_client.get("/api/v1/hold-music.wav")
    assert answer["Content-Type"] == "audio/wav"
    assert {"public", "max-age=86400"} == set(answer["Cache-Control"].split(", "))
    with wave.open(io.BytesIO(answer.content)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        assert sound.getnframes() == music.seconds * sound.getframerate()
    assert (await async_client.post("/api/v1/hold-music.wav")).status_code == 405
