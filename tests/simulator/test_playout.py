from __future__ import annotations

import pytest

from calls.simulator.playout import PCM16, PlayoutBuffer

SECOND = b"\x01" * 8000


def test_marks_come_back_when_all_before_them_was_played():
    buffer = PlayoutBuffer()
    buffer.receive(10.0, SECOND)
    buffer.mark(10.0, "one")
    buffer.receive(10.5, SECOND)
    buffer.mark(10.5, "two")
    assert (buffer.due(10.9), buffer.next_due()) == ([], 11.0)
    assert buffer.due(11.0) == ["one"]
    assert buffer.due(12.5) == ["two"]
    assert buffer.next_due() is None


def test_a_mark_with_nothing_queued_comes_back_at_once():
    buffer = PlayoutBuffer()
    buffer.mark(3.0, "now")
    assert buffer.due(3.0) == ["now"]


def test_clear_gives_back_every_waiting_mark_and_stops_the_sound():
    buffer = PlayoutBuffer()
    buffer.receive(0.5, SECOND)
    buffer.mark(0.6, "one")
    buffer.mark(0.7, "two")
    assert buffer.clear(1.0) == ["one", "two"]
    assert buffer.plays_until == 1.0
    assert buffer.due(9.0) == []


def test_silence_after_a_clear_is_no_gap():
    buffer = PlayoutBuffer()
    buffer.receive(1.0, SECOND)
    buffer.clear(1.5)
    buffer.receive(1.9, SECOND)
    assert buffer.gaps() == []


def test_sixteen_bit_sound_is_measured_in_samples():
    buffer = PlayoutBuffer(PCM16)
    buffer.receive(1.0, b"\x01\x02" * 8000)
    assert buffer.plays_until == 1.5
    buffer.clear(1.25)
    assert buffer.heard(1.0, 1.5) == b"\x01\x02" * 4000 + bytes(8000)


def test_clear_when_all_was_played_takes_nothing_back():
    buffer = PlayoutBuffer()
    assert buffer.clear(0.0) == []
    buffer.receive(0.5, SECOND)
    buffer.clear(2.0)
    assert buffer.plays_until == 1.5


def test_sound_that_comes_late_leaves_a_gap_and_a_pause_between_turns_does_not_count():
    buffer = PlayoutBuffer()
    for at in (1.0, 1.9, 3.05, 9.0):
        buffer.receive(at, SECOND)
    assert buffer.gaps() == pytest.approx([0.05])


def test_what_was_heard_has_its_silences():
    buffer = PlayoutBuffer()
    buffer.receive(1.0, b"\x01" * 800)
    buffer.receive(1.2, b"\x02" * 800)
    assert buffer.heard(0.9, 1.4) == (
        b"\xff" * 800 + b"\x01" * 800 + b"\xff" * 800 + b"\x02" * 800 + b"\xff" * 800
    )
    assert buffer.heard(1.05, 1.25) == b"\x01" * 400 + b"\xff" * 800 + b"\x02" * 400
