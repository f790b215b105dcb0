"""Calls over WebRTC with a real peer in this process: sound, comings and goings, rudeness."""

from __future__ import annotations

import asyncio
import socket as sockets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import av
import numpy as np
import pytest
from aiortc import RTCRtpReceiver

from calls.providers.carriers.errors import Fault
from calls.providers.carriers.stream import CallMedia
from calls.providers.carriers.webrtc import media as media_module
from calls.providers.carriers.webrtc.jitter import JitterBuffer
from calls.providers.carriers.webrtc.media import Options, WebRtcMedia
from calls.providers.carriers.webrtc.peer import Peer, listen
from calls.simulator.webrtc import PagePeer
from calls.voice.clock import LoopClock
from calls.voice.ports import Audio, Closed, Dtmf, Mark
from tests.calls.sockets import Socket
from tests.providers.carriers.webrtc_page import ICE, START, TONE, Page


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - many things to wait for
            await asyncio.sleep(0.005)


@asynccontextmanager
async def connected(options: Options | None = None) -> AsyncIterator[tuple[WebRtcMedia, Page]]:
    """A call that has begun, with its page's socket attended."""
    page = Page()
    opening = asyncio.create_task(page.opening().start())
    await page.connect()
    page.socket.put(START)
    _, peer = await opening
    assert peer is not None
    media: CallMedia = WebRtcMedia(peer, ICE, options=options)
    assert isinstance(media, WebRtcMedia)
    attending = asyncio.create_task(media.attend(page.socket.receive, page.socket.send))
    await asyncio.sleep(0)
    try:
        yield media, page
    finally:
        await media.hang_up(1000, "over")
        await attending
        await page.peer.close()
        left = {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}
        _, stuck = await asyncio.wait(left, timeout=1) if left else (set(), set())
        assert {str(task.get_coro()) for task in stuck} == set()


def loudest(audio: Audio) -> int:
    return int(np.abs(np.frombuffer(audio.pcm, "<i2")).max())


async def next_of(media: WebRtcMedia, kind: type) -> Any:
    async with asyncio.timeout(5):
        async for event in media:
            if isinstance(event, kind):
                return event
    raise AssertionError(f"the stream ended without a {kind.__name__}")


async def test_sound_goes_both_ways_and_marks_tell_what_was_heard():
    async with connected() as (media, page):
        page.talk(200)
        got = [await next_of(media, Audio) for _ in range(10)]
        assert got[0].timestamp == 0
        assert got[-1].timestamp == pytest.approx(180, abs=3)
        assert loudest(got[-1]) > 4000
        await media.send(TONE[:6400])
        await media.mark("end")
        began = time.monotonic()
        assert await next_of(media, Mark) == Mark("end")
        assert 0.2 < time.monotonic() - began < 1.0
        assert 9 <= len([audio for audio in page.heard if loudest(audio) > 4000]) <= 12


async def test_clear_drops_what_was_not_sent():
    async with connected() as (media, page):
        await media.send(TONE)
        await media.mark("end")
        await eventually(lambda: page.heard)
        await media.clear()
        assert await next_of(media, Mark) == Mark("end")
        await page.told("clear")
        await asyncio.sleep(0.1)
        heard = len(page.heard)
        assert heard < 30
        await asyncio.sleep(0.2)
        loud = [a for a in page.heard[heard:] if loudest(a) > 4000]
        assert loud == []


async def test_keys_transcripts_and_hanging_up_come_by_the_socket():
    async with connected() as (media, page):
        heard: list[tuple[str, bool]] = []
        media.on_transcript = lambda text, final: heard.append((text, final))
        page.socket.put({"type": "transcript", "text": "hola", "final": True})
        page.socket.put({"type": "dtmf", "digit": "5"})
        assert await next_of(media, Dtmf) == Dtmf("5")
        assert heard == [("hola", True)]
        page.socket.put({"type": "hangup"})
        assert await next_of(media, Closed) == Closed("caller_hung_up")


