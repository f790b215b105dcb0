from __future__ import annotations

import numpy as np
import pytest

from calls.simulator import clips
from calls.voice.resample import resample

ENGLISH = [clip for clip in clips.index().values() if clip.language == "en"]


def words_missed(said: list[str], heard: list[str]) -> int:
    """Edits that turn one into the other."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row = row, [i]
        for j, other in enumerate(heard, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (word != other)))
    return row[-1]


def test_a_recogniser_that_knows_nothing_of_tours_hears_most_words():
    from pocketsphinx import Decoder

    decoder = Decoder(samprate=16000, loglevel="FATAL")
    missed = total = 0
    for clip in ENGLISH:
        sound = resample(clip.pcm(), clips.RATE, 16000)
        decoder.start_utt()
        decoder.process_raw(bytes(6400) + sound + bytes(9600), full_utt=True)
        decoder.end_utt()
        said = clips._plain(clip.text).split()
        missed += words_missed(said, decoder.hyp().hypstr.split())
        total += len(said)
    assert missed / total < 0.25


@pytest.mark.parametrize("clip", clips.index().values(), ids=lambda clip: clip.name)
def test_a_clip_is_short_and_loud_enough(clip):
    samples = np.frombuffer(clip.pcm(), "<i2").astype(float)
    assert 0.4 < len(samples) / clips.RATE < 5
    assert np.sqrt(np.mean(samples**2)) > 400


def test_a_clip_is_found_by_name_or_by_what_it_says():
    assert clips.find("book-a-tour") is clips.find("i WANT to book a tour")
    with pytest.raises(LookupError, match="no clip says 'sing'; there are: hello, "):
        clips.find("sing")


def test_there_is_something_to_say_in_spanish():
    assert {clip.language for clip in clips.index().values()} == {"en", "es"}
