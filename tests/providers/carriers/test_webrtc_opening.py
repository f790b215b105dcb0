"""What a page says until its call begins: connecting, giving up, and all that is no opening."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from calls.providers.carriers.errors import Fault, MediaFault, StreamGone
from calls.providers.carriers.webrtc import opening as opening_module
from calls.providers.carriers.webrtc.ice import IceOptions
from calls.providers.carriers.webrtc.opening import Opening
from calls.providers.carriers.webrtc.peer import answering
from calls.simulator.webrtc import PagePeer
from tests.providers.carriers.webrtc_page import ICE, PLAIN, START, Page


async def test_page_is_told_its_ice_servers():
    ice = replace(ICE, turn_urls=("turn:t.example:3478",), turn_secret="x")
    page = Page()
    opening = asyncio.create_task(page.opening(ice).start())
    page.socket.put({"type": "ice"})
    (server,) = (await page.told("ice"))["servers"]
    assert server["urls"] == ["turn:t.example:3478"]
    assert server["username"].endswith(":tests")
    page.socket.put(PLAIN)
    start, peer = await opening
    assert (start.webrtc, peer) == (False, None)
    await page.peer.close()


async def test_page_that_gave_up_on_webrtc_goes_on_with_its_socket():
    page = Page()
    page.socket.put({"type": "offer", "sdp": await page.peer.offer()})
    page.socket.put(PLAIN)
    start, peer = await page.opening().start()
    assert (start.webrtc, peer) == (False, None)
    await page.peer.close()


async def refused(page: Page, ice: IceOptions = ICE) -> Fault:
    with pytest.raises(MediaFault) as caught:
        await page.opening(ice).start()
    await page.peer.close()
    return caught.value.fault


async def test_offer_is_refused_where_webrtc_is_switched_off():
    page, off = Page(), replace(ICE, enabled=False)
    page.socket.put({"type": "ice"})
    page.socket.put({"type": "offer", "sdp": await page.peer.offer()})
    assert await refused(page, off) is Fault.MALFORMED
    assert page.socket.texts == [{"type": "ice", "servers": None}]


async def test_page_that_never_connects_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(opening_module, "CONNECT_SECONDS", 0.2)
    page = Page()
    page.socket.put({"type": "offer", "sdp": await page.peer.offer()})
    assert await refused(page) is Fault.NO_PATH


async def test_page_that_claims_to_be_connected_is_not_believed():
    page = Page()
    page.socket.put(START)
    assert await refused(page) is Fault.NO_PATH


async def test_page_with_another_certificate_than_it_offered_is_not_connected():
    page = Page()
    other = PagePeer()
    own, others = [(await p.offer()).splitlines() for p in (page.peer, other)]
    prints = iter([line for line in others if line.startswith("a=fingerprint")])
    forged = [next(prints) if line.startswith("a=fingerprint") else line for line in own]
    peer, answer = await answering(ICE, "\r\n".join([*forged, ""]))
    accepting = asyncio.create_task(page.peer.accept(answer))
    assert not await peer.connected(5)
    assert peer.state == "failed"
    accepting.cancel()
    await asyncio.gather(accepting, return_exceptions=True)
    for each in (page.peer, other, peer):
        await each.close()


async def test_page_that_goes_while_it_connects_leaves_nothing():
    page = Page()
    page.socket.put({"type": "offer", "sdp": await page.peer.offer()})
    page.socket.disconnect()
    with pytest.raises(StreamGone):
        await page.opening().start()
    await page.peer.close()


def without(sdp: str, start: str) -> str:
    return "\r\n".join(line for line in sdp.splitlines() if not line.startswith(start)) + "\r\n"


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sdp: sdp.replace("opus/48000/2", "nonsense/1/1"),
        lambda sdp: sdp.replace("m=audio", "m=audio x"),
        lambda sdp: without(sdp, "a=rtcp-mux"),
        lambda sdp: sdp.replace("a=fingerprint:", "a=fingerprint:x"),
        lambda sdp: sdp.replace("a=setup:", "a=setup:x"),
        lambda sdp: sdp + "a=rtpmap:\r\na=ssrc:x\r\na=group:\r\n",
        lambda sdp: sdp.replace("v=0", "v=" + "9" * 400),
        lambda sdp: sdp[: len(sdp) // 2],
    ],
)
async def test_spoiled_offer_is_refused_or_never_connects(spoil, monkeypatch):
    monkeypatch.setattr(opening_module, "CONNECT_SECONDS", 0.1)
    page = Page()
    page.socket.put({"type": "offer", "sdp": spoil(await page.peer.offer())})
    assert await refused(page) in {Fault.MALFORMED, Fault.NO_PATH}


async def test_second_offer_takes_the_place_of_the_first_and_a_fourth_is_too_much():
    page = Page()
    first = await page.peer.offer()
    opening = asyncio.create_task(page.opening().start())
    page.socket.put({"type": "offer", "sdp": first})
    await page.told("answer")
    await page.peer.close()
    page.peer = page.new_peer()
    await page.connect(2)
    page.socket.put(START)
    _, peer = await opening
    assert peer is not None
    assert peer.state == "connected"
    await peer.close()
    again = Page()
    for _ in range(4):
        again.socket.put({"type": "offer", "sdp": first})
    assert await refused(again) is Fault.MALFORMED
    await page.peer.close()


@pytest.mark.parametrize("line", [7, "x" * 501, "candidate:1 x udp y 8.8.8.8 50000 typ host"])
async def test_candidate_that_is_none_is_refused(line):
    page = Page()
    peer, _ = await answering(ICE, await page.peer.offer())
    with pytest.raises(MediaFault):
        await peer.add_candidate(line)
    await peer.close()
    await page.peer.close()


async def test_candidates_that_come_later_are_tried():
    page = Page()
    ice = replace(ICE, private=True)
    sdp = await page.peer.offer()
    lines = [line[2:] for line in sdp.splitlines() if line.startswith("a=candidate")]
    peer, answer = await answering(ice, without(sdp, "a=candidate"))
    for line in lines:
        await peer.add_candidate(line)
    await page.peer.accept(answer)
    assert await peer.connected(5)
    await peer.close()
    await page.peer.close()


async def test_socket_that_closes_under_our_answer_leaves_nothing():
    page = Page()

    async def gone(_message: object) -> None:
        raise RuntimeError("closed")

    page.socket.put({"type": "offer", "sdp": await page.peer.offer()})
    with pytest.raises(StreamGone):
        await Opening(page.socket.receive, gone, ICE, "tests").start()
    await page.peer.close()