async def test_lost_packets_are_made_up():
    async with connected() as (media, page):
        page.talk(100)
        await eventually(lambda: media.positions.expected > 90)
        for _ in range(2):
            page.peer.lose()
        page.talk(200)
        await eventually(lambda: media.positions.expected > 290)
        assert media.positions.lost_ms == pytest.approx(40, abs=4)


async def test_keys_of_the_agent_are_heard():
    async with connected() as (media, page):
        await media.send_dtmf("5")
        await eventually(lambda: any(loudest(a) > 4000 for a in page.heard))


async def test_nonsense_on_the_socket_is_overlooked_until_it_is_too_much():
    async with connected() as (media, page):
        for message in ("{", b"\0\0", {"type": "dtmf", "digit": "77"}, {"type": "offer", "sdp": 7}):
            page.socket.put(message)
        page.socket.put({"type": "dtmf", "digit": "1"})
        assert await next_of(media, Dtmf) == Dtmf("1")
        assert media.malformed == 4
        for _ in range(media_module.MOST_MALFORMED):
            page.socket.put("{")
        assert await next_of(media, Closed) == Closed("media_lost")
        assert media.fault is not None
        assert media.fault.fault is Fault.MALFORMED


async def test_oversized_message_ends_the_call():
    async with connected() as (media, page):
        page.socket.put("x" * 70_000)
        assert await next_of(media, Closed) == Closed("media_lost")
        assert media.fault is not None
        assert media.fault.fault is Fault.OVERSIZED


async def test_flood_of_packets_ends_the_call(monkeypatch):
    monkeypatch.setattr(media_module, "BURST", 20)
    monkeypatch.setattr(media_module, "RATE", 0.0)  # however slow the machine is
    async with connected() as (media, page):
        page.talk(1900)
        assert await next_of(media, Closed) == Closed("media_lost")
        assert media.fault is not None
        assert media.fault.fault is Fault.FLOOD


async def test_packets_that_are_no_opus_are_counted():
    async with connected() as (media, page):
        spoiled = iter([b"\x03"] * 3)
        encode = page.peer.microphone._encoder.encode

        def spoil(pcm: bytes, at: int) -> Any:
            packet = encode(pcm, at)
            bad = next(spoiled, None)
            if bad is None:
                return packet
            made = av.Packet(bad)
            made.pts, made.time_base = packet.pts, packet.time_base
            return made

        page.peer.microphone._encoder.encode = spoil
        page.talk(100)
        await next_of(media, Audio)
        assert media.malformed == 3


async def test_empty_datagrams_of_a_port_scanner_do_no_harm():
    async with connected() as (media, page):
        ice = media._peer._connection.getTransceivers()[0].receiver.transport.transport
        local = ice.iceGatherer.getLocalCandidates()[0]
        family = sockets.AF_INET6 if ":" in local.ip else sockets.AF_INET
        with sockets.socket(family, sockets.SOCK_DGRAM) as scanner:
            scanner.sendto(b"", (local.ip, local.port))
        await asyncio.sleep(0.05)
        page.talk(40)
        await next_of(media, Audio)


# --- comings and goings -----------------------------------------------------------------------


async def test_page_offers_anew_on_its_socket_and_the_call_goes_on():
    async with connected(Options(between_offers=0)) as (media, page):
        page.talk(100)
        await eventually(lambda: media.positions.expected > 90)
        before, first = media.positions.expected, page.peer
        page.peer = page.new_peer()
        await page.connect(2)
        await first.close()
        page.talk(100)
        await eventually(lambda: media.positions.expected > before + 90)
        page.heard.clear()
        await media.send(TONE[:6400])
        await eventually(lambda: any(loudest(a) > 4000 for a in page.heard))


async def test_offer_that_leads_nowhere_leaves_the_call_as_it_is():
    async with connected(Options(between_offers=0, connect=100)) as (media, page):
        stray = PagePeer()
        for _ in range(2):
            page.socket.put({"type": "offer", "sdp": await stray.offer()})
        await page.told("answer", 3)
        await eventually(lambda: media._next_peer is None)
        page.talk(40)
        await next_of(media, Audio)
        await stray.close()


