"""Packets in any order as sound in its place, and sound as packets when they are due."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest

from calls.providers.carriers.positions import Positions
from calls.providers.carriers.webrtc.hearing import Hearing
from calls.providers.carriers.webrtc.jitter import FAR, MOST_HELD, JitterBuffer, Packet
from calls.providers.carriers.webrtc.opus import FRAME_BYTES, BadOpus, Decoder, Encoder
from calls.providers.carriers.webrtc.speaking import Speaking
from calls.voice.clock import LoopClock
from calls.voice.ports import Audio
from calls.voice.testing.virtual_time import run_virtually

TICKS = 960  # of 20 ms


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    at = np.arange(int(seconds * 16000)) / 16000
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype("<i2").tobytes()


def frames(pcm: bytes) -> list[bytes]:
    return [pcm[at : at + FRAME_BYTES] for at in range(0, len(pcm), FRAME_BYTES)]


def encoded(pcm: bytes) -> list[bytes]:
    encoder = Encoder()
    return [bytes(encoder.encode(frame, 0)) for frame in frames(pcm)]


def loudness(pcm: bytes) -> float:
    return float(np.sqrt(np.mean(np.frombuffer(pcm, "<i2").astype(float) ** 2)))


# --- order ------------------------------------------------------------------------------------


class Desk:
    """A buffer, and what it delivered: (ms, number, lost)."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.got: list[tuple[float, int, bool]] = []
        self.late = 0
        self.buffer = JitterBuffer(self.clock, self._deliver)
        self.buffer.on_late = self._late

    def _deliver(self, packet: Packet, lost: bool) -> None:
        self.got.append((round(self.clock.now()), packet.number, lost))

    def _late(self) -> None:
        self.late += 1

    async def come(self, *arrivals: tuple[float, int]) -> None:
        for at, number in arrivals:
            await self.clock.sleep_until(at)
            self.buffer.put(number % 65536, number * TICKS % 2**32, b"x")
        await asyncio.sleep(1)


def arriving(*arrivals: tuple[float, int]) -> Desk:
    async def run() -> Desk:
        desk = Desk()
        await desk.come(*arrivals)
        return desk

    return run_virtually(run())


def test_packets_in_order_pass_at_once():
    desk = arriving((0, 7), (20, 8), (40, 9))
    assert desk.got == [(0, 7, False), (20, 8, False), (40, 9, False)]


def test_packet_that_was_overtaken_takes_its_place():
    desk = arriving((0, 1), (20, 3), (45, 2), (60, 4))
    assert desk.got == [(0, 1, False), (45, 2, False), (45, 3, False), (60, 4, False)]
    assert desk.late == 0


def test_lost_packet_is_waited_for_60_ms_and_then_told():
    desk = arriving((0, 1), (40, 3), (60, 4), (80, 5), (100, 6), (120, 7))
    assert desk.got[1] == (100, 3, True)
    assert [number for _, number, _ in desk.got] == [1, 3, 4, 5, 6, 7]
    assert [lost for _, _, lost in desk.got] == [False, True, False, False, False, False]


def test_two_losses_are_waited_for_from_what_came_after_each():
    desk = arriving((0, 1), (40, 3), (80, 5))
    assert desk.got == [(0, 1, False), (100, 3, True), (140, 5, True)]


def test_packets_that_come_too_late_or_twice_are_counted_and_left_out():
    desk = arriving((0, 1), (40, 3), (40, 3), (150, 2), (160, 4), (170, 4))
    assert [number for _, number, _ in desk.got] == [1, 3, 4]
    assert desk.late == 3


def test_numbers_and_timestamps_wrap_around():
    start = 65_534
    desk = arriving(*((20 * n, start + n) for n in range(5)))
    assert [number for _, number, _ in desk.got] == [start + n for n in range(5)]


def test_another_sequence_begins_anew():
    desk = arriving((0, 1), (20, 3), (40, FAR * 9), (60, FAR * 9 + 1))
    assert [number for _, number, _ in desk.got] == [1, FAR * 9, FAR * 9 + 1]


def test_no_more_is_held_than_a_second():
    desk = arriving((0, 1), *((1, 3 + n) for n in range(MOST_HELD + 1)))
    assert desk.got[1][:2] == (1, 3)


def test_closed_buffer_waits_for_nothing():
    async def run() -> Desk:
        desk = Desk()
        desk.buffer.put(1, 0, b"x")
        desk.buffer.put(3, 0, b"x")
        desk.buffer.close()
        await asyncio.sleep(1)
        return desk

    assert len(run_virtually(run()).got) == 1


# --- Opus -------------------------------------------------------------------------------------


