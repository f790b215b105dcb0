"""The line out: pacing, marks, generations, ambience, and the watchdogs, in virtual time."""

import asyncio
from itertools import pairwise

import pytest

from calls.voice.clock import LoopClock
from calls.voice.line import Line
from calls.voice.playout import Playout
from calls.voice.testing import run_script, run_virtually
from calls.voice.testing.peers import ScriptedRecorder
from calls.voice.track import Track
from calls.voice.watchdog import Watchdog
from tests.voice.test_scripted_calls import cleared, monologue, near, options

RATE = 8000


class Wire:
    """Notes what was sent, and when."""

    sample_rate = RATE

    def __init__(self):
        self.sent = []

    def _note(self, *entry):
        self.sent.append((round(asyncio.get_running_loop().time(), 3), *entry))

    async def send(self, pcm):
        self._note("media", pcm)

    async def mark(self, name):
        self._note("mark", name)

    async def clear(self):
        self._note("clear")

    async def send_dtmf(self, digits):
        self._note("dtmf", digits)


class Hum:
    """An ambience whose samples count up, so that a gap or a repetition shows."""

    def __init__(self):
        self.position = 0

    def take(self, samples):
        self.position += samples
        return b"\x01\x00" * samples

    def mix(self, pcm):
        self.position += len(pcm) // 2
        return b"\x02\x00" * (len(pcm) // 2)


class Desk:
    """A playout with its wire, for one virtual run."""

    def __init__(self, ambience=None):
        self.clock = LoopClock()
        self.wire = Wire()
        self.played_out = []
        self.recorder = ScriptedRecorder()
        self.watchdog = Watchdog(self.clock, lambda *_: None)
        self.line = Line(self.wire, self.watchdog, 1000, lambda _: None)
        self.sender = asyncio.ensure_future(self.line.run())
        self.playout = Playout(
            self.line,
            self.clock,
            self.recorder,
            RATE,
            answered=0.0,
            ambience=ambience,
            on_played_out=lambda: self.played_out.append(self.clock.now()),
        )

    async def close(self):
        self.playout.close()
        self.watchdog.stop()
        self.sender.cancel()
        await asyncio.gather(self.sender, return_exceptions=True)

    def kinds(self):
        return [(entry[0], entry[1]) for entry in self.wire.sent]


def track(*seconds, closed=True):
    made = Track(RATE)
    for number, length in enumerate(seconds):
        sentence = made.add(f"Sentence {number}.")
        made.append(sentence, b"\x07\x00" * round(length * RATE))
        sentence.closed = closed
    return made


def at_desk(work, **desk):
    async def run():
        there = Desk(**desk)
        try:
            return await work(there)
        finally:
            await there.close()

    return run_virtually(run())


def test_chunks_of_100_ms_run_at_most_200_ms_ahead():
    async def work(desk):
        desk.playout.play(track(1.0))
        await asyncio.sleep(2)
        return desk.wire.sent

    sent = at_desk(work)
    media = [(at, len(entry[0]) / 16) for at, kind, *entry in sent if kind == "media"]
    assert [length for _, length in media] == [100] * 10
    assert [at for at, _ in media] == pytest.approx([0, 0] + [0.1 * n for n in range(1, 9)])


def test_marks_follow_the_first_chunk_and_each_sentence():
    async def work(desk):
        desk.playout.play(track(0.25, 0.05))
        await asyncio.sleep(1)
        return [entry[1:] for entry in desk.wire.sent]

    names = [entry[0] if entry[0] == "media" else entry[1] for entry in at_desk(work)]
    assert names == ["media", "g0-1", "media", "media", "g0-2", "media", "g0-3"]


def test_acknowledged_sentence_counts_whole_and_stale_marks_for_nothing():
    async def work(desk):
        made = track(1.0, 1.0)
        desk.playout.play(made)
        await asyncio.sleep(0.1)
        desk.playout.acknowledge("g0-1")
        await asyncio.sleep(0.9)
        desk.playout.acknowledge("g0-2")
        await asyncio.sleep(0.1)
        heard = desk.playout.stop()
        desk.playout.acknowledge("g0-3")
        desk.playout.acknowledge("nonsense")
        return heard / 16, made.sent / 16, desk.played_out

    assert at_desk(work) == (pytest.approx(1100), pytest.approx(1100), [])


def test_mark_vouches_for_those_before_it():
    async def work(desk):
        desk.playout.play(track(0.4))
        await asyncio.sleep(0.4)
        desk.playout.acknowledge("g0-2")
        return desk.playout.quiet

    assert at_desk(work)


def test_stopping_silence_sends_nothing():
    async def work(desk):
        desk.playout.stop()
        await asyncio.sleep(1)
        return desk.wire.sent

    assert at_desk(work) == []


def test_open_mark_bounds_what_was_heard():
    async def work(desk):
        desk.playout.play(track(0.5, 1.0))
        await asyncio.sleep(0.1)
        desk.playout.acknowledge("g0-1")
        await asyncio.sleep(0.7)
        return desk.playout.heard() / 16

    assert at_desk(work) == pytest.approx(500)


def test_late_mark_teaches_the_delay_of_the_line():
    async def work(desk):
        desk.playout.play(track(2.0))
        await asyncio.sleep(0.4)
        desk.playout.acknowledge("g0-1")
        await asyncio.sleep(0.6)
        return desk.playout.lag, desk.playout.heard() / 16

    assert at_desk(work) == (pytest.approx(300), pytest.approx(700))


def test_generation_changes_with_every_clear():
    async def work(desk):
        made = track(1.0)
        desk.playout.play(made)
        await asyncio.sleep(0.5)
        desk.playout.stop()
        await asyncio.sleep(0)
        desk.playout.play(made)
        await asyncio.sleep(2)
        return [entry[2] for entry in desk.wire.sent if entry[1] == "mark"]

    assert at_desk(work) == ["g0-1", "g1-2", "g1-3"]


def test_resumed_track_sends_no_sample_twice_and_none_is_lost():
    async def work(desk):
        made = track(1.0)
        desk.playout.play(made)
        await asyncio.sleep(0.37)
        heard = desk.playout.stop()
        await asyncio.sleep(1)
        before = len(desk.wire.sent)
        desk.playout.play(made)
        await asyncio.sleep(2)
        again = sum(len(entry[2]) for entry in desk.wire.sent[before:] if entry[1] == "media")
        return heard, again

    heard, again = at_desk(work)
    assert heard == pytest.approx(0.1 * 16000)
    assert heard + again == 16000


def test_playing_out_is_told_once_all_marks_are_back():
    async def work(desk):
        desk.playout.play(track(0.3))
        for name, pause in (("g0-1", 0.1), ("g0-2", 0.2)):
            await asyncio.sleep(pause)
            desk.playout.acknowledge(name)
        return desk.played_out, desk.playout.quiet

    assert at_desk(work) == ([pytest.approx(300)], True)


def test_missing_marks_are_given_up_and_found_again():
    async def work(desk):
        desk.playout.play(track(0.5, 3.0))
        await asyncio.sleep(1.2)
        first = desk.playout.heard() / 16
        await asyncio.sleep(0.8)
        later = desk.playout.heard() / 16
        desk.playout.acknowledge("g0-2")
        return first, later

    first, later = at_desk(work)
    assert first == pytest.approx(1200)
    assert later == pytest.approx(2000)


def test_growing_track_is_sent_as_it_grows():
    async def work(desk):
        made = Track(RATE)
        sentence = made.add("One.")
        desk.playout.play(made)
        for _ in range(4):
            made.append(sentence, b"\x07\x00" * 400)
            desk.playout.pump()
            await asyncio.sleep(0.05)
        sentence.closed = True
        desk.playout.pump()
        await asyncio.sleep(1)
        return desk.kinds()

    kinds = at_desk(work)
    assert kinds[0] == (0, "media")
    assert [kind for _, kind in kinds].count("media") == 4
    assert kinds[-1][1] == "mark"


def test_ambience_has_no_gap_through_speech_and_interruption():
    async def work(desk):
        desk.playout.pump()
        await asyncio.sleep(1.05)
        desk.playout.play(track(2.0))
        await asyncio.sleep(0.53)
        desk.playout.stop()
        await asyncio.sleep(1)
        desk.playout.release()
        await asyncio.sleep(0.5)
        return desk.wire.sent

    sent = at_desk(work, ambience=Hum())
    free_at = 0.0
    for at, kind, *entry in sent:
        if kind == "media":
            assert at <= free_at + 0.001
            free_at = max(at, free_at) + len(entry[0]) / 16000
            assert free_at - at <= 0.2011
        elif kind == "clear":
            free_at = at
    assert [at for at, kind, *_ in sent if kind == "clear"] == [1.05, 1.58]


def test_ambience_does_not_delay_speech():
    async def work(desk):
        desk.playout.pump()
        await asyncio.sleep(1.03)
        desk.playout.play(track(0.5))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return [
            (entry[0], entry[1], entry[2][:2] if entry[1] == "media" else "")
            for entry in desk.wire.sent[-4:]
        ]

    last = at_desk(work, ambience=Hum())
    assert (1.03, "clear", "") in last
    assert (1.03, "media", b"\x02\x00") in last


def test_scripted_call_with_ambience_keeps_its_times():
    call = monologue()
    call.caller_says("stop", at=5.0, until=6.0)
    timeline = run_script(call, options(bargein_min_duration=500), ambience=Hum())
    assert near(5.5) in cleared(timeline)
    assert timeline.sent[0][0] == 0


def test_agents_track_of_the_recording_is_contiguous():
    timeline = run_script(monologue(), options())
    pieces = timeline.recorder.agent_pieces
    assert pieces[0][0] == near(3500)
    for (start, size), (following, _) in pairwise(pieces):
        assert following == pytest.approx(start + size / 16) or following > 13_000


def test_recording_is_told_what_was_never_heard():
    call = monologue()
    call.caller_says("stop", at=5.0, until=6.0)
    timeline = run_script(call, options(bargein_min_duration=500))
    assert timeline.recorder.cleared == [near(5500)]


# --- the line -----------------------------------------------------------------------------


def test_clear_overtakes_sound_that_has_not_left():
    async def work(desk):
        desk.line.media(b"\x00\x00" * 80)
        desk.line.mark("g0-1")
        desk.line.keys("5")
        desk.line.clear()
        backlog = desk.line.backlog
        desk.line.media(b"\x00\x00")
        waiting = desk.line.backlog
        await asyncio.sleep(0.01)
        return backlog, waiting, [kind for _, kind in desk.kinds()]

    assert at_desk(work) == (0, 2, ["dtmf", "clear", "media"])
