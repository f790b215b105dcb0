"""Sound that cannot be flushed: how far ahead it goes, what a clear saves, when marks pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from calls.providers.carriers.threecx.pacing import Pacer
from calls.voice.clock import LoopClock
from calls.voice.testing.virtual_time import run_virtually

SECOND = bytes(16_000)
PIECE = 320


class Desk:
    """A pacer and all that it did, with times in ms."""

    def __init__(self, **options: float | bool) -> None:
        self.clock = LoopClock()
        self.written: list[tuple[float, int]] = []
        self.played: list[tuple[float, str]] = []
        self.pacer = Pacer(
            self.clock,
            lambda pcm: self.written.append((self.clock.now(), len(pcm))),
            lambda name: self.played.append((self.clock.now(), name)),
            sample_rate=8000,
            **options,  # type: ignore[arg-type]
        )
        self.pacer.open()

    @property
    def bytes_written(self) -> int:
        return sum(size for _, size in self.written)

    def most_ahead(self) -> float:
        """The greatest lead over real time, in ms, of sound that is played as it comes."""
        free_at = most = 0.0
        for at, size in self.written:
            free_at = max(at, free_at) + size / 16
            most = max(most, free_at - at)
        return most


def at_the_desk(test: Callable[[Desk], Awaitable[None]], **options: float | bool) -> Desk:
    async def run() -> Desk:
        desk = Desk(**options)
        await test(desk)
        desk.pacer.close()
        return desk

    return run_virtually(run())


@pytest.mark.parametrize("lead", [20.0, 60.0, 200.0])
def test_never_more_than_the_lead_is_written_ahead(lead):
    async def speak(desk: Desk) -> None:
        desk.pacer.send(SECOND)
        await asyncio.sleep(2)

    desk = at_the_desk(speak, lead=lead)
    assert desk.bytes_written == len(SECOND)
    assert desk.most_ahead() == pytest.approx(lead)
    assert desk.written[-1][0] == pytest.approx(1000 - lead)


def test_a_lead_shorter_than_a_piece_is_refused():
    with pytest.raises(ValueError, match="less than one piece"):
        at_the_desk(lambda _desk: asyncio.sleep(0), lead=10.0)


def test_a_clear_leaves_only_what_was_written():
    async def interrupted(desk: Desk) -> None:
        desk.pacer.send(SECOND * 5)
        await asyncio.sleep(1.005)
        desk.pacer.clear()
        assert desk.pacer.ahead <= 200
        await asyncio.sleep(5)

    desk = at_the_desk(interrupted)
    assert desk.bytes_written <= (1005 + 200) * 16


def test_what_is_said_after_a_clear_follows_what_was_written():
    async def interrupted(desk: Desk) -> None:
        desk.pacer.send(SECOND)
        await asyncio.sleep(0.1)
        desk.pacer.clear()
        desk.pacer.send(SECOND)
        await asyncio.sleep(3)

    desk = at_the_desk(interrupted)
    assert desk.most_ahead() == pytest.approx(200)
    assert desk.written[-1][0] == pytest.approx(300 + 1000 - 200, abs=20)


def test_a_mark_passes_when_the_sound_before_it_was_played():
    async def marked(desk: Desk) -> None:
        desk.pacer.mark("at once")
        desk.pacer.send(SECOND)
        desk.pacer.mark("after a second")
        desk.pacer.send(SECOND[:PIECE])
        desk.pacer.mark("after a piece more")
        await asyncio.sleep(3)

    desk = at_the_desk(marked)
    assert desk.played == [
        (pytest.approx(0), "at once"),
        (pytest.approx(1000), "after a second"),
        (pytest.approx(1020), "after a piece more"),
    ]


def test_a_clear_passes_every_open_mark_at_once():
    async def interrupted(desk: Desk) -> None:
        desk.pacer.send(SECOND[: PIECE * 5])
        desk.pacer.mark("written")
        desk.pacer.send(SECOND)
        desk.pacer.mark("waiting")
        await asyncio.sleep(0.05)
        desk.pacer.clear()
        await asyncio.sleep(3)

    assert at_the_desk(interrupted).played == [
        (pytest.approx(50), "written"),
        (pytest.approx(50), "waiting"),
    ]


def test_silence_keeps_the_line_busy_only_where_it_is_asked_for():
    async def idle(_desk: Desk) -> None:
        await asyncio.sleep(1)

    assert at_the_desk(idle).bytes_written == 0
    kept = at_the_desk(idle, silence=True)
    assert kept.bytes_written == pytest.approx(len(SECOND), abs=3 * PIECE)
    assert kept.most_ahead() == pytest.approx(40)


def test_speech_waits_for_no_more_silence_than_two_pieces():
    async def speak(desk: Desk) -> None:
        await asyncio.sleep(0.5)
        assert desk.pacer.ahead <= 40
        desk.pacer.send(SECOND)
        desk.pacer.mark("said")
        await asyncio.sleep(2)

    ((at, _),) = at_the_desk(speak, silence=True).played
    assert 1500 <= at <= 1541


def test_a_pbx_that_does_not_read_is_given_nothing_more():
    async def stuck(desk: Desk) -> None:
        desk.pacer.send(SECOND)
        await asyncio.sleep(0.1)
        desk.pacer.block(True)
        before = desk.bytes_written
        await asyncio.sleep(5)
        assert desk.bytes_written == before
        desk.pacer.block(False)
        await asyncio.sleep(2)

    assert at_the_desk(stuck).bytes_written == len(SECOND)


def test_nothing_is_written_before_the_way_is_open_nor_after_it_closed():
    async def early_and_late() -> list[bytes]:
        written: list[bytes] = []
        pacer = Pacer(LoopClock(), written.append, lambda _name: None, sample_rate=8000)
        pacer.send(SECOND)
        await asyncio.sleep(1)
        pacer.close()
        pacer.send(SECOND)
        await asyncio.sleep(1)
        return written

    assert run_virtually(early_and_late()) == []