def test_sound_survives_the_way_there_and_back():
    decoder = Decoder()
    heard = b"".join(decoder.decode(packet) for packet in encoded(tone(0.5)))
    assert len(heard) == pytest.approx(16000, abs=60)
    assert loudness(heard[4000:]) == pytest.approx(loudness(tone(0.5)), rel=0.1)
    spectrum = np.abs(np.fft.rfft(np.frombuffer(heard[-9600:], "<i2")))
    assert np.argmax(spectrum) * 16000 / 4800 == pytest.approx(440, abs=5)


def test_lost_frames_are_made_up_and_fade():
    decoder = Decoder()
    sound = b"".join(decoder.decode(packet) for packet in encoded(tone(0.2)))
    made_up = [decoder.conceal() for _ in range(10)]
    assert {len(pcm) for pcm in made_up} == {FRAME_BYTES}
    assert loudness(made_up[0]) > loudness(sound) / 4
    assert loudness(made_up[-1]) < loudness(made_up[0])


def test_nothing_is_made_up_before_the_first_packet():
    assert Decoder().conceal() == b""


@pytest.mark.parametrize("payload", [b"\x03", b"\xff\xff\xff", bytes(2000)])
def test_garbage_is_no_opus_and_the_next_packet_is_heard(payload):
    decoder = Decoder()
    with pytest.raises(BadOpus):
        decoder.decode(payload)
    heard = b"".join(decoder.decode(packet) for packet in encoded(tone(0.1)))
    assert loudness(heard) > 3000


# --- the caller's sound in its place ----------------------------------------------------------


