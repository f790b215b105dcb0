"""Speech starts and stops: exact to the chunk, on quiet, noisy and broken lines."""

import pytest

from calls.voice import TurnOptions
from calls.voice.vad import EnergyFloor, SpeechStarted, SpeechStopped, VoiceActivity, decibels

CHUNK = 256
VOICE, NOISE = b"\x00\x20" * CHUNK, b"\x10\x00" * CHUNK


class Detector:
    sample_rate = 8000
    chunk_samples = CHUNK

    def __init__(self, *probabilities):
        self.probabilities = list(probabilities)
        self.asked = 0

    def process(self, chunk):
        self.asked += 1
        return self.probabilities.pop(0) if self.probabilities else float(chunk[:2] == VOICE[:2])

    def reset(self):
        self.probabilities.clear()


def feed(activity, chunks, begin=0.0):
    changes = []
    for number, chunk in enumerate(chunks):
        changes += activity.process(chunk, begin + number * 32.0)
    return changes


def test_speech_is_placed_to_the_chunk():
    activity = VoiceActivity(Detector(), TurnOptions(noise_adaptation=False))
    changes = feed(activity, [NOISE] * 3 + [VOICE] * 10 + [NOISE] * 10)
    assert changes == [SpeechStarted(96.0), SpeechStopped(416.0, 320.0)]
    assert not activity.speaking
    assert activity.voiced == 0


def test_blip_is_no_speech():
    activity = VoiceActivity(Detector(), TurnOptions(noise_adaptation=False))
    assert feed(activity, [NOISE, VOICE, NOISE, VOICE, NOISE]) == []


def test_soft_syllable_does_not_end_a_word():
    detector = Detector(0.9, 0.9, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.9)
    activity = VoiceActivity(detector, TurnOptions(noise_adaptation=False))
    assert feed(activity, [VOICE] * 12) == [SpeechStarted(0.0)]
    assert activity.voiced == 12 * 32


def test_frames_of_any_size_give_the_same_times():
    sound = NOISE * 3 + VOICE * 10 + NOISE * 10
    activity = VoiceActivity(Detector(), TurnOptions(noise_adaptation=False))
    changes = []
    for begin in range(0, len(sound), 320):
        changes += activity.process(sound[begin : begin + 320], begin / 16)
    assert changes == [SpeechStarted(96.0), SpeechStopped(416.0, 320.0)]


def test_lost_sound_ends_speech_where_it_was_last_heard():
    activity = VoiceActivity(Detector(), TurnOptions(noise_adaptation=False))
    assert feed(activity, [VOICE] * 4) == [SpeechStarted(0.0)]
    assert activity.process(NOISE, 2000.0) == (SpeechStopped(128.0, 128.0),)


def test_stream_may_begin_at_any_timestamp():
    activity = VoiceActivity(Detector(), TurnOptions(noise_adaptation=False))
    assert feed(activity, [VOICE] * 4, begin=5000.0) == [SpeechStarted(5000.0)]


def test_energy_floor_spares_the_model_in_silence():
    detector = Detector()
    activity = VoiceActivity(detector, TurnOptions())
    feed(activity, [bytes(CHUNK * 2)] * 100)
    assert detector.asked == 0
    assert feed(activity, [VOICE] * 5, begin=3200.0) == [SpeechStarted(3200.0)]


def test_energy_floor_learns_the_lines_noise_and_lets_speech_through():
    detector = Detector()
    activity = VoiceActivity(detector, TurnOptions())
    hiss = b"\x40\x01" * CHUNK
    feed(activity, [hiss] * 200)
    asked = detector.asked
    feed(activity, [hiss] * 100, begin=6400.0)
    assert detector.asked == asked
    assert feed(activity, [VOICE] * 5, begin=9600.0) == [SpeechStarted(9600.0)]


def test_noisy_line_raises_the_threshold():
    floor = EnergyFloor()
    assert floor.threshold(0.5) == 0.5
    for _ in range(2000):
        floor.is_silence(decibels(b"\x00\x10" * CHUNK), 32.0, False)
    assert floor.threshold(0.5) == pytest.approx(0.7)
    for _ in range(20):
        floor.is_silence(-100.0, 32.0, True)
    assert floor.threshold(0.5) == pytest.approx(0.5, abs=0.01)


def test_speech_ends_with_the_sound_even_while_the_model_remembers_it():
    activity = VoiceActivity(Detector(*[0.9] * 14), TurnOptions(noise_adaptation=False))
    faint = b"\x24\x00" * CHUNK  # 47 dB below the voice
    changes = feed(activity, [VOICE] * 10 + [faint] * 10)
    assert changes == [SpeechStarted(0.0), SpeechStopped(320.0, 320.0)]


def test_silence_does_not_reach_the_model_but_its_last_chunk_leads_into_the_next_sound():
    silence = bytes(CHUNK * 2)
    detector = Detector()
    activity = VoiceActivity(detector, TurnOptions(noise_adaptation=False))
    assert feed(activity, [silence] * 50) == []
    assert detector.asked == 0
    assert feed(activity, [VOICE] * 3, begin=1600.0) == [SpeechStarted(1600.0)]
    assert detector.asked == 4


def test_model_forgets_speech_when_it_is_over():
    detector = Detector()
    detector.reset = lambda: setattr(detector, "asked", -1)
    feed(VoiceActivity(detector, TurnOptions()), [VOICE] * 5 + [bytes(CHUNK * 2)] * 9)
    assert detector.asked == -1


def test_soft_syllable_is_still_speech():
    activity = VoiceActivity(Detector(*[0.9] * 12), TurnOptions(noise_adaptation=False))
    soft = b"\x90\x00" * CHUNK  # 35 dB below the voice
    assert feed(activity, [VOICE] * 4 + [soft] * 8) == [SpeechStarted(0.0)]
    assert activity.voiced == 384.0


def test_speech_does_not_become_the_floor():
    floor = EnergyFloor()
    for _ in range(500):
        assert not floor.is_silence(decibels(VOICE), 32.0, True)


def test_decibels_below_full_scale():
    assert decibels(b"\x00\x80" * 100) == pytest.approx(0)
    assert decibels(bytes(200)) == -100
