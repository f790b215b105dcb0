"""A 3CX call's sound over real HTTP: chunks of any size, barge-in, loss and attaching again."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager

import numpy as np
import pytest

from agents.brain.errors import BadKey, NetworkFailure, ProviderDown
from calls.providers.carriers.errors import Fault
from calls.providers.carriers.port import LegGone
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.threecx.attach import StreamInUse, Streams
from calls.providers.carriers.threecx.control import CallControl
from calls.providers.carriers.threecx.media import MediaOptions, ThreeCxMedia
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.peers.threecx import FRAME_BYTES, Party, RudePbx, keep_talking

SECOND = bytes(16_000)
RAMP = np.arange(4000, dtype="<i2").tobytes()


class Desk:
    """A PBX with a caller on the line, and our streams."""

    def __init__(self, pbx: RudePbx, options: MediaOptions | None) -> None:
        self.pbx, self.rest = pbx, pbx.rest()
        self.streams = Streams(CallControl(self.rest), options)

    def caller(self) -> Party:
        party = self.pbx.ring()
        party.connect()
        return party

    async def open(self, party: Party) -> ThreeCxMedia:
        return await self.streams.open(f"{party.id}.{party.call}")


@asynccontextmanager
async def a_desk(options: MediaOptions | None = None):
    async with RudePbx().running() as pbx:
        desk = Desk(pbx, options)
        try:
            yield desk
        finally:
            await desk.rest.aclose()


async def events_until(media: ThreeCxMedia, kind: type, seconds: float = 3.0):
    """Events up to and including the first of that kind."""
    found = []
    async with asyncio.timeout(seconds):
        async for event in media:
            found.append(event)
            if isinstance(event, kind):
                break
    return found


async def until(condition, seconds: float = 3.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def test_it_is_what_conducts_a_call():
    async def made() -> CallMedia:
        return ThreeCxMedia(lambda: asyncio.sleep(0, False))

    assert asyncio.run(made()).sample_rate == 8000


# --- what the caller says ----------------------------------------------------------------


@pytest.mark.parametrize("chunk", [0, 1, 7, 319, 512, 3333])
async def test_sound_is_whole_however_it_is_cut(chunk):
    async with a_desk() as desk:
        desk.pbx.faults.chunk_bytes = chunk
        party = desk.caller()
        media = await desk.open(party)
        for at in range(0, len(RAMP), FRAME_BYTES):
            party.say(RAMP[at : at + FRAME_BYTES])
        heard, position = b"", 0.0
        wanted = len(RAMP) - (len(RAMP) % chunk if chunk else 0) - 160
        async with asyncio.timeout(3):
            async for event in media:
                assert isinstance(event, Audio)
                assert event.timestamp == pytest.approx(position)
                assert len(event.pcm) % 2 == 0
                heard += event.pcm
                position += len(event.pcm) / 16
                if len(heard) >= wanted:
                    break
        assert RAMP.startswith(heard)
        await media.hang_up(1000)


async def test_keys_and_the_end_come_from_events():
    async with a_desk() as desk:
        media = await desk.open(desk.caller())
        media.press("5#x")
        media.hung_up()
        assert [event async for event in media] == [
            Dtmf("5"), Dtmf("#"), Closed("caller_hung_up"),
        ]  # fmt: skip
        assert media.malformed == 1


async def test_a_flood_of_sound_ends_the_stream_as_a_fault():
    async with a_desk(MediaOptions(ahead=100.0)) as desk:
        party = desk.caller()
        media = await desk.open(party)
        for _ in range(100):
            party.say(SECOND)
        events = await events_until(media, Closed)
        assert events[-1] == Closed("media_lost")
        assert media.fault is not None
        assert media.fault.fault is Fault.FLOOD


# --- what the agent says -----------------------------------------------------------------


def heard_by(party: Party) -> bytes:
    """All that the PBX was given, pauses left out."""
    return b"".join(bytes(stretch.sound) for stretch in party.played.stretches)


async def test_our_sound_arrives_whole_and_its_mark_when_it_was_played():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        began = time.monotonic()
        await media.send(RAMP)
        await media.mark("said")
        assert await events_until(media, Mark) == [Mark("said")]
        assert time.monotonic() - began >= 0.499
        assert heard_by(party) == RAMP
        await media.hang_up(1000)


async def test_a_barge_in_leaves_the_lead_and_nothing_else():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        await media.send(SECOND * 5)
        await until(lambda: len(heard_by(party)) > 8000)
        await media.clear()
        assert media.ahead <= 200.01
        await asyncio.sleep(0.3)
        given = heard_by(party)
        await asyncio.sleep(0.3)
        assert heard_by(party) == given
        assert len(given) < len(SECOND) * 2
        await media.hang_up(1000)


async def test_keys_go_out_as_tones():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        await media.send_dtmf("5")
        await until(lambda: len(heard_by(party)) == 3200)
        samples = np.frombuffer(heard_by(party)[:1920], "<i2")
        spectrum = np.abs(np.fft.rfft(samples))
        peaks = np.argsort(spectrum)[-2:] * 8000 / len(samples)
        assert sorted(peaks) == pytest.approx([770, 1336], abs=10)
        await media.hang_up(1000)


async def test_a_pbx_that_reads_slowly_is_waited_for_and_then_cleared():
    async with a_desk() as desk:
        desk.pbx.faults.slow = 30.0
        media = await desk.open(desk.caller())
        media._set_writable(False)  # what the transport says when the socket is full
        sending = asyncio.create_task(media.send(SECOND))
        await asyncio.sleep(0.02)
        assert not sending.done()
        await media.hang_up(1000)
        await asyncio.wait_for(sending, 1)


# --- one stream, its loss and the next ---------------------------------------------------


async def test_a_leg_has_one_stream_each_way_at_a_time(monkeypatch):
    monkeypatch.setattr("calls.providers.carriers.threecx.attach.HANDED_ON_SECONDS", 0.05)
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        with pytest.raises(StreamInUse):
            await desk.open(party)
        await until(lambda: (party.listening, party.speaking) == (1, 1))
        await media.hang_up(1000)
        await media.hang_up(1000)
        await until(lambda: (party.listening, party.speaking) == (0, 0))
        await (await desk.open(party)).hang_up(1000)


async def test_a_lost_stream_of_a_live_call_is_attached_again():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        await until(lambda: party.speaking == 1)
        desk.pbx.cut_sound()
        assert (await events_until(media, Closed))[-1] == Closed("media_lost")
        again = await desk.open(party)
        party.say(SECOND[:FRAME_BYTES])
        assert isinstance((await events_until(again, Audio))[-1], Audio)
        await again.hang_up(1000)


async def test_a_caller_who_vanished_without_an_event_has_hung_up():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        desk.pbx.vanish(party)
        assert (await events_until(media, Closed))[-1] == Closed("caller_hung_up")


async def test_a_line_that_brings_nothing_is_lost():
    async with a_desk(MediaOptions(quiet_seconds=0.1)) as desk:
        party = desk.caller()
        media = await desk.open(party)
        for _ in range(8):
            party.say(SECOND[:FRAME_BYTES])
            await asyncio.sleep(0.02)
        assert (await events_until(media, Closed))[-1] == Closed("media_lost")


async def test_a_new_token_ends_the_streams_that_were_open():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        await until(lambda: party.speaking == 1)
        desk.pbx.revoke()
        assert (await events_until(media, Closed))[-1] == Closed("media_lost")
        await (await desk.open(party)).hang_up(1000)
        assert desk.pbx.minted == 2


async def test_a_refused_post_loses_the_stream_at_once():
    async with a_desk() as desk:
        party = desk.caller()
        desk.pbx.faults.refuse_posts = True
        media = await desk.open(party)
        assert (await events_until(media, Closed))[-1] == Closed("media_lost")


@pytest.mark.parametrize(("status", "error"), [(404, LegGone), (403, BadKey), (503, ProviderDown)])
async def test_a_stream_that_does_not_open_says_why_and_can_be_tried_again(status, error):
    async with a_desk() as desk:
        party = desk.caller()
        desk.pbx.faults.statuses = [("/stream", status)]
        with pytest.raises(error):
            await desk.open(party)
        await (await desk.open(party)).hang_up(1000)


async def test_a_token_that_died_before_the_stream_is_renewed():
    async with a_desk() as desk:
        party = desk.caller()
        await desk.rest.get("/callcontrol")
        desk.pbx.revoke()
        await (await desk.open(party)).hang_up(1000)


async def test_a_pbx_that_is_away_is_a_network_failure():
    async with a_desk() as desk:
        party = desk.caller()
        await desk.rest.get("/callcontrol")
    with pytest.raises(NetworkFailure):
        await desk.open(party)


async def test_a_caller_speaks_every_20_ms_and_is_heard_in_time():
    async with a_desk() as desk:
        party = desk.caller()
        media = await desk.open(party)
        talking = asyncio.create_task(keep_talking(party, SECOND))
        heard = 0
        async with asyncio.timeout(3):
            async for event in media:
                assert isinstance(event, Audio)
                heard += len(event.pcm)
                if heard >= len(SECOND) // 2:
                    break
        assert media.positions.lost_ms == 0
        talking.cancel()
        await media.hang_up(1000)