class Ear:
    """A hearing at a time that the test sets, and what came of it."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.heard: list[Audio] = []
        self.positions = Positions()
        self.hearing = Hearing(self, self.positions, self.heard.append)

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        raise AssertionError("a hearing never waits")

    def take(self, number: int, payload: bytes, lost: bool = False, ticks: int | None = None):
        self.time = 1000.0 + 20 * number
        timestamp = number * TICKS if ticks is None else ticks
        self.hearing.take(Packet(number, timestamp, payload), lost)


def test_sound_lies_where_its_timestamps_say():
    ear = Ear()
    for number, packet in enumerate(encoded(tone(0.1))):
        ear.take(number, packet)
    assert ear.heard[0].timestamp == 0
    assert [round(a.timestamp) for a in ear.heard] == pytest.approx([0, 20, 40, 60, 80], abs=3)
    assert ear.positions.lost_ms == 0


def test_short_loss_is_made_up_and_counted():
    ear = Ear()
    packets = encoded(tone(0.2))
    for number in (0, 1, 2, 5, 6):
        ear.take(number, packets[number], lost=number == 5)
    assert len(ear.heard) == 7
    ends = [a.timestamp + len(a.pcm) / 32 for a in ear.heard]
    assert [a.timestamp for a in ear.heard[1:]] == pytest.approx(ends[:-1], abs=1e-6)
    assert loudness(ear.heard[3].pcm) > 1000
    assert ear.positions.lost_ms == pytest.approx(40, abs=2)


def test_long_loss_is_silence_after_100_ms():
    ear = Ear()
    packets = encoded(tone(1.0))
    for number in (0, 1, 40):
        ear.take(number, packets[number], lost=number == 40)
    assert len(ear.heard) == 2 + 5 + 1
    assert ear.heard[-1].timestamp == pytest.approx(800)
    assert ear.positions.lost_ms == pytest.approx(760, abs=3)


def test_pause_in_which_nothing_was_sent_is_no_loss_to_be_made_up():
    ear = Ear()
    packets = encoded(tone(0.2))
    ear.take(0, packets[0])
    ear.take(20, packets[1])
    assert len(ear.heard) == 2
    assert ear.heard[1].timestamp == pytest.approx(400)


def test_padding_is_no_sound():
    ear = Ear()
    ear.take(0, b"")
    assert ear.heard == []


@pytest.mark.parametrize("leap", [2**31, -(2**31), 48 * 60_000])
def test_timestamps_gone_astray_do_not_make_hours_of_silence(leap):
    ear = Ear()
    packets = encoded(tone(0.2))
    ear.take(0, packets[0])
    ear.take(1, packets[1], ticks=TICKS + leap)
    ear.take(2, packets[2], ticks=2 * TICKS + leap)
    assert [round(a.timestamp) for a in ear.heard] == pytest.approx([0, 20, 40], abs=3)


def test_new_connection_goes_on_at_the_time_of_day_of_the_call():
    ear = Ear()
    packets = encoded(tone(0.2))
    ear.take(0, packets[0])
    ear.hearing.reconnected()
    ear.take(150, packets[1], ticks=77)
    ear.take(151, packets[2], ticks=77 + TICKS)
    assert [round(a.timestamp) for a in ear.heard] == pytest.approx([0, 3000, 3020], abs=3)


# --- the agent's sound when it is due ---------------------------------------------------------


class Booth:
    """A speaking, what it sent (ms, samples, loud) and which marks were heard (ms, name)."""

    def __init__(self) -> None:
        self.clock = LoopClock()
        self.sent: list[tuple[float, int, bool]] = []
        self.heard: list[tuple[float, str]] = []
        self.speaking = Speaking(self.clock, self._played, far_delay=100)

    def _played(self, name: str) -> None:
        self.heard.append((round(self.clock.now()), name))

    async def pull(self) -> None:
        while True:
            frame = await self.speaking.next()
            assert len(frame.pcm) == FRAME_BYTES
            self.sent.append((round(self.clock.now()), frame.at, any(frame.pcm)))

    @property
    def loud(self) -> list[float]:
        return [at for at, _, loud in self.sent if loud]


def in_the_booth(test: Callable[[Booth], Awaitable[None]]) -> Booth:
    async def run() -> Booth:
        booth = Booth()
        pulling = asyncio.create_task(booth.pull())
        await asyncio.sleep(0)
        await test(booth)
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)
        booth.speaking.close()
        return booth

    return run_virtually(run())


def test_sound_leaves_in_real_time_and_its_mark_passes_when_it_was_heard():
    async def speak(booth: Booth) -> None:
        booth.speaking.send(tone(0.2))
        booth.speaking.mark("end")
        await asyncio.sleep(1)

    booth = in_the_booth(speak)
    assert booth.loud == [20 * n for n in range(10)]
    assert booth.heard == [(300, "end")]


def test_timestamps_count_samples_also_over_pauses():
    async def speak(booth: Booth) -> None:
        booth.speaking.send(tone(0.04))
        await asyncio.sleep(1)
        booth.speaking.send(tone(0.04))
        await asyncio.sleep(1)

    booth = in_the_booth(speak)
    assert all(samples == at * 16 for at, samples, _ in booth.sent)
    assert booth.loud == [0, 20, 1000, 1020]


def test_hardly_anything_is_sent_while_there_is_nothing_to_say():
    async def wait(_booth: Booth) -> None:
        await asyncio.sleep(4)

    booth = in_the_booth(wait)
    assert 15 <= len(booth.sent) <= 21
    assert booth.loud == []


def test_cleared_sound_is_never_sent_and_its_marks_pass_at_once():
    async def interrupt(booth: Booth) -> None:
        booth.speaking.send(tone(1.0))
        booth.speaking.mark("a")
        booth.speaking.send(tone(1.0))
        booth.speaking.mark("b")
        await asyncio.sleep(0.095)
        booth.speaking.clear()
        await asyncio.sleep(1)

    booth = in_the_booth(interrupt)
    assert booth.loud == [0, 20, 40, 60, 80]
    assert booth.heard == [(95, "a"), (95, "b")]


def test_sound_goes_on_after_a_clear():
    async def interrupt(booth: Booth) -> None:
        booth.speaking.send(tone(1.0))
        await asyncio.sleep(0.095)
        booth.speaking.clear()
        booth.speaking.send(tone(0.04))
        booth.speaking.mark("next")
        await asyncio.sleep(1)

    booth = in_the_booth(interrupt)
    assert booth.loud[5:] == [100, 120]
    assert booth.heard == [(240, "next")]


def test_mark_with_nothing_before_it_passes_when_all_was_heard():
    async def mark(booth: Booth) -> None:
        await asyncio.sleep(1)
        booth.speaking.mark("now")
        await asyncio.sleep(0.01)

    assert in_the_booth(mark).heard == [(1000, "now")]


def test_last_piece_is_filled_up_with_silence():
    async def speak(booth: Booth) -> None:
        booth.speaking.send(tone(0.03))
        booth.speaking.mark("end")
        await asyncio.sleep(1)

    booth = in_the_booth(speak)
    assert booth.loud == [0, 20]
    assert booth.heard == [(140, "end")]


def test_stalled_loop_is_not_followed_by_a_burst():
    async def run() -> Booth:
        booth = Booth()
        booth.speaking.send(tone(1.0))
        await booth.speaking.next()
        await asyncio.sleep(0.5)  # nobody asks: the loop hung, or the connection was away
        pulling = asyncio.create_task(booth.pull())
        await asyncio.sleep(0.1)
        pulling.cancel()
        await asyncio.gather(pulling, return_exceptions=True)
        return booth

    booth = run_virtually(run())
    assert len(booth.sent) <= 7
    assert booth.sent[0][1] >= 480 * 16