async def test_offers_come_one_at_a_time():
    async with connected(Options(between_offers=60_000)) as (media, page):
        stray = PagePeer()
        sdp = await stray.offer()
        for _ in range(3):
            page.socket.put({"type": "offer", "sdp": sdp})
        await eventually(lambda: media.malformed == 2)
        await page.told("answer", 2)
        await stray.close()


async def test_page_comes_back_on_another_socket():
    async with connected(Options(grace=400)) as (media, page):
        page.socket.disconnect(1005)  # as uvicorn tells of a connection that broke
        await eventually(lambda: media._socket is None)
        await media.send_json({"type": "state"})  # nobody is told, and nothing breaks
        again = Socket()
        attending = asyncio.create_task(media.attend(again.receive, again.send))
        for _ in range(5):
            page.talk(100)
            await asyncio.sleep(0.1)
        again.put({"type": "dtmf", "digit": "7"})
        assert await next_of(media, Dtmf) == Dtmf("7")
        await media.hang_up(1000)
        await attending
        assert again.close is not None


async def test_newer_socket_takes_over_from_one_that_only_seems_alive():
    async with connected() as (media, page):
        again = Socket()
        attending = asyncio.create_task(media.attend(again.receive, again.send))
        await eventually(lambda: page.socket.close)
        page.socket.put({"type": "hangup"})
        again.put({"type": "dtmf", "digit": "7"})
        assert await next_of(media, Dtmf) == Dtmf("7")
        await media.hang_up(1000)
        await attending


async def test_defect_on_a_socket_is_logged_and_the_page_may_come_back(caplog):
    async with connected() as (media, page):

        def defect(_text: str, _final: bool) -> None:
            raise ZeroDivisionError

        media.on_transcript = defect
        page.socket.put({"type": "transcript", "text": "hola"})
        await eventually(lambda: media._socket is None)
        assert "a page's socket cannot be served" in caplog.text
        again = Socket()
        attending = asyncio.create_task(media.attend(again.receive, again.send))
        again.put({"type": "dtmf", "digit": "7"})
        assert await next_of(media, Dtmf) == Dtmf("7")
        await media.hang_up(1000)
        await attending


async def test_page_that_does_not_come_back_has_lost_its_call():
    async with connected(Options(grace=150)) as (media, page):
        page.socket.disconnect(1006)
        for _ in range(4):
            page.talk(60)
            await asyncio.sleep(0.05)
        assert await next_of(media, Closed) == Closed("media_lost")


async def test_page_that_closes_its_socket_in_good_order_hangs_up():
    async with connected() as (media, page):
        page.socket.disconnect(1001)
        assert await next_of(media, Closed) == Closed("caller_hung_up")


async def test_page_whose_sound_stays_away_has_lost_its_call():
    async with connected(Options(grace=150)) as (media, _page):
        assert await next_of(media, Closed) == Closed("media_lost")


async def test_socket_that_takes_nothing_any_more_breaks_nothing():
    async with connected() as (media, _page):

        async def gone(_message: Any) -> None:
            raise RuntimeError("closed")

        assert media._socket is not None
        media._socket._send = gone
        await media.clear()
        await media.send_json({"type": "state"})


async def test_stream_that_is_closed_gives_nothing_more():
    async with connected() as (media, page):
        page.talk(40)
        await next_of(media, Audio)
        await media.close()
        assert [event async for event in media] == []


def test_aiortc_that_keeps_its_buffer_elsewhere_is_found_out():
    with pytest.raises(RuntimeError, match="keeps its jitter buffer elsewhere"):
        listen(object(), object())


async def test_aiortc_keeps_its_buffer_where_we_put_ours():
    peer = Peer(ICE)
    receiver: RTCRtpReceiver = peer._connection.getTransceivers()[0].receiver
    listen(receiver, JitterBuffer(LoopClock(), lambda _packet, _lost: None))
    await peer.close()
