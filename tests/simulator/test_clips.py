from __future__ import annotations

import numpy as np
import pytest

from calls.simulator import clips
from calls.voice.resample import resample

ENGLISH = [clip for clip in clips.index().values() if clip.language == "en"]


def test_each_clip_is_recognised_among_all_the_others():
    from pocketsphinx import Decoder

    sentences = {clips._plain(clip.text) for clip in ENGLISH}
    grammar = f"#JSGF V1.0; grammar caller; public <said> = {' | '.join(sorted(sentences))};"
    decoder = Decoder(samprate=16000, loglevel="FATAL", lm=None)
    decoder.add_jsgf_string("caller", grammar)
    decoder.activate_search("caller")
    heard = {}
    for clip in ENGLISH:
        sound = resample(clip.pcm(), clips.RATE, 16000)
        decoder.start_utt()
        decoder.process_raw(bytes(6400) + sound + bytes(9600), full_utt=True)
        decoder.end_utt()
        heard[clip.name] = decoder.hyp().hypstr if decoder.hyp() else ""
    assert heard == {clip.name: clips._plain(clip.text) for clip in ENGLISH}


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
